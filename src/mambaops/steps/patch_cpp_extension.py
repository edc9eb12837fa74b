"""torch's tables of host compilers know the CUDA version that the profile builds with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mambaops.decide.case import Case
from mambaops.decide.packages import compiles
from mambaops.decide.verdict import Verdict, done, needed
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.steps.context import Context


def assess(case: Case) -> Verdict:
    """Was the profile's CUDA version added?"""
    version = case.profile.build.patch_cpp_extension
    if case.situation.cpp_extension == version:
        return done(f"torch's compiler tables have a row for CUDA {version}")
    return needed(f"torch's compiler tables lack CUDA {version}")


def wanted(case: Case) -> bool:
    """Only where the profile names a CUDA version that torch's tables lack."""
    return compiles(case) and bool(case.profile.build.patch_cpp_extension)


def act(context: Context, case: Case) -> None:
    """Add the profile's CUDA version, and remember it."""
    from mambaops.patching.cpp_extension import apply_bounds, find_file

    version = case.profile.build.patch_cpp_extension
    apply_bounds(find_file(context.where.python), version)
    context.note(cpp_extension=version)


def undo(context: Context, case: Case) -> None:
    """Put torch's file back to the byte."""
    from mambaops.patching.cpp_extension import find_file, revert_bounds

    revert_bounds(find_file(context.where.python))
    context.note(cpp_extension="")


def script(case: Case) -> list[str]:
    version = case.profile.build.patch_cpp_extension
    return [f'mambaops patch-cpp-extension --python "$PY" --cuda {version}']


STEP = Step(
    id="patch-cpp-extension",
    help="Add the profile's CUDA release to the tables of compilers in the installed torch.",
    assess=assess,
    act=act,
    script=script,
    undo=undo,
    stands_on=("install-torch",),
    after=("prepare-build",),
    wanted=wanted,
    only_to_compile=True,
)

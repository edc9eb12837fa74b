"""Python.h in the target environment, before anything large is fetched: without root, from where it is to be had.

Distributions keep it in a package of its own (python3-dev). On Debian and Ubuntu apt fetches that package as any
user and dpkg unpacks it anywhere; elsewhere the headers of uv's Python of the same minor version are taken (they
are the same for all of its patch releases). They lie below the environment, and a build is told by CPATH.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mambaops.decide.case import Case
from mambaops.decide.headers import apt_package, base_python, by_hand, without_headers
from mambaops.decide.packages import compiles, may_find_prebuilt
from mambaops.decide.verdict import Verdict, done, needed
from mambaops.knowledge.tables import minor_of
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.steps.context import Context


def assess(case: Case) -> Verdict:
    """Python's headers for the build, where the Python that the environment is made of has none."""
    python = without_headers(case)
    if python is None:
        there = base_python(case)
        return done(f"in {there.headers}" if there and there.headers else "Python brings them")
    if may_find_prebuilt(case):
        return done("Python.h is missing; prepare-build gets it if no prebuilt wheel fits")
    return needed(missing(case), by_hand(case.facts, python))


def missing(case: Case) -> str:
    """What is missing and where it will come from; empty where nothing is."""
    python = without_headers(case)
    if python is None:
        return ""
    package = apt_package(case.facts, python)
    whence = package or f"uv's Python {minor_of(python.version)}"
    return f"Python.h of {python.executable} is missing: from {whence}, without root"


def act(context: Context, case: Case) -> None:
    """Get the headers by the first way that is open.

    Raises:
        MachineError: none is; the hint says what root would do.
    """
    from mambaops.install.headers import install_headers

    assert case.target is not None  # create-venv has made it
    # what the distribution calls them is the machine's to say, the Python is the environment's
    target = replace(case.facts, python=case.target.python)
    install_headers(target, context.where.env, log=context.run.log(STEP.id), say=context.say)


def script(case: Case) -> list[str]:
    from mambaops.system.python_headers import apt_commands

    python = without_headers(case)
    if python is None:
        return []
    package, minor = apt_package(case.facts, python), minor_of(python.version)
    if package is None:
        return [f"# {by_hand(case.facts, python)}"]
    return [
        'mkdir -p "$ENV/headers"',
        f'(cd "$ENV/headers" && {apt_commands(package)})',
        f'export CPATH="$ENV/headers/usr/include/python{minor}:$ENV/headers/usr/include"',
    ]


STEP = Step(
    id="install-headers",
    help="Get Python.h for the build where it is missing, without root.",
    assess=assess,
    act=act,
    script=script,
    stands_on=("create-venv",),
    wanted=compiles,
    only_to_compile=True,
)

"""setup.py compiles exactly the wanted architectures."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from mambaops.decide.case import Case
from mambaops.decide.packages import compiles, to_build
from mambaops.decide.toolkit import fitting_toolkit
from mambaops.decide.verdict import Verdict, done, needed
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.steps.context import Context


def assess(case: Case) -> Verdict:
    """setup.py compiles exactly the wanted architectures."""
    trees = case.situation.sources
    missing = [
        name
        for name, _ in to_build(case)
        if name not in trees or trees[name].patched != case.setup_options(name).digest()
    ]
    if missing:
        archs = ";".join(case.choice.archs)
        return needed(f"setup.py of {' and '.join(missing)}: compile {archs} and nothing else")
    return done("patched" if trees else "nothing has to be built")


def act(context: Context, case: Case) -> None:
    """Make every setup.py compile exactly what was chosen; the diffs go into the run's folder."""
    from mambaops.compile.sources import mark_patched
    from mambaops.patching.apply import apply_to_tree
    from mambaops.state.observe import source_folder

    toolkit, _ = fitting_toolkit(case)
    for name, _ in to_build(case):
        options = case.setup_options(name)
        tree = Path(case.situation.sources[name].path)
        applied = apply_to_tree(tree, options, nvcc=toolkit.version if toolkit else None)
        context.run.log(f"patch-setup:{name}").write_text(applied.diff, encoding="utf-8")
        mark_patched(source_folder(case, context.where, name), options.digest())
        context.say(f"{name}: {', '.join(applied.patches) or 'nothing had to be patched'}")


def undo(context: Context, case: Case) -> None:
    """Put every byte of the unpacked sources back."""
    from mambaops.compile.sources import mark_patched
    from mambaops.patching.apply import revert_tree
    from mambaops.state.observe import source_folder

    for name, source in case.situation.sources.items():
        restored = revert_tree(Path(source.path))
        mark_patched(source_folder(case, context.where, name), "")
        context.say(f"{name}: put back {', '.join(restored) or 'nothing'}")


def script(case: Case) -> list[str]:
    archs = ";".join(case.choice.archs)
    return [
        f"mambaops patch-setup --source {name}-src --package {shlex.quote(spec.file or name)} "
        f'--arch "{archs}" --torch {case.choice.torch}'
        for name, spec in case.packages.items()
    ]


STEP = Step(
    id="patch-setup",
    help="Make each package's setup.py compile exactly the wanted architectures.",
    assess=assess,
    act=act,
    script=script,
    undo=undo,
    stands_on=("fetch-sources",),
    wanted=compiles,
)

"""Look into wheels, and repair those that a newer system built."""

from __future__ import annotations

from mambaops.cli.task import Context, emit, task


@task(
    name="inspect-wheel",
    group="wheels",
    examples=(
        "mambaops wheels inspect mamba_ssm-2.3.2-cp311-cp311-linux_x86_64.whl",
        "mambaops wheels inspect mamba-ssm --facts here",
    ),
    operand="target",
    verb="wheels inspect",
    positional=["target"],
    help={
        "target": "a wheel file, or the name of an installed package",
        "facts": "facts of a machine (`here`: this one): will it load and run there?",
        "python": "interpreter whose environment holds the package (default: the active one)",
    },
)
def inspect_wheel(
    c: Context, target: str, facts: str = "", python: str = "", json: bool = False
) -> int:
    """Look into a wheel: architectures, libraries, symbol versions, torch and ABI.

    Nothing is imported and no CUDA tool is needed. With facts it says whether it will load and run on that
    machine, and what is missing. Exit 1 for a wheel whose name says something else than its inside, and
    (with facts) for one that would not load or run.
    """
    from pathlib import Path

    from mambaops.core import interpreters
    from mambaops.facts.collect import facts_for
    from mambaops.install.installed import inspect_installed
    from mambaops.report.wheels import contents_text
    from mambaops.wheels.inspect.compatibility import check_compatibility
    from mambaops.wheels.inspect.contents import inspect_wheel as look

    is_file = target.endswith(".whl") or "/" in target or Path(target).is_file()
    contents = (
        look(Path(target)) if is_file else inspect_installed(target, interpreters.to_change(python))
    )
    fit = None
    if facts:
        fit = check_compatibility(contents, facts_for("" if facts == "here" else facts, python))
    emit(
        {**contents.as_json(), **({"fits": fit.as_json()} if fit else {})} if json else contents,
        as_json=json,
        text=lambda found: contents_text(found, fit),
    )
    bad = bool(contents.contradictions) or (
        fit is not None and (not fit.loads or fit.runs is False)
    )
    return 1 if bad else 0


@task(
    name="repair-wheel",
    group="wheels",
    examples=(
        "mambaops wheels repair mamba_ssm-2.3.2-cp311-cp311-linux_x86_64.whl",
        "mambaops wheels repair x.whl --glibc 2.31 --output fixed",
    ),
    operand="file",
    verb="wheels repair",
    positional=["file"],
    help={
        "file": "wheel to repair; it is not changed, a copy is written",
        "glibc": "glibc of the system that it shall load on",
        "output": "folder for the repaired copy (default: beside the wheel)",
        "force": "replace what is there, also where mambaops did not write it",
    },
)
def repair_wheel(
    c: Context,
    file: str,
    glibc: str = "2.31",
    output: str = "",
    force: bool = False,
    json: bool = False,
) -> None:
    """Make a wheel load on an older system: one that needs GLIBC_2.32 for one symbol.

    The copy has a local version of its own (….glibc2.31) and a new RECORD. A wheel that needs anything else
    of a newer glibc is refused, with the list of symbols.
    """
    from pathlib import Path

    from mambaops.wheels.repair.glibc import repair_wheel as repair

    done = repair(Path(file), glibc=glibc, out=Path(output) if output else None, force=force)
    emit(
        done.as_json() if json else done,
        as_json=json,
        text=lambda one: "\n".join([str(one.wheel), *(f"  {line}" for line in one.done)]),
    )

"""A project's requirements, without what would replace torch."""

from __future__ import annotations

from collections.abc import Sequence

from mambaops.cli.task import Context, emit, say, task


@task(
    name="install-requirements",
    group="wheels",
    examples=(
        "mambaops install-requirements requirements.txt --dry-run",
        "mambaops install-requirements requirements.txt --keep numpy",
    ),
    operand="file",
    positional=["file"],
    iterable=["keep"],
    help={
        "file": "requirements file",
        "python": "interpreter or folder of the environment (default: the active one)",
        "system": "it may also be the system's own Python, or conda's base",
        "index-url": "package index or mirror to use, for this command",
        "keep": "a protected name that the file may replace after all; may be given several times",
        "dry-run": "only say what would be left out and what would be run",
    },
)
def install_requirements(
    c: Context,
    file: str,
    python: str = "",
    system: bool = False,
    index_url: str = "",
    keep: Sequence[str] | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Install a requirements file; not what would replace torch.

    Left out, each with its reason: lines that ask for another version of the installed torch, torchvision,
    torchaudio, triton, numpy or transformers. The installed versions bound all dependencies too.
    """
    from pathlib import Path

    from mambaops.core import interpreters
    from mambaops.install.requirements import Outcome
    from mambaops.install.requirements import install_requirements as install

    def text(outcome: Outcome) -> str:
        if outcome.dry_run:
            return "\n".join(
                ["would install:", *outcome.lines, "", "bounded by:", *outcome.constraints]
            )
        changed = [
            f"{name} {old or '-'} -> {new or '-'}" for name, (old, new) in outcome.changed.items()
        ]
        return "\n".join(changed) or "everything was there already"

    outcome = install(
        Path(file),
        interpreters.to_install_into(python, system=system or dry_run),
        index_url=index_url,
        keep=list(keep or ()),
        dry_run=dry_run,
        say=say,
    )
    emit(outcome, as_json=json, text=text)

"""Install a project's requirements without what would replace torch and its companions.

A project's file pins `torch==1.13` or `numpy==1.24`, and pip obeys: the CUDA build that worked is gone. Here
lines that ask for another version of an installed protected package are left out, each with the reason, and
the installed versions bound everything else, so that no dependency of a dependency replaces them either.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from mambaops.core import interpreters, process
from mambaops.core.errors import MambaopsError, StepDidNotTake
from mambaops.install.installers import (
    TargetEnvironment,
    installer_environment,
    pip_command,
    pip_settings,
    read_environment,
    uv_command,
)
from mambaops.install.requirements_file import Line, Say, read_lines
from mambaops.install.selection import LeftOut, Selection, guarded_versions, select


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What was done. `changed`: name -> (version before, after), empty text for none."""

    left_out: tuple[LeftOut, ...]
    lines: tuple[str, ...]
    constraints: tuple[str, ...]
    changed: dict[str, tuple[str, str]]
    dry_run: bool


def install_requirements(
    path: Path,
    python: Path,
    *,
    index_url: str = "",
    keep: Sequence[str] = (),
    dry_run: bool = False,
    say: Say = lambda text: None,
) -> Outcome:
    """Install what a requirements file asks for, except what would replace torch and its companions.

    Raises:
        UsageError: the file or a line of it makes no sense.
        MambaopsError: pip or uv found no set of versions, or could not install it.
        StepDidNotTake: a protected package is another one afterwards.
    """
    python = interpreters.named(python)
    before = read_environment(python)
    lines = read_lines(path, environ=os.environ, say=say)
    selection = select(lines, before, keep=keep, index_url=index_url)
    for one in selection.left_out:
        put = f"; `{one.instead}` is asked for instead" if one.instead else ""
        say(f"left out: `{one.line}` ({one.where}): {one.reason}{put}")
    _warn_of_missing_torch(lines, before, say)
    with tempfile.TemporaryDirectory(prefix="mambaops-") as folder:
        argv = _command(selection, Path(folder), python, before, index_url)
        if not dry_run and selection.lines:
            _run(argv, selection, say)
    after = before if dry_run else read_environment(python)
    _check_kept(before, after, keep)
    return Outcome(
        left_out=selection.left_out,
        lines=selection.lines,
        constraints=selection.constraints,
        changed=_changes(before, after),
        dry_run=dry_run,
    )


def _warn_of_missing_torch(lines: Sequence[Line], before: TargetEnvironment, say: Say) -> None:
    if "torch" not in before.installed and any(line.name == "torch" for line in lines):
        say(
            "warning: no torch is installed here, so the file's own is taken, whatever its CUDA; "
            "`mambaops build-mamba` installs the one that fits this machine first"
        )


def _command(
    selection: Selection,
    folder: Path,
    python: Path,
    environment: TargetEnvironment,
    index_url: str,
) -> list[str]:
    wanted, bounds = folder / "requirements.txt", folder / "constraints.txt"
    wanted.write_text("\n".join(selection.lines) + "\n", encoding="utf-8")
    bounds.write_text("\n".join(selection.constraints) + "\n", encoding="utf-8")
    files = ["--requirement", str(wanted), "--constraint", str(bounds)]
    index = ["--index-url", index_url] if index_url else []
    # pip first: the file is in pip's language, and mirrors stand in pip's settings
    if pip := pip_command(python):
        return [*pip, "install", *index, *files]
    if uv := uv_command():
        settings = pip_settings(Path(environment.prefix)).uv_flags() if not index_url else index
        return [*uv, "pip", "install", "--python", str(python), *settings, *files]
    raise MambaopsError(
        f"neither pip nor uv can serve {python}", hint=f"`{python} -m ensurepip` brings pip"
    )


def _run(argv: Sequence[str], selection: Selection, say: Say) -> None:
    done = process.run(argv, env=installer_environment(), on_line=say, merge=True, check=False)
    if not done.ok:
        bounds = ", ".join(selection.constraints)
        raise MambaopsError(
            f"the requirements could not be installed:\n{_what_went_wrong(done.stdout)}",
            hint=f"these stay as they are: {bounds}. A package that cannot live with them needs another version; "
            "`--keep NAME` lets one of them be replaced",
        )


def _what_went_wrong(output: str) -> str:
    """pip tells the conflict first and much advice after it; of anything else the end tells most."""
    lines = output.strip().splitlines()
    begin = next((n for n, line in enumerate(lines) if "The conflict is caused by" in line), None)
    if begin is None:
        return "\n".join(lines[-10:])
    advice = ("Additionally", "To fix this")
    end = next((n for n in range(begin, len(lines)) if lines[n].startswith(advice)), len(lines))
    return "\n".join(lines[begin:end]).strip()


def _check_kept(before: TargetEnvironment, after: TargetEnvironment, keep: Sequence[str]) -> None:
    kept = {canonicalize_name(name) for name in keep}
    replaced = {
        name: (version, after.installed[name].version if name in after.installed else "nothing")
        for name, version in guarded_versions(before, kept).items()
        if name not in after.installed or after.installed[name].version != version
    }
    if replaced:
        told = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in replaced.items())
        raise StepDidNotTake(
            f"protected packages were replaced all the same: {told}",
            hint="run `mambaops build-mamba` with the environment's profile to put them right",
        )


def _changes(before: TargetEnvironment, after: TargetEnvironment) -> dict[str, tuple[str, str]]:
    names = sorted(set(before.installed) | set(after.installed))
    pairs = {
        name: (
            before.installed[name].version if name in before.installed else "",
            after.installed[name].version if name in after.installed else "",
        )
        for name in names
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

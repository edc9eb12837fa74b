"""Install a project's requirements without what would replace torch and its companions.

A project's file pins `torch==1.13` or `numpy==1.24`, and pip obeys: the CUDA build that worked is gone. Here
lines that ask for another version of an installed protected package are left out, each with the reason, and
the installed versions bound everything else, so that no dependency of a dependency replaces them either.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
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

PROTECTED = ("torch", "torchvision", "torchaudio", "triton", "numpy", "transformers")
# bound as well, though no project names them: what torch was installed with, and our two packages
BOUND = ("mamba-ssm", "causal-conv1d", "pytorch-triton")
# torch's CUDA libraries, e.g. "nvidia-cudnn-cu12", "nvidia-cublas"; not NVML's Python package
BOUND_PREFIX = "nvidia-"
NOT_BOUND = ("nvidia-ml-py",)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A line, or its version, that is not handed on. `instead`: what is; empty: nothing."""

    where: str
    line: str
    name: str
    reason: str
    instead: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What of a requirements file is handed on: `lines` to install, `constraints` that bound them."""

    lines: tuple[str, ...]
    constraints: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What was done. `changed`: name -> (version before, after), empty text for none."""

    left_out: tuple[LeftOut, ...]
    lines: tuple[str, ...]
    constraints: tuple[str, ...]
    changed: dict[str, tuple[str, str]]
    dry_run: bool


def select(
    lines: Sequence[Line],
    environment: TargetEnvironment,
    *,
    keep: Sequence[str] = (),
    index_url: str = "",
) -> Selection:
    """Sort the lines of a file. Pure.

    Args:
        keep: names that are handed on as they stand, and not bound.
        index_url: the index that replaces the file's own.
    """
    kept_names = {canonicalize_name(name) for name in keep}
    guarded = _guarded(environment, kept_names)
    chosen: list[str] = []
    bounds = [f"{name}=={version}" for name, version in sorted(guarded.items())]
    left_out: list[LeftOut] = []
    for line in lines:
        handed_on, refused = _judge(line, guarded, environment.markers, index_url)
        if refused is not None:
            left_out.append(refused)
        if handed_on:
            (bounds if line.constraint and line.kind == "requirement" else chosen).append(handed_on)
    return Selection(lines=tuple(chosen), constraints=tuple(bounds), left_out=tuple(left_out))


def _guarded(environment: TargetEnvironment, keep: Iterable[str]) -> dict[str, str]:
    """Installed name -> version of everything that must stay what it is."""
    return {
        name: found.version
        for name, found in environment.installed.items()
        if (name in PROTECTED or name in BOUND or name.startswith(BOUND_PREFIX))
        and name not in (*NOT_BOUND, *keep)
    }


def _judge(
    line: Line, guarded: Mapping[str, str], markers: Mapping[str, str], index_url: str
) -> tuple[str, LeftOut | None]:
    """(what is handed on, what is left out with the reason)."""
    if line.kind == "option":
        if line.option == "--index-url" and index_url:
            return "", _refuse(line, "--index-url", f"`--index-url {index_url}` is used instead")
        return line.text, None
    if line.name is None or line.name not in guarded:
        return _absolute(line), None
    installed = guarded[line.name]
    requirement = line.requirement
    if requirement is None or requirement.url:
        reason = f"would replace the installed {line.name} {installed} by what the address holds"
        return "", _refuse(line, line.name, reason)
    if requirement.marker is not None and not requirement.marker.evaluate(dict(markers)):
        return line.text, None  # pip passes over it too
    if requirement.specifier.contains(installed, prereleases=True):
        return line.text, None
    reason = (
        f"would replace the installed {line.name} {installed} (asks for {requirement.specifier})"
    )
    # the extras' own requirements are still wanted
    instead = _without_version(requirement) if requirement.extras and not line.constraint else ""
    return instead, _refuse(line, line.name, reason, instead)


def _refuse(line: Line, name: str, reason: str, instead: str = "") -> LeftOut:
    return LeftOut(where=line.where, line=line.text, name=name, reason=reason, instead=instead)


def _without_version(requirement: Requirement) -> str:
    marker = f"; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}[{','.join(sorted(requirement.extras))}]{marker}"


def _absolute(line: Line) -> str:
    """Relative paths are meant from the folder of the command, as pip has it; our file lies elsewhere."""
    text = line.value if line.kind == "editable" else line.text
    word = text.split(" ")[0].split(";")[0].split("[")[0]
    if word.startswith(".") or ("://" not in word and Path(word).exists() and "/" in word):
        text = str(Path(word).absolute()) + text[len(word) :]
    return f"-e {text}" if line.kind == "editable" else text


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
            "`mambaops build-mamba --profile NAME` installs the one that fits this machine first"
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
        for name, version in _guarded(before, kept).items()
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

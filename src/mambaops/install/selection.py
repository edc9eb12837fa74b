"""Which lines of a requirements file are handed on: none that would replace torch and its companions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mambaops.install.installers import TargetEnvironment
from mambaops.install.requirements_file import Line
from mambaops.knowledge.packages import packages

PROTECTED = ("torch", "torchvision", "torchaudio", "triton", "numpy", "transformers")
# bound as well, though no project names it: what torch was installed with
BOUND = ("pytorch-triton",)
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
    guarded = guarded_versions(environment, kept_names)
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


def guarded_versions(environment: TargetEnvironment, keep: Iterable[str]) -> dict[str, str]:
    """Installed name -> version of everything that must stay what it is."""
    protected = _protected()
    return {
        name: found.version
        for name, found in environment.installed.items()
        if (name in protected or name.startswith(BOUND_PREFIX)) and name not in (*NOT_BOUND, *keep)
    }


def _protected() -> set[str]:
    """Names that nothing may replace: torch's own, each package that is known, and what it protects."""
    described = packages().values()
    more = {name for one in described for name in (one.name, *one.together.protects)}
    return {*PROTECTED, *BOUND, *more}


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

"""Wheel files as they lie there: found by pattern, whole, and named for what is inside."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.store.entries import stored
from mambaops.wheels.archive import check_zip
from mambaops.wheels.metadata import metadata_of


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelFile:
    """A wheel that has been looked at. `version` is the one inside, which may lack the name's local part."""

    path: Path
    name: str  # normalised
    version: str
    named_version: str
    tags: frozenset[Tag]


def matching_files(patterns: Sequence[str]) -> list[Path]:
    """Files by name or pattern (`dist/*.whl`), each once, in the order given.

    Raises:
        UsageError: a pattern that nothing matches.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        # a name with brackets in it is a name first
        names = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern))  # noqa: PTH207 (absolute patterns)
        if not names:
            raise UsageError(f"there is no `{pattern}` here ({Path.cwd()})")
        found.update(dict.fromkeys(map(Path, names)))
    return list(found)


def read_wheel(path: Path, *, whole: bool = False) -> WheelFile:
    """A wheel's name and inside, after checking that they are whole and agree.

    Args:
        whole: it is known to be whole (by its hash): its members are not read again.

    Raises:
        UsageError: no such file, or no wheel's name.
        MambaopsError: damaged, dangerous, or a name that says something else than the inside.
    """
    if not path.is_file():
        raise UsageError(f"`{path}` is no file")
    try:
        name, named, _, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise UsageError(
            f"`{path.name}` is no wheel's file name: {error}",
            hint="a wheel keeps the whole name that it was published under: "
            "NAME-VERSION[+LOCAL]-PYTHON-ABI-PLATFORM.whl",
        ) from error
    # a hash is cheaper than to unpack everything once more
    if not whole and stored(path) is None:
        check_zip(path)
    inside_name, inside_version, inside_tags = _read_inside(path)
    _check_agree(path, (name, named, tags), (inside_name, inside_version, inside_tags))
    return WheelFile(
        path=path.absolute(),
        name=name,
        version=str(inside_version),
        named_version=str(named),
        tags=tags,
    )


def _read_inside(path: Path) -> tuple[str, Version, frozenset[Tag]]:
    said = metadata_of(path)
    tags = frozenset(tag for text in said.tags for tag in parse_tag(text))
    return canonicalize_name(said.name), Version(said.version or "0"), tags


def _check_agree(
    path: Path,
    named: tuple[str, Version, frozenset[Tag]],
    inside: tuple[str, Version, frozenset[Tag]],
) -> None:
    differences = []
    if named[0] != inside[0]:
        differences.append(f"the package inside is `{inside[0]}`")
    # upstream renames its files: the local version may be in the name alone
    if named[1] != inside[1] and (named[1].public != inside[1].public or inside[1].local):
        differences.append(f"the version inside is {inside[1]}")
    if inside[2] and not named[2] <= inside[2] | _widened(inside[2]):
        differences.append(f"it was built for {', '.join(sorted(map(str, inside[2])))}")
    if differences:
        raise MambaopsError(
            f"the name of `{path.name}` does not say what is inside: {'; '.join(differences)}",
            hint="somebody renamed it; fetch it again under its own name",
        )


def _widened(tags: frozenset[Tag]) -> frozenset[Tag]:
    """A plain `linux_` build may be named manylinux by somebody who knows; the CPU must stay."""
    machines = {tag.platform.removeprefix("linux_") for tag in tags if "linux" in tag.platform}
    return frozenset(
        Tag(tag.interpreter, tag.abi, platform)
        for tag in tags
        for machine in machines
        for platform in _platforms(machine)
    )


def _platforms(machine: str) -> list[str]:
    """Linux on a machine, in every name that there is for it; torch's wheels before 2.5 were named `manylinux1`."""
    names = ["linux", "manylinux1", "manylinux2010", "manylinux2014"]
    names += [f"manylinux_2_{number}" for number in range(5, 60)]
    return [f"{name}_{machine}" for name in names]

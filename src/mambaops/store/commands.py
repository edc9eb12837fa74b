"""What `mambaops wheels ACTION` does."""

from __future__ import annotations

import re
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec
from packaging.version import InvalidVersion, Version

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.core.files import regular, sha256_of
from mambaops.store.entries import Entry
from mambaops.store.kernels import Kernels, compiled, counted, remove
from mambaops.store.store import Store
from mambaops.wheels.archive import dist_info
from mambaops.wheels.inspect.contents import WheelContents, inspect_wheel
from mambaops.wheels.keys import NO_TORCH, BuildKey
from mambaops.wheels.names import parse_wheel_name
from mambaops.wheels.rewrite import WheelRewriter

UNITS = {"d": "days", "h": "hours", "m": "minutes", "w": "weeks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `mambaops wheels ACTION` was called with; which words count depends on the action."""

    action: str
    file: str = ""
    torch: str = ""
    older_than: str = ""
    keep: int | None = None
    dry_run: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`path`: of the store, or of the wheel that was added. `wheels`: listed, added or removed ones.

    `kernels`: those that NVRTC compiled here, listed or removed; None where another store is looked at.
    """

    action: str
    path: str
    wheels: list[Entry] = []
    kernels: Kernels | None = None
    dry_run: bool = False

    @property
    def is_empty(self) -> bool:
        """Nothing was found."""
        return not self.wheels and not (self.kernels and self.kernels.count)


def run(store: Store, request: Request) -> Answer:
    """Do what is asked.

    Raises:
        UsageError: no such action, or words that make no sense.
        MambaopsError: a wheel that is added is not whole, or not what its name says.
    """
    act = _ACTIONS.get(request.action)
    if act is None:
        known = ", ".join(_ACTIONS)
        raise UsageError(f"`wheels {request.action}`: there is no such action", hint=known)
    return act(store, request)


def text(answer: Answer) -> str:
    """The answer for people; for `path` the path alone, to be used in a command."""
    if answer.action in ("path", "add"):
        return answer.path
    lines = [_row(entry) for entry in answer.wheels]
    total = sum(entry.size for entry in answer.wheels)
    what = {"list": "in", "prune": "would go from" if answer.dry_run else "removed from"}
    count = f"{len(lines)} wheel{'' if len(lines) == 1 else 's'}"
    lines.append(f"{count}, {total / 1e6:.1f} MB, {what[answer.action]} {answer.path}")
    if answer.kernels and answer.kernels.count:
        found = answer.kernels
        told = f"{found.count} compiled kernel{'' if found.count == 1 else 's'}, {found.size / 1e6:.1f} MB"
        lines.append(f"{told}, {what[answer.action]} {found.path}")
    return "\n".join(lines)


def _row(entry: Entry) -> str:
    used = time.strftime("%Y-%m-%d", time.localtime(entry.used or entry.added))
    archs = " ".join(entry.key.architectures) if entry.key else "put there by hand"
    return f"{entry.wheel}  {entry.size / 1e6:.1f} MB  used {used}  {archs}"


def parse_age(age: str) -> timedelta:
    """ "90d", "12h", "2w" as a time span.

    Raises:
        UsageError: anything else.
    """
    match = re.fullmatch(r"(\d{1,5})([dhmw])", age.strip(), re.ASCII)
    if not match:
        raise UsageError(f"`{age}` is no age", hint="a number and d, h, m or w: 90d, 12h")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def _list(store: Store, request: Request) -> Answer:
    found = counted(compiled(time.time())) if store.is_own else None
    return Answer(action="list", path=str(store.path), wheels=store.entries(), kernels=found)


def _path(store: Store, request: Request) -> Answer:
    store.path.mkdir(parents=True, exist_ok=True)
    return Answer(action="path", path=str(store.path))


def _prune(store: Store, request: Request) -> Answer:
    if not request.older_than and request.keep is None:
        raise UsageError(
            "`wheels prune` removes nothing unless it is told what",
            hint="`--older-than 90d`, `--keep 3` (of each package), or `--keep 0` for everything",
        )
    age = parse_age(request.older_than) if request.older_than else None
    gone = store.prune(keep=request.keep, older_than=age, dry_run=request.dry_run)
    files = compiled(time.time(), keep=request.keep, older_than=age) if store.is_own else []
    kernels = counted(files) if store.is_own else None
    if not request.dry_run:
        remove(files)
    return Answer(
        action="prune", path=str(store.path), wheels=gone, kernels=kernels, dry_run=request.dry_run
    )


def _add(store: Store, request: Request) -> Answer:
    if not request.file:
        raise UsageError("`wheels add` wants a wheel", hint="`mambaops wheels add --file *.whl`")
    path = Path(request.file)
    key = key_of(path, inspect_wheel(path), request.torch)
    with tempfile.TemporaryDirectory(prefix="mambaops-") as folder:
        added = store.add(_with_named_version(path, Path(folder)), key, {"from": path.name})
    entries = [entry for entry in store.entries() if entry.wheel == added.name]
    return Answer(action="add", path=str(added), wheels=entries)


_ACTIONS: dict[str, Callable[[Store, Request], Answer]] = {
    "list": _list,
    "add": _add,
    "prune": _prune,
    "path": _path,
}


def key_of(path: Path, contents: WheelContents, torch: str) -> BuildKey:
    """The key of a wheel that others built, from its name and from what is inside.

    Args:
        torch: what it was built against, where its name does not say; "": the name's.

    Raises:
        UsageError: nobody says the torch of a wheel with compiled modules.
        MambaopsError: it is not what its name says.
    """
    if contents.contradictions:
        raise MambaopsError(
            f"`{path.name}` is not what its name says: {contents.contradictions[0]}",
            hint="fetch it again under its own name",
        )
    if contents.pack is not None:
        return contents.pack.asked.key
    name = contents.name
    assert name is not None, "only installed packages have none"
    against = torch or name.build.torch
    if contents.extensions and not _is_version(against):
        raise UsageError(
            f"the name of `{path.name}` does not tell the torch that it was built against",
            hint="say it: `--torch 2.8.0+cu128`",
        )
    return BuildKey.of(
        package=name.package,
        version=name.version,
        torch=against or NO_TORCH,
        cuda=name.build.cuda or contents.cuda,
        cxx11_abi=contents.cxx11_abi,
        python=name.python,
        platform=name.platform,
        architectures=[*contents.cubins, *(f"{one}+PTX" for one in contents.ptx)],
        source=sha256_of(path),
        flags=["added by hand"],
    )


def _is_version(text: str | None) -> bool:
    try:
        Version(text or "")
    except InvalidVersion:
        return False
    return True


def _with_named_version(path: Path, folder: Path) -> Path:
    """The wheel, with the version of its name also inside.

    Upstream renames its files; pip refuses such a file from `--find-links` ("has inconsistent version").
    """
    name = parse_wheel_name(path.name)
    with zipfile.ZipFile(regular(path)) as archive:
        if not str(name.build) or "+" in dist_info(path, archive.namelist()):
            return path
        target = folder / path.name
        said = [f"METADATA says +{name.build} now, as the file's name does"]
        WheelRewriter(archive, path.name, name).write(target, replaced={}, added={}, said=said)
    return target

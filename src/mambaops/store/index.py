"""The store as static package indexes (PEP 503, PEP 691), one for each target, that any web server can serve.

    DIR/index.html                                    the targets
    DIR/cu128-torch2.8-sm120/simple/index.html        the projects of one; `index.json` beside each page is PEP 691's
    DIR/cu128-torch2.8-sm120/simple/mamba-ssm/index.html
    DIR/cu128-torch2.8-sm120/files/….whl, ….whl.metadata

Each target is a link into a folder of one generation, which is written whole before the links are turned: a reader
sees a target as it was or as it is, and one that is gone is gone at once.
"""

from __future__ import annotations

import hashlib
import html
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock

from mambaops.core.errors import MambaopsError
from mambaops.core.files import replace_link, sha256_of, write_text
from mambaops.core.names import normal
from mambaops.core.outputs import folder_to_write
from mambaops.store.entries import Entry, is_as_stored
from mambaops.store.store import Store, link_or_copy
from mambaops.store.targets import Target, offered
from mambaops.wheels.archive import dist_info
from mambaops.wheels.metadata import parse_metadata

MARK = ".mambaops-index"  # the folder of the generations; only we make one
LOCK = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedTarget:
    """One index: its folder's name, and its wheels."""

    name: str
    wheels: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticIndex:
    """What was written. `left_out`: wheel -> why."""

    folder: str
    targets: list[IndexedTarget]
    left_out: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A wheel in an index: what its page says of it."""

    name: str
    project: str
    sha256: str
    size: int
    metadata_sha256: str
    requires_python: str


def is_index(folder: Path) -> bool:
    """Was the folder written by us?"""
    return (folder / MARK).is_dir()


def text(written: StaticIndex) -> str:
    """What was written, for people, with the command that installs from it."""
    lines = [f"{one.name}: {', '.join(one.wheels)}" for one in written.targets]
    lines += [f"left out: {wheel}: {why}" for wheel, why in written.left_out.items()]
    if written.targets:
        name = written.targets[0].name
        lines.append(
            f"pip install --index-url https://YOUR-SERVER/{name}/simple/ --no-deps PACKAGE"
        )
    return "\n".join([*lines, f"{len(written.targets)} indexes in {written.folder}"])


def write_index(
    store: Store, folder: Path, *, force: bool = False, say: Callable[[str], None]
) -> StaticIndex:
    """Write (or write anew) the indexes of what the store holds now.

    Raises:
        UsageError: something else is in the folder.
        MambaopsError: it cannot be written, or the file system has no links.
    """
    place = folder_to_write(folder, force=force, ours=is_index)
    whole = [entry for entry in store.entries() if _is_whole(store, entry, say)]
    offer = offered(whole)
    generations = place / MARK
    try:
        generations.mkdir(parents=True, exist_ok=True)
        with FileLock(generations / LOCK):
            made = Path(tempfile.mkdtemp(prefix="generation-", dir=generations))
            made.chmod(0o755)
            for target, entries in offer.wheels.items():
                _write_target(store, made, target, entries)
            _turn(place, made, list(offer.wheels))
    except OSError as error:
        raise MambaopsError(f"the index `{folder}` cannot be written: {error}") from error
    targets = [
        IndexedTarget(name=target.name, wheels=[entry.wheel for entry in entries])
        for target, entries in sorted(offer.wheels.items())
    ]
    return StaticIndex(folder=str(place), targets=targets, left_out=offer.left_out)


def _is_whole(store: Store, entry: Entry, say: Callable[[str], None]) -> bool:
    path = store.path / entry.wheel
    try:
        whole = zipfile.is_zipfile(path) if not entry.sha256 else is_as_stored(path, entry)
    except OSError:
        whole = False
    if not whole:
        say(f"`{path}` is not what was put there, and is left out")
    return whole


def _turn(place: Path, made: Path, targets: Sequence[Target]) -> None:
    """From the generation that the links lead to now to another one."""
    wanted = {target.name for target in targets}
    for name in wanted:
        replace_link(place / name, Path(MARK) / made.name / name)
    for link in place.iterdir():
        if link.is_symlink() and link.name not in wanted:
            link.unlink()
    names = sorted(wanted)
    write_text(place / "index.html", _page("Targets", {name: f"{name}/simple/" for name in names}))
    for old in (place / MARK).glob("generation-*"):
        if old != made:
            shutil.rmtree(old)


def _write_target(store: Store, made: Path, target: Target, entries: Sequence[Entry]) -> None:
    folder = made / target.name
    files = [_placed(store, entry, made / "wheels", folder / "files") for entry in entries]
    simple = folder / "simple"
    projects: dict[str, list[_File]] = {}
    for one in files:
        projects.setdefault(one.project, []).append(one)
    for project, several in sorted(projects.items()):
        page = simple / project
        page.mkdir(parents=True)
        (page / "index.html").write_text(_project_page(project, several), encoding="utf-8")
        _write_json(page / "index.json", _project_json(project, several))
    listed = {project: f"{project}/" for project in sorted(projects)}
    (simple / "index.html").write_text(_page("Simple index", listed), encoding="utf-8")
    names = [{"name": project} for project in sorted(projects)]
    _write_json(simple / "index.json", {"meta": {"api-version": "1.1"}, "projects": names})


def _placed(store: Store, entry: Entry, all_wheels: Path, folder: Path) -> _File:
    """The wheel in the folder (copied once at most, for all targets), with its METADATA beside it (PEP 658)."""
    all_wheels.mkdir(exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    wheel = all_wheels / entry.wheel
    if not wheel.exists():
        link_or_copy(store.path / entry.wheel, wheel)
    link_or_copy(wheel, folder / wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"{dist_info(wheel, archive.namelist())}/METADATA")
    (folder / f"{wheel.name}.metadata").write_bytes(metadata)
    return _File(
        name=wheel.name,
        project=normal(wheel.name.partition("-")[0]),
        sha256=entry.sha256 or sha256_of(wheel),
        size=wheel.stat().st_size,
        metadata_sha256=hashlib.sha256(metadata).hexdigest(),
        requires_python=parse_metadata(metadata).requires_python,
    )


def _address(file: _File) -> str:
    return f"../../files/{quote(file.name)}"


def _project_page(project: str, files: Sequence[_File]) -> str:
    lines = []
    for one in files:
        python = html.escape(one.requires_python)
        more = f' data-requires-python="{python}"' if python else ""
        # not by the attribute's former name as well (PEP 714): the pips that read that one, Debian 12's 23.0 among
        # them, refuse a wheel whose METADATA says "mamba_ssm" where "mamba-ssm" was asked for
        more += f' data-core-metadata="sha256={one.metadata_sha256}"'
        lines.append(f'<a href="{_address(one)}#sha256={one.sha256}"{more}>{one.name}</a><br>')
    return _html(f"Links for {project}", lines)


def _project_json(project: str, files: Sequence[_File]) -> Mapping[str, object]:
    rows = []
    for one in files:
        metadata = {"sha256": one.metadata_sha256}
        row = {"filename": one.name, "url": _address(one), "hashes": {"sha256": one.sha256}}
        python = {"requires-python": one.requires_python} if one.requires_python else {}
        rows.append({**row, **python, "size": one.size, "core-metadata": metadata})
    versions = sorted({one.name.split("-")[1] for one in files})
    meta = {"api-version": "1.1"}
    return {"meta": meta, "name": project, "versions": versions, "files": rows}


def _page(title: str, links: Mapping[str, str]) -> str:
    return _html(title, [f'<a href="{quote(to)}">{name}</a><br>' for name, to in links.items()])


def _html(title: str, lines: Sequence[str]) -> str:
    head = '<meta charset="utf-8"><meta name="pypi:repository-version" content="1.1">'
    body = "\n".join(lines)
    return f"<!DOCTYPE html>\n<html><head>{head}<title>{title}</title></head><body>\n{body}\n</body></html>\n"


def _write_json(path: Path, document: Mapping[str, object]) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

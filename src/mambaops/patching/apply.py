"""Patching a source folder: the codemods on its `setup.py` and the pinned diffs on its other files.

The folder keeps the first contents of what was changed (`pristine`), so patching with other options starts
from there, and `revert` puts every byte back.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mambaops.core.errors import UsageError
from mambaops.core.files import write_bytes
from mambaops.patching import catalogue
from mambaops.patching.codemods.split import ID as SPLIT_ID
from mambaops.patching.codemods.split import part_name, split_source, with_parts
from mambaops.patching.model import Edit, Note
from mambaops.patching.one_off import apply_diff
from mambaops.patching.options import PinnedDiff, SetupOptions
from mambaops.patching.pristine import Pristine, read, sha256, unified_diff
from mambaops.patching.setup_py import plan_patch

SETUP = "setup.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedFile:
    """One file: digests before any patch and now, wanted by these patches."""

    name: str
    sha256_before: str
    sha256_after: str
    patches: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPatch:
    """What a source folder was, or would be, changed to.

    Attributes:
        changed: names of the files that differ from what is wanted (before writing).
        diff: from the first contents to the wanted ones, of all files.
        patches: ids of `patches/catalogue.yaml`, for the manifest.
    """

    source: Path
    changed: tuple[str, ...]
    files: tuple[PatchedFile, ...]
    diff: str
    patches: tuple[str, ...]
    edits: tuple[Edit, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    name: str
    original: bytes
    wanted: bytes
    patches: tuple[str, ...]


def apply_to_tree(
    source_dir: Path, options: SetupOptions | None = None, *, nvcc: str | None = None
) -> AppliedPatch:
    """Patch the folder as asked; what it was patched to before does not matter.

    Args:
        source_dir: holds the package's `setup.py` (or is that file).
        nvcc: the release that will compile it, e.g. "13.0": pinned diffs that only newer compilers need
            are left out for older ones. None applies every diff that fits.

    Raises:
        UsageError: no setup.py there, or not one that is understood.
        MambaopsError: a file was changed by somebody else since, or cannot be written.
    """
    root = _root(source_dir)
    kept = Pristine(root)
    with kept.locked():
        planned, files = _plan(kept, options, nvcc)
        _write_parts(root, options)
        for item in files:
            kept.write(item.name, item.original, item.wanted)
    return planned


def check_tree(
    source_dir: Path, options: SetupOptions | None = None, *, nvcc: str | None = None
) -> AppliedPatch:
    """What `apply_to_tree` would do; writes nothing. `changed` is empty when it is done already."""
    return _plan(Pristine(_root(source_dir)), options, nvcc)[0]


def revert_tree(source_dir: Path) -> list[str]:
    """Put every patched file back to the byte; the names of those that were different."""
    kept = Pristine(_root(source_dir))
    with kept.locked():
        _remove_parts(kept.root)
        return kept.revert()


def _root(source_dir: Path) -> Path:
    root = (source_dir.parent if source_dir.name == SETUP else source_dir).resolve()
    if not (root / SETUP).is_file():
        raise UsageError(
            f"no {SETUP} in {source_dir}",
            hint="give the unpacked source of a CUDA package, the folder that holds its setup.py",
        )
    return root


def _plan(
    kept: Pristine, options: SetupOptions | None, nvcc: str | None
) -> tuple[AppliedPatch, list[_Wanted]]:
    original = kept.original(SETUP)
    text, encoding = _decode(original, kept.root / SETUP)
    result = plan_patch(text, kept.root.name, options)
    text = _with_parts(kept.root, result.text, options)
    patches = (*result.codemods, *((SPLIT_ID,) if text != result.text else ()))
    setup = _Wanted(name=SETUP, original=original, wanted=text.encode(encoding), patches=patches)
    files = [setup, *_one_offs(kept, nvcc, options.diffs if options else ())]
    files += _no_longer_wanted(kept, files)
    applied = AppliedPatch(
        source=kept.root,
        changed=tuple(item.name for item in files if read(kept.root / item.name) != item.wanted),
        files=tuple(_summary(item) for item in files),
        diff="".join(_diff(item) for item in files),
        patches=tuple(dict.fromkeys(patch for item in files for patch in item.patches)),
        edits=result.edits,
        notes=result.notes,
    )
    return applied, files


def _parts(root: Path, options: SetupOptions | None) -> dict[str, list[str]]:
    """Source -> texts of its parts, for the files that are to be divided."""
    if options is None or options.split < 2:
        return {}
    found = {
        source: split_source((root / source).read_text(encoding="utf-8"), options.split)
        for source in options.large
        if (root / source).is_file()
    }
    return {source: texts for source, texts in found.items() if len(texts) > 1}


def _with_parts(root: Path, setup_text: str, options: SetupOptions | None) -> str:
    for source, texts in _parts(root, options).items():
        names = [part_name(source, number + 1, len(texts)) for number in range(len(texts))]
        setup_text = with_parts(setup_text, source, names)
    return setup_text


def _write_parts(root: Path, options: SetupOptions | None) -> None:
    """The parts, and no others; an unchanged part keeps its time, so that ninja does not compile it again."""
    wanted = {
        part_name(source, number + 1, len(texts)): text
        for source, texts in _parts(root, options).items()
        for number, text in enumerate(texts)
    }
    _remove_parts(root, keep=wanted)
    for name, text in wanted.items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_bytes(path, text.encode())


def _remove_parts(root: Path, keep: Iterable[str] = ()) -> None:
    kept = set(keep)
    for path in root.glob("**/*_mops*of*.cu"):
        if path.relative_to(root).as_posix() not in kept:
            path.unlink()


def _decode(data: bytes, path: Path) -> tuple[str, str]:
    """Text and the encoding that gives the same bytes back (line ends and BOM included)."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding), encoding
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not Python source: {error}") from error


def _catalogued() -> list[PinnedDiff]:
    return [
        PinnedDiff(
            id=entry.id,
            target=entry.target,
            sha256=entry.sha256,
            diff=catalogue.diff_text(entry),
            nvcc=entry.nvcc,
        )
        for entry in catalogue.diffs()
    ]


def _one_offs(kept: Pristine, nvcc: str | None, own: Sequence[PinnedDiff]) -> list[_Wanted]:
    """The pinned diffs whose file is in the folder, with the very contents that they were made for."""
    found = []
    for entry in [*_catalogued(), *own]:
        if not (kept.root / entry.target).is_file() or _too_old(nvcc, entry.nvcc):
            continue
        original = kept.original(entry.target)
        if sha256(original) == entry.sha256:
            text = apply_diff(original.decode("utf-8"), entry.diff)
            wanted = text.encode("utf-8")
            found.append(
                _Wanted(name=entry.target, original=original, wanted=wanted, patches=(entry.id,))
            )
    return found


def _too_old(nvcc: str | None, needs: str) -> bool:
    from packaging.version import Version

    return bool(nvcc and needs) and Version(nvcc or "0") < Version(needs)


def _no_longer_wanted(kept: Pristine, files: list[_Wanted]) -> list[_Wanted]:
    """Files that an earlier run changed and this one does not: they go back."""
    names = {item.name for item in files}
    return [
        _Wanted(name=name, original=original, wanted=original, patches=())
        for name in kept.records()
        if name not in names
        for original in [kept.original(name)]
    ]


def _summary(item: _Wanted) -> PatchedFile:
    return PatchedFile(
        name=item.name,
        sha256_before=sha256(item.original),
        sha256_after=sha256(item.wanted),
        patches=item.patches,
    )


def _diff(item: _Wanted) -> str:
    before = item.original.decode("utf-8", "replace")
    return unified_diff(item.name, before, item.wanted.decode("utf-8", "replace"))

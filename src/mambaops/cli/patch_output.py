"""What the patching tasks print, and the exit status they end with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mambaops.cli.task import emit, say
from mambaops.core import interpreters
from mambaops.core.errors import UsageError
from mambaops.patching.apply import AppliedPatch, apply_to_tree, check_tree, revert_tree
from mambaops.patching.cpp_extension import (
    PatchedBounds,
    apply_bounds,
    check_bounds,
    find_file,
    revert_bounds,
)

if TYPE_CHECKING:
    from mambaops.patching.caches import Purged
    from mambaops.patching.crlf import FileReport
    from mambaops.patching.options import SetupOptions

Mode = Literal["apply", "check", "diff", "revert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow(AppliedPatch):
    """One source folder and what is to be said of it."""

    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundsRow(PatchedBounds):
    """The compiler tables of one torch and what is to be said of them."""

    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertedRow:
    """What was put back: names of files."""

    source: str
    reverted: list[str]

    def text(self) -> str:
        names = ", ".join(self.reverted)
        return f"{self.source}: " + (f"put back {names}" if names else "nothing to put back")


def choose_mode(*, check: bool, diff: bool, revert: bool) -> Mode:
    """The one thing to do; two at once are an error."""
    chosen: list[Mode] = []
    if check:
        chosen.append("check")
    if diff:
        chosen.append("diff")
    if revert:
        chosen.append("revert")
    if len(chosen) > 1:
        raise UsageError("only one of --check, --diff and --revert can be asked for")
    return chosen[0] if chosen else "apply"


def patch_folders(
    folders: Mapping[Path, SetupOptions],
    nvcc: str | None,
    mode: Mode,
    *,
    as_json: bool,
) -> int:
    """Patch (or check, show, revert) each folder; 1 when `check` finds one that is not as asked."""
    if mode == "revert":
        return _revert(list(folders), as_json=as_json)
    act = apply_to_tree if mode == "apply" else check_tree
    done = [act(folder, options, nvcc=nvcc) for folder, options in folders.items()]
    if mode == "apply":
        for folder, options in folders.items():
            _remember([folder], options.digest())
    rows = [SourceRow(**_values(item), state=_state(bool(item.changed), mode)) for item in done]
    emit({"sources": rows}, as_json=as_json, text=lambda _: _text(rows, mode))
    for item in done:
        for note in item.notes:
            say(f"{item.source.name}: {note.codemod}: {note.reason}")
    if mode != "diff" and not all(options.archs for options in folders.values()):
        say("architectures: upstream's own list stays (--arch chooses)")
    return 1 if mode == "check" and any(item.changed for item in done) else 0


def _revert(folders: list[Path], *, as_json: bool) -> int:
    rows = [RevertedRow(source=str(one), reverted=revert_tree(one)) for one in folders]
    _remember(folders, "")
    emit({"sources": rows}, as_json=as_json, text=lambda _: "\n".join(one.text() for one in rows))
    return 0


def _remember(folders: list[Path], digest: str) -> None:
    """Tell the plan how a source in the build tree is patched now; a folder of the user's has no record."""
    from mambaops.compile.sources import RECORD, mark_patched

    for folder in folders:
        if (folder.parent / RECORD).is_file():
            mark_patched(folder.parent, digest)


def _values(item: AppliedPatch | PatchedBounds) -> dict[str, Any]:
    """The fields of a record, for one that says more."""
    return {field.name: getattr(item, field.name) for field in fields(item)}


def _state(changed: bool, mode: Mode) -> str:
    if not changed:
        return "as asked"
    return "patched" if mode == "apply" else "not as asked"


def _text(rows: list[SourceRow], mode: Mode) -> str:
    if mode == "diff":
        return "".join(item.diff for item in rows).rstrip("\n")
    return "\n".join(map(_line, rows))


def _line(item: SourceRow) -> str:
    counts = Counter(edit.codemod for edit in item.edits)
    words = [f"{name} {counts[name]}" if name in counts else name for name in item.patches]
    return f"{item.source}: {item.state} ({', '.join(words) or 'no patch needed'})"


def patch_bounds(
    python: str, file: str, cuda: str, gcc_max: int | None, mode: Mode, *, as_json: bool
) -> int:
    """Patch (or check, show, revert) a torch's compiler tables; 1 when `check` finds rows missing."""
    path = _cpp_extension(python, file)
    if mode == "revert":
        row = RevertedRow(source=str(path), reverted=[path.name] if revert_bounds(path) else [])
        emit(row, as_json=as_json, text=RevertedRow.text)
        return 0
    if not cuda:
        raise UsageError("which CUDA release?", hint='give --cuda, e.g. --cuda "11.8"')
    act = apply_bounds if mode == "apply" else check_bounds
    done = act(path, cuda, gcc_max=gcc_max)
    bounds = BoundsRow(**_values(done), state=_state(done.changed, mode))
    shown = done.diff.rstrip("\n") if mode == "diff" else f"{path}: {bounds.state}"
    emit(bounds, as_json=as_json, text=lambda _: shown)
    for note in done.notes:
        say(f"{note.codemod}: {note.reason}")
    return 1 if mode == "check" and done.changed else 0


def _cpp_extension(python: str, file: str) -> Path:
    if python and file:
        raise UsageError("only one of --python and --file can be given")
    if not file:
        return find_file(interpreters.named(python) if python else interpreters.ours())
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"{file}: no such file")
    return path.absolute()


def strip_files(paths: list[str], *, check: bool, as_json: bool) -> int:
    """Strip CRLF and say of which files; 1 when `check` finds some, or one could not be read."""
    from mambaops.patching.crlf import strip_crlf

    done = strip_crlf([Path(path) for path in paths], check=check)
    emit({"files": done}, as_json=as_json, text=lambda _: _crlf_text(done))
    counts = Counter(item.outcome for item in done)
    say(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no files there")
    return 1 if counts["failed"] or counts["has CRLF"] else 0


def _crlf_text(done: list[FileReport]) -> str:
    return "\n".join(
        f"{item.path}: {item.outcome}"
        + (f" ({item.lines} lines)" if item.lines else "")
        + (f" ({item.reason})" if item.reason else "")
        for item in done
        if item.outcome != "clean"
    )


def purge_caches(*, everything: bool, as_json: bool) -> int:
    """Remove these packages from the caches and say what went; 1 when a tool failed."""
    from mambaops.patching.caches import purge

    done = purge(everything=everything)
    emit({"caches": done}, as_json=as_json, text=lambda _: "\n".join(map(_purged_text, done)))
    return 1 if any(item.failed for item in done) else 0


def _purged_text(item: Purged) -> str:
    size = "an unknown number of" if item.size is None else f"{item.size:,}"
    names = "".join(f"\n  {name}" for name in item.removed)
    return f"{item.tool}: {size} bytes freed: {item.said}{names}"

"""What the patching tasks print, and the exit status they end with."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mambaops.cli.door import emit, say
from mambaops.errors import UsageError

if TYPE_CHECKING:
    from mambaops.patching.apply import AppliedPatch
    from mambaops.patching.options import SetupOptions

Mode = Literal["apply", "check", "diff", "revert"]


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
    folders: list[Path],
    options: SetupOptions,
    nvcc: str | None,
    mode: Mode,
    *,
    as_json: bool,
) -> int:
    """Patch (or check, show, revert) each folder; 1 when `check` finds one that is not as asked."""
    if mode == "revert":
        return _revert(folders, as_json=as_json)
    from mambaops.patching.apply import apply_to_tree, check_tree

    act = apply_to_tree if mode == "apply" else check_tree
    done = [act(folder, options, nvcc=nvcc) for folder in folders]
    rows = [_row(item, mode) for item in done]
    emit({"sources": rows}, as_json=as_json, text=lambda _: _text(done, mode))
    for item in done:
        for note in item.notes:
            say(f"{item.source.name}: {note.codemod}: {note.reason}")
    if not options.archs and mode != "diff":
        say("architectures: upstream's own list stays (--arch chooses)")
    return 1 if mode == "check" and any(item.changed for item in done) else 0


def _revert(folders: list[Path], *, as_json: bool) -> int:
    from mambaops.patching.apply import revert_tree

    rows = [{"source": str(folder), "reverted": revert_tree(folder)} for folder in folders]
    emit({"sources": rows}, as_json=as_json, text=lambda _: "\n".join(map(_reverted, rows)))
    return 0


def _reverted(row: dict[str, Any]) -> str:
    names = ", ".join(row["reverted"])
    return f"{row['source']}: " + (f"put back {names}" if names else "nothing to put back")


def _row(item: AppliedPatch, mode: Mode) -> dict[str, Any]:
    return {**asdict(item), "state": _state(item, mode)}


def _state(item: AppliedPatch, mode: Mode) -> str:
    if not item.changed:
        return "as asked"
    return "patched" if mode == "apply" else "not as asked"


def _text(done: list[AppliedPatch], mode: Mode) -> str:
    if mode == "diff":
        return "".join(item.diff for item in done).rstrip("\n")
    return "\n".join(_line(item, mode) for item in done)


def _line(item: AppliedPatch, mode: Mode) -> str:
    counts = Counter(edit.codemod for edit in item.edits)
    words = [f"{name} {counts[name]}" if name in counts else name for name in item.patches]
    return f"{item.source}: {_state(item, mode)} ({', '.join(words) or 'no patch needed'})"

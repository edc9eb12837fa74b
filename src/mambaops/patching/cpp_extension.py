"""Patching an installed torch's `cpp_extension.py`: found by its interpreter, put back to the byte on request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mambaops.core import process
from mambaops.core.errors import UsageError
from mambaops.patching.codemods.compiler_bounds import compiler_bounds
from mambaops.patching.model import Edit, Note
from mambaops.patching.pristine import Pristine, read, unified_diff
from mambaops.patching.source import Changes, Source

NAME = "cpp_extension.py"
# find_spec looks for the package without importing it: no second lost, and a broken torch is found too
_WHERE = "import importlib.util as u; s = u.find_spec('torch'); print(s.origin if s else '')"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedBounds:
    """What the file was, or would be, changed to; `diff` is from its first contents."""

    path: Path
    changed: bool
    diff: str
    edits: tuple[Edit, ...]
    notes: tuple[Note, ...]


def patch_text(
    text: str, cuda: str, *, gcc_max: int | None = None
) -> tuple[str, tuple[Edit, ...], tuple[Note, ...]]:
    """A cpp_extension.py with the rows of that CUDA release, the edits, and why there were none.

    Raises:
        UsageError: no such tables in the file.
    """
    changes = Changes(Source(text))
    compiler_bounds(changes, cuda, gcc_max=gcc_max)
    result = changes.result()
    compile(result, NAME, "exec")
    return result, tuple(changes.edits), tuple(changes.notes)


def find_file(python: Path) -> Path:
    """`torch/utils/cpp_extension.py` of the environment of `python`.

    Raises:
        CommandFailed: the interpreter does not run.
        UsageError: it has no torch, or one without that file.
    """
    origin = process.run([python, "-c", _WHERE], cwd=Path("/"), timeout=60).stdout.strip()
    if not origin:
        raise UsageError(
            f"{python} has no torch", hint="give the interpreter of the environment that has it"
        )
    path = Path(origin).parent / "utils" / NAME
    if not path.is_file():
        raise UsageError(f"torch of {python} has no {path}")
    return path


def apply_bounds(path: Path, cuda: str, *, gcc_max: int | None = None) -> PatchedBounds:
    """Add the rows to the file; rows of an earlier call stay."""
    kept = Pristine(path.parent)
    with kept.locked():
        planned, wanted = _plan(path, kept, cuda, gcc_max)
        kept.write(path.name, kept.original(path.name), wanted)
    return planned


def check_bounds(path: Path, cuda: str, *, gcc_max: int | None = None) -> PatchedBounds:
    """What `apply_bounds` would do; writes nothing."""
    return _plan(path, Pristine(path.parent), cuda, gcc_max)[0]


def revert_bounds(path: Path) -> bool:
    """Put the file back to the byte; False when there was nothing to put back."""
    kept = Pristine(path.parent)
    with kept.locked():
        return bool(kept.revert())


def _plan(
    path: Path, kept: Pristine, cuda: str, gcc_max: int | None
) -> tuple[PatchedBounds, bytes]:
    original = kept.original(path.name).decode("utf-8")
    current = read(path).decode("utf-8")
    wanted, edits, notes = patch_text(current, cuda, gcc_max=gcc_max)
    diff = unified_diff(f"torch/utils/{NAME}", original, wanted)
    planned = PatchedBounds(
        path=path, changed=wanted != current, diff=diff, edits=edits, notes=notes
    )
    return planned, wanted.encode("utf-8")

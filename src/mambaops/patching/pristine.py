"""Files of others that we change, with their first contents kept beside them.

`ROOT/.mambaops-pristine/` holds a copy of each changed file as it was, and `index.json` with the digests of
that copy and of everything that we wrote since. So a file can be patched anew from its first contents and put
back to the byte, and a file that somebody else has changed meanwhile is seen and left alone.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.core.files import regular, write_bytes

FOLDER = ".mambaops-pristine"
# every codemod leaves it behind what it changed
MARK = b"# mambaops:"


class Record(msgspec.Struct, kw_only=True):
    """sha256 of a file before any patch, and of each text that we have written to it."""

    pristine: str
    patched: list[str] = []


def sha256(data: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(data).hexdigest()


def read(path: Path) -> bytes:
    """The bytes of a file, with a plain error where it cannot be read."""
    try:
        return regular(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


class Pristine:
    """The kept copies of one folder. Names are POSIX paths relative to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / FOLDER

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One patching at a time in one folder."""
        from filelock import FileLock, Timeout

        # beside the system's other temporary files, so that a reverted folder keeps no trace of us
        user = os.getuid() if hasattr(os, "getuid") else 0
        name = f"mambaops-{user}-{sha256(str(self.root.resolve()).encode())[:20]}.lock"
        try:
            with FileLock(Path(tempfile.gettempdir()) / name, timeout=60):
                yield
        except Timeout as error:
            raise MambaopsError(
                f"another mambaops has been patching {self.root} for a minute",
                hint="wait for it to end",
            ) from error

    def original(self, name: str) -> bytes:
        """The first contents of a file, whether it is patched now or not.

        Raises:
            MambaopsError: the file is neither as it was nor as we left it, or the kept copy is damaged.
        """
        current = read(self.root / name)
        record = self.records().get(name)
        if record is None or sha256(current) == record.pristine:
            return current
        if sha256(current) not in record.patched:
            if name.endswith(".py") and MARK not in current:
                return current  # installed or unpacked anew: nothing of ours is in it
            raise MambaopsError(
                f"{self.root / name} was changed after mambaops patched it: left as it is",
                hint=f"its first contents are in {self.folder / name}; "
                "put one of the two where it belongs, remove that folder and run this again",
            )
        kept = read(self.folder / name)
        if sha256(kept) != record.pristine:
            raise MambaopsError(
                f"{self.folder / name} is damaged: it is not what was kept there",
                hint="fetch the source anew",
            )
        return kept

    def write(self, name: str, original: bytes, wanted: bytes) -> bool:
        """Make the file hold `wanted`; False when it already did."""
        path = self.root / name
        if read(path) == wanted:
            return False
        records = self.records()
        record = records.get(name)
        if record is None or record.pristine != sha256(original):
            record = records[name] = Record(pristine=sha256(original))
        if sha256(wanted) != record.pristine and sha256(wanted) not in record.patched:
            record.patched.append(sha256(wanted))
        # the order matters: whatever stops us, the first contents are safe and the file is known
        try:
            write_bytes(self.folder / name, original)
            write_bytes(self.folder / ".gitignore", b"*\n")
            self._save(records)
            write_bytes(path, wanted)
        except MambaopsError:
            self._tidy()
            raise
        return True

    def revert(self) -> list[str]:
        """Put every changed file back; the names of those that were different."""
        originals = {name: self.original(name) for name in self.records()}
        changed = [name for name, text in originals.items() if read(self.root / name) != text]
        for name in changed:
            write_bytes(self.root / name, originals[name])
        for name in originals:
            (self.folder / name).unlink(missing_ok=True)
        for name in ("index.json", ".gitignore"):
            (self.folder / name).unlink(missing_ok=True)
        self._tidy()
        return changed

    def records(self) -> dict[str, Record]:
        """name -> digests, of every file that we have changed."""
        index = self.folder / "index.json"
        if not index.exists():
            return {}
        try:
            return msgspec.json.decode(read(index), type=dict[str, Record])
        except msgspec.DecodeError as error:
            raise MambaopsError(f"{index}: cannot be understood: {error}") from error

    def _save(self, records: dict[str, Record]) -> None:
        text = msgspec.json.format(msgspec.json.encode(records), indent=2)
        write_bytes(self.folder / "index.json", text)

    def _tidy(self) -> None:
        """Remove the folder with everything that is empty in it."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def unified_diff(name: str, before: str, after: str) -> str:
    """What `diff -u` prints, with `a/` and `b/` before the name; empty for equal texts."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"a/{name}",
        f"b/{name}",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )

"""The store: wheels that were built or fetched once, found again by what they were built for.

One flat folder, so that `pip --find-links` and `uv --find-links` use it as it stands: wheels of unique
names, each with a sidecar `NAME.json` (key, sha256, manifest). Files come into it by rename under a lock: a
reader never sees half a file, and writers at the same time are safe.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from mambaops.core.errors import MambaopsError
from mambaops.core.files import sha256_of, write_bytes
from mambaops.core.paths import cache_dir
from mambaops.wheels.keys import BuildKey

CHUNK = 1024**2
LOCK_SECONDS = 600.0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A wheel's sidecar. Times are seconds since the epoch, sizes bytes."""

    wheel: str  # file name
    sha256: str
    size: int
    added: float
    digest: str | None = None  # of the key
    key: BuildKey | None = None  # None: put there by hand
    manifest: dict[str, Any] = {}
    # what it asks of a system, read from its modules when it came; None: nothing
    glibc: str | None = None
    glibcxx: str | None = None
    used: float | None = None  # last time it was handed out (filled in by `list`)


Entries = list[Entry]  # the method `list` would hide the type


def _stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Store:
    """A folder of wheels.

    Args:
        root: the folder; None: `wheels` in the user's cache.
        say: told what a person should know (a damaged wheel was set aside, …).
    """

    def __init__(self, root: Path | None = None, *, say: Callable[[str], None] = _stderr) -> None:
        self.path = (root or cache_dir() / "wheels").absolute()
        self._say = say

    def find(self, key: BuildKey) -> Path | None:
        """The whole wheel for a key, or None. A wheel that was damaged since is set aside, aloud."""
        digest = key.digest()
        for entry in self._entries():
            if entry.digest == digest and self._is_whole(entry):
                # the sidecar's time, not the wheel's: uv takes a wheel with a new time for a new one
                with contextlib.suppress(OSError):
                    os.utime(self._sidecar(entry.wheel))
                return self.path / entry.wheel
        return None

    def add(self, wheel: Path, key: BuildKey, manifest: dict[str, Any] | None = None) -> Path:
        """Put a wheel into the store, under its own name, and return where it lies.

        The key that is there already wins: the same thing need not be kept twice.

        Raises:
            MambaopsError: not a whole wheel, another package than the key's, or a name that the store
                has for another key.
        """
        from mambaops.wheels.inspect.contents import inspect_wheel

        _check_name(wheel, key)
        contents = inspect_wheel(wheel)
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if found := self.find(key):
                return found
            self._refuse_taken_name(wheel, key)
            entry = Entry(
                wheel=wheel.name,
                sha256="",
                size=0,
                added=time.time(),
                digest=key.digest(),
                key=key,
                manifest=manifest or {},
                glibc=contents.highest("GLIBC"),
                glibcxx=contents.highest("GLIBCXX"),
            )
            return self._place(wheel, entry)

    def list(self) -> Entries:
        """Everything in the store, by name; wheels put there by hand have no key."""
        entries = {entry.wheel: entry for entry in self._entries()}
        for path in self.path.glob("*.whl"):
            if path.name not in entries:
                stat = path.stat()
                entries[path.name] = Entry(
                    wheel=path.name, sha256="", size=stat.st_size, added=stat.st_mtime
                )
        return [self._with_use(entries[name]) for name in sorted(entries)]

    def prune(
        self,
        *,
        keep: int | None = None,
        older_than: timedelta | None = None,
        dry_run: bool = False,
    ) -> Entries:
        """Remove wheels, least recently used first, and return what was removed.

        Args:
            keep: leave this many of each package; None: no limit.
            older_than: only those not used for so long; None: whatever their age.

        With neither, nothing goes.
        """
        if (keep is None and older_than is None) or not self.path.is_dir():
            return []
        with self._locked():
            doomed = _doomed(self.list(), keep or 0, older_than)
            for entry in [] if dry_run else doomed:
                self._remove(entry.wheel)
            return doomed

    def _place(self, wheel: Path, entry: Entry) -> Path:
        target = self.path / wheel.name
        aside = self.path / f".{wheel.name}.{os.getpid()}.tmp"
        try:
            link_or_copy(wheel, aside)
            whole = msgspec.structs.replace(
                entry, sha256=sha256_of(aside), size=aside.stat().st_size
            )
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
        self._write_sidecar(whole)
        return target

    def _write_sidecar(self, entry: Entry) -> None:
        sidecar = self._sidecar(entry.wheel)
        write_bytes(sidecar, msgspec.json.format(msgspec.json.encode(entry), indent=2) + b"\n")

    def _sidecar(self, wheel: str) -> Path:
        return self.path / f"{wheel}.json"

    def _entries(self) -> Iterator[Entry]:
        for sidecar in sorted(self.path.glob("*.whl.json")):
            try:
                yield msgspec.json.decode(sidecar.read_bytes(), type=Entry)
            except FileNotFoundError:
                continue  # pruned by another process meanwhile
            except (OSError, msgspec.MsgspecError) as error:
                self._say(f"store: `{sidecar}` is left out: {error}")

    def _is_whole(self, entry: Entry) -> bool:
        path = self.path / entry.wheel
        try:
            if is_recorded(path, entry):
                return True
        except OSError:
            return False
        self._say(f"store: `{path}` is not what was put there; it is set aside as {path.name}.bad")
        with contextlib.suppress(FileNotFoundError):
            path.replace(path.with_name(f"{path.name}.bad"))
            self._sidecar(entry.wheel).unlink()
        return False

    def _with_use(self, entry: Entry) -> Entry:
        try:
            used = self._sidecar(entry.wheel).stat().st_mtime
        except OSError:
            used = entry.added
        return msgspec.structs.replace(entry, used=used)

    def _remove(self, wheel: str) -> None:
        self._sidecar(wheel).unlink(missing_ok=True)
        (self.path / wheel).unlink(missing_ok=True)

    def _refuse_taken_name(self, wheel: Path, key: BuildKey) -> None:
        taken = [entry for entry in self._entries() if entry.wheel == wheel.name]
        if taken and taken[0].digest != key.digest():
            raise MambaopsError(
                f"the store has another `{wheel.name}`: built for {_short(taken[0])}, "
                f"not for key {key.digest()[:8]}",
                hint="give the build its own local version: "
                + (" ".join(f"{k}={v}" for k, v in key.environment().items()) or "`+NAME`"),
            )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.path / ".lock", timeout=LOCK_SECONDS):
                yield
        except Timeout as error:
            raise MambaopsError(
                f"the store `{self.path}` has been locked by another process for {LOCK_SECONDS:.0f} s",
                hint="see what it does; no lock is left behind by a process that has ended",
            ) from error


def _doomed(entries: list[Entry], keep: int, older_than: timedelta | None) -> list[Entry]:
    limit = time.time() - older_than.total_seconds() if older_than is not None else None
    by_package: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.used or 0.0, reverse=True):
        by_package.setdefault(entry.wheel.split("-", 1)[0].lower(), []).append(entry)
    beyond = [entry for group in by_package.values() for entry in group[keep:]]
    return [entry for entry in beyond if limit is None or (entry.used or 0.0) < limit]


def _short(entry: Entry) -> str:
    return f"key {entry.digest[:8]}" if entry.digest else "no key"


def _check_name(wheel: Path, key: BuildKey) -> None:
    try:
        name, version, _, _ = parse_wheel_filename(wheel.name)
    except InvalidWheelFilename as error:
        raise MambaopsError(
            f"`{wheel.name}` is no wheel's file name: {error}",
            hint="keep the whole name that it was built or published with",
        ) from error
    if name != key.package or version.public != Version(key.version).public:
        raise MambaopsError(
            f"`{wheel.name}` is {name} {version.public}, but its key says "
            f"{key.package} {key.version}"
        )


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link costs nothing; another file system, or one without links, gets a copy."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def stored(wheel: Path) -> Entry | None:
    """The sidecar of a wheel that lies in a store and is still the one that was put there; else None."""
    try:
        entry = msgspec.json.decode(Path(f"{wheel}.json").read_bytes(), type=Entry)
        return entry if entry.wheel == wheel.name and is_recorded(wheel, entry) else None
    except (OSError, msgspec.MsgspecError):
        return None


# (device, inode, size, time of change) -> sha256: one process asks for the same file several times
_HASHED: dict[tuple[int, int, int, int], str] = {}


def is_recorded(path: Path, entry: Entry) -> bool:
    """Is this file, byte by byte, the one of the sidecar?

    Raises:
        OSError: it cannot be read.
    """
    stat = path.stat()
    if stat.st_size != entry.size:
        return False
    # the time of the last change of the inode, which nobody can set back
    identity = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_ctime_ns)
    if identity not in _HASHED:
        _HASHED[identity] = sha256_of(path)
    return _HASHED[identity] == entry.sha256

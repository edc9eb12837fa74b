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
from typing import TYPE_CHECKING, Any

import msgspec

from mambaops.core.errors import MambaopsError
from mambaops.core.files import sha256_of
from mambaops.core.names import normal
from mambaops.core.paths import cache_dir
from mambaops.store.entries import (
    Entry,
    is_as_stored,
    read_entry,
    sidecar_of,
    to_prune,
    write_entry,
)
from mambaops.wheels.keys import BuildKey

if TYPE_CHECKING:
    from mambaops.wheels.inspect.contents import WheelContents

LOCK_SECONDS = 600.0


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

    @property
    def is_own(self) -> bool:
        """Is it the one in the user's cache, beside the kernels that were compiled here?"""
        return self.path == cache_dir() / "wheels"

    def find(self, key: BuildKey) -> Path | None:
        """The whole wheel for a key, or None. A wheel that was damaged since is set aside, aloud."""
        digest = key.digest()
        for entry in self._keyed(key.package):
            if entry.digest == digest and self._is_whole(entry):
                # the sidecar's time, not the wheel's: uv takes a wheel with a new time for a new one
                with contextlib.suppress(OSError):
                    os.utime(self._sidecar(entry.wheel))
                return self.path / entry.wheel
        return None

    def add(self, wheel: Path, key: BuildKey, manifest: dict[str, Any] | None = None) -> Path:
        """Put a wheel into the store, under its own name, and return where it is now.

        The key that is there already wins: the same thing need not be kept twice.

        Raises:
            MambaopsError: not a whole wheel, another package than the key's, or a name that the store
                has for another key.
        """
        # only adding looks inside; finding a wheel, which every plan does, need not load the readers
        from mambaops.wheels.inspect.contents import inspect_wheel

        _check_name(wheel, key)
        contents = inspect_wheel(wheel)
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if found := self.find(key):
                return found
            self._refuse_taken_name(wheel, key)
            return self._place(wheel, key, manifest or {}, contents)

    def keyed(self, package: str) -> list[tuple[Path, BuildKey]]:
        """The wheels of one package that are there, with what they were made for; not yet looked at byte by byte."""
        found = [(self.path / one.wheel, one.key) for one in self._keyed(package)]
        return [
            (path, key) for path, key in found if key and key.package == package and path.is_file()
        ]

    def entries(self) -> list[Entry]:
        """Everything in the store, by name; wheels put there by hand have no key."""
        known = {entry.wheel: entry for entry in self._keyed()}
        for path in self.path.glob("*.whl"):
            if path.name not in known:
                stat = path.stat()
                known[path.name] = Entry(
                    wheel=path.name, sha256="", size=stat.st_size, added=stat.st_mtime
                )
        return [self._with_use(known[name]) for name in sorted(known)]

    def prune(
        self,
        *,
        keep: int | None = None,
        older_than: timedelta | None = None,
        dry_run: bool = False,
    ) -> list[Entry]:
        """Remove wheels, least recently used first, and return what was removed.

        Args:
            keep: leave this many of each package; None: no limit.
            older_than: only those not used for so long; None: whatever their age.

        With neither, nothing goes.
        """
        if not self.path.is_dir():
            return []
        with self._locked():
            gone = to_prune(self.entries(), time.time(), keep=keep, older_than=older_than)
            for entry in [] if dry_run else gone:
                self._remove(entry.wheel)
            return gone

    def _place(
        self, wheel: Path, key: BuildKey, manifest: dict[str, Any], contents: WheelContents
    ) -> Path:
        target = self.path / wheel.name
        aside = self.path / f".{wheel.name}.{os.getpid()}.tmp"
        try:
            link_or_copy(wheel, aside)
            entry = Entry(
                wheel=wheel.name,
                sha256=sha256_of(aside),
                size=aside.stat().st_size,
                added=time.time(),
                digest=key.digest(),
                key=key,
                manifest=manifest,
                glibc=contents.highest("GLIBC"),
                glibcxx=contents.highest("GLIBCXX"),
            )
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
        write_entry(self._sidecar(wheel.name), entry)
        return target

    def _sidecar(self, wheel: str) -> Path:
        return sidecar_of(self.path / wheel)

    def _keyed(self, package: str = "") -> Iterator[Entry]:
        """Those with a sidecar; only one package's are read where it is named: a store may have thousands."""
        for sidecar in sorted(self.path.glob("*.whl.json")):
            if package and normal(sidecar.name.partition("-")[0]) != package:
                continue
            try:
                yield read_entry(sidecar)
            except FileNotFoundError:
                continue  # pruned by another process meanwhile
            except (OSError, msgspec.MsgspecError) as error:
                self._say(f"store: `{sidecar}` is left out: {error}")

    def _is_whole(self, entry: Entry) -> bool:
        path = self.path / entry.wheel
        try:
            if is_as_stored(path, entry):
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
        taken = [one for one in self._keyed(key.package) if one.wheel == wheel.name]
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


def _short(entry: Entry) -> str:
    return f"key {entry.digest[:8]}" if entry.digest else "no key"


def _check_name(wheel: Path, key: BuildKey) -> None:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename
    from packaging.version import Version

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

"""What a download leaves on disk between two runs: the half file with its state, and remembered hashes.

`NAME.part` grows by appending; `NAME.part.json` says which file on the server it is half of. Hashes of
whole files are remembered by address: a file that changes under the same name is noticed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec
import requests

from mambaops.core.errors import MambaopsError
from mambaops.core.files import write_bytes
from mambaops.core.paths import cache_dir
from mambaops.download.http import Again

SPARE_DISK = 64 * 1024**2


def lock_path(target: Path) -> Path:
    """A file to lock while `target` is written; in the cache, so that nothing is left beside the target."""
    folder = cache_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / hashlib.sha256(os.fsencode(target.resolve())).hexdigest()[:32]


class PartState(msgspec.Struct, frozen=True, kw_only=True):
    """Which file on the server a half file belongs to. `total` is its whole length in bytes."""

    url: str
    etag: str | None = None
    last_modified: str | None = None
    total: int | None = None


class Part:
    """`NAME.part`: the beginning of a file, `offset` bytes of it so far."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(target.name + ".part")
        self._state_path = target.with_name(target.name + ".part.json")
        self.state = self._read_state(url)
        self.offset = self.path.stat().st_size if self.path.exists() else 0
        self.resumed_from = 0
        self.furthest = self.offset

    def _read_state(self, url: str) -> PartState:
        """The state on disk if it is of this address; else a new one, and the half file goes."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            state = msgspec.json.decode(self._state_path.read_bytes(), type=PartState)
            if state.url == _plain(url):
                return state
        self.path.unlink(missing_ok=True)
        return PartState(url=_plain(url))

    def headers(self) -> dict[str, str]:
        """Ask for the rest, and only if it is still the same file (RFC 9110, 13.1.5)."""
        if not self.offset:
            return {}
        headers = {"Range": f"bytes={self.offset}-"}
        # a weak ETag may stand for other bytes: it must not be used with If-Range
        strong = self.state.etag if not (self.state.etag or "W/").startswith("W/") else None
        if validator := strong or self.state.last_modified:
            headers["If-Range"] = validator
        return headers

    def accept(self, response: requests.Response) -> None:
        """Take the answer's headers: go on behind what is there, or begin again.

        Raises:
            Again: the answer is not the part that was asked for; the half file was thrown away.
            MambaopsError: the disk does not hold it.
        """
        start, total = _position(response)
        if response.status_code == 206 and not self._continues(start, total, response):
            self.reset()
            raise Again("the server sent another part than asked for; beginning again", wait=0.0)
        if response.status_code == 200:
            self.reset()
        self.resumed_from = max(self.resumed_from, self.offset)
        self.state = PartState(
            url=self.state.url,
            etag=response.headers.get("ETag"),
            last_modified=response.headers.get("Last-Modified"),
            total=total,
        )
        self._check_space()
        self._write_state()

    def _continues(self, start: int, total: int | None, response: requests.Response) -> bool:
        """Does this answer go on where the half file ends? Some servers ignore `If-Range`."""
        etag = response.headers.get("ETag")
        same_file = None in (etag, self.state.etag) or etag == self.state.etag
        return start == self.offset and same_file and self.state.total in (None, total)

    def settle_416(self, response: requests.Response) -> bool:
        """ "Range not satisfiable": is it because everything is here? If not, the half file goes."""
        # e.g. Content-Range: bytes */47022
        match = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", "").strip())
        if match and int(match[1]) == self.offset:
            return True
        self.reset()
        return False

    def write(self, piece: bytes) -> None:
        """Append; what was written survives the end of this process.

        Raises:
            MambaopsError: the disk is full or not writable.
        """
        try:
            with self.path.open("ab") as file:
                file.write(piece)
        except OSError as error:
            raise MambaopsError(
                f"`{self.path}` cannot be written: {error.strerror}",
                hint="make room and run the same command again: it goes on where it stopped",
            ) from error
        self.offset += len(piece)
        self.furthest = max(self.furthest, self.offset)

    def check_length(self) -> None:
        """Raises `Again` unless everything that was promised has come."""
        total = self.state.total
        if total is not None and self.offset < total:
            raise Again(f"the answer ended after {self.offset} of {total} bytes")

    def reset(self) -> None:
        """Throw away what is there."""
        self.path.unlink(missing_ok=True)
        self.offset = self.resumed_from = 0

    def remove(self) -> None:
        """Throw away the half file and its state."""
        self.reset()
        self._state_path.unlink(missing_ok=True)
        self.state = PartState(url=self.state.url)

    def finish(self, target: Path) -> None:
        """Move the whole file into its place."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(target)
        self._state_path.unlink(missing_ok=True)

    def _write_state(self) -> None:
        write_bytes(self._state_path, msgspec.json.encode(self.state))

    def _check_space(self) -> None:
        if self.state.total is None:
            return
        needed = self.state.total - self.offset
        free = shutil.disk_usage(self.path.parent).free
        if free < needed + SPARE_DISK:
            raise MambaopsError(
                f"`{self.path.parent}` has {free} bytes free; {needed} more are needed",
                hint="make room, or fetch into another folder with `-o DIR`",
            )


def _position(response: requests.Response) -> tuple[int, int | None]:
    """(first byte, whole length) of an answer; the length may be unknown."""
    if response.status_code == 206:
        # e.g. Content-Range: bytes 1000-1999/47022 (or /*)
        header = response.headers.get("Content-Range", "").strip()
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", header)
        if not match:
            return -1, None
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    packed = response.headers.get("Content-Encoding", "identity") != "identity"
    return 0, int(length) if length.isdigit() and not packed else None


def _plain(url: str) -> str:
    """The address without user and password: this is written to disk."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was fetched once. `when` is a local date, for people."""

    sha256: str
    size: int
    when: str


class Memory:
    """Hashes of what was fetched, by address, in one JSON file in the user's cache."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_dir() / "fetched.json"

    def get(self, url: str) -> Remembered | None:
        return self._read().get(_plain(url))

    def put(self, url: str, sha256: str, size: int) -> None:
        """Remember a whole file; safe beside other processes."""
        from filelock import FileLock

        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            known = self._read()
            known[_plain(url)] = Remembered(
                sha256=sha256, size=size, when=time.strftime("%Y-%m-%d")
            )
            write_bytes(self.path, msgspec.json.format(msgspec.json.encode(known, order="sorted")))

    def _read(self) -> dict[str, Remembered]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, Remembered])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise MambaopsError(
                f"the list of fetched files `{self.path}` cannot be read: {error}",
                hint="remove it; then the hashes of earlier downloads are forgotten",
            ) from error

"""A file from the network, whole or not at all.

It grows beside its place as `NAME.part`, is resumed after every kind of break (a reset, a stall, a kill), checked
(length, archive, every member against RECORD, sha256 where it is known or was seen before) and only then
moved into place. A lock keeps two processes from writing one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.core.files import regular, sha256_of
from mambaops.core.outputs import check_writable, file_to_write
from mambaops.download.address import checked, file_name, local_path
from mambaops.download.http import Again, Patience, body, get, masked, open_session
from mambaops.download.integrity import Damaged, check_archive
from mambaops.download.progress import Progress, Silent
from mambaops.download.state import Memory, Part, Remembered, lock_path

LOCAL_CHUNK = 1024**2
# an attempt that brings less than this has brought nothing
PROGRESS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """What a fetch gave. `resumed`: part of it came from an earlier try; `from_cache`: it was there."""

    path: Path
    sha256: str
    bytes: int
    resumed: bool = False
    from_cache: bool = False


def fetch(
    url: str,
    dest_dir: Path,
    *,
    sha256: str | None = None,
    name: str | None = None,
    progress: Progress | None = None,
    session: requests.Session | None = None,
    patience: Patience | None = None,
    memory: Memory | None = None,
    replace: bool = True,
) -> Fetched:
    """Fetch `url` (https, http, file, or a path) into `dest_dir`.

    Args:
        sha256: what the file must be; None: what it was at the first fetch, if there was one.
        name: its file name; None: the last part of the address, decoded, whole.
        memory: where hashes of earlier downloads are kept (default: the user's cache).
        replace: a file in its place that is not the wanted one goes; False: only where it was fetched before.

    Raises:
        UsageError: the address or the hash is none, or another file is in its place and is to stay.
        MambaopsError: it does not exist, cannot be reached, is damaged twice, is another file than
            before, or does not fit on the disk. The half file stays for the next run.
    """
    from filelock import FileLock

    memory = memory or Memory()
    job = _Job(
        url=checked(url),
        target=dest_dir.absolute() / (name or file_name(url)),
        pin=_checked_hash(sha256),
        progress=progress or Silent(),
        session=session,
        patience=patience or Patience(),
        memory=memory,
        remembered=memory.get(url),
        replace=replace,
    )
    check_writable(job.target.parent, job.target)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_path(job.target)):
        return job.already_there() or job.fetch()


def _checked_hash(sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    digest = sha256.lower().removeprefix("sha256:").removeprefix("sha256=")
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise UsageError(f"`{sha256}` is no sha256: it has 64 hexadecimal digits")
    return digest


@dataclass(kw_only=True, slots=True)
class _Job:
    url: str
    target: Path
    pin: str | None
    progress: Progress
    session: requests.Session | None
    patience: Patience
    memory: Memory
    remembered: Remembered | None
    replace: bool

    def already_there(self) -> Fetched | None:
        """The file in its place, if it is whole and the right one."""
        if not self.target.exists():
            return None
        digest = sha256_of(self.target)
        wanted = self.pin or (self.remembered and self.remembered.sha256)
        try:
            if wanted not in (None, digest):
                raise Damaged(f"its sha256 is {digest}, not {wanted}")
            if wanted is None:
                check_archive(self.target, self.target.name)
        except Damaged as error:
            if not self.replace and self.remembered is None:
                file_to_write(self.target)
            self.progress.note(f"`{self.target}` is there, but {error}: fetched again")
            return None
        size = self.target.stat().st_size
        return Fetched(path=self.target, sha256=digest, bytes=size, from_cache=True)

    def fetch(self) -> Fetched:
        """Twice at most: what arrives damaged is fetched once more from its first byte."""
        part = Part(self.target, self.url)
        try:
            self._bring(part)
            try:
                digest = self._check(part)
            except Damaged as error:
                self.progress.note(f"what arrived is damaged ({error}): fetching it again")
                part.remove()
                self._bring(part)
                digest = self._check_again(part)
        finally:
            self.progress.stop()
        size, resumed = part.offset, part.resumed_from > 0
        part.finish(self.target)
        self.memory.put(self.url, digest, size)
        return Fetched(path=self.target, sha256=digest, bytes=size, resumed=resumed)

    def _bring(self, part: Part) -> None:
        if (local := local_path(self.url)) is not None:
            self._copy(local, part)
            return
        session = self.session or open_session()
        fruitless = _Fruitless(part, self.patience.attempts)
        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(Again),
                stop=fruitless,
                wait=lambda state: _wait(state, fruitless.count, self.patience),
                before_sleep=self._tell,
                reraise=True,
            ):
                with attempt:
                    self._attempt(session, part)
        except Again as error:
            raise self._gave_up(error, part, fruitless.count) from error

    def _attempt(self, session: requests.Session, part: Part) -> None:
        with get(session, self.url, part.headers(), self.patience) as response:
            if response.status_code == 416:
                if part.settle_416(response):
                    return
                raise Again("the server has no such part; beginning again", wait=0.0)
            part.accept(response)
            self.progress.start(self.target.name, part.state.total, part.offset)
            for piece in body(response, self.url, self.patience):
                part.write(piece)
                self.progress.advance(len(piece))
        part.check_length()

    def _copy(self, source: Path, part: Part) -> None:
        part.reset()
        try:
            size = source.stat().st_size
            self.progress.start(self.target.name, size, 0)
            with regular(source).open("rb") as file:
                while piece := file.read(LOCAL_CHUNK):
                    part.write(piece)
                    self.progress.advance(len(piece))
        except OSError as error:
            raise MambaopsError(f"`{source}` cannot be read: {error.strerror}") from error

    def _check(self, part: Part) -> str:
        """The file's sha256, when it is whole and the right one.

        Raises:
            Damaged: its inside is broken.
            MambaopsError: it is whole, but not the file that was wanted.
        """
        if not part.path.exists():
            raise Damaged("it is empty")
        digest = sha256_of(part.path)
        if self.pin == digest:
            return digest
        check_archive(part.path, self.target.name)
        wanted = self.pin or (self.remembered.sha256 if self.remembered else digest)
        if wanted == digest:
            return digest
        part.remove()
        if self.pin:
            found = f"{masked(self.url)} has sha256 {digest}; {self.pin} was wanted"
            raise MambaopsError(
                found, hint="it is another file than the one that you know: refused"
            )
        raise MambaopsError(
            f"{masked(self.url)} has changed: sha256 {digest} now, {wanted} when it was fetched on "
            f"{self.remembered.when if self.remembered else '?'}",
            hint=f"find out why; if the new one is right, take it with `--sha256 {digest}`",
        )

    def _check_again(self, part: Part) -> str:
        try:
            return self._check(part)
        except Damaged as error:
            part.remove()
            raise MambaopsError(
                f"{masked(self.url)} arrived damaged twice: {error}",
                hint="the file on the server, a proxy, or this machine's disk is at fault: fetch it by another "
                "route and compare sha256",
            ) from error

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        self.progress.note(f"{error}; next try in {wait:.0f} s")

    def _gave_up(self, error: Again, part: Part, tries: int) -> MambaopsError:
        kept = f"; {part.offset} bytes are kept" if part.offset else ""
        return MambaopsError(
            f"{error} (given up after {tries} tries that brought nothing new{kept})",
            hint=error.hint or "run the same command again: it goes on where it stopped",
        )


class _Fruitless:
    """Stops after so many attempts in a row that brought nothing: slow lines may break often."""

    def __init__(self, part: Part, attempts: int) -> None:
        self._part, self._attempts = part, attempts
        self._best, self.count = part.furthest, 0

    def __call__(self, state: RetryCallState) -> bool:
        if self._part.furthest >= self._best + PROGRESS:
            self._best, self.count = self._part.furthest, 0
        self.count += 1
        return self.count >= self._attempts


def _wait(state: RetryCallState, fruitless: int, patience: Patience) -> float:
    """What the server asked for, else twice as long each time, with some chance in it."""
    import random

    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Again) and error.wait is not None:
        return error.wait
    longest: float = min(patience.longest_wait, patience.first_wait * 2 ** max(0, fruitless - 1))
    # many machines of one lab must not come back in the same second; no secret is made of it
    return longest * random.uniform(0.5, 1.0)

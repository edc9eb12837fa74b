"""The only module that starts processes: argv lists, logged, timed, ended with all that they started.

A line callback and a log file see the output while it comes; `Completed` holds it afterwards.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple

from mambaops.core import signals, trees
from mambaops.core.errors import CommandFailed

if TYPE_CHECKING:
    import psutil

Argv = Sequence[str | Path]
REAPED = 5.0  # seconds until the status of what was killed is there
KILLED = -9  # the status of what a disk that hangs does not let go
_running: dict[int, str] = {}  # process id -> its mark
_label = ["run"]


class Completed(NamedTuple):
    """What a process did. `returncode` is negative for a signal; `timed_out` says we ended it."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        return self.returncode == 0 and not self.timed_out

    @property
    def command(self) -> str:
        """The command as it can be pasted into a shell."""
        return shlex.join(self.argv)


class _Announced:
    """Who is told of each command before it is started."""

    say: Callable[[str], None] | None = None


def announce(say: Callable[[str], None] | None) -> None:
    """From now on `say` is told each command, as it can be pasted, before it is started; None: nobody is."""
    _Announced.say = say


def which(name: str, *, path: str | None = None) -> Path | None:
    """Where `name` is on `path` (default: `PATH`), or None."""
    import shutil

    found = shutil.which(name, path=path)
    return Path(found) if found else None


def run(
    argv: Argv,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    stdin: str | BinaryIO | None = None,
    check: bool = True,
    merge: bool = False,
    on_start: Callable[[int], None] | None = None,
) -> Completed:
    """Run a command to its end.

    Args:
        env: the whole environment of the process; None inherits ours.
        timeout: seconds; on expiry it is ended with all that it started and `timed_out` is set.
        log: file that the command line, its output and its outcome are appended to.
        on_line: called with every output line (without its newline) as it comes; for tests of
            liveness and progress displays. It is called from reader threads.
        check: raise `CommandFailed` unless the command exits 0 in time.
        stdin: what it reads: a text, or an open file from where it stands.
        merge: stderr into stdout, in the order in which they were written.
        on_start: called with the process id, which is also its process group.

    Raises:
        CommandFailed: not found, not executable, bad exit or time-out (when `check`).
    """
    words = tuple(str(word) for word in argv)
    started = time.monotonic()
    sink = _Log(log, words, cwd)
    if _Announced.say is not None:
        _Announced.say(shlex.join(words))
    marked = trees.marked(env, _label[-1])
    try:
        # a signal between the two would leave a process that nobody knows of
        with signals.held():
            process = _start(words, cwd, marked, stdin, merge)
            _running[process.pid] = marked[trees.MARK]
    except OSError as error:
        sink.close(127, 0.0)
        done = Completed(argv=words, returncode=127, stdout="", stderr=str(error), seconds=0.0)
        return _checked(done, check, f"could not be started: {error.strerror or error}")
    try:
        if signals.stopping():
            end(process.pid)  # it was started while all others were being ended
        if on_start is not None:
            on_start(process.pid)
        stdout, stderr, timed_out = _communicate(process, stdin, timeout, sink, on_line)
    except BaseException:
        end(process.pid)
        raise
    _running.pop(process.pid, None)
    seconds = time.monotonic() - started
    status = KILLED if process.returncode is None else process.returncode
    sink.close(status, seconds)
    done = Completed(
        argv=words,
        returncode=status,
        stdout=stdout,
        stderr=stderr,
        seconds=seconds,
        timed_out=timed_out,
    )
    return _checked(done, check, _reason(done, timeout))


class _Log:
    """Appends to a log file, line by line, from several threads."""

    def __init__(self, path: Path | None, argv: tuple[str, ...], cwd: Path | None) -> None:
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8", errors="replace")
            self.write(f"$ {shlex.join(argv)}" + (f"   # in {cwd}" if cwd else ""))

    def write(self, line: str) -> None:
        if self._file is not None:
            with self._lock:
                self._file.write(line + "\n")
                self._file.flush()

    def close(self, returncode: int, seconds: float) -> None:
        if self._file is not None:
            self.write(f"# exit {returncode} after {seconds:.1f} s")
            self._file.close()


def _start(
    argv: tuple[str, ...],
    cwd: Path | None,
    env: Mapping[str, str],
    stdin: str | BinaryIO | None,
    merge: bool,
) -> subprocess.Popen[str]:
    source = subprocess.PIPE if isinstance(stdin, str) else stdin or subprocess.DEVNULL
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(env),
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merge else subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        # its own group, so that a time-out or Ctrl-C ends nvcc's children too
        start_new_session=True,
    )


def _communicate(
    process: subprocess.Popen[str],
    stdin: str | BinaryIO | None,
    timeout: float | None,
    sink: _Log,
    on_line: Callable[[str], None] | None,
) -> tuple[str, str, bool]:
    pieces: tuple[list[str], list[str]] = ([], [])
    streams = [process.stdout, process.stderr]
    readers = [
        threading.Thread(target=_read, args=(stream, piece, sink, on_line), daemon=True)
        for stream, piece in zip(streams, pieces, strict=True)
        if stream is not None
    ]
    for reader in readers:
        reader.start()
    if process.stdin is not None and isinstance(stdin, str):
        # beside us: one that hangs takes no more than a pipe holds, and has to end all the same
        threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True).start()
    timed_out = _wait(process, timeout)
    for reader in readers:
        # a grandchild that kept the pipe open must not hold us for ever
        reader.join(timeout=5 if timed_out else 30)
    return "".join(pieces[0]), "".join(pieces[1]), timed_out


def _feed(pipe: IO[str], text: str) -> None:
    # it ended before it read everything, or was ended: its exit status tells
    with contextlib.suppress(OSError, ValueError):
        pipe.write(text)
        pipe.close()


def _read(
    stream: IO[str], piece: list[str], sink: _Log, on_line: Callable[[str], None] | None
) -> None:
    for line in stream:
        piece.append(line)
        sink.write(line.rstrip("\n"))
        if on_line is not None:
            on_line(line.rstrip("\n"))


def _wait(process: subprocess.Popen[str], timeout: float | None) -> bool:
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        end(process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(REAPED)
        return True
    return False


def end(*pids: int) -> list[psutil.Process]:
    """End these commands with everything that they have started, and return when it is gone.

    Returns:
        What this user may not end, or what did not go.
    """
    # known until they are gone: where this is interrupted, somebody above ends them
    with signals.hurried():
        live = [(pid, mark) for pid, mark in list(_running.items()) if pid in pids]
        left = trees.end_trees(live) if live else []
        for pid, _ in live:
            _running.pop(pid, None)
    return left


def end_all() -> list[psutil.Process]:
    """End every command that runs. Returns as `end`."""
    return end(*list(_running))


@contextlib.contextmanager
def labelled(label: str) -> Iterator[None]:
    """What is started in the block is known by this label, also to a later run: `trees.with_label`."""
    _label.append(label)
    try:
        yield
    finally:
        _label.pop()


def _reason(done: Completed, timeout: float | None) -> str:
    if done.timed_out:
        return f"was ended after {timeout:g} s without an end"
    if done.returncode < 0:
        return f"was ended by signal {-done.returncode}"
    return f"exited {done.returncode}"


def _checked(done: Completed, check: bool, reason: str) -> Completed:
    if check and not done.ok:
        tail = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-10:])
        raise CommandFailed(
            f"`{done.command}` {reason}" + (f"\n{tail}" if tail else ""),
            returncode=done.returncode,
            output=tail,
        )
    return done

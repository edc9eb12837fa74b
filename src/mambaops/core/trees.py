"""Ending everything that a command of ours has started: its group, its children, and those that left both.

A process that calls setsid and whose parent is gone is in no group and no tree of ours any more. What it
keeps is its environment: every command gets a mark there, which all that it starts inherit.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mambaops.core.signals import hurried

if TYPE_CHECKING:
    import psutil

MARK = "MAMBAOPS_STARTED_BY"
GRACE = 5.0  # seconds between the request to end and the kill
LONGEST = 10.0  # seconds that killed ones get to be gone: a disk that hangs holds them
# a compiler cache serves every build of the user, so it outlives the one that happened to start it
_SERVER = "SCCACHE_START_SERVER"
_numbers = itertools.count(1)
hurry = threading.Event()  # set: no grace any more


def marked(env: Mapping[str, str] | None, label: str) -> dict[str, str]:
    """`env` (None: ours) with a mark of its own: that of the process above, `label`, our id, a number."""
    base = dict(os.environ if env is None else env)
    above = base.get(MARK) or os.environ.get(MARK, "")
    base[MARK] = f"{above}/{label}.{os.getpid()}.{next(_numbers)}"
    return base


def end_trees(
    trees: Iterable[tuple[int, str]], *, grace: float | None = None
) -> list[psutil.Process]:
    """SIGTERM everything that these processes have started, and SIGKILL what is left after `grace` seconds.

    Args:
        trees: id of each, and what `MARK` holds in the environment of it and of all below it.

    Returns:
        What is left: processes that this user may not end (a sudo's), or that did not go.
    """
    all_of = list(trees)
    marks = [mark for _, mark in all_of]
    found = [one for pid, _ in all_of for one in _below(pid)] + with_mark(*marks)
    return end_processes(found, marks, grace=grace)


def end_processes(
    found: Sequence[psutil.Process], marks: Sequence[str] = (), *, grace: float | None = None
) -> list[psutil.Process]:
    """The same for processes that are known; `marks` finds what they start meanwhile."""
    with hurried():
        _each(found, lambda one: one.terminate())
        until_gone(found, 0.0 if hurry.is_set() else GRACE if grace is None else grace)
        until = time.monotonic() + LONGEST
        while left := living([*found, *with_mark(*marks)]):
            _each(left, lambda one: one.kill())
            until_gone(left, 1.0)
            if time.monotonic() > until or not any(map(_ours, left)):
                break
    return living(left)


def with_mark(*marks: str) -> list[psutil.Process]:
    """Every process whose environment says that it was started under one of these."""
    return _where(lambda text: any(text == one or text.startswith(one + "/") for one in marks))


def with_label(label: str) -> list[psutil.Process]:
    """Every process that was started under a mark with this label, by whomever."""
    return _where(lambda text: f"/{label}." in text)


def _where(fits: Callable[[str], bool]) -> list[psutil.Process]:
    """Processes by their mark; never ourselves, nor what is above us, nor a server for others."""
    found = []
    for one in _all():
        with _passed_over():
            env = one.environ()
            if MARK in env and _SERVER not in env and fits(env[MARK]):
                found.append(one)
    if not found:
        return []
    import psutil

    above = {os.getpid()}
    with _passed_over():
        above |= {one.pid for one in psutil.Process().parents()}
    return [one for one in found if one.pid not in above]


def _all() -> Iterator[psutil.Process]:
    """Every process that can be looked at."""
    import psutil

    for pid in psutil.pids():
        one = None
        with _passed_over():
            one = psutil.Process(pid)
        if one is not None:
            yield one


def _below(pid: int) -> list[psutil.Process]:
    """The process, its group and its descendants; empty where it was taken away already (its id may be another's)."""
    import psutil

    try:
        found = [psutil.Process(pid)]
        with contextlib.suppress(LookupError, ValueError):  # as in `_passed_over`
            found += found[0].children(recursive=True)
    except psutil.Error:
        return []
    if hasattr(os, "getpgid"):
        found += [one for one in _all() if _group(one.pid) == pid]
    return list(dict.fromkeys(one for one in found if one.pid != os.getpid()))


def _passed_over() -> contextlib.suppress:
    """One process that cannot be looked at keeps nobody from ending the others.

    The files under /proc of one that is just going may be empty, and psutil's parsers then end in an IndexError,
    a KeyError or a ValueError.
    """
    import psutil

    return contextlib.suppress(psutil.Error, OSError, LookupError, ValueError)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return -1


def until_gone(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Wait until none of them runs, at most so many seconds, and no longer where somebody hurries."""
    until, pause = time.monotonic() + seconds, 0.01
    left = list(processes)
    while (left := living(left)) and not hurry.is_set() and time.monotonic() < until:
        time.sleep(pause)
        pause = min(0.1, pause * 2)
    if left and hurry.is_set():
        time.sleep(0.05)


def living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that run; one that has ended and was not asked for its status does nothing any more."""
    import psutil

    found = []
    for one in dict.fromkeys(processes):
        with _passed_over():
            if one.is_running() and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
    return found


def _each(processes: Iterable[psutil.Process], act: Callable[[psutil.Process], None]) -> None:
    import psutil

    for one in dict.fromkeys(processes):
        with _passed_over():
            act(one)
            if one.status() == psutil.STATUS_STOPPED:
                one.resume()  # a stopped one does not hear a request to end


def _ours(one: psutil.Process) -> bool:
    """May this user end it?"""
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        return True
    with _passed_over():
        return os.geteuid() in one.uids()[:2]
    return False


def words(one: psutil.Process) -> str:
    """A process as a person knows it: its command line and its id."""
    with _passed_over():
        return f"{' '.join(one.cmdline()) or one.name()} ({one.pid})"
    return str(one.pid)

"""Compiled kernels as files: written aside and renamed, checked when they are read, compiled by one process at a time.

A file is a JSON line (symbol, facts, sha256 of the code, …) and the code. A damaged one counts as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import time
from typing import Any, Callable, Dict, NamedTuple, Optional

from .lock import Lock

_MAGIC = "mambaops-kernel-1"


class Stored(NamedTuple):
    """`head`: what is said of the kernel: "name" (its symbol), "numbers" (its facts), "kind", "arch"."""

    head: Dict[str, Any]
    code: bytes


def encode(stored: Stored) -> bytes:
    """The bytes of its file."""
    digest = hashlib.sha256(stored.code).hexdigest()
    head = {**stored.head, "format": _MAGIC, "sha256": digest, "size": len(stored.code)}
    return json.dumps(head, sort_keys=True).encode() + b"\n" + stored.code


def decode(data: bytes) -> Optional[Stored]:
    """A kernel of its file's bytes; None if they are damaged or of another format."""
    line, _, code = data.partition(b"\n")
    try:
        head = json.loads(line)
    except ValueError:
        return None
    if not isinstance(head, dict) or head.get("format") != _MAGIC or head.get("size") != len(code):
        return None
    return Stored(head, code) if hashlib.sha256(code).hexdigest() == head.get("sha256") else None


def load(path: str, *, owned: bool = True) -> Optional[Stored]:
    """A kernel from its file; None where there is none that is whole.

    Args:
        owned: refuse a file that another user owns or may write to.
    """
    try:
        with open(path, "rb") as file:
            if owned and not _is_ours(os.fstat(file.fileno())):
                return None
            return decode(file.read())
    except OSError:
        return None


def _is_ours(found: os.stat_result) -> bool:
    if not hasattr(os, "getuid"):
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def save(path: str, stored: Stored) -> bool:
    """Write a kernel's file, whole or not at all; False where the disk does not take it (it is only a cache)."""
    folder = os.path.dirname(path)
    try:
        handle, aside = tempfile.mkstemp(prefix=".new-", dir=folder)
    except OSError:
        return False
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(encode(stored))
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        return False
    return True


def load_or_make(path: str, make: Callable[[], Stored]) -> Stored:
    """The kernel of a file; where it is missing, of the processes that ask at once one makes it, the others wait.

    Raises:
        Whatever `make` raises; nothing is left behind then, and the next process tries for itself.
    """
    stored = load(path)
    if stored is not None:
        return stored
    lock = Lock(path + ".lock")
    while not lock.take():
        time.sleep(0.05)
        stored = load(path)
        if stored is not None:
            return stored
    try:
        stored = load(path)
        if stored is None:
            with lock.kept_alive():
                stored = make()
            save(path, stored)
        return stored
    finally:
        lock.release()

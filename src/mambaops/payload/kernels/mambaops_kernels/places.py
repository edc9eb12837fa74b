"""Where compiled kernels are kept: a folder that is ours alone, or none that anybody else could have written to."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from typing import List, Optional

_TEMPORARY: List[str] = []


def cache_folder() -> str:
    """The folder for kernels, made with mode 0700: the project's cache, or a private temporary one.

    `MAMBAOPS_CACHE` names the cache; otherwise it is where the user's caches are. A folder that another user owns
    or may write to is never read: what lies in it would run on the GPU as ours.
    """
    wanted = os.path.join(_root(), "kernels")
    reason = _refusal(wanted)
    if reason is None:
        return wanted
    if not _TEMPORARY:
        _TEMPORARY.append(tempfile.mkdtemp(prefix="mambaops-kernels-"))
        print(
            f"mambaops: kernels are not kept in {wanted} ({reason}) but in {_TEMPORARY[0]}, for this process only; "
            "MAMBAOPS_CACHE names another place",
            file=sys.stderr,
        )
    return _TEMPORARY[0]


def _root() -> str:
    """As platformdirs has it, which the target environment lacks."""
    named = os.environ.get("MAMBAOPS_CACHE")
    if named:
        return os.path.abspath(named)
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
        return os.path.join(local, "mambaops", "mambaops", "Cache")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches", "mambaops")
    return os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"), "mambaops"
    )


def _refusal(folder: str) -> Optional[str]:
    """Why a folder cannot be used, None if it can; makes it, and takes others' rights to our own folder away."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISDIR(found.st_mode):
        return "it is no folder"
    if not hasattr(os, "getuid"):
        return None if os.access(folder, os.W_OK) else "it cannot be written to"
    if found.st_uid != os.getuid():
        return f"it belongs to user {found.st_uid}"
    if found.st_mode & 0o022:
        return f"others may write to it: chmod 700 {folder} and empty it"
    if found.st_mode & 0o077:
        os.chmod(folder, 0o700)
    return None if os.access(folder, os.W_OK | os.X_OK) else "it cannot be written to"

"""uv in the place of pip, where it does the same: half the CPU time for a CUDA torch, and no second copy on the disk.

Whoever has told pip something that uv is not told gets pip; so does an environment that is not on the file system
of uv's cache, where uv would copy instead of link and fill a second disk.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mambaops.core import process
from mambaops.core.errors import MambaopsError
from mambaops.install.installers import pip_settings, read_pip_settings, uv_command

# what uv is told too (`PipSettings.uv_flags`), and what changes nothing of what is installed
HEEDED = {"index-url", "extra-index-url", "find-links", "no-index"}
OF_NO_MATTER = {"config-file", "disable-pip-version-check", "no-color", "no-input", "progress-bar", "quiet",
                "require-virtualenv", "root-user-action", "user", "verbose"}  # fmt: skip
# https://docs.astral.sh/uv/reference/environment/
VARIABLES = {"cert": "SSL_CERT_FILE", "default-timeout": "UV_HTTP_TIMEOUT", "retries": "UV_HTTP_RETRIES",
             "timeout": "UV_HTTP_TIMEOUT"}  # fmt: skip
SAME_WORDS = {"--constraint", "--extra-index-url", "--find-links", "--index-url", "--no-deps"}


class Command(NamedTuple):
    """What to start, and which variables it needs beside ours."""

    argv: list[str | Path]
    env: dict[str, str]


def uv_for_pip(python: Path, words: Sequence[str | Path]) -> Command | None:
    """The command with which uv installs what `pip install WORDS` would; None where pip is to do it.

    Args:
        python: interpreter of the environment.
        words: of pip, after `install`.
    """
    uv, options = uv_command(), [str(one) for one in words if str(one).startswith("-")]
    if uv is None or not set(options) <= SAME_WORDS | {"--force-reinstall"}:
        return None
    # not resolved: an environment's interpreter is a link to another file system's
    prefix = python.absolute().parent.parent
    told = _settings(prefix)
    if told is None or set(told) - HEEDED - OF_NO_MATTER - set(VARIABLES) or not _links(uv, prefix):
        return None
    flags = pip_settings(prefix).uv_flags()
    if "--extra-index-url" in options and "--index-strategy" not in flags:
        flags += ["--index-strategy", "unsafe-best-match"]  # as pip: the best of all indexes
    same = ["--reinstall" if one == "--force-reinstall" else one for one in words]
    env = {VARIABLES[name]: value for name, value in told.items() if name in VARIABLES}
    argv = [*uv, "pip", "install", "--no-config", "--python", python, *flags, *same]
    return Command(argv, env)


def _settings(prefix: Path) -> dict[str, str] | None:
    try:
        return read_pip_settings(prefix)
    except MambaopsError:
        return None  # pip says what is wrong with its own file


def _links(uv: Sequence[str], prefix: Path) -> bool:
    """Are uv's cache and the environment on one file system, so that files are linked and not copied?"""
    found = process.run([*uv, "cache", "dir"], check=False, timeout=60)
    if not found.ok or os.environ.get("UV_NO_CACHE"):
        return False
    cache = Path(found.stdout.strip()).absolute()
    there = next(one for one in (cache, *cache.parents) if one.exists())
    try:
        return there.stat().st_dev == prefix.stat().st_dev and os.access(there, os.W_OK)
    except OSError:
        return False

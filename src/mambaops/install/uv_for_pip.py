"""uv in the place of pip, where it does the same: half the CPU time for a CUDA torch, and no second copy on the disk.

Whoever has told pip something that uv is not told gets pip; so does an environment that is not on the file system
of uv's cache, where uv would copy instead of link and fill a second disk.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from mambaops.core import process
from mambaops.core.errors import MambaopsError
from mambaops.install.installers import PipSettings, read_pip_settings, uv_command

# what uv is told too, and what changes nothing of what is installed
HEEDED = {"find-links", "no-index"}
OF_NO_MATTER = {"config-file", "disable-pip-version-check", "no-color", "no-input", "progress-bar", "quiet",
                "require-virtualenv", "root-user-action", "user", "verbose"}  # fmt: skip
# https://docs.astral.sh/uv/reference/environment/
# an index's address may hold a password, which a command line would show to everybody, and so would our log
VARIABLES = {"cert": "SSL_CERT_FILE", "default-timeout": "UV_HTTP_TIMEOUT", "extra-index-url": "UV_INDEX",
             "index-url": "UV_DEFAULT_INDEX", "retries": "UV_HTTP_RETRIES",
             "timeout": "UV_HTTP_TIMEOUT"}  # fmt: skip
# the only settings of uv that stay: pip knows of none, and UV_TORCH_BACKEND alone would bring another torch
KEPT = ("UV_CONCURRENT_", "UV_HTTP_", "UV_NATIVE_TLS", "UV_REQUEST_TIMEOUT", "UV_SYSTEM_CERTS")
SAME_WORDS = {"--constraint", "--extra-index-url", "--find-links", "--no-deps", "-e"}
NOT_LINKED = ("UV_LINK_MODE", "UV_NO_CACHE")
HERE = ("localhost", "127.0.0.1", "::1")


class Command(NamedTuple):
    """What to start, with its whole environment."""

    argv: list[str | Path]
    env: dict[str, str]


def uv_for_pip(
    python: Path, words: Sequence[str | Path], base: Mapping[str, str]
) -> Command | None:
    """The command with which uv installs what `pip install WORDS` would; None where pip is to do it.

    Args:
        python: interpreter of the environment.
        words: of pip, after `install`.
        base: the environment that pip would get.
    """
    uv, options = uv_command(), [str(one) for one in words if str(one).startswith("-")]
    if uv is None or not set(options) <= SAME_WORDS | {"--force-reinstall"}:
        return None
    # not resolved: an environment's interpreter is a link to another file system's
    prefix = python.absolute().parent.parent
    told = _settings(prefix)
    if told is None or set(told) - HEEDED - OF_NO_MATTER - set(VARIABLES):
        return None
    settings = PipSettings.of(told)
    cache = _linked_cache(uv, prefix)
    if cache is None or _pip_alone_takes(settings, words):
        return None
    argv: list[str | Path] = [*uv, "pip", "install", "--no-config", "--cache-dir", cache]
    argv += ["--python", python, *_flags(settings, options)]
    argv += ["--reinstall" if one == "--force-reinstall" else one for one in words]
    return Command(argv, _environment(base, told))


def _settings(prefix: Path) -> dict[str, str] | None:
    try:
        return read_pip_settings(prefix)
    except MambaopsError:
        return None  # pip says what is wrong with its own file


def _pip_alone_takes(settings: PipSettings, words: Sequence[str | Path]) -> bool:
    """Is there an address that pip refuses, which encrypts nothing, or a folder of links with a password?"""
    places = [settings.index_url or "", *settings.extra_index_urls, *settings.find_links]
    open_ones = [one for one in [*places, *map(str, words)] if one.startswith("http://")]
    strangers = any(urlsplit(one).hostname not in HERE for one in open_ones)
    return strangers or any("@" in one for one in settings.find_links)


def _flags(settings: PipSettings, options: Sequence[str]) -> list[str]:
    several = settings.extra_index_urls or "--extra-index-url" in options
    # as pip: the best of all indexes
    flags = ["--index-strategy", "unsafe-best-match"] if several else []
    return (
        flags + PipSettings(find_links=settings.find_links, no_index=settings.no_index).uv_flags()
    )


def _environment(base: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    own = {
        name: value
        for name, value in base.items()
        if not name.startswith("UV_") or name.startswith(KEPT)
    }
    # pip takes several addresses a line each, too
    more = {VARIABLES[name]: " ".join(told[name].split()) for name in VARIABLES if name in told}
    return own | more


def _linked_cache(uv: Sequence[str], prefix: Path) -> Path | None:
    """uv's cache, if it is on the environment's file system, so that files are linked and not copied."""
    found = process.run([*uv, "cache", "dir"], check=False, timeout=60)
    if not found.ok or any(os.environ.get(name) for name in NOT_LINKED):
        return None
    cache = Path(found.stdout.strip()).absolute()
    try:
        there = next(one for one in (cache, *cache.parents) if one.exists())
        same = there.stat().st_dev == prefix.stat().st_dev and os.access(there, os.W_OK)
    except OSError:
        return None
    return cache if same else None

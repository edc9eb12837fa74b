"""pip and uv, as they are found: which one can serve an environment, and with the user's own settings.

uv is quicker, but reads none of pip's settings; where somebody has told pip of a mirror, uv is told of it too.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from mambaops.core import interpreters, process
from mambaops.core.errors import MambaopsError, UsageError
from mambaops.core.paths import payload_file

SECTIONS = ("global", "install")  # of pip's settings, those that `pip install` reads


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """One distribution. `missing`: files that its RECORD lists and that are not there."""

    version: str
    location: str
    editable: bool = False
    missing: list[str] = []


class TargetEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """What `payload/installed.py` prints; names are normalised."""

    executable: str
    prefix: str
    purelib: str
    platlib: str
    version: str
    abi: str
    glibc: str
    markers: dict[str, str]
    installed: dict[str, Installed]
    visible: dict[str, Installed]


def read_environment(python: Path, *names: str) -> TargetEnvironment:
    """Ask an interpreter what its environment holds.

    Args:
        names: look for these distributions only, and for every file of them.

    Raises:
        UsageError: there is no such interpreter, or it does not answer.
    """
    argv: list[str | Path] = [interpreters.named(python), payload_file("installed.py"), *names]
    # from the root: a plain `python` would find the packages of the folder that we are in
    done = process.run(argv, cwd=Path("/"), check=False, timeout=120)
    try:
        return msgspec.json.decode(done.stdout, type=TargetEnvironment)
    except msgspec.MsgspecError as error:
        last = (done.stderr.strip().splitlines() or [str(error)])[-1]
        raise UsageError(
            f"`{python}` is no interpreter that can be asked ({last})",
            hint=f"{interpreters.HINT} (Python 3.8 or newer)",
        ) from error


def uv_command() -> list[str] | None:
    """uv: the one beside mambaops, or the one on PATH."""
    try:
        from uv import find_uv_bin

        return [os.fsdecode(find_uv_bin())]
    except (ImportError, FileNotFoundError):
        found = process.which("uv")
        return [str(found)] if found else None


def pip_command(python: Path) -> list[str] | None:
    """pip for an environment: its own, or the one beside mambaops working on it."""
    own = [str(python), "-m", "pip"]
    if process.run([*own, "--version"], check=False, timeout=60).ok:
        return own
    ours = [str(interpreters.ours()), "-m", "pip", "--python", str(python)]
    if process.run([*ours, "--version"], check=False, timeout=60).ok:
        return ours
    return None


def installer_environment() -> dict[str, str]:
    """Our environment without what would send packages elsewhere, into the user's home above all."""
    moved = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH")
    clean = {name: value for name, value in os.environ.items() if name not in moved}
    return {**clean, "PIP_USER": "0", "PYTHONNOUSERSITE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


class PipSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where pip has been told to look. None or empty: not told."""

    index_url: str | None = None
    extra_index_urls: list[str] = []
    find_links: list[str] = []
    no_index: bool = False

    @classmethod
    def of(cls, told: Mapping[str, str]) -> PipSettings:
        """Of what `read_pip_settings` found."""
        return cls(
            index_url=told.get("index-url"),
            extra_index_urls=told.get("extra-index-url", "").split(),
            find_links=told.get("find-links", "").split(),
            # pip's own words for yes
            no_index=told.get("no-index", "").lower() in ("1", "true", "t", "yes", "y", "on"),
        )

    def uv_flags(self) -> list[str]:
        """The same for uv, which takes the best version of all indexes only when asked to."""
        flags = ["--index-strategy", "unsafe-best-match"] if self.extra_index_urls else []
        flags += ["--index-url", self.index_url] if self.index_url else []
        for url in self.extra_index_urls:
            flags += ["--extra-index-url", url]
        for link in self.find_links:
            flags += ["--find-links", link]
        return flags + (["--no-index"] if self.no_index else [])


def pip_settings(prefix: Path | None = None) -> PipSettings:
    """pip's configuration files and `PIP_…` variables, the later winning, read as pip reads them.

    Args:
        prefix: of the environment, for its own `pip.conf`.

    Raises:
        MambaopsError: a file that pip could not read either.
    """
    return PipSettings.of(read_pip_settings(prefix))


def read_pip_settings(prefix: Path | None = None) -> dict[str, str]:
    """All that pip has been told for `pip install`, by the names of its options.

    Raises:
        MambaopsError: a file that pip could not read either.
    """
    found: dict[str, dict[str, str]] = {name: {} for name in SECTIONS}
    for path in _config_files(prefix):
        for name, values in _read_config(path).items():
            found[name].update(values)
    # a later section goes before a later file
    return {**found["global"], **found["install"], **_from_environment(os.environ)}


def _config_files(prefix: Path | None) -> Iterator[Path]:
    # https://pip.pypa.io/en/stable/topics/configuration/#location
    if os.environ.get("PIP_CONFIG_FILE") == os.devnull:
        return
    for folder in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"):
        yield Path(folder) / "pip/pip.conf"
    yield Path("/etc/pip.conf")
    yield Path.home() / ".pip/pip.conf"
    yield Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "pip/pip.conf"
    if prefix is not None:
        yield prefix / "pip.conf"
    if named := os.environ.get("PIP_CONFIG_FILE"):
        yield Path(named)


def _read_config(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise MambaopsError(f"pip's settings `{path}` cannot be read: {error}") from error
    return {
        section: {k.replace("_", "-"): v for k, v in parser.items(section) if v}
        for section in SECTIONS
        if parser.has_section(section)
    }


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("PIP_") and value
    }

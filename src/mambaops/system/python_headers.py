"""Python's headers unpacked below an environment, by whoever owns it: from the distribution's package, or uv's."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mambaops.core import interpreters, process
from mambaops.core.errors import MambaopsError

# apt's own lists and cache may be root's to write: it gets others, and no user of its own to fetch as
APT = (
    "apt-get -q -o Dir::State::lists=$PWD/lists -o Dir::Cache=$PWD/cache -o APT::Sandbox::User= "
    "-o Debug::NoLocking=true -o Acquire::Languages=none -o Acquire::Retries=2"
)


def headers_folder(env: Path, minor: str) -> Path:
    """Where the headers of a Python of that minor version are put; the probe looks there too."""
    return env / "include" / f"python{minor}"


def apt_commands(package: str) -> str:
    """Shell words that fetch the package into the working folder and unpack it there, as any user."""
    # `update` fails for one source of many that is gone; `download` tells whether it mattered
    return (
        f'apt() {{ {APT} "$@"; }}; mkdir -p lists/partial cache/archives/partial; apt update || true; '
        f"apt download {package} && dpkg -x {package}_*.deb ."
    )


def from_apt(package: str, minor: str, env: Path, *, log: Path) -> Path:
    """Fetch the distribution's package and unpack its headers below `env`.

    Raises:
        MambaopsError: apt or dpkg is missing or failed, or the package holds no Python.h.
    """
    with tempfile.TemporaryDirectory(prefix=".headers-", dir=env) as folder:
        top = Path(folder)
        process.run(["sh", "-c", apt_commands(package)], cwd=top, log=log, timeout=600)
        include = top / "usr" / "include"
        found = include / f"python{minor}"
        # Debian's pyconfig.h includes <TRIPLET/python3.11/pyconfig.h>: into the same folder, so that one is enough
        for triplet in include.glob(f"*/python{minor}"):
            shutil.copytree(triplet, found / triplet.parent.name / triplet.name)
        return _put(found, headers_folder(env, minor))


def from_uv(minor: str, env: Path, *, log: Path) -> Path:
    """Take the headers of uv's own Python of that minor version, which uv fetches where it is not there.

    Raises:
        MambaopsError: uv could not fetch one.
    """
    uv: list[str | Path] = [interpreters.ours(), "-m", "uv", "python"]
    process.run([*uv, "install", "--no-bin", minor], log=log, timeout=900)
    found = process.run([*uv, "find", "--managed-python", "--no-project", minor], log=log).stdout
    home = Path(found.strip()).resolve().parent.parent
    return _put(home / "include" / f"python{minor}", headers_folder(env, minor))


def _put(found: Path, place: Path) -> Path:
    """Copy a folder of headers to its place, whole or not at all."""
    if not (found / "Python.h").is_file():
        raise MambaopsError(f"there is no Python.h in {found}")
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(found, aside)
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)
    return place

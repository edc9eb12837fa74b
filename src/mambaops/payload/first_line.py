"""What `python3 tasks.py` does, with any Python from 3.7 on and nothing installed: the environment `.venv` of a checkout.

It is made of a Python 3.10 or newer that is here, or of one that uv, conda or micromamba gets. This file is
Python 3.7 and needs the standard library alone.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
OLDEST = (3, 10)
# in the order in which they are taken: for the newest, not every package has wheels yet
NAMES = ("python3.12", "python3.13", "python3.11", "python3.10", "python3.14", "python3", "python")
ELSEWHERE = (
    "~/.local/share/uv/python/*/bin/python3",
    "~/.pyenv/versions/*/bin/python3",
    "~/mini*/bin/python3",
    "~/mini*/envs/*/bin/python3",
    "~/anaconda3/bin/python3",
    "/opt/*conda*/bin/python3",
    "/opt/python*/bin/python3",
)
FETCHED = "3.12"  # what uv and conda are asked for
ASK = "import sys; print('%d.%d' % sys.version_info[:2])"


def first_line() -> int:
    """What `python3 tasks.py` does; the exit status (4: no Python could be had)."""
    place = CHECKOUT / ".venv"
    if (place / "bin" / "pip").exists() and enough(version_of(place / "bin" / "python")):
        told(f"{place}: there already")
        return installed(place)
    python = found()
    try:
        if python is None or not made_of(python, place):
            by_uv(python or FETCHED, place)
    except Missing as error:
        if python is None and by_conda(place):
            return installed(place)
        told(
            f"error: Python 3.10 or newer is wanted; this is Python {version_of(sys.executable)}, and {error}"
        )
        told(
            "\nhint: install one and run this again: `sudo apt-get install python3.11 python3.11-venv` where the"
        )
        told(
            f"system has it; else uv (`uv python install {FETCHED}`), micromamba or pyenv, none of which needs root"
        )
        return 4
    return installed(place)


class Missing(Exception):
    """No Python could be had this way; the text says why."""


def told(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def enough(version: str) -> bool:
    """Is "3.9" or the like new enough? "" is not."""
    return bool(version) and tuple(int(one) for one in version.split(".")[:2]) >= OLDEST


def version_of(python: object) -> str:
    """ "3.11" of an interpreter, "" where it is none."""
    try:
        done = subprocess.run(
            [str(python), "-c", ASK], stdout=-1, stderr=-3, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    text = done.stdout.decode(errors="replace").strip()
    return text if done.returncode == 0 and text.replace(".", "").isdigit() else ""


def found() -> str | None:
    """An interpreter that is new enough, on PATH or where pyenv, uv and conda keep theirs; None without."""
    candidates = [shutil.which(name) for name in NAMES]
    candidates += [
        one for pattern in ELSEWHERE for one in sorted(glob.glob(os.path.expanduser(pattern)))
    ]
    for python in candidates:
        version = version_of(python) if python else ""
        if enough(version):
            told(f"Python {version}: {python}")
            return python
    return None


def made_of(python: str, place: Path) -> bool:
    """Make the environment with the interpreter's own `venv`; Debian has that in another package."""
    done = subprocess.run([python, "-m", "venv", str(place)], stdout=-1, stderr=-2, check=False)
    if done.returncode:
        shutil.rmtree(str(place), ignore_errors=True)
        told(f"{python} has no venv of its own: uv makes the environment")
    return done.returncode == 0


def by_uv(python: str, place: Path) -> None:
    """Make it with uv, which gets a Python of that version where there is none."""
    uv = shutil.which("uv") or uv_of_the_index()
    told(f"uv makes {place} of Python {python}")
    done = subprocess.run(
        [str(uv), "venv", "--seed", "--python", str(python), str(place)], stderr=-1, check=False
    )
    if done.returncode:
        shutil.rmtree(str(place), ignore_errors=True)
        last = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise Missing(f"uv could get none ({last[-1].strip()})")


def uv_of_the_index() -> Path:
    """uv from the package index, by whichever pip there is; it is a file that needs no Python."""
    folder = CHECKOUT / ".mambaops" / "uv"
    if not (folder / "uv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        told(f"uv is fetched from the package index into {folder}")
        # for another Python than this one: an old pip would take an old uv, or none
        words = [
            "download",
            "-q",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--python-version",
            "312",
            "--platform",
        ]
        words += ["manylinux2014_" + os.uname().machine, "--dest", str(folder), "uv"]
        done = subprocess.run([some_pip(), "-m", "pip"] + words, stdout=-3, stderr=-1, check=False)
        wheels = sorted(folder.glob("uv-*.whl"))
        if done.returncode or not wheels:
            last = done.stderr.decode(errors="replace").strip().splitlines() or ["pip said nothing"]
            raise Missing(f"uv could not be fetched ({last[-1].strip()})")
        unpacked(wheels[-1], folder)
    return folder / "uv"


def unpacked(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(str(wheel)) as archive:
        name = next(one for one in archive.namelist() if one.endswith("/scripts/uv"))
        (folder / "uv.part").write_bytes(archive.read(name))
    (folder / "uv.part").chmod(0o755)
    (folder / "uv.part").replace(folder / "uv")
    wheel.unlink()


def some_pip() -> str:
    """An interpreter that has pip: this one, or an environment of it."""
    if (
        subprocess.run(
            [sys.executable, "-m", "pip", "--version"], stdout=-3, stderr=-3, check=False
        ).returncode
        == 0
    ):
        return sys.executable
    folder = CHECKOUT / ".mambaops" / "pip"
    done = subprocess.run(
        [sys.executable, "-m", "venv", str(folder)], stdout=-3, stderr=-3, check=False
    )
    if done.returncode:
        raise Missing(
            "there is no pip to fetch uv with (Debian: `sudo apt-get install python3-venv`)"
        )
    return str(folder / "bin" / "python")


def by_conda(place: Path) -> bool:
    """Make it with conda's Python; False where there is none of its programs, or it could not."""
    for name in ("micromamba", "mamba", "conda"):
        tool, home = shutil.which(name), CHECKOUT / ".mambaops" / "python"
        if tool:
            told(f"{name} gets Python {FETCHED} into {home}")
            argv = [
                tool,
                "create",
                "--yes",
                "--prefix",
                str(home),
                "--channel",
                "conda-forge",
                "python=" + FETCHED,
            ]
            if subprocess.run(argv, stdout=2, check=False).returncode == 0:
                return made_of(str(home / "bin" / "python"), place)
    return False


def installed(place: Path) -> int:
    """mambaops and nox into the environment."""
    argv = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", "-e", f"{CHECKOUT}[nox]"]
    status = subprocess.run(argv, cwd=str(CHECKOUT), check=False).returncode
    if status == 0:
        told("ready. Next: .venv/bin/invoke build-mamba --arch 9.0")
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(first_line())

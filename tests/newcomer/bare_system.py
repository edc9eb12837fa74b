"""A bare Debian with an ordinary user: debootstrap makes it once, every run sees its own copy of it."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import host_settings

SUITES = ("bookworm", "trixie", "bullseye")
TESTING = "testing"  # by name alone: what it holds changes by the day
WEEK = 7 * 24 * 3600
STAMP = "bare-system"
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
# mounts what a system has beside its files; `$0` is the folder of the run, `$1` the base, then folders to show it
MOUNTS = """set -e
mkdir -p "$0/root" "$0/work"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$0/upper,workdir=$0/work" "$0/root"
cd "$0/root"; shift
while [ "$1" != -- ]; do mkdir -p "./$1"; mount --rbind "$1" "./$1"; shift; done; shift
mount -t proc proc proc; mount --rbind /dev dev; mount -t tmpfs shm dev/shm
exec "$@"
"""


class NoBareSystem(Exception):
    """None can be made on this machine; the text says why."""


@dataclass(frozen=True)
class Ran:
    """What became of a command inside."""

    code: int
    seconds: float
    log: Path


def of_the_day(day: datetime.date) -> str:
    """Each in its turn."""
    return SUITES[day.toordinal() % len(SUITES)]


def possible() -> None:
    """Raises: NoBareSystem."""
    if os.geteuid() != 0:
        raise NoBareSystem("only root can make a bare system (debootstrap, chroot)")
    missing = [name for name in ("debootstrap", "unshare", "chroot") if shutil.which(name) is None]
    if missing:
        raise NoBareSystem(f"not here: {', '.join(missing)} (`apt-get install debootstrap`)")


def base(suite: str, packages: Sequence[str], cache: Path) -> Path:
    """The system with those packages: made when there is none of this week.

    Raises:
        NoBareSystem: debootstrap or apt failed; its last line says why.
    """
    words = ["python3", "ca-certificates", *packages]
    place = cache / f"{suite}-{hashlib.sha256(' '.join(words).encode()).hexdigest()[:8]}"
    if _fresh(place):
        return place
    bare, log = cache / suite, cache / f"{place.name}.log"
    cache.mkdir(parents=True, exist_ok=True)
    if not _fresh(bare):
        include = "--include=python3,ca-certificates"
        argv = ["debootstrap", "--variant=minbase", include, suite, str(bare)]
        _made(bare, [*argv, *filter(None, [host_settings.mirror()])], log)
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", bare, place], check=True)
    (place / "var" / "lib" / STAMP).unlink()
    install = (
        # a mirror of testing may be some days behind, and is good enough to try what is new
        f"apt-get -q -o Acquire::Check-Valid-Until=false update && apt-get -qy install --no-install-recommends {' '.join(packages)}"
    )
    (place / "etc" / "dpkg" / "dpkg.cfg.d" / "quick").write_text("force-unsafe-io\n")
    shutil.copy("/etc/resolv.conf", place / "etc" / "resolv.conf")
    env = "env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin"
    _made(place, [CHROOT, str(place), *env.split(), "sh", "-c", install], log)
    return place


def _fresh(place: Path) -> bool:
    stamp = place / "var" / "lib" / STAMP
    return stamp.is_file() and time.time() - stamp.stat().st_mtime < WEEK


def _made(place: Path, argv: Sequence[str], log: Path) -> None:
    """Run what makes it; half of one is not kept."""
    if argv[0] == "debootstrap":
        shutil.rmtree(place, ignore_errors=True)
    with log.open("a") as said:
        done = subprocess.run(argv, stdin=-3, stdout=said, stderr=-2, check=False)
    if done.returncode:
        last = [*log.read_text(errors="replace").splitlines(), "it said nothing"][-1]
        shutil.rmtree(place, ignore_errors=True)
        raise NoBareSystem(f"{argv[0]} failed: {last} (all of it: {log})")
    shutil.rmtree(place / "var" / "cache" / "apt" / "archives", ignore_errors=True)
    (place / "var" / "lib" / STAMP).touch()


class BareSystem:
    """One newcomer's machine. `with` it: what was written goes with it, unless it is to be kept."""

    def __init__(
        self, base: Path, logs: Path, *, home: str = "/home/u", keep: bool = False
    ) -> None:
        self.base, self.logs, self.home, self.keep = base, logs, home, keep
        self.settings = host_settings.pip_settings()
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=base.parent))
        self.upper = self.folder / "upper"

    def __enter__(self) -> BareSystem:
        self.upper.mkdir()
        self._files()
        self.logs.mkdir(parents=True, exist_ok=True)
        words = ["useradd", "--create-home", "--home-dir", self.home, "--shell", "/bin/bash", "u"]
        self.run(shlex.join(words), "user.log", user="root", folder="/")
        return self

    def __exit__(self, *error: object) -> None:
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> None:
        """Name service, certificates and pip's settings, as on any machine that somebody has set up."""
        given = {"etc/pip.conf": host_settings.as_file(self.settings).encode()}
        for file in (Path("/etc/resolv.conf"), host_settings.CERTIFICATES):
            if file.is_file():
                given[str(file).lstrip("/")] = file.read_bytes()
        for name, content in given.items():
            path = self.upper / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def clone(self, source: Path, name: str = "project") -> None:
        """A clone of HEAD in the user's home."""
        target = f"{self.upper}{self.home}/{name}"
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", source, target], check=True)
        self.run(f"chown -R u: {shlex.quote(self.home)}", "user.log", user="root", folder="/")

    def run(
        self,
        command: str,
        log: str,
        *,
        user: str = "u",
        folder: str = "",
        env: Mapping[str, str] | None = None,
        network: bool = True,
        timeout: float = 7200,
    ) -> Ran:
        """A command line by the user's own shell; what it says goes to a log."""
        folder = folder or f"{self.home}/project"
        shown = [str(one) for one in host_settings.folders(self.settings)]
        told = {
            "HOME": self.home if user == "u" else "/root",
            "USER": user,
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin" + (":/usr/sbin:/sbin" if user == "root" else ""),
            **host_settings.environment(),
            **(env or {}),
        }
        inside = f"cd {shlex.quote(folder)} && {{ {command}\n}}"
        argv = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        argv += ["--net"] if not network else []
        argv += ["bash", "-c", MOUNTS, str(self.folder), str(self.base), *shown, "--"]
        argv += ["env", "-i", *(f"{name}={value}" for name, value in told.items())]
        argv += [
            CHROOT,
            f"--userspec={user}:{user}",
            str(self.folder / "root"),
            "/bin/bash",
            "-c",
            inside,
        ]
        path, started = self.logs / log, time.monotonic()
        with path.open("a") as said:
            said.write(f"$ {command}\n")
            said.flush()
            code = _wait(argv, said.fileno(), timeout)
        return Ran(code, time.monotonic() - started, path)


def _wait(argv: Sequence[str], output: int, timeout: float) -> int:
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=-2)
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return 124
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with everything inside: the first process of its namespace takes all others along.

    `--kill-child` does not reach that one, which has become another user since.
    """
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for pid in children.read_text().split() if process.poll() is None else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    process.kill()
    process.wait()

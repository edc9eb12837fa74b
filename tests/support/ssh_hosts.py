"""A real sshd on loopback addresses, for an ordinary user or root, and machines behind it whose programs are stand-ins."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
STARTS = 10.0  # seconds until sshd must have said that it listens
# the same machine under four addresses: its key is known for two, another for the third, none for the last
KNOWN, BEHIND, CHANGED, UNKNOWN = "127.0.0.1", "127.0.0.4", "127.0.0.2", "127.0.0.3"
# the tests' interpreter without the environment that it runs in: less to look at
PYTHON = Path(sys.base_prefix) / "bin" / "python3"

# what nvidia-smi prints, by the machine's name, GPU and driver
SMI = """#!/bin/sh
case "$*" in
*--query-gpu*) echo "0, {name}, GPU-1c2d3e4f-0000-1111-2222-333344445555, {capability}, {memory}, 7, Disabled, Disabled, {driver}" ;;
*--query-compute-apps*) ;;
*) echo "| NVIDIA-SMI {driver}    Driver Version: {driver}    CUDA Version: {cuda} |" ;;
esac
"""
GPUS = {
    "5090": {
        "name": "NVIDIA GeForce RTX 5090", "capability": "12.0", "memory": "32607",
        "driver": "570.86.10", "cuda": "12.8",
    },
    "a800": {
        "name": "NVIDIA A800 80GB PCIe", "capability": "8.0", "memory": "81920",
        "driver": "535.104.12", "cuda": "12.2",
    },
}  # fmt: skip


class NoSshd(Exception):
    """Why there can be none here."""


class Server:
    """An sshd, the key that it lets in, and what OpenSSH is to know of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.config = folder / "ssh_config"
        self.log = folder / "sshd.log"

    def host(self, address: str = KNOWN, **more: object) -> dict[str, object]:
        """A machine of hosts.yaml."""
        return {"address": address, "port": self.port, "python": python(), **more}

    def home(self, address: str = KNOWN) -> Path:
        """Where HOME is behind an address; its `bin` comes first on PATH."""
        return self.folder / f"home-{address}"

    def know(self, name: str) -> None:
        """Write down what keys are known: for the changed address that of `name`."""
        keys = {
            f"[{KNOWN}]:{self.port}": self.folder / "host.pub",
            f"[{BEHIND}]:{self.port}": self.folder / "host.pub",
            f"[{CHANGED}]:{self.port}": self.folder / f"{name}.pub",
        }
        lines = [f"{address} {path.read_text().strip()}" for address, path in keys.items()]
        (self.folder / "known_hosts").write_text("\n".join(lines) + "\n")


def rows(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """What a `fleet … --json` said of each machine, by name."""
    return {row["host"]: row for row in json.loads(done.stdout)["hosts"]}


def python(path: str = "", before: str = "") -> str:
    """How Python is started there: with `path` before PATH, after the words `before`."""
    start = f"env PATH={shlex.quote(path)}:$PATH " if path else ""
    return f"{before}{start}{shlex.quote(str(PYTHON))}"


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Server]:
    """Start it.

    Raises:
        NoSshd: OpenSSH is not here, this user has no shell, or root's sshd lacks its folder.
    """
    _check()
    server = Server(folder)
    for name in ("host", "other", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True)
    server.know("other")
    _write(server)
    words = [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")]
    with server.log.open("w") as log:
        process = subprocess.Popen(
            [*_privilege_folder(), *words], stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        process.wait()


def _check() -> None:
    missing = [name for name in ("ssh", "ssh-keygen") if shutil.which(name) is None]
    if missing or SSHD is None:
        raise NoSshd("OpenSSH's client and server are not here")
    try:
        user = pwd.getpwuid(os.getuid())
    except KeyError:
        raise NoSshd("this user has no entry in /etc/passwd") from None
    if Path(user.pw_shell).name in ("nologin", "false"):
        raise NoSshd(f"{user.pw_name} has no shell")


def _privilege_folder() -> list[str]:
    """root's sshd wants /run/sshd: in a mount namespace of its own, where the system has none."""
    if os.getuid() != 0 or Path("/run/sshd").is_dir():
        return []
    return [
        "unshare", "--mount", "sh", "-c",
        'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec "$@"', "sshd",
    ]  # fmt: skip


def _write(server: Server) -> None:
    folder = server.folder
    listen = "\n".join(f"ListenAddress {one}" for one in (KNOWN, BEHIND, CHANGED, UNKNOWN))
    for one in (KNOWN, BEHIND):
        (server.home(one) / "bin").mkdir(parents=True)
        # nothing of a test's outlives it in anybody's tmux
        _refusing(server.home(one) / "bin" / "tmux")
    matches = "".join(
        f"Match LocalAddress {one}\n"
        f"  SetEnv HOME={server.home(one)} PATH={server.home(one)}/bin:/usr/local/bin:/usr/bin:/bin\n"
        for one in (KNOWN, BEHIND)
    )
    (folder / "sshd_config").write_text(
        f"Port {server.port}\n{listen}\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
        f"PasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 100\n{matches}"
    )
    server.config.write_text(
        f"Host *\n  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile none\n"
        f"  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  IdentityAgent none\n"
        f"  User {pwd.getpwuid(os.getuid()).pw_name}\n"
    )


def _refusing(path: Path) -> None:
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTS
    while "Server listening" not in server.log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            raise NoSshd(f"sshd does not start: {server.log.read_text().strip()[-200:]}")
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield int(one.getsockname()[1])

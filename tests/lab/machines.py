"""Bare Debian systems as machines of a lab: a network namespace, a real sshd and a user each; nothing else is reachable."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bare_system import CHROOT, MOUNTS, BareSystem, NoBareSystem, base
from ssh_hosts import SMI

# the last octets of a network for documentation and tests: RFC 2544
NET = "198.18"
SSHD = "openssh-server"
WITH_MAMBAOPS = ("python3-venv",)
INSTALL = "python3 -m venv ~/venv && ~/venv/bin/pip install -q ~/project uv"
STARTS = 20.0  # seconds


@dataclass
class Machine:
    """One of them. `gpu`: what its nvidia-smi says (fields of `ssh_hosts.SMI`), empty for none."""

    name: str
    suite: str
    gpu: dict[str, str] = field(default_factory=dict)
    mambaops: bool = False
    number: int = 0
    system: BareSystem | None = None
    sshd: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{NET}.{self.number}.2"

    @property
    def controller(self) -> str:
        """The address of this end."""
        return f"{NET}.{self.number}.1"

    @property
    def link(self) -> str:
        """The interface at this end, and the namespace's name."""
        return f"mlab{self.number}"

    @property
    def key(self) -> str:
        assert self.system is not None
        file = self.system.upper / "etc/ssh/ssh_host_ed25519_key.pub"
        return " ".join(file.read_text().split()[:2])

    def interface(self, state: str) -> None:
        """`down` cuts everything that goes through it."""
        _ip("link", "set", self.link, state)

    def inner(self) -> list[int]:
        """The processes in its namespaces, those of the mounts first."""
        assert self.sshd is not None
        found = _children(self.sshd.pid)
        return [*found, *(one for pid in found for one in _children(pid))]

    def in_its_mounts(self, *words: str) -> None:
        """A command that sees its files, by root outside; its root is `self.root`."""
        argv = ["nsenter", "--mount", f"--target={self.inner()[0]}", *words]
        subprocess.run(argv, check=True)

    @property
    def root(self) -> Path:
        assert self.system is not None
        return self.system.folder / "root"


@contextlib.contextmanager
def lab(machines: Sequence[Machine], folder: Path, cache: Path, checkout: Path) -> Iterator[Path]:
    """All of them, up; the OpenSSH configuration that reaches them.

    Raises:
        NoBareSystem: a base or a namespace cannot be made here.
    """
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "user")], check=True
    )
    with contextlib.ExitStack() as stack:
        for number, one in enumerate(machines, 1):
            one.number = number
            packages = (SSHD, *(WITH_MAMBAOPS if one.mambaops else ()))
            place = base(one.suite, packages, cache)
            one.system = stack.enter_context(BareSystem(place, folder / "logs" / one.name))
            _set_up(one, folder / "user.pub", checkout)
            stack.enter_context(_network(one))
            stack.enter_context(_served(one))
        know(machines, folder)
        yield _configured(folder)


def know(machines: Sequence[Machine], folder: Path, changed: str = "") -> None:
    """Write down the machines' keys; for the one named `changed` another than it has."""
    keys = {one.address: one.key for one in machines}
    others = dict(zip(keys, [*list(keys.values())[1:], next(iter(keys.values()))], strict=True))
    lines = [
        f"{one.address} {(others if one.name == changed else keys)[one.address]}"
        for one in machines
    ]
    (folder / "known_hosts").write_text("\n".join(lines) + "\n")


def _configured(folder: Path) -> Path:
    path = folder / "ssh_config"
    path.write_text(
        f"Host *\n  User u\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  IdentityAgent none\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile none\n"
    )
    return path


def _set_up(one: Machine, key: Path, checkout: Path) -> None:
    """As its owner would: a key of its own, the user's key, a driver, and perhaps mambaops."""
    system = one.system
    assert system is not None
    upper = system.upper
    program = upper / "usr/local/bin/nvidia-smi"
    if one.gpu:
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(SMI.format(**one.gpu))
        program.chmod(0o755)
    authorized = upper / "home/u/.ssh/authorized_keys"
    authorized.parent.mkdir(mode=0o700)
    authorized.write_text(key.read_text())
    words = "rm -f /etc/ssh/ssh_host_*; ssh-keygen -A; mkdir -p /run/sshd; usermod -p '*' u; chown -R u: /home/u"
    _done(system.run(words, "set-up.log", user="root", folder="/").code, one, "set-up.log")
    if one.mambaops:
        system.clone(checkout)
        _done(system.run(INSTALL, "mambaops.log").code, one, "mambaops.log")


def _done(code: int, one: Machine, log: str) -> None:
    assert one.system is not None
    if code:
        said = (one.system.logs / log).read_text(errors="replace").splitlines()[-5:]
        raise NoBareSystem(f"{one.name} could not be set up: {' | '.join(said)}")


@contextlib.contextmanager
def _network(one: Machine) -> Iterator[None]:
    """A cable between this system and the machine, and nothing behind it."""
    inside = ("-n", one.link)
    _ip("netns", "add", one.link)
    try:
        _ip("link", "add", one.link, "type", "veth", "peer", "name", "eth0", "netns", one.link)
        _ip("addr", "add", f"{one.controller}/30", "dev", one.link)
        _ip("link", "set", one.link, "up")
        _ip(*inside, "addr", "add", f"{one.address}/30", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
        _ip(*inside, "link", "set", "lo", "up")
        yield
    finally:
        _ip("netns", "del", one.link)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoBareSystem(f"`ip {shlex.join(words)}`: {done.stderr.strip()}")


@contextlib.contextmanager
def _served(one: Machine) -> Iterator[None]:
    system = one.system
    assert system is not None
    argv = ["ip", "netns", "exec", one.link, "unshare", "--mount", "--propagation", "private"]
    argv += ["--pid", "--fork", "--kill-child", "bash", "-c", MOUNTS]
    argv += [str(system.folder), str(system.base), "--", CHROOT, str(system.folder / "root")]
    argv += ["/usr/sbin/sshd", "-D", "-e", "-o", "UsePAM=no"]
    log = system.logs / "sshd.log"
    with log.open("w") as said:
        one.sshd = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + STARTS
        while "Server listening" not in log.read_text():
            if one.sshd.poll() is not None or time.monotonic() > deadline:
                raise NoBareSystem(f"{one.name}: sshd does not start: {log.read_text()[-300:]}")
            time.sleep(0.2)
        yield
    finally:
        for pid in one.inner()[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        one.sshd.kill()
        one.sshd.wait()


def _children(pid: int) -> list[int]:
    file = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(one) for one in file.read_text().split()] if file.exists() else []

"""Run a command on a stand-in machine: `python enter.py MACHINE.json COMMAND…`.

Namespaces of its own (user, mounts, network): the machine's files lie over this system's, nothing outside of it
can be reached, and its servers answer on the loopback address. Standard library only.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP = 0x8914, 0x8916, 0x1
ORDINARY = 1000
LIBC = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: Any) -> None:
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments[:2]}: {os.strerror(number)}")


def _become(inside: int) -> None:
    """A user namespace in which this user is `inside` (0: root)."""
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{inside} {gid} 1")


def _over(source: str, target: str) -> None:
    _call("mount", source.encode(), target.encode(), None, MS_BIND | MS_REC, None)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


def _own_address(address: str) -> None:
    """One more of this machine's own: without any but the loopback one, Slurm resolves nothing."""
    family = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFADDR, struct.pack("16s16s", b"lo:1", family))


def _instead(folder: str, shown: str, hidden: tuple[str, ...]) -> None:
    """`shown` lies over `folder`; what is there already stays to be seen, unless its name begins like `hidden`."""
    for entry in Path(folder).iterdir():
        place = Path(shown) / entry.name
        if entry.name.startswith(hidden) and hidden:
            continue
        if entry.is_symlink():
            if not place.is_symlink() and not place.exists():
                place.symlink_to(entry.readlink())
            continue
        if entry.is_dir():
            place.mkdir(exist_ok=True)
        else:
            place.touch()
        _over(str(entry), str(place))
    _over(shown, folder)


def enter(machine: dict[str, Any]) -> None:
    """Leave this system's view for the machine's."""
    _become(0)
    online = machine.get("network", False)
    _call("unshare", CLONE_NEWNS | (0 if online else CLONE_NEWNET))
    _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    if not online:
        _loopback_up()
    if machine.get("address"):
        _own_address(machine["address"])
    for folder, shown in machine["instead"].items():
        _instead(folder, shown, tuple(machine["hidden"]))
    for target, source in machine["over"].items():
        _over(source, target)


def main() -> int:
    machine = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    enter(machine)
    server = None
    if machine["server"]:
        server = subprocess.Popen([sys.executable, *machine["server"]], stdout=subprocess.PIPE)
        assert server.stdout is not None
        server.stdout.readline()  # it listens
    if not machine["root"]:
        _become(ORDINARY)
    try:
        return subprocess.run(sys.argv[2:], env=machine["env"], check=False).returncode
    finally:
        if server is not None:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())

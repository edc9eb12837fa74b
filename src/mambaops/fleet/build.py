"""What is started on each machine to make it what it should become, and what is carried there for it."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mambaops.bundle.install import name_of
from mambaops.fleet import job, ssh
from mambaops.fleet.gather import side_by_side
from mambaops.fleet.job import Job, There
from mambaops.fleet.model import Fleet, Host
from mambaops.fleet.packset import PackSet
from mambaops.profiles.load import is_file

FILES = "$HOME/.mambaops-fleet/files"
Say = Callable[[str], None]


def build(
    fleet: Fleet,
    hosts: Mapping[str, Host],
    packs: PackSet,
    *,
    attach: bool = True,
    jobs: int = 0,
    say: Say = lambda text: None,
) -> list[Job]:
    """Carry, start, and follow until the end, on every machine at once.

    Args:
        packs: what the machines need together; those that the store here has are carried.
        attach: False: start them and leave.
    """

    def one(there: There) -> Job:
        carried = carry_all(there, files_for(there.name, there.host, packs), say)
        if carried is not None:
            return carried
        started = job.start(
            there, command(there.name, there.host, packs), always=bool(there.host.mambaops)
        )
        if started.outcome != "running":
            return started
        say(f"{there.name}: it runs there ({started.how})")
        return _followed(there, started, say) if attach else started

    return on_each(fleet, hosts, one, jobs=jobs)


def attach(fleet: Fleet, hosts: Mapping[str, Host], *, jobs: int = 0, say: Say) -> list[Job]:
    """Come back to what runs on the machines: their logs from the beginning, until they end."""
    return on_each(fleet, hosts, lambda there: _followed(there, None, say), jobs=jobs)


def stop(fleet: Fleet, hosts: Mapping[str, Host], *, jobs: int = 0) -> list[Job]:
    """End what runs on the machines."""
    return on_each(fleet, hosts, job.stop, jobs=jobs)


def on_each(
    fleet: Fleet, hosts: Mapping[str, Host], do: Callable[[There], Job], *, jobs: int = 0
) -> list[Job]:
    """`do` for every machine, side by side. Errors as `ssh.configured`."""
    left = threading.Event()
    with ssh.configured(fleet.ssh) as config:
        try:
            found = side_by_side(
                hosts, lambda name, host: do(There(config, name, host, left)), jobs=jobs
            )
        finally:
            left.set()
    return list(found.values())


def _followed(there: There, started: Job | None, say: Say) -> Job:
    from msgspec.structs import replace

    ended = job.follow(there, lambda line: say(f"{there.name}: {line}"))
    return replace(ended, how=started.how) if started else ended


def carry_all(there: There, files: Sequence[Path], say: Say) -> Job | None:
    """None: all of them are there."""
    for file in files:
        say(f"{there.name}: {file.name} is carried there")
        failed = job.carry(there, file)
        if failed is not None:
            return failed
    return None


def files_for(name: str, host: Host, packs: PackSet) -> list[Path]:
    """What has to lie there before the command runs."""
    if host.bundle:
        return [Path(host.bundle)]
    profile = [Path(host.profile)] if is_file(host.profile) else []
    return [*(_packs(name, packs) if host.mambaops else ()), *profile]


def command(name: str, host: Host, packs: PackSet) -> str:
    """The command for the machine's shell; "" where it has nothing to become anything with."""
    if host.bundle:
        return _from_bundle(Path(host.bundle))
    lines = ["set -e"]
    for pack in _packs(name, packs):
        lines.append(f'{host.mambaops} wheels add "{FILES}/{job.carried_name(pack)}"')
    lines.append(f"{host.mambaops} build-mamba {words(host)}")
    return "\n".join(lines)


def words(host: Host) -> str:
    """The flags that say what a machine should become, for its own mambaops."""
    own = is_file(host.profile)
    profile = (
        f'"{FILES}/{job.carried_name(Path(host.profile))}"' if own else shlex.quote(host.profile)
    )
    flags = [f"--profile {profile}"]
    flags += [f"--arch {shlex.quote(host.arch)}"] if host.arch else []
    flags += [f"--torch {shlex.quote(host.torch)}"] if host.torch else []
    return " ".join(flags)


def environment(bundle: Path) -> str:
    """The folder of the environment that a bundle makes there, for a shell."""
    return f'"$HOME/.mambaops-fleet/envs/{name_of(bundle)}"'


def _from_bundle(bundle: Path) -> str:
    """Unpacked, installed, and the unpacked files away again."""
    carried = job.carried_name(bundle)
    unpacked = f'"$HOME/.mambaops-fleet/unpacked/{carried.partition("/")[0]}"'
    return "\n".join(
        [
            "set -e",
            f"mkdir -p {unpacked}",
            f'tar -xf "{FILES}/{carried}" -C {unpacked}',
            f"sh {unpacked}/*/install.sh --into {environment(bundle)}",
            f"rm -rf {unpacked}",
        ]
    )


def _packs(name: str, packs: PackSet) -> list[Path]:
    return [Path(one.stored) for one in packs.packs if one.stored and name in one.hosts]


def without_means(hosts: Mapping[str, Host]) -> list[str]:
    """Machines that have neither a bundle nor a mambaops."""
    return [name for name, host in hosts.items() if not host.bundle and not host.mambaops]

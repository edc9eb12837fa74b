"""A real Slurm of one machine that plays several nodes, for root or an ordinary user. Standard library only.

`python one_slurm.py FOLDER COMMAND…` runs a command with one beside it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SBIN = ":/usr/sbin:/sbin"
STARTS = 30.0  # seconds until all nodes must be there
# two nodes with a stand-in GPU, one without
CONF = """ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={spool}/munge.socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={spool}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SchedulerType=sched/builtin
SchedulerParameters=sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
KillWait=2
MinJobAge=600
MessageTimeout=60
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=gpu1 NodeHostname={host} NodeAddr=127.0.0.1 Port={gpu1} CPUs=2 RealMemory=4000 Gres=gpu:a800:1
NodeName=gpu2 NodeHostname={host} NodeAddr=127.0.0.1 Port={gpu2} CPUs=2 RealMemory=4000 Gres=gpu:a800:1
NodeName=plain NodeHostname={host} NodeAddr=127.0.0.1 Port={plain} CPUs=4 RealMemory=8000
PartitionName=gpu Nodes=gpu1,gpu2 DefaultTime=10 MaxTime=2:00:00
PartitionName=cpu Nodes=plain Default=YES MaxTime=1-00:00:00
"""
NODES = ("gpu1", "gpu2", "plain")


class NoSlurm(Exception):
    """Why there can be none here."""


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start it; the variables that lead its commands to it.

    Raises:
        NoSlurm: it is not installed, or does not come up.
    """
    path = os.environ.get("PATH", os.defpath) + SBIN
    programs = {name: shutil.which(name, path=path) for name in ("munged", "slurmctld", "slurmd")}
    if missing := [name for name, found in programs.items() if found is None]:
        raise NoSlurm(f"not here: {', '.join(missing)} (`apt-get install slurm-wlm`)")
    # sockets lie there, whose paths may have 107 characters
    spool = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    conf = _written(folder, spool)
    env = {**os.environ, "SLURM_CONF": str(conf)}
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str, *words: str) -> None:
        said = (folder / "said.log").open("ab")
        argv = [str(programs[name]), *words]
        running.append(
            subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        )

    try:
        start(
            "munged", "--foreground", "--force", f"--key-file={folder}/munge.key",
            f"--socket={spool}/munge.socket", f"--pid-file={folder}/munge.pid",
            f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed",
        )  # fmt: skip
        _until((spool / "munge.socket").exists, "munged", folder)
        start("slurmctld", "-D", "-f", str(conf))
        for node in NODES:
            start("slurmd", "-D", "-N", node, "-f", str(conf))
        _until(lambda: _idle(env) == len(NODES), "slurmctld", folder)
        yield {"SLURM_CONF": str(conf)}
    finally:
        if len(running) > 1:
            argv = ["scancel", "--me"]
            subprocess.run(argv, env=env, capture_output=True, check=False, timeout=60)
        for one in reversed(running):
            one.terminate()
        for one in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(10)
            one.kill()
        shutil.rmtree(spool, ignore_errors=True)


def _written(folder: Path, spool: Path) -> Path:
    (folder / "state").mkdir(parents=True)
    folder.chmod(0o755)  # munged wants no folder that others can write to
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
        os.chown(folder, os.getuid(), os.getgid())  # as slurmd does with each job's folder
    except KeyError:
        raise NoSlurm("this user has no entry in /etc/passwd") from None
    except OSError as error:
        raise NoSlurm(
            f"this user may give itself no file (a namespace without it?): {error}"
        ) from None
    ports = dict(zip(("port", *NODES), _free_ports(1 + len(NODES)), strict=True))
    text = CONF.format(
        host=socket.gethostname().partition(".")[0], user=user, folder=folder, spool=spool, **ports
    )
    conf = folder / "slurm.conf"
    conf.write_text(text)
    (folder / "gres.conf").write_text(
        "".join(f"NodeName={one} Name=gpu Type=a800 File=/dev/null\n" for one in NODES[:2])
    )
    return conf


def _idle(env: dict[str, str]) -> int:
    done = subprocess.run(
        ["sinfo", "-h", "-N", "-t", "idle", "-o", "%N"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return len(done.stdout.split())


def _until(ready: Callable[[], bool], name: str, folder: Path) -> None:
    deadline = time.monotonic() + STARTS
    while not ready():
        if time.monotonic() > deadline:
            logs = [folder / "said.log", folder / f"{name}.log"]
            said = " | ".join(one.read_text()[-300:] for one in logs if one.is_file())
            raise NoSlurm(f"{name} does not come up: {said}")
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    several = [socket.socket() for _ in range(count)]
    try:
        for one in several:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in several]
    finally:
        for one in several:
            one.close()


def main() -> int:
    with slurm(Path(sys.argv[1])) as variables:
        env = {**os.environ, **variables}
        return subprocess.run(sys.argv[2:], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

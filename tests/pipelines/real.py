"""The slow proof on three machines (`nox -s pipelines_real -- PROFILE`): the real torch of the package index.

Everything is real but the GPU, its driver and the system's own programs, which a stand-in machine answers for
(`stand_in_machine.py`): environment, torch with its CUDA libraries, requirements, sources and their patches, all
from the index that pip is told of. No nvcc before 13 is there, so the kernels come by the way `runtime` where this
mambaops has it, compiled for the machine's GPU by the NVRTC that its torch brings; otherwise that is said and left
out. Gigabytes for each, removed again in the end (`--keep` leaves them). Prints what was found, exits 1 where
anything is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from checked import check
from recorded import facts_of
from stand_in_machine import Machine, pythons

from mambaops.profiles.model import Strategy

ROOM = 16 * 1000**3


@dataclass(frozen=True)
class Real:
    """One machine: what is asked of its profile, and what has to be there afterwards."""

    machine: str
    python: str
    flags: tuple[str, ...]
    torch: str
    nvrtc: str
    sources: bool  # its sources are sdists of the index; git tags are elsewhere


# releases whose build of that CUDA the package index itself serves
MACHINES = {
    "wsl-5090": Real("wsl-5090-bare", "", ("--torch", "2.10.0"), "2.10.0+cu128", "12.8", True),
    "debian-a800": Real("debian10-a800", "3.10", (), "2.2.2+cu121", "12.1", False),
    "ubuntu20-graph-mamba": Real(
        "ubuntu20-graph-mamba", "3.9", ("--torch", "2.0.1"), "2.0.1+cu117", "11.7", False
    ),
}
PROGRAM = """
import glob, json, os, sysconfig, torch
site = sysconfig.get_path("purelib")
found = [os.path.basename(one) for one in glob.glob(site + "/nvidia/*/lib/libnvrtc.so*")]
found += [os.path.basename(one) for one in glob.glob(site + "/torch/lib/libnvrtc*")]
print(json.dumps([torch.__version__, torch.version.cuda, torch.cuda.get_arch_list(), sorted(found)]))
"""


class Online(Machine):
    """A stand-in machine that reaches the network, with the user's own settings of pip and uv."""

    @property
    def env(self) -> dict[str, str]:
        ours = super().env
        for name in [one for one in ours if one.startswith(("PIP_", "UV_"))]:
            del ours[name]
        theirs = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "UV_"))}
        theirs |= {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}
        settings = [
            Path("~/.config/pip/pip.conf").expanduser(),
            Path("~/.pip/pip.conf").expanduser(),
        ]
        for path in settings:
            if path.exists() and "PIP_CONFIG_FILE" not in theirs:
                theirs["PIP_CONFIG_FILE"] = str(path)
        caches = {"PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1"}
        return {**ours, **theirs, **caches}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profiles", nargs="*", help=f"of {', '.join(MACHINES)} (default: all)")
    parser.add_argument("--into", type=Path, help="folder to work in (default: a temporary one)")
    parser.add_argument("--keep", action="store_true", help="leave what was made")
    options = parser.parse_args()
    for profile in options.profiles or MACHINES:
        root = Path(tempfile.mkdtemp(prefix=f"pipelines-real-{profile}-", dir=options.into))
        try:
            prove(profile, MACHINES[profile], root)
        finally:
            if not options.keep:
                shutil.rmtree(root, ignore_errors=True)


def prove(profile: str, real: Real, root: Path) -> None:
    """One profile on its machine, from nothing."""
    if shutil.disk_usage(root).free < ROOM:
        sys.exit(f"needs {ROOM / 1e9:.0f} GB of free disk under {root}")
    if real.python and real.python not in pythons():
        sys.exit(f"no Python {real.python} is on this system")
    print(f"== {profile} on {real.machine}", flush=True)
    machine = Online(root / real.machine, facts_of(real.machine), root)
    machine.server, machine.network = False, True
    machine.write("mirrors.toml", "")
    flags = (*real.flags, "--profile", profile)
    for step in ("create-venv", "install-torch", "prepare-build"):
        step_of(machine, step, *flags)
    torch_is(machine, profile, real)
    if real.sources:
        step_of(machine, "patch-setup", *flags, "--obtain", "source")
    if "runtime" in get_args(Strategy):
        kernels(machine, profile, *flags)
    else:
        print("   left out: this mambaops has no way `runtime` to the kernels", flush=True)


def step_of(machine: Machine, *words: str) -> None:
    started = time.monotonic()
    done = machine.run(sys.executable, "-m", "mambaops", *words, timeout=3000)
    tail = "" if done.returncode == 0 else "\n" + done.said[-3000:]
    check(done.returncode == 0, f"{words[0]}: {time.monotonic() - started:.0f} s{tail}")


def torch_is(machine: Machine, profile: str, real: Real) -> None:
    """The very torch, with the NVRTC of its CUDA beside it."""
    done = machine.run(machine.python(profile), "-I", "-c", PROGRAM)
    version, cuda, archs, nvrtc = json.loads(done.said.strip().splitlines()[-1])
    check(version == real.torch, f"torch {version}, CUDA {cuda}, code for {' '.join(archs)}")
    check(cuda == real.nvrtc and bool(nvrtc), f"NVRTC: {', '.join(nvrtc)}")


def kernels(machine: Machine, profile: str, *flags: str) -> None:
    """Kernels compiled for the machine's GPU; their launch is all that is left out."""
    done = machine.run(
        sys.executable, "-m", "mambaops", "build-mamba", *flags, "--obtain", "runtime", timeout=3000
    )
    print("\n".join(f"   | {line}" for line in done.said.splitlines()[-40:]), flush=True)
    failed = [line for line in done.said.splitlines() if line.strip().startswith("failed")]
    # no GPU answers: that one line may be there, and no other
    check(all("cuda-available" in line for line in failed), "everything but the launch")


if __name__ == "__main__":
    main()

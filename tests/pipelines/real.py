"""The slow proof on three machines (`nox -s pipelines_real -- PROFILE`): the real torch of the package index.

Everything is real but the GPU, its driver and the system's own programs, which a stand-in machine answers for
(`stand_in_machine.py`): environment, torch with its CUDA libraries, requirements, sources and the NVRTC that compiles
the kernels, all from the index that pip is told of. The profile is run twice as it is run on its machine, with nox:

1. with its GPU, as nvidia-smi tells of it: every step is done, and of the proof only what needs the GPU itself fails;
2. without one, `--cross --arch`: all the usual kernels are compiled for that GPU, the proof passes (some are executed
   as PTX), and once more there is nothing to do.

What another place than the index would give is left out, and said: git tags (so no nvcc's way), PyTorch Geometric's
own wheels, VMamba's repository (`--vmamba CLONE` names one). Gigabytes for each machine, removed again in the end
(`--keep` leaves them). Prints what was found, exits 1 where anything is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from checked import check
from recorded import facts_of
from stand_in_machine import PYG, Machine, Ran, pythons

ROOM = 16 * 1000**3
MINUTES = 60.0
NO_GPU = ("torch sees no GPU", "Found no NVIDIA driver")  # what only a launch would answer


@dataclass(frozen=True)
class Real:
    """One machine: what is asked of its profile, and what has to be there afterwards."""

    machine: str
    arch: str  # its GPU's
    python: str
    flags: tuple[str, ...]
    torch: str
    nvrtc: str


# releases whose build of that CUDA the package index itself serves
MACHINES = {
    "wsl-5090": Real("wsl-5090-bare", "12.0", "", ("--torch", "2.10.0"), "2.10.0+cu128", "12.8"),
    "debian-a800": Real("debian10-a800", "8.0", "3.10", (), "2.2.2+cu121", "12.1"),
    "ubuntu20-graph-mamba": Real("ubuntu20-graph-mamba", "8.6", "3.9", (), "2.0.0+cu117", "11.7"),
}
PROGRAM = """
import glob, json, os, sysconfig, torch
site = sysconfig.get_path("purelib")
found = [os.path.basename(one) for one in glob.glob(site + "/nvidia/*/lib/libnvrtc.so*")]
found += [os.path.basename(one) for one in glob.glob(site + "/torch/lib/libnvrtc*")]
print(json.dumps([torch.__version__, torch.version.cuda, torch._C._cuda_getArchFlags(), sorted(found)]))
"""


class Online(Machine):
    """A stand-in machine that reaches the network, with the user's own settings of pip and uv."""

    def _sources_alone(self) -> None:
        """The profiles stay as they are: this torch has an NVRTC."""

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
    parser.add_argument("--vmamba", type=Path, help="a clone of VMamba's repository")
    parser.add_argument("--keep", action="store_true", help="leave what was made")
    options = parser.parse_args()
    for profile in options.profiles or MACHINES:
        root = Path(tempfile.mkdtemp(prefix=f"pipelines-real-{profile}-", dir=options.into))
        try:
            prove(profile, MACHINES[profile], root, options.vmamba)
        finally:
            if not options.keep:
                shutil.rmtree(root, ignore_errors=True)


def prove(profile: str, real: Real, root: Path, vmamba: Path | None) -> None:
    """One profile on its machine, from nothing."""
    if shutil.disk_usage(root).free < ROOM:
        sys.exit(f"needs {ROOM / 1e9:.0f} GB of free disk under {root}")
    if real.python and real.python not in pythons():
        sys.exit(f"no Python {real.python} is on this system")
    print(f"== {profile} on {real.machine}", flush=True)
    machine = Online(root / real.machine, facts_of(real.machine), root)
    machine.server, machine.network = False, True
    machine.write("mirrors.toml", "")
    flags = (*real.flags, "--obtain", "runtime", *of_the_index(machine, profile, vmamba))
    with_its_gpu(machine, profile, flags)
    torch_is(machine, profile, real)
    for name in ("nvidia-smi", "nvcc"):
        machine.without(name)
    without_a_gpu(machine, profile, (*flags, "--cross", "--arch", real.arch))


def of_the_index(machine: Machine, profile: str, vmamba: Path | None) -> list[str]:
    """Take out of the profile what only another place than the index has; flags for what is given instead."""
    file = machine.checkout / "env_profiles" / f"{profile}.yaml"
    text = file.read_text(encoding="utf-8")
    names = "|".join(PYG)
    kept = re.sub(rf"(?:{names})==[\d.]+, |^find_links: .*\n", "", text, flags=re.MULTILINE)
    if kept != text:
        print(f"   left out: {', '.join(PYG)}, which PyTorch Geometric's own page has", flush=True)
    flags = []
    if "  selective-scan:\n" in kept and vmamba is not None:
        flags = ["--source", f"selective-scan={vmamba.resolve() / 'kernels' / 'selective_scan'}"]
    elif "  selective-scan:\n" in kept:
        kept = re.sub(
            r"  selective-scan:\n(?:    .*\n)+|^  packages\.selective.*\n",
            "",
            kept,
            flags=re.MULTILINE,
        )
        print("   left out: VMamba's scans, whose repository was not named (--vmamba)", flush=True)
    file.write_text(kept, encoding="utf-8")
    return flags


def with_its_gpu(machine: Machine, profile: str, flags: tuple[str, ...]) -> None:
    """Every step is done; of the proof only what a GPU has to answer is open."""
    done = told(machine, profile, flags)
    failed = re.findall(r"^  failed +(.*)", done.said, re.MULTILINE)
    only_the_gpu = bool(failed) and all(any(word in one for word in NO_GPU) for one in failed)
    proven(only_the_gpu, f"what the proof lacks: {', '.join(failed)}", done)
    compiled = re.findall(r"^  ok +compiles:(\S+)", done.said, re.MULTILINE)
    check(len(compiled) == 2, f"compiled for its GPU: {', '.join(compiled)}")
    plan = machine.mambaops("plan", "--profile", profile, *flags)
    left = re.findall(r"^(?:needed|BLOCKED) +(\S+)", plan.said, re.MULTILINE)
    check(left == ["verify"], f"left to do: {', '.join(left)}")


def without_a_gpu(machine: Machine, profile: str, flags: tuple[str, ...]) -> None:
    """The usual kernels are compiled for the GPU that is named, and the environment passes; again: nothing to do."""
    done = told(machine, profile, flags)
    proven(done.returncode == 0 and " 0 failed" in done.said, "the proof passes", done)
    packed = re.findall(r"^  ok +(pack:\S+)", done.said, re.MULTILINE)
    check(bool(packed), f"compiled beforehand: {', '.join(packed)}")
    again = told(machine, profile, flags)
    acted = re.findall(r"^(\S+): done in ", again.said, re.MULTILINE)
    proven(
        again.returncode == 0 and acted == [],
        f"again, and what was done then: {acted or 'nothing'}",
        again,
    )


def told(machine: Machine, profile: str, flags: tuple[str, ...]) -> Ran:
    """`nox -s PROFILE`, with what it took."""
    started = time.monotonic()
    done = machine.run(*machine.nox_words(profile, *flags), timeout=50 * MINUTES)
    took = (time.monotonic() - started) / MINUTES
    print(
        f"   nox -s {profile} -- {' '.join(flags)}: exit {done.returncode}, {took:.1f} min",
        flush=True,
    )
    return done


def proven(good: bool, what: str, done: Ran) -> None:
    """The check of a command, with the last of what it said where it fails."""
    check(good, what if good else f"{what}\n{done.said[-5000:]}")


def torch_is(machine: Machine, profile: str, real: Real) -> None:
    """The very torch, with the NVRTC of its CUDA beside it."""
    done = machine.run(machine.python(profile), "-I", "-c", PROGRAM)
    version, cuda, archs, nvrtc = json.loads(done.said.strip().splitlines()[-1])
    check(version == real.torch, f"torch {version}, CUDA {cuda}, code for {archs}")
    check(cuda == real.nvrtc and bool(nvrtc), f"NVRTC: {', '.join(nvrtc)}")


if __name__ == "__main__":
    main()

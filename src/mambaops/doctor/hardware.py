"""Driver, GPU and WSL."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from mambaops.core.commands import EXAMPLE
from mambaops.doctor.model import GIB, Check, release, size
from mambaops.facts.model import Facts, Gpu
from mambaops.knowledge.cuda import code_runs_on, driver_runs, minor_compat_floor
from mambaops.profiles.model import Profile

HELD = 1 * GIB  # memory that a GPU without any process must not hold


def driver(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """Does a driver answer, and does it run the CUDA of torch?"""
    found = facts.driver
    if found.state == "absent":
        yield _no_driver(facts, profile)
        return
    if found.state != "ok":
        yield Check(
            id="driver-broken",
            area="driver",
            state="failed",
            what=f"the driver does not work ({found.state}): {found.error or 'nvidia-smi says nothing'}",
            cause="no program can use the GPU until it answers",
            remedy="restart the machine; in WSL `wsl --shutdown` on the Windows side. mambaops never touches drivers",
            machine=True,
        )
        return
    torch = facts.torch
    if torch and torch.cuda and found.cuda and not driver_runs(found.cuda, torch.cuda):
        yield _too_old(facts, torch.cuda)
        return
    yield Check(
        id="driver",
        area="driver",
        state="ok",
        what=f"{found.version or 'unknown version'}, runs CUDA up to {found.cuda or 'unknown'}",
    )
    if torch and found.cuda and release(torch.cuda) > release(found.cuda):
        yield Check(
            id="torch-cuda-above-driver",
            area="driver",
            state="warning",
            what=f"torch's CUDA {torch.cuda} is above the driver's {found.cuda}",
            cause="machine code runs within one CUDA major, PTX does not: build for the GPU's own architecture",
            remedy=f"`mambaops build-mamba --arch {shlex.quote(_archs(facts))}`",
        )


def _archs(facts: Facts) -> str:
    """What `--arch` takes for the GPUs of a machine, `8.6;9.0`."""
    found = {gpu.compute_capability for gpu in facts.gpus if gpu.compute_capability}
    return ";".join(sorted(found, key=release)) or EXAMPLE


def _no_driver(facts: Facts, profile: Profile | None) -> Check:
    wanted = profile is not None and profile.expect.gpu
    return Check(
        id="driver-missing",
        area="driver",
        state="failed" if wanted else "skipped",
        what="no NVIDIA driver",
        cause="kernels compile without one and do not run"
        if not wanted
        else "the profile needs a GPU",
        remedy="install a driver (in WSL: on the Windows side); without one `mambaops install-fallback`",
        machine=wanted,
    )


def _too_old(facts: Facts, cuda: str) -> Check:
    return Check(
        id="driver-too-old",
        area="driver",
        state="failed",
        what=f"driver {facts.driver.version} runs CUDA up to {facts.driver.cuda}, torch is CUDA {cuda}",
        cause=f"CUDA {cuda} needs driver {minor_compat_floor(cuda) or 'of its own release'} or newer",
        remedy="`mambaops install-torch`: a build of the CUDA that this driver runs; or a newer driver",
    )


def gpu(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """Is there a GPU, do torch and the profile cover it, is it free?"""
    if not facts.gpus:
        wanted = profile is not None and profile.expect.gpu
        # a driver that does not answer hides the GPU: the driver's own line says so
        hidden = facts.driver.state not in ("ok", "absent")
        yield Check(
            id="gpu-missing",
            area="GPU",
            state="failed" if wanted and not hidden else "skipped",
            what="hidden by the driver" if hidden else "no GPU visible",
            cause="the profile needs one" if wanted else "",
            remedy="" if hidden or not wanted else "run on the machine that has the GPU",
            machine=wanted and not hidden,
        )
        return
    yield Check(id="gpu", area="GPU", state="ok", what=", ".join(_summary(facts.gpus)))
    yield from _coverage(facts)
    yield from _expected(facts, profile)
    for found in facts.gpus:
        yield from _held(found)


def _summary(gpus: list[Gpu]) -> Iterator[str]:
    kinds = {(gpu.name, gpu.compute_capability, gpu.mig): 0 for gpu in gpus}
    for gpu in gpus:
        kinds[gpu.name, gpu.compute_capability, gpu.mig] += 1
    for (name, capability, mig), count in kinds.items():
        head = f"{count} x {name}" if count > 1 else name
        yield f"{head} ({capability or 'capability unknown'}{', MIG' if mig else ''})"


def _coverage(facts: Facts) -> Iterator[Check]:
    torch = facts.torch
    if torch is None or not torch.arch_list or torch.cuda is None:
        return
    missing = {
        capability
        for gpu in facts.gpus
        if (capability := gpu.compute_capability) and not code_runs_on(torch.arch_list, capability)
    }
    for capability in sorted(missing):
        yield Check(
            id="torch-lacks-gpu",
            area="GPU",
            state="failed",
            what=f"torch {torch.version} holds no code for {capability}",
            cause=f"it was compiled for {', '.join(torch.arch_list)}; every kernel ends in `no kernel image`",
            remedy="`mambaops install-torch`: a build that covers the GPU (12.0 needs CUDA 12.8 or newer)",
        )


def _expected(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    if profile is None:
        return
    have = {gpu.compute_capability for gpu in facts.gpus}
    wanted = profile.expect.capability
    if wanted not in {"", *have}:
        yield Check(
            id="other-gpu",
            area="GPU",
            state="failed",
            what=f"the profile is for {wanted}, here is {', '.join(sorted(filter(None, have)))}",
            cause=f"`{profile.name}` compiles machine code for {wanted} only",
            remedy="another profile (`mambaops profiles`), or one of your own with your GPU's capability",
            machine=True,
        )


def _held(gpu: Gpu) -> Iterator[Check]:
    used = gpu.memory_used
    if used is None or used < HELD or gpu.display or gpu.mig:
        return
    holders = ", ".join(f"{p.pid} {p.name or ''}".strip() for p in gpu.processes)
    full = gpu.memory_total is not None and used > 0.8 * gpu.memory_total
    yield Check(
        id="gpu-held",
        area="GPU",
        state="warning",
        what=f"GPU {gpu.index}: {size(used)} of {size(gpu.memory_total)} are taken",
        cause=f"held by {holders}"
        if holders
        else "no process is listed: a hung one, or another container's",
        remedy="`mambaops release-gpu` says who holds it and since when"
        + (" (nearly full)" if full else ""),
    )


def wsl(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """A Linux driver inside WSL, slow Windows drives, the link that triton's linker needs."""
    yield from _libcuda_link(facts)
    if not facts.host.wsl:
        expected = profile is not None and profile.expect.wsl is True
        yield Check(
            id="not-wsl",
            area="WSL",
            state="failed" if expected else "skipped",
            what="not WSL",
            cause="the profile is for WSL" if expected else "",
            remedy="`mambaops profiles` lists the others" if expected else "",
            machine=expected,
        )
        return
    if facts.driver.linux_driver_in_wsl:
        yield Check(
            id="linux-driver-in-wsl",
            area="WSL",
            state="failed",
            what="a Linux driver is installed inside WSL",
            cause="its libcuda shadows the one that Windows shares in /usr/lib/wsl/lib",
            remedy="`sudo apt-get purge 'nvidia-driver-*' 'libnvidia-*' 'cuda-drivers*'`, then `wsl --shutdown` on the Windows side",
            machine=True,
        )
    elif facts.host.wsl == 1:
        yield Check(
            id="wsl-1",
            area="WSL",
            state="failed",
            what="WSL 1",
            cause="it shares no GPU with Linux",
            remedy="in PowerShell: `wsl --list` shows its name, `wsl --set-version Ubuntu 2` makes the one named Ubuntu WSL 2",
            machine=True,
        )
    else:
        yield Check(id="wsl", area="WSL", state="ok", what="WSL 2, driver shared by Windows")
    yield from _windows_drives(facts)


def _windows_drives(facts: Facts) -> Iterator[Check]:
    slow = [disk.path for disk in facts.host.disks if disk.filesystem in ("9p", "drvfs")]
    if slow:
        yield Check(
            id="windows-drive",
            area="WSL",
            state="warning",
            what=f"{', '.join(slow)} lies on a Windows drive",
            cause="builds and environments there are many times slower and lose file modes",
            remedy="keep environments and builds in the Linux file system: MAMBAOPS_HOME=~/.mambaops",
        )


def _libcuda_link(facts: Facts) -> Iterator[Check]:
    if facts.host.system != "Linux":
        return
    if facts.driver.libcuda and not facts.driver.libcuda_link:
        yield Check(
            id="libcuda-link-missing",
            area="WSL" if facts.host.wsl else "driver",
            state="warning",
            what="libcuda.so.1 is there, libcuda.so is not",
            cause="triton links its launcher with -lcuda at the first kernel call",
            remedy="`mambaops doctor --fix` makes a folder of links of your own; LIBRARY_PATH then names it",
            repair="libcuda-link",
        )

"""What an environment was made for: remembered with it, or read off what is installed in an older one. Pure."""

from __future__ import annotations

import re

import msgspec

from mambaops.facts.model import Facts
from mambaops.knowledge.cuda import cubin_runs_on, ptx_runs_on
from mambaops.knowledge.tables import minor_of

# the architectures in the version of a wheel of ours: "…+cu130torch2.14.sm80sm90ptx.x3f9c01ab"
_LOCAL = re.compile(r"\+(?:cpu|cu\d+)torch[\d.]+\.(?P<archs>(?:sm\d+[af]?(?:ptx)?)+)\.x")
_ARCH = re.compile(r"sm(?P<major>\d+)(?P<minor>\d)(?P<variant>[af]?)(?P<ptx>ptx)?")


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment was made for.

    Attributes:
        profile: its name.
        archs: architectures of its kernels; none: without kernels, or not known.
        asked: were they named (`--arch`), and not simply those of the GPU that was there?
        torch: release that was put there ("2.14.1"); "": none yet. torch_cuda: its CUDA build, None for the CPU.
    """

    profile: str = ""
    archs: tuple[str, ...] = ()
    asked: bool = False
    torch: str = ""
    torch_cuda: str | None = None


def remembered(made: Made | None, target: Facts | None) -> Made:
    """What is remembered; of an environment that is older than this memory, what its wheels' versions say."""
    if made is not None and made.archs:
        return made
    archs = installed_archs(target) if target else ()
    return msgspec.structs.replace(made or Made(), archs=archs, asked=False)


def installed_archs(target: Facts) -> tuple[str, ...]:
    """The architectures that all wheels of ours in an environment were compiled for; none where they differ."""
    found = {
        tuple(_archs(match["archs"]))
        for package in target.packages.values()
        if (match := _LOCAL.search(package.version))
    }
    return found.pop() if len(found) == 1 else ()


def _archs(text: str) -> list[str]:
    return [
        f"{one['major']}.{one['minor']}{one['variant']}" + ("+PTX" if one["ptx"] else "")
        for one in _ARCH.finditer(text)
    ]


def covers(archs: tuple[str, ...], facts: Facts) -> bool:
    """Does code for these architectures run on every GPU of the machine?"""
    return all(
        any(_runs(arch, gpu.compute_capability) for arch in archs)
        for gpu in facts.gpus
        if gpu.compute_capability
    )


def _runs(arch: str, capability: str) -> bool:
    base = arch.removesuffix("+PTX")
    if base.endswith(("a", "f")):
        return base[:-1] == capability
    return cubin_runs_on(base, capability) or (
        arch.endswith("+PTX") and ptx_runs_on(base, capability)
    )


def put_here(made: Made | None, target: Facts, listed: list[str], builds: list[str]) -> bool:
    """Was the torch of an environment put there by mambaops, as far as that can be known?

    Args:
        listed: releases that the profile may install. builds: its CUDA builds, none: any.
    """
    if target.torch is None:
        return True
    version = target.torch.version.split("+")[0]
    cuda = minor_of(target.torch.cuda) if target.torch.cuda else None
    if made is not None and made.torch:
        return (version, cuda) == (made.torch, made.torch_cuda)
    return version in listed and (cuda is None or not builds or cuda in builds)


def after(step: str, made: Made | None, wanted: Made, arch_flag: str) -> Made | None:
    """What is remembered when a step has acted; None: nothing new.

    Args:
        wanted: what the step acted for. arch_flag: `--arch` of the command.
    """
    named = bool(arch_flag) or (made is not None and made.asked and made.archs == wanted.archs)
    before = made or Made(profile=wanted.profile, archs=wanted.archs, asked=named)
    if step == "create-venv":
        return Made(profile=wanted.profile, archs=wanted.archs, asked=named)
    if step == "install-torch":
        archs = before.archs or wanted.archs
        return msgspec.structs.replace(
            before,
            archs=archs,
            asked=before.asked or (bool(arch_flag) and archs == wanted.archs),
            torch=wanted.torch,
            torch_cuda=wanted.torch_cuda,
        )
    if step in ("install-kernels", "install-wheels") and wanted.archs:
        return msgspec.structs.replace(before, archs=wanted.archs, asked=named)
    return None

"""What will be made here: Python, torch, CUDA and architectures, each with its reason. Pure.

The profile allows, the person may narrow, the machine decides among what is left.
"""

from __future__ import annotations

import msgspec
from packaging.version import Version

from mambaops.core.errors import UsageError
from mambaops.decide.situation import Flags
from mambaops.decide.torch import kept_torch, new_torch
from mambaops.facts.model import Facts
from mambaops.knowledge.tables import minor_of
from mambaops.patching.archs import parse_archs
from mambaops.profiles.model import Profile

CORES_TO_SPLIT = 4
MOST_PARTS = 18  # instantiations in the largest file


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions. `torch_cuda` is None and `archs` is empty for an environment without kernels."""

    profile: str
    python: str
    torch: str
    torch_cuda: str | None
    cxx11_abi: bool | None
    archs: tuple[str, ...]
    toolkit: str
    machine: str
    split: int = 0  # into how many files a very large one is divided, so that all cores have work
    reasons: dict[str, str] = {}

    @property
    def kernels(self) -> bool:
        return bool(self.archs)

    @property
    def torch_version(self) -> str:
        """As torch prints it: `2.14.1+cu130`, `2.13.0+cpu`."""
        local = "cpu" if self.torch_cuda is None else "cu" + self.torch_cuda.replace(".", "")
        return f"{self.torch}+{local}"


def decide(profile: Profile, facts: Facts, flags: Flags, target: Facts | None = None) -> Choice:
    """What to make of this machine.

    Args:
        facts: the machine. target: the environment as it is, whose torch stays where the profile allows it.

    Raises:
        UsageError: a flag that cannot be understood.
        MachineError: no torch of the profile fits this machine.
    """
    reasons: dict[str, str] = {}
    python = _python(profile, facts, flags, reasons)
    archs = _archs(profile, facts, flags, reasons)
    if not archs and not _torch_only(profile, facts):
        return _cpu(profile, facts, flags, python, reasons)
    torch, torch_cuda, row = kept_torch(profile, facts, flags, target, reasons) or new_torch(
        profile, facts, flags, reasons
    )
    return Choice(
        profile=profile.name,
        python=python,
        torch=torch,
        torch_cuda=torch_cuda,
        cxx11_abi=row.cxx11_abi.get(torch_cuda) if row else None,
        archs=archs,
        toolkit=profile.toolkit.version or torch_cuda,
        machine=facts.host.machine,
        split=_split(profile, facts, flags, reasons) if archs else 0,
        reasons=reasons,
    )


def _split(profile: Profile, facts: Facts, flags: Flags, reasons: dict[str, str]) -> int:
    """With few cores the other package keeps them busy; every part pays for torch's headers again."""
    ninja = profile.build.ninja if flags.ninja is None else flags.ninja
    if facts.host.cores < CORES_TO_SPLIT or not ninja:
        return 0
    parts = min(facts.host.cores, MOST_PARTS)
    reasons["split"] = f"{facts.host.cores} cores: the largest file is compiled in {parts} parts"
    return parts


def _torch_only(profile: Profile, facts: Facts) -> bool:
    """A profile without packages on a machine with a GPU: CUDA torch and no kernels."""
    return not profile.packages and (profile.expect.gpu or bool(facts.gpus))


def _cpu(
    profile: Profile, facts: Facts, flags: Flags, python: str, reasons: dict[str, str]
) -> Choice:
    reasons["torch"] = "no GPU here and no `--arch`: a CPU build"
    return Choice(
        profile=profile.name,
        python=python,
        torch=flags.torch or profile.torch.cpu,
        torch_cuda=None,
        cxx11_abi=True,
        archs=(),
        toolkit="",
        machine=facts.host.machine,
        reasons=reasons,
    )


def _python(profile: Profile, facts: Facts, flags: Flags, reasons: dict[str, str]) -> str:
    if flags.python:
        reasons["python"] = "asked for with --python"
        return flags.python
    here = minor_of(facts.python.version)
    if here in profile.target.python:
        reasons["python"] = f"{here} is here and in the profile's list"
        return here
    reasons["python"] = f"first of the profile's list; {here}, which runs mambaops, is not in it"
    return profile.target.python[0]


def _archs(
    profile: Profile, facts: Facts, flags: Flags, reasons: dict[str, str]
) -> tuple[str, ...]:
    if not profile.packages:
        return ()
    if flags.arch:
        reasons["arch"] = "asked for with --arch"
        return parse_archs(flags.arch)
    if profile.build.arch != "gpu":
        reasons["arch"] = "the profile's"
        return parse_archs(profile.build.arch)
    found = sorted({gpu.compute_capability for gpu in facts.gpus if gpu.compute_capability})
    if found:
        reasons["arch"] = "compute capability of " + ", ".join(
            sorted({gpu.name for gpu in facts.gpus})
        )
        return tuple(found)
    driver = facts.driver
    why = (
        f" (driver {driver.state}: {driver.error or 'no answer'})"
        if driver.state not in ("ok", "absent")
        else ""
    )
    reasons["arch"] = f"no GPU is visible{why} and no --arch was given: no kernels are compiled"
    return ()


def check_flags(flags: Flags, facts: Facts) -> None:
    """Refuse flags that cannot be understood before anything is looked at.

    Raises:
        UsageError: an architecture list or version that is none.
    """
    if flags.arch:
        parse_archs(flags.arch)
    for name, text in (("--torch", flags.torch), ("--python", flags.python)):
        if text:
            try:
                Version(text)
            except ValueError as error:
                raise UsageError(f"{name} `{text}` is not a version") from error

"""What will be made here: Python, torch, CUDA and architectures, each with its reason. Pure.

The profile allows, the person may narrow, the machine decides among what is left.
"""

from __future__ import annotations

import msgspec
from packaging.version import Version

from mambaops.core.errors import UsageError
from mambaops.decide.architectures import code_for, wanted_archs
from mambaops.decide.memory import Made, remembered
from mambaops.decide.situation import Flags
from mambaops.decide.torch import kept_torch, new_torch
from mambaops.facts.model import Facts
from mambaops.facts.newer import newer_than_known
from mambaops.knowledge.cuda import toolkit_for
from mambaops.knowledge.tables import minor_of
from mambaops.patching.archs import parse_archs
from mambaops.profiles.model import Profile

CORES_TO_SPLIT = 4
MOST_PARTS = 18  # instantiations in the largest file


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions. `torch_cuda` is None and `archs` is empty for an environment without kernels.

    Attributes:
        instead: code that stands in for a GPU's own architecture -> that one ("10.0" -> "10.3").
    """

    profile: str
    python: str
    torch: str
    torch_cuda: str | None
    cxx11_abi: bool | None
    archs: tuple[str, ...]
    instead: dict[str, str] = {}
    toolkit: str
    machine: str
    named: bool = False  # a person named the architectures, now or when the environment was made
    notes: tuple[str, ...] = ()  # said aloud: a wish that is remembered, or another than before
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


def decide(
    profile: Profile,
    facts: Facts,
    flags: Flags,
    target: Facts | None = None,
    made: Made | None = None,
) -> Choice:
    """What to make of this machine.

    Args:
        facts: the machine. target: the environment as it is, whose torch stays where the profile allows it.
        made: what the environment was made for; that counts where the flags say nothing.

    Raises:
        UsageError: a flag that cannot be understood.
        MachineError: no torch of the profile fits this machine.
    """
    reasons: dict[str, str] = {}
    python = _python(profile, facts, flags, reasons)
    notes: list[str] = []
    before = remembered(made, target)
    seen = msgspec.structs.replace(facts, torch=target.torch if target else None)
    notes += filter(None, [newer_than_known(seen)])
    archs = wanted_archs(profile, facts, flags, before, reasons, notes)
    cuda_there = target is not None and target.torch is not None and target.torch.cuda is not None
    if not archs and not _torch_only(profile, facts) and not (cuda_there and flags.torch):
        return _without_kernels(profile, facts, flags, python, target, reasons, notes)
    lost = made.torch if made and made.torch_cuda and not (target and target.torch) else ""
    torch, torch_cuda, row = kept_torch(profile, facts, flags, target, made, reasons) or new_torch(
        profile, facts, flags, python, reasons, lost, archs
    )
    toolkit = profile.toolkit.version or _toolkit(torch_cuda, archs)
    archs, instead = code_for(archs, facts, toolkit, notes)
    return Choice(
        profile=profile.name,
        python=python,
        torch=torch,
        torch_cuda=torch_cuda,
        cxx11_abi=row.cxx11_abi.get(torch_cuda) if row else None,
        archs=archs,
        instead=instead,
        toolkit=toolkit,
        machine=facts.host.machine,
        named=bool(flags.arch) or before.asked,
        notes=tuple(notes),
        split=_split(profile, facts, flags, reasons) if archs else 0,
        reasons=reasons,
    )


def _toolkit(build: str, archs: tuple[str, ...]) -> str:
    """Of torch's own CUDA release, or the next one that compiles for what is wanted."""
    return toolkit_for(build, [arch.removesuffix("+PTX") for arch in archs]) or build


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


def _without_kernels(
    profile: Profile,
    facts: Facts,
    flags: Flags,
    python: str,
    target: Facts | None,
    reasons: dict[str, str],
    notes: list[str],
) -> Choice:
    """A CPU build, or the torch that is there: every build runs on the CPU too, and nobody asked to replace it."""
    there = target.torch if target is not None and not flags.torch else None
    reasons["torch"] = "no GPU here and no `--arch`: " + (
        "the one that is installed stays" if there else "a CPU build"
    )
    return Choice(
        profile=profile.name,
        python=python,
        torch=(there.version if there else flags.torch or profile.torch.cpu).split("+")[0],
        torch_cuda=minor_of(there.cuda) if there and there.cuda else None,
        cxx11_abi=True,
        archs=(),
        toolkit="",
        machine=facts.host.machine,
        notes=tuple(notes),
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

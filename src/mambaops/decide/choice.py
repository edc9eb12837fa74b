"""What will be made here: Python, torch, CUDA and architectures, each with its reason. Pure.

The profile allows, the person may narrow, the machine decides among what is left.
"""

from __future__ import annotations

import msgspec
from packaging.version import Version

from mambaops.core.errors import MachineError, UsageError
from mambaops.decide.situation import Flags
from mambaops.facts.model import Facts
from mambaops.knowledge import cuda as cuda_tables
from mambaops.knowledge.tables import minor_of
from mambaops.knowledge.torch_builds import TorchRow, torch_row
from mambaops.patching.archs import parse_archs
from mambaops.patching.options import SetupOptions
from mambaops.profiles.model import PackageSpec, Profile
from mambaops.wheels.keys import BuildKey

# the CUDA build that is taken where there is no driver to ask: its nvcc comes as wheels
CROSS_CUDA = "13.0"
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
    torch, torch_cuda, row = _kept_torch(profile, facts, flags, target, reasons) or _torch(
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
    return not any(profile.packages.items()) and (profile.expect.gpu or bool(facts.gpus))


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
    if not any(profile.packages.items()):
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


def _kept_torch(
    profile: Profile,
    facts: Facts,
    flags: Flags,
    target: Facts | None,
    reasons: dict[str, str],
) -> tuple[str, str, TorchRow | None] | None:
    """The torch that the environment has, where the profile allows it and it runs here."""
    if flags.torch or target is None or target.torch is None or target.torch.cuda is None:
        return None
    version, build = target.torch.version.split("+")[0], minor_of(target.torch.cuda)
    nightly = profile.torch.channel == "nightly" and ".dev" in version
    allowed = version in profile.torch.versions or nightly
    if not allowed or (profile.torch.cuda and build not in profile.torch.cuda):
        return None
    row = torch_row(version)
    if _refusal(build, facts, flags, row) is not None:
        return None
    reasons["torch"] = "it is installed, the profile allows it and it runs here: it stays"
    return version, build, row


def _torch(
    profile: Profile, facts: Facts, flags: Flags, reasons: dict[str, str]
) -> tuple[str, str, TorchRow | None]:
    refused: list[str] = []
    for version in [flags.torch] if flags.torch else profile.torch.versions:
        row = torch_row(version)
        for build in _builds(profile, facts, row):
            reason = _refusal(build, facts, flags, row)
            if reason is None:
                reasons["torch"] = _why_torch(version, build, facts, flags)
                return version, build, row
            refused.append(f"{version}+cu{build.replace('.', '')}: {reason}")
    raise MachineError(
        f"no torch of profile `{profile.name}` fits this machine:\n  " + "\n  ".join(refused),
        hint="a newer driver, another release (`--torch`), or another profile",
    )


def _builds(profile: Profile, facts: Facts, row: TorchRow | None) -> list[str]:
    """CUDA builds of a torch release, best first."""
    if profile.torch.cuda:
        return list(profile.torch.cuda)
    if row is None:
        return [CROSS_CUDA]
    return sorted(row.cuda, key=lambda build: _preference(build, facts.driver.cuda), reverse=True)


def _preference(build: str, driver_cuda: str | None) -> tuple[bool, Version]:
    """Builds that the driver knows fully come first: the PTX of a newer one does not run on it."""
    if driver_cuda is None:
        return build == CROSS_CUDA, Version(build)
    return Version(build) <= Version(driver_cuda), Version(build)


def _refusal(build: str, facts: Facts, flags: Flags, row: TorchRow | None) -> str | None:
    if row is not None and build not in row.cuda:
        return f"torch {row.minor} has no build for CUDA {build}"
    driver = facts.driver.cuda
    if driver and not flags.cross and not cuda_tables.driver_runs(driver, build):
        return f"the driver runs CUDA {driver} at most"
    if row is None or flags.cross:
        return None
    for gpu in facts.gpus:
        if gpu.compute_capability and not _covers(row, build, gpu.compute_capability):
            return f"holds no code for {gpu.name} ({gpu.compute_capability})"
    return None


def _covers(row: TorchRow, build: str, capability: str) -> bool:
    listed = row.archs.get(build) or []
    if not listed:
        return True  # not known: torch's own check will say
    return any(
        cuda_tables.ptx_runs_on(arch.removesuffix("+PTX"), capability)
        if arch.endswith("+PTX")
        else cuda_tables.cubin_runs_on(arch, capability)
        for arch in listed
    )


def _why_torch(version: str, build: str, facts: Facts, flags: Flags) -> str:
    if flags.torch:
        first = "asked for with --torch"
    else:
        first = "the newest of the profile's that fits"
    driver = facts.driver.cuda
    second = f"the driver runs CUDA {driver}" if driver else "there is no driver to ask"
    return f"{first}; CUDA {build} because {second}"


def setup_options(profile: Profile, choice: Choice, flags: Flags) -> SetupOptions:
    """How both setup.py files are to be patched for this choice."""
    row = torch_row(choice.torch)
    return SetupOptions(
        archs=choice.archs,
        ninja=profile.build.ninja if flags.ninja is None else flags.ninja,
        force_build=True,
        cxx_standard=row.cxx_standard if row else None,
        nvcc_threads=profile.build.nvcc_threads,
        split=choice.split,
    )


def build_key(
    package: str, spec: PackageSpec, profile: Profile, choice: Choice, flags: Flags
) -> BuildKey:
    """What identifies the wheel of one package for this choice."""
    options = setup_options(profile, choice, flags)
    return BuildKey.of(
        package=package,
        version=spec.version,
        torch=choice.torch_version,
        cuda=choice.torch_cuda,
        cxx11_abi=choice.cxx11_abi,
        python="cp" + choice.python.replace(".", ""),
        platform=f"linux_{choice.machine}",
        architectures=list(choice.archs),
        patches=list(options.changes()),
        source=flags.source_ids.get(package, "") or spec.sha256 or spec.tag,
        flags=["portable"] if profile.build.portable else [],
    )


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

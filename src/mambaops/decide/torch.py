"""Which torch: the one that stays, or the newest of the profile's that the driver and the GPU take. Pure."""

from __future__ import annotations

from packaging.version import Version

from mambaops.core.errors import MachineError
from mambaops.decide.memory import Made
from mambaops.decide.situation import Flags
from mambaops.facts.model import Facts
from mambaops.knowledge import cuda as cuda_tables
from mambaops.knowledge.tables import minor_of
from mambaops.knowledge.torch_builds import TorchRow, torch_row
from mambaops.profiles.model import Profile

# the CUDA build that is taken where there is no driver to ask: its nvcc comes as wheels
CROSS_CUDA = "13.0"


def kept_torch(
    profile: Profile,
    facts: Facts,
    flags: Flags,
    target: Facts | None,
    made: Made | None,
    reasons: dict[str, str],
) -> tuple[str, str, TorchRow | None] | None:
    """The torch that the environment has, where it was asked for or the profile allows it, and it runs here."""
    if target is None or target.torch is None or target.torch.cuda is None:
        return None
    version, build = target.torch.version.split("+")[0], minor_of(target.torch.cuda)
    why = _why_kept(profile, flags, made, version, build)
    row = torch_row(version)
    if ".dev" in version and row is not None and build not in row.cuda:
        row = None  # the table tells of releases: their nightlies had other builds
    if not why or _refusal(build, facts, flags, row) is not None:
        return None
    reasons["torch"] = f"it is installed, {why} and it runs here: it stays"
    return version, build, row


def _why_kept(profile: Profile, flags: Flags, made: Made | None, version: str, build: str) -> str:
    """What speaks for the installed torch; "" where nothing does."""
    if flags.torch:
        return "asked for with --torch" if flags.torch == version else ""
    if made is not None and (version, build) == (made.torch, made.torch_cuda):
        return "this environment was made with it"
    nightly = profile.torch.channel == "nightly" and ".dev" in version
    listed = version in profile.torch.versions or nightly
    allowed = listed and (not profile.torch.cuda or build in profile.torch.cuda)
    return "the profile allows it" if allowed else ""


def new_torch(
    profile: Profile,
    facts: Facts,
    flags: Flags,
    reasons: dict[str, str],
    again: str = "",
    archs: tuple[str, ...] = (),
) -> tuple[str, str, TorchRow | None]:
    """(release, its CUDA build, its row of the table); the reason goes into `reasons`.

    Args:
        again: release that the environment had and lost; it comes before the profile's.

    Raises:
        MachineError: none fits this machine; why each one does not.
    """
    refused: list[str] = []
    listed = [*([again] if again else []), *profile.torch.versions]
    for version in [flags.torch] if flags.torch else dict.fromkeys(listed):
        row = torch_row(version)
        for build in _builds(profile, facts, row):
            reason = _refusal(build, facts, flags, row) or _no_nvcc(profile, build, archs)
            if reason is None:
                reasons["torch"] = _why_torch(version, build, facts, flags, again, refused)
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


def _no_nvcc(profile: Profile, build: str, archs: tuple[str, ...]) -> str | None:
    """Why no toolkit that this torch takes compiles for what is wanted; None where one does."""
    listed = [arch.removesuffix("+PTX") for arch in archs]
    # a GPU that is newer than the table: nvcc itself will judge
    bases = [one for one in listed if one.rstrip("af") in cuda_tables.targets()]
    if profile.toolkit.version or cuda_tables.toolkit_for(build, bases):
        return None
    alone = [one for one in bases if not cuda_tables.toolkit_for(build, [one])]
    major = build.split(".")[0]
    if alone:
        return f"no nvcc of CUDA {major} from {build} on compiles for {', '.join(alone)}"
    return f"no nvcc of CUDA {major} from {build} on compiles for all of {', '.join(bases)}"


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


def _why_torch(
    version: str, build: str, facts: Facts, flags: Flags, again: str, refused: list[str]
) -> str:
    if flags.torch:
        first = "asked for with --torch"
    elif version == again:
        first = "this environment was made with it"
    else:
        first = "the newest of the profile's that fits"
    driver = facts.driver.cuda
    lacking = [one.partition(": ")[2] for one in refused if "no nvcc of CUDA" in one]
    second = f"the driver runs CUDA {driver}" if driver else "there is no driver to ask"
    return f"{first}; CUDA {build} because {lacking[0] if lacking else second}"

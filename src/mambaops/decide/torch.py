"""Which torch: the one that stays, or the newest of the profile's that the driver and the GPU take. Pure."""

from __future__ import annotations

from packaging.version import Version

from mambaops.core.errors import MachineError, UsageError
from mambaops.decide.memory import Made
from mambaops.decide.situation import Flags
from mambaops.decide.strategies import prebuilt_comes_first
from mambaops.facts.model import Facts
from mambaops.knowledge import cuda as cuda_tables
from mambaops.knowledge.checked import known_until
from mambaops.knowledge.releases import release
from mambaops.knowledge.tables import minor_of, version_key
from mambaops.knowledge.torch_builds import TorchRow, release_code, torch_row
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
    if not why:
        return None
    refusal = _refusal(build, facts, flags, row, holds=target.torch.arch_list)
    if refusal is not None:
        reasons["torch there"] = f"it does not run here: {refusal}"
        return None
    reasons["torch"] = f"it is installed, {why} and it runs here: it stays"
    return version, build, row


def _why_kept(profile: Profile, flags: Flags, made: Made | None, version: str, build: str) -> str:
    """What speaks for the installed torch; "" where nothing does."""
    if flags.torch:
        return "asked for with --torch" if is_asked(flags, version, build) else ""
    if made is not None and (version, build) == (made.torch, made.torch_cuda):
        return "this environment was made with it"
    nightly = profile.torch.channel == "nightly" and ".dev" in version
    if profile.torch.cuda and build not in profile.torch.cuda:
        return ""
    if version in profile.torch.versions or nightly:
        return "the profile allows it"
    stays = profile.torch.keep == "any" and not flags.replace_torch
    return "the packages take it" if stays and _is_enough(profile, version) else ""


def _is_enough(profile: Profile, version: str) -> bool:
    """Is it new enough for every package, as far as that is known?"""
    rows = (release(name, spec.version) for name, spec in profile.packages.items())
    key = version_key(minor_of(version))
    return all(row is None or key >= version_key(row.torch_min) for row in rows)


def asked_torch(flags: Flags) -> tuple[str, str]:
    """(release, CUDA build) of `--torch 2.17.0+cu132`; the build is "" where only the release is named."""
    version, _, local = flags.torch.partition("+")
    digits = local.removeprefix("cu")
    return version, f"{digits[:-1]}.{digits[-1]}" if digits else ""


def is_asked(flags: Flags, version: str, build: str) -> bool:
    """Is this the torch that `--torch` names?"""
    wanted, wanted_build = asked_torch(flags)
    return version == wanted and wanted_build in ("", build)


def new_torch(
    profile: Profile,
    facts: Facts,
    flags: Flags,
    python: str,
    reasons: dict[str, str],
    again: str,
    archs: tuple[str, ...],
) -> tuple[str, str, TorchRow | None]:
    """(release, its CUDA build, its row of the table); the reason goes into `reasons`.

    Args:
        python: of the environment, "3.14". again: release that the environment had and lost, "" none; it comes
            before the profile's.

    Raises:
        MachineError: none fits this machine; why each one does not.
    """
    refused: list[str] = []
    fitting: list[tuple[str, str, TorchRow | None]] = []
    listed = [*([again] if again else []), *profile.torch.versions]
    wanted, named_build = asked_torch(flags)
    by_wheels = not wanted and not again and prebuilt_comes_first(profile, flags, archs)
    for version in [wanted] if wanted else dict.fromkeys(listed):
        row = torch_row(version)
        if reason := _no_wheel(row, python):
            refused.append(f"{version}: {reason}")
            continue
        for build in [named_build] if named_build else _builds(profile, version, facts, row):
            reason = _refusal(build, facts, flags, row) or _no_nvcc(profile, build, archs)
            if reason is not None:
                refused.append(f"{version}+cu{build.replace('.', '')}: {reason}")
                continue
            if by_wheels and not _has_wheels(profile, facts, python, version, build):
                fitting.append((version, build, row))
                continue
            reasons["torch"] = _why_torch(version, build, facts, flags, again, refused)
            if fitting:
                newer = f"{fitting[0][0]}+cu{fitting[0][1].replace('.', '')}"
                reasons["torch"] += (
                    f"; prebuilt wheels come first, and for {newer} nobody promises any"
                )
            return version, build, row
    if fitting:
        version, build, row = fitting[0]
        why = _why_torch(version, build, facts, flags, again, refused)
        reasons["torch"] = f"{why}; nobody promises prebuilt wheels for any torch of the profile"
        return fitting[0]
    raise MachineError(
        f"no torch of profile `{profile.name}` fits this machine:\n  " + "\n  ".join(refused),
        hint="a newer driver, another release (`--torch`), or another profile",
    )


def _has_wheels(profile: Profile, facts: Facts, python: str, version: str, build: str) -> bool:
    # here, since the names of all wheels are much to load, and few plans ask
    from mambaops.decide.ready_made import has_wheels

    return has_wheels(profile, facts, python, version, build)


def _no_wheel(row: TorchRow | None, python: str) -> str | None:
    if row is None or python in row.python:
        return None
    return f"it has no wheel for Python {python} (it has for {', '.join(row.python)})"


def _builds(profile: Profile, version: str, facts: Facts, row: TorchRow | None) -> list[str]:
    """CUDA builds of a torch release, best first.

    Raises:
        UsageError: nobody can know which there are.
    """
    if profile.torch.cuda:
        return list(profile.torch.cuda)
    if row is None:
        raise UsageError(
            f"torch {version} is not among the releases that this version knows ({known_until()}): for which CUDA it "
            "was built cannot be said",
            hint=f"name the build too, e.g. `--torch {version}+cu132`; one that is installed already is used as it is",
        )
    return sorted(row.cuda, key=lambda build: _preference(build, facts.driver.cuda), reverse=True)


def _preference(build: str, driver_cuda: str | None) -> tuple[bool, Version]:
    """Builds that the driver knows fully come first: the PTX of a newer one does not run on it."""
    if driver_cuda is None:
        return build == CROSS_CUDA, Version(build)
    return Version(build) <= Version(driver_cuda), Version(build)


def _refusal(
    build: str, facts: Facts, flags: Flags, row: TorchRow | None, holds: list[str] | None = None
) -> str | None:
    """Why a build does not run here. `holds`: what an installed one was compiled for, as torch lists it."""
    if holds is None and row is not None and build not in row.cuda:
        return f"torch {row.minor} has no build for CUDA {build}"
    driver = facts.driver.cuda
    if driver and not flags.cross and not cuda_tables.driver_runs(driver, build):
        return f"the driver runs CUDA {driver} at most{_wanted_driver(build)}"
    if flags.cross:
        return None
    code = holds or (release_code(row.minor, build, facts.host.machine) if row else [])
    for gpu in facts.gpus if code else []:  # not known: torch's own check will say
        if gpu.compute_capability and not cuda_tables.code_runs_on(code, gpu.compute_capability):
            return f"holds no code for {gpu.name} ({gpu.compute_capability})"
    return None


def _wanted_driver(build: str) -> str:
    floor = cuda_tables.minor_compat_floor(build)
    return f"; {floor} or newer is wanted" if floor else ""


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


def _why_torch(
    version: str, build: str, facts: Facts, flags: Flags, again: str, refused: list[str]
) -> str:
    if flags.torch:
        first = "asked for with --torch"
    elif version == again:
        first = "this environment was made with it"
    else:
        first = "the newest of the profile's that fits"
    driver, known = facts.driver.cuda, facts.driver.version
    lacking = [one.partition(": ")[2] for one in refused if "no nvcc of CUDA" in one]
    unasked = f"driver {known} does not tell its CUDA" if known else "there is no driver to ask"
    second = f"the driver runs CUDA {driver}" if driver else unasked
    return f"{first}; CUDA {build} because {lacking[0] if lacking else second}"


def companions(profile: Profile, torch: str, torch_cuda: str | None) -> list[str]:
    """What is installed beside that release of torch; nothing beside a build for the CPU.

    Exact pins are those of the first release in the profile's list; of another one pip finds what belongs to it.
    """
    if torch_cuda is None:
        return []
    if torch in profile.torch.versions[:1]:
        return list(profile.torch.companions)
    return [one.partition("==")[0] for one in profile.torch.companions]

"""For which architectures kernels are made: what is wished for, and what a compiler makes of that. Pure."""

from __future__ import annotations

from mambaops.core.errors import MachineError
from mambaops.decide.memory import Made, covers
from mambaops.decide.situation import Flags
from mambaops.facts.model import Facts, Gpu
from mambaops.facts.newer import unknown_capability
from mambaops.knowledge.checked import known_until
from mambaops.knowledge.cuda import miscompiled, nearest_target
from mambaops.patching.archs import parse_archs
from mambaops.profiles.model import Profile


def wanted_archs(
    profile: Profile,
    facts: Facts,
    flags: Flags,
    before: Made,
    reasons: dict[str, str],
    notes: list[str],
) -> tuple[str, ...]:
    """Architectures in words of `--arch`; the reason goes into `reasons`, what differs from before into `notes`.

    Raises:
        MachineError: there is a GPU, and nobody can tell what it is.
    """
    if not profile.packages:
        return ()
    found, reasons["arch"] = _wish(profile, facts, flags, before, notes)
    was = ";".join(before.archs)
    if before.archs and not flags.arch and found == before.archs:
        reasons["arch"] = f"what this environment was made for ({reasons['arch']})"
        notes.append(
            f"kernels for {was}: that is what this environment was made for; others: `--arch`"
        )
    elif before.archs and set(found) != set(before.archs):
        now = ";".join(found)
        notes.append(f"this environment was made for {was}; now for {now}: {reasons['arch']}")
    return found


def _wish(
    profile: Profile, facts: Facts, flags: Flags, before: Made, notes: list[str]
) -> tuple[tuple[str, ...], str]:
    """Architectures and why these: named now, named before, the profile's, the GPU's, those of the environment."""
    if flags.arch:
        return parse_archs(flags.arch), "asked for with --arch"
    if before.asked:
        return before.archs, "asked for with --arch then"
    if profile.build.arch != "gpu":
        return parse_archs(profile.build.arch), "the profile's"
    here = sorted({gpu.compute_capability for gpu in facts.gpus if gpu.compute_capability})
    names = ", ".join(sorted({gpu.name for gpu in facts.gpus}))
    if before.archs and covers(before.archs, facts):
        return before.archs, f"it runs on {names}" if names else "no GPU is visible now"
    unread = [gpu for gpu in facts.gpus if not gpu.compute_capability]
    if here:
        notes += [_unread(gpu) for gpu in unread]
        return tuple(here), f"compute capability of {names}"
    if unread:
        raise MachineError(_unread(unread[0]), hint=HOW_TO_NAME_IT)
    return (), f"no GPU is visible{_driver(facts)} and no --arch was given: no kernels are compiled"


HOW_TO_NAME_IT = (
    "name it, e.g. `--arch 9.0`; `nvidia-smi --query-gpu=name,compute_cap --format=csv` tells it with a driver of "
    "R510 or newer, and https://developer.nvidia.com/cuda-gpus lists them"
)


def _unread(gpu: Gpu) -> str:
    return (
        f"GPU {gpu.index} is a {gpu.name}, whose compute capability the driver does not tell, and the name is not "
        f"among those that this version knows ({known_until()})"
    )


def _driver(facts: Facts) -> str:
    driver = facts.driver
    if driver.state in ("ok", "absent"):
        return ""
    return f" (driver {driver.state}: {driver.error or 'no answer'})"


def code_for(
    archs: tuple[str, ...], facts: Facts, toolkit: str, notes: list[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """What a toolkit is to compile: the architectures, and for which GPU's own each of the others stands in.

    Other code is made where a GPU's own would give wrong numbers, and for GPUs that came after the toolkit.
    """
    here = [gpu.compute_capability for gpu in facts.gpus if gpu.compute_capability]
    known = dict.fromkeys([*archs, *here])
    found = {arch: other for arch in known if (other := _instead(arch, toolkit))}
    instead = {arch: code for arch, (code, _) in found.items()}
    notes += [why for arch, (_, why) in found.items() if arch in archs]
    made = dict.fromkeys(instead.get(arch, arch) for arch in archs)
    return tuple(made), {code: arch for arch, code in instead.items()}


def _instead(arch: str, toolkit: str) -> tuple[str, str] | None:
    """(other code for one architecture, why); None where its own is made."""
    if wrong := miscompiled(toolkit, arch):
        return wrong.instead, (
            f"machine code for {wrong.instead} is made in the place of {arch}, and runs there: what CUDA {toolkit} "
            f"makes for {arch} gives wrong numbers ({wrong.source.split()[0]})"
        )
    plain = arch.replace(".", "").isdigit()
    if not plain or not unknown_capability(arch):
        return None
    code = nearest_target(toolkit, arch)
    if code is None:
        return None  # the toolkit is newer than the table too, and will judge
    told = f"CUDA {toolkit} came before GPUs of {arch}: {code} is compiled, which runs there"
    return code, told + " once the driver has translated it" * code.endswith("+PTX")

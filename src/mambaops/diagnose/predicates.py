"""The conditions that rules name: what the log showed besides the failure, and what the machine is.

Each takes the evidence and answers yes or no; "not known" is no. A new condition is a function here, never an
expression in the YAML.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from mambaops.facts.model import Facts, Libstdcxx, Torch

_NVIDIAS = re.compile(r"lib(?:cu|nccl|nv)")  # how NVIDIA's libraries begin


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A compiled file that a line of the log names and that lies on this machine, as `nm` and `ldd` show it.

    Attributes:
        built_for: the torch releases that have all it asks torch for, e.g. ">=2.1,<2.3"; "" for not known.
        lacking: of what it asks torch for, what the torch of the facts does not have.
        cxx11_abi: the C++11 ABI that its symbols show, None for not shown.
        libraries: where the loader takes each library from, "" for one that it does not find.
    """

    name: str
    built_for: str = ""
    lacking: tuple[str, ...] = ()
    cxx11_abi: bool | None = None
    libraries: dict[str, str] = field(default_factory=dict)

    def has_another_abi(self, torch: Torch | None) -> bool:
        """Whether its C++11 ABI is known not to be that of this torch."""
        theirs = torch.cxx11_abi if torch else None
        return None not in (self.cxx11_abi, theirs) and self.cxx11_abi != theirs

    def foreign(self) -> list[tuple[str, str]]:
        """NVIDIA's libraries that are found elsewhere than in torch's packages, with the place."""
        return [
            (name, place)
            for name, place in self.libraries.items()
            if place and _NVIDIAS.match(name) and "site-packages" not in place
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What predicates look at.

    Attributes:
        facts: the machine, or None when nobody told.
        signals: ids of signals and rules that stand in the log.
        groups: what the rule's own pattern captured, e.g. `{"nvcc": "13.0", "torch": "12.8"}`.
        file: the compiled file that the rule's line names, where the log is of this machine.
    """

    facts: Facts | None = None
    signals: frozenset[str] = frozenset()
    groups: dict[str, str] = field(default_factory=dict)
    file: NamedFile | None = None


def release(text: str | None) -> tuple[int, ...]:
    """The leading numbers of a version: `12.8`, `2.6.0+cu124`; () for None."""
    numbers: list[int] = []
    for part in (text or "").split("+")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _major(text: str | None) -> int | None:
    return next(iter(release(text)), None)


def torch_in_log_is_isolated(seen: Evidence) -> bool:
    """The torch of the traceback lies in pip's or uv's isolated build environment."""
    return "isolated-torch" in seen.signals


def torch_is_not_the_users(seen: Evidence) -> bool:
    """Isolation shows in the log, or the torch in the message is of another CUDA than the machine's."""
    if torch_in_log_is_isolated(seen):
        return True
    torch = seen.facts.torch if seen.facts else None
    said = seen.groups.get("torch")
    return bool(torch and torch.cuda and said and release(said)[:2] != release(torch.cuda)[:2])


def torch_is_the_users(seen: Evidence) -> bool:
    """The torch in the message is the one that facts found."""
    torch = seen.facts.torch if seen.facts else None
    said = seen.groups.get("torch")
    same = bool(torch and said and release(said)[:2] == release(torch.cuda)[:2])
    return same and not torch_in_log_is_isolated(seen)


def toolkit_of_torchs_major_is_there(seen: Evidence) -> bool:
    """The message's torch is the user's and another toolkit on the machine has its CUDA major."""
    said = _major(seen.groups.get("torch"))
    kits = seen.facts.toolkits if seen.facts else []
    return torch_is_the_users(seen) and any(
        _major(kit.version) == said for kit in kits if kit.whole
    )


def nvcc_is_there(seen: Evidence) -> bool:
    """The log or the facts show an nvcc: what is missing is something else."""
    isolated = {"isolated-torch", "cpu-torch", "nvcc-printed"} & seen.signals
    return bool(isolated) or bool(seen.facts and seen.facts.toolkits)


def torch_is_cpu(seen: Evidence) -> bool:
    """The torch of the log or of the machine was built without CUDA."""
    torch = seen.facts.torch if seen.facts else None
    return "cpu-torch" in seen.signals or bool(torch and torch.cuda is None)


def toolkit_is_there(seen: Evidence) -> bool:
    """Facts found a whole toolkit."""
    return bool(seen.facts and any(kit.whole for kit in seen.facts.toolkits))


def newer_toolkit_is_there(seen: Evidence) -> bool:
    """Facts found a toolkit that is new enough (CUDA 11.6) beside the one that was used."""
    kits = seen.facts.toolkits if seen.facts else []
    return any(kit.whole and release(kit.version) >= (11, 6) for kit in kits)


def headers_are_apts(seen: Evidence) -> bool:
    """The header lies in /usr/include/crt: apt's nvidia-cuda-toolkit, not the nvcc that was called."""
    return "apt-cuda-headers" in seen.signals


def in_wsl(seen: Evidence) -> bool:
    """The machine is a WSL distribution."""
    return bool(seen.facts and seen.facts.host.wsl)


def in_container(seen: Evidence) -> bool:
    """The machine is a container."""
    return bool(seen.facts and seen.facts.host.container)


def at_run_time(seen: Evidence) -> bool:
    """The compile was Triton's, at the first kernel call, not a package build."""
    return "triton-stub" in seen.signals


def temporary_folder_is_small(seen: Evidence) -> bool:
    """The place for temporary files has less than 6 GB free and another place has more."""
    disks = _disks(seen)
    temporary = [free for why, free in disks if "temp" in why]
    others = [free for why, free in disks if "temp" not in why]
    return bool(temporary and others and min(temporary) < 6 << 30 and max(others) > min(temporary))


def _disks(seen: Evidence) -> list[tuple[str, int]]:
    disks = seen.facts.host.disks if seen.facts else []
    return [(disk.why, disk.free) for disk in disks if disk.free is not None]


def glibc_is_2_31_or_older(seen: Evidence) -> bool:
    """The machine's own glibc is below 2.32."""
    version = release(seen.facts.host.glibc) if seen.facts else ()
    return bool(version) and version < (2, 32)


def gpu_is_blackwell(seen: Evidence) -> bool:
    """A GPU of compute capability 10 or above is in the machine."""
    gpus = seen.facts.gpus if seen.facts else []
    return any((_major(gpu.compute_capability) or 0) >= 10 for gpu in gpus)


def gpu_is_below_volta(seen: Evidence) -> bool:
    """Every GPU is older than sm_70: no upstream wheel ever held code for it."""
    majors = [_major(gpu.compute_capability) for gpu in (seen.facts.gpus if seen.facts else [])]
    return bool(majors) and all(major is not None and major < 7 for major in majors)


def wheel_was_cached(seen: Evidence) -> bool:
    """pip took the package from its cache in this very log."""
    return "used-cached-wheel" in seen.signals


def torch_cuda_is_newer_than_driver(seen: Evidence) -> bool:
    """torch was built with a CUDA that this driver does not run."""
    facts = seen.facts
    if not (facts and facts.torch and facts.driver.cuda):
        return False
    return release(facts.torch.cuda) > release(facts.driver.cuda)


def ptxas_is_tritons(seen: Evidence) -> bool:
    """The log shows that triton called its own ptxas."""
    return "triton-ptxas" in seen.signals


def torch_is_older_than_2_1(seen: Evidence) -> bool:
    """The machine's torch is below 2.1."""
    return () < _torch(seen) < (2, 1)


def torch_is_2_3_or_newer(seen: Evidence) -> bool:
    """The machine's torch is 2.3 or above."""
    return _torch(seen) >= (2, 3)


def torch_is_2_1_or_2_2(seen: Evidence) -> bool:
    """The machine's torch is one of those whose SetDevice takes an int alone."""
    return (2, 1) <= _torch(seen)[:2] <= (2, 2)


def torch_is_2_3_to_2_7(seen: Evidence) -> bool:
    """The machine's torch is one of those whose SetDevice takes an int8."""
    return (2, 3) <= _torch(seen)[:2] <= (2, 7)


def torch_is_2_8_or_newer(seen: Evidence) -> bool:
    """The machine's torch is 2.8 or above."""
    return _torch(seen) >= (2, 8)


def torch_has_the_old_abi(seen: Evidence) -> bool:
    """The machine's torch says of itself that it was built with the old C++11 ABI."""
    return _abi(seen) is False


def torch_has_the_new_abi(seen: Evidence) -> bool:
    """Likewise with the new one."""
    return _abi(seen) is True


def _abi(seen: Evidence) -> bool | None:
    torch = seen.facts.torch if seen.facts else None
    return torch.cxx11_abi if torch else None


def nvidia_packages_of_two_cudas(seen: Evidence) -> bool:
    """One of NVIDIA's libraries is installed twice, for two CUDA majors, beside each other."""
    found = map(_NVIDIA.fullmatch, seen.facts.distributions if seen.facts else {})
    names = [match["name"] for match in found if match]
    return len(names) > len(set(names))


_NVIDIA = re.compile(r"nvidia[-_](?P<name>[a-z-_]+?)(?:[-_]cu\d+)?")


def system_libstdcxx_has_it(seen: Evidence) -> bool:
    """The system's own libstdc++ defines the version that was asked for: an older one was loaded before it."""
    return _defines(seen, seen.facts.host.libstdcxx if seen.facts else None)


def pythons_libstdcxx_has_it(seen: Evidence) -> bool:
    """The libstdc++ of the environment (conda's) defines the version that was asked for."""
    return _defines(seen, seen.facts.python.libstdcxx if seen.facts else None)


def _defines(seen: Evidence, library: Libstdcxx | None) -> bool:
    kind, _, number = seen.groups.get("need", "").partition("_")
    has = (library.glibcxx if kind == "GLIBCXX" else library.cxxabi) if library else None
    return bool(has and number and release(has) >= release(number))


def _torch(seen: Evidence) -> tuple[int, ...]:
    torch = seen.facts.torch if seen.facts else None
    return release(torch.version) if torch else ()


def library_path_is_set(seen: Evidence) -> bool:
    """LD_LIBRARY_PATH names folders on the machine."""
    return bool(seen.facts and seen.facts.env.get("LD_LIBRARY_PATH"))


def file_is_of_another_torch(seen: Evidence) -> bool:
    """The file asks torch for what the torch of this environment does not have, or has its other ABI."""
    torch = seen.facts.torch if seen.facts else None
    return bool(seen.file and torch and (seen.file.lacking or seen.file.has_another_abi(torch)))


def file_fits_this_torch(seen: Evidence) -> bool:
    """The file asks for nothing that the torch of this environment lacks, and says so."""
    torch = seen.facts.torch if seen.facts else None
    known = seen.file is not None and bool(seen.file.built_for)
    return known and torch is not None and not file_is_of_another_torch(seen)


def file_takes_nvidias_from_elsewhere(seen: Evidence) -> bool:
    """The loader takes one of NVIDIA's libraries for the file from outside of torch's packages."""
    return bool(seen.file and seen.file.foreign())


def told_by_file(seen: Evidence) -> dict[str, str]:
    """What a case of a rule may write in braces about the file."""
    file, torch = seen.file, seen.facts.torch if seen.facts else None
    if file is None:
        return {}
    name, place = next(iter(file.foreign()), ("", ""))
    abi = {None: "", True: "the new C++11 ABI", False: "the old C++11 ABI"}[file.cxx11_abi]
    wants = " and ".join(filter(None, (f"torch {file.built_for}" if file.built_for else "", abi)))
    own = torch.version if torch else ""
    return {"file": file.name, "wants": wants, "own": own, "library": name, "place": place}


PREDICATES: dict[str, Callable[[Evidence], bool]] = {
    check.__name__: check
    for check in (
        torch_in_log_is_isolated,
        torch_is_not_the_users,
        torch_is_the_users,
        toolkit_of_torchs_major_is_there,
        nvcc_is_there,
        torch_is_cpu,
        toolkit_is_there,
        newer_toolkit_is_there,
        headers_are_apts,
        in_wsl,
        in_container,
        at_run_time,
        temporary_folder_is_small,
        glibc_is_2_31_or_older,
        gpu_is_blackwell,
        gpu_is_below_volta,
        wheel_was_cached,
        torch_cuda_is_newer_than_driver,
        ptxas_is_tritons,
        torch_is_older_than_2_1,
        torch_is_2_3_or_newer,
        torch_is_2_1_or_2_2,
        torch_is_2_3_to_2_7,
        torch_is_2_8_or_newer,
        torch_has_the_old_abi,
        torch_has_the_new_abi,
        nvidia_packages_of_two_cudas,
        system_libstdcxx_has_it,
        pythons_libstdcxx_has_it,
        library_path_is_set,
        file_is_of_another_torch,
        file_fits_this_torch,
        file_takes_nvidias_from_elsewhere,
    )
}


def holds(name: str | None, seen: Evidence) -> bool:
    """Whether the named predicate holds; no name always does."""
    return name is None or PREDICATES[name](seen)

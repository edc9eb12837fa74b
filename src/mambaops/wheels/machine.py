"""The few facts that decide which wheel fits, worked out once per selection."""

from __future__ import annotations

from msgspec import Struct

from mambaops.facts.model import Facts, Gpu
from mambaops.knowledge.distributions import distribution
from mambaops.knowledge.gpus import capability_of
from mambaops.knowledge.tables import minor_of, version_key
from mambaops.knowledge.torch_builds import release_code
from mambaops.knowledge.wheel_sources import ngc_image
from mambaops.wheels.candidates import abi_of_torch

# as Windows and macOS write them -> as Linux and wheel names do
_PROCESSORS = {"AMD64": "x86_64", "amd64": "x86_64", "arm64": "aarch64", "ARM64": "aarch64"}


class Machine(Struct, frozen=True, kw_only=True):
    """What the rules look at. None: not known, so not judged (and said).

    Attributes:
        where: the system in words, "Debian 10".
        python: "3.10"; free_threaded: a build without the GIL.
        torch: whole version; torch_minor; nightly: a development build; ngc: NVIDIA's image "25.08".
        cuda: that torch was built with. triton: installed, else what torch pins.
        driver_cuda/driver: the most that the driver runs, and its version; None without a driver.
        capabilities: of all GPUs, each once. unread: names of GPUs whose capability nobody can tell.
        interpreter: path of the environment's Python.
        torch_code: what the installed torch was compiled for ("sm_90", "compute_120"); (): not known.
        partner: installed version of the other package; packages: name -> version of what is installed.
    """

    where: str
    system: str
    machine: str
    glibc: str | None
    glibcxx: str | None
    glibcxx_guessed: bool
    python: str
    free_threaded: bool
    conda: bool
    allow_conda: bool = False
    torch: str | None
    torch_minor: str | None
    nightly: bool
    ngc: str | None
    hip: str | None
    cuda: str | None
    cxx11_abi: bool | None
    triton: str | None
    driver_cuda: str | None
    driver: str | None
    capabilities: tuple[str, ...]
    interpreter: str = "python"
    unread: tuple[str, ...] = ()
    torch_code: tuple[str, ...] = ()
    packages: dict[str, str]

    @property
    def cuda_major(self) -> str | None:
        return self.cuda.split(".")[0] if self.cuda else None

    def as_json(self) -> dict[str, object]:
        """What `select-wheel --json` says of the machine."""
        return {
            "system": self.where,
            "processor": self.machine,
            "glibc": self.glibc,
            "python": self.python,
            "torch": self.torch,
            "cuda": self.cuda,
            "cxx11_abi": self.cxx11_abi,
            "driver": self.driver,
            "driver_cuda": self.driver_cuda,
            "capabilities": list(self.capabilities),
        }


def machine_of(facts: Facts) -> Machine:
    """The machine that a facts file describes."""
    host, torch = facts.host, facts.torch
    system = host.distribution
    known = distribution(system.id, system.version) if system.id and system.version else None
    # a conda environment brings its own, newer C++ library, and its Python loads that one
    library = facts.python.libstdcxx or host.libstdcxx
    glibcxx = library.glibcxx if library else None
    version = torch.version if torch else None
    return Machine(
        where=system.name or " ".join(filter(None, (system.id, system.version))) or host.system,
        system=host.system,
        machine=_PROCESSORS.get(host.machine, host.machine),
        glibc=host.glibc or (known.glibc if known else None),
        glibcxx=glibcxx or (known.glibcxx if known else None),
        glibcxx_guessed=glibcxx is None,
        python=minor_of(facts.python.version),
        free_threaded=facts.python.abi_tag.endswith("t"),
        conda=facts.python.kind == "conda",
        torch=version,
        torch_minor=minor_of(version) if version else None,
        nightly=bool(version and ".dev" in version),
        ngc=ngc_image(version) if version else None,
        hip=torch.hip if torch else None,
        cuda=torch.cuda if torch else None,
        cxx11_abi=_abi(facts),
        triton=_triton(facts),
        driver_cuda=facts.driver.cuda if facts.driver.state == "ok" else None,
        driver=facts.driver.version if facts.driver.state == "ok" else None,
        capabilities=_capabilities(facts),
        interpreter=facts.python.executable or "python",
        unread=tuple(dict.fromkeys(gpu.name for gpu in facts.gpus if not _capability(gpu))),
        torch_code=_torch_code(facts),
        packages={name: package.version for name, package in facts.packages.items()},
    )


def _abi(facts: Facts) -> bool | None:
    if facts.torch is None or facts.torch.cxx11_abi is not None:
        return facts.torch.cxx11_abi if facts.torch else None
    return abi_of_torch(facts.torch.version, facts.torch.cuda)


def _triton(facts: Facts) -> str | None:
    if "triton" in facts.packages:
        return facts.packages["triton"].version
    return facts.torch.triton_pin if facts.torch else None


def _capability(gpu: Gpu) -> str | None:
    return gpu.compute_capability or capability_of(gpu.name)


def _capabilities(facts: Facts) -> tuple[str, ...]:
    return tuple(sorted({one for one in map(_capability, facts.gpus) if one}, key=version_key))


def _torch_code(facts: Facts) -> tuple[str, ...]:
    """Its own list, else the release's; what somebody else's build or a nightly holds is not known."""
    torch = facts.torch
    if torch is None or torch.cuda is None:
        return ()
    if torch.arch_list:
        return tuple(torch.arch_list)
    return tuple(release_code(torch.version, torch.cuda, facts.host.machine))

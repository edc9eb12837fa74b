"""Facts as text for a person: what decides first, with what is missing or wrong said plainly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mambaops.facts.model import Compiler, Disk, Facts, Gpu, Host, Package, Toolkit, Torch
from mambaops.knowledge.packages import packages as known_packages

LABEL = 14


def render(facts: Facts) -> str:
    """The summary that `mambaops facts` prints; `--json` has everything."""
    sections = (
        ("System", _host(facts.host)),
        ("GPU", _gpus(facts)),
        ("CUDA compiler", _toolkits(facts.toolkits)),
        ("C++ compiler", _compilers(facts.compilers)),
        ("Python", _python(facts)),
        ("torch", _torch(facts.torch)),
        ("Packages", _packages(facts.packages)),
        ("Tools", _tools(facts)),
        ("Environments", [f"{e.path}  ({e.kind}, Python {e.python})" for e in facts.environments]),
        ("Settings", _settings(facts)),
        ("Clock", [facts.clock.skew] if facts.clock and facts.clock.skew else []),
        ("Problems", [f"{problem.fact}: {problem.error}" for problem in facts.problems]),
    )
    return "\n".join(line for title, lines in sections for line in _section(title, lines))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    label = title
    for line in lines:
        yield f"{label:<{LABEL}} {line}".rstrip()
        label = ""


def size(count: int | None) -> str:
    """Bytes for a person, e.g. 81920 MiB → "80.0 GiB"; "?" for None."""
    if count is None:
        return "?"
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _host(host: Host) -> Iterator[str]:
    name = host.distribution.name or host.system
    marks = [
        f"WSL {host.wsl}" if host.wsl else "",
        f"in {host.container}" if host.container else "",
    ]
    yield ", ".join(filter(None, [name, f"{host.kernel} {host.machine}", *marks]))
    cores = f"{host.cores} cores"
    if host.cores != host.cores_total:
        cores = f"{host.cores} of {host.cores_total} cores"
    memory = f"{size(host.memory_available)} of {size(host.memory_total)} memory free"
    if host.memory_limit:
        memory += f", limited to {size(host.memory_limit)}"
    library = host.libstdcxx.glibcxx if host.libstdcxx else None
    yield f"{cores}, {memory}, glibc {host.glibc or 'none'}, GLIBCXX {library or 'none'}"
    yield from _disks(host.disks)


def _disks(disks: list[Disk]) -> Iterator[str]:
    """Places on one disk stand in one line."""
    groups: dict[tuple[int | None, str | None, bool], list[Disk]] = {}
    for disk in disks:
        groups.setdefault((disk.total, disk.filesystem, disk.writable), []).append(disk)
    for (_, filesystem, writable), group in groups.items():
        places = ", ".join(f"{disk.path} ({disk.why})" for disk in group)
        state = "" if writable else ", NOT WRITABLE"
        yield f"{size(group[0].free)} free ({filesystem or '?'}{state}): {places}"


def _gpus(facts: Facts) -> Iterator[str]:
    driver = facts.driver
    if driver.state == "absent":
        yield "no NVIDIA driver" + (f": {driver.error}" if driver.error else "")
    else:
        told = f"driver {driver.version or '?'}, runs CUDA up to {driver.cuda or '?'}"
        yield told if driver.state == "ok" else f"driver {driver.state.upper()}: {driver.error}"
    if driver.linux_driver_in_wsl:
        yield "a Linux driver is installed inside WSL: it shadows the one that Windows shares"
    for gpu in facts.gpus:
        yield from _gpu(gpu)


def _gpu(gpu: Gpu) -> Iterator[str]:
    marks = " MIG" * gpu.mig
    memory = f"{size(gpu.memory_used)} of {size(gpu.memory_total)} used"
    yield f"{gpu.index}: {gpu.name}, compute capability {gpu.compute_capability or '?'}, {memory}{marks}"
    for process in gpu.processes:
        yield f"   used by {process.pid} {process.name} of {process.user or '?'}, {size(process.memory)}"


def _toolkits(toolkits: list[Toolkit]) -> Iterator[str]:
    for kit in toolkits:
        whole = "" if kit.whole else f", NOT WHOLE: {', '.join(kit.missing)} missing"
        gcc = f", takes gcc up to {kit.gcc_max}" if kit.gcc_max else ""
        yield f"nvcc {kit.release or kit.version or '?'} at {kit.nvcc} ({kit.source}){gcc}{whole}"
    if not toolkits:
        yield "no nvcc"


def _compilers(compilers: list[Compiler]) -> Iterator[str]:
    for compiler in compilers:
        broken = "" if compiler.works else f", DOES NOT WORK: {compiler.error}"
        yield f"{compiler.name} {compiler.version or '?'} at {compiler.path}{broken}"
    if not compilers:
        yield "no gcc, g++ or clang"


def _python(facts: Facts) -> Iterator[str]:
    python = facts.python
    yield f"{python.version} at {python.executable} ({python.kind})"
    yield f"headers in {python.headers}" if python.headers else "Python.h is MISSING"
    if python.externally_managed:
        yield "externally managed: pip installs only into an environment of its own"


def _torch(torch: Torch | None) -> Iterator[str]:
    if torch is None:
        yield "not installed"
        return
    abi = {True: "new", False: "old", None: "unknown"}[torch.cxx11_abi]
    built = f"CUDA {torch.cuda}" if torch.cuda else f"ROCm {torch.hip}" if torch.hip else "CPU only"
    yield f"{torch.version}, {built}, C++11 ABI {abi}, in {torch.path}"
    if torch.arch_list:
        yield f"holds {' '.join(torch.arch_list)}"


def _packages(packages: dict[str, Package]) -> Iterator[str]:
    ours = [packages[name] for name in known_packages() if name in packages]
    for package in ours:
        kernels = "" if package.extensions else ", no compiled extension"
        shadow = f", SHADOWED by {package.shadowed_by}" if package.shadowed_by else ""
        yield f"{package.name} {package.version}{kernels}{shadow}"
    if not ours:
        yield "no CUDA package"
    others = [f"{p.name} {p.version}" for p in packages.values() if p not in ours]
    if others:
        yield ", ".join(others)


def _tools(facts: Facts) -> Iterator[str]:
    if facts.tools:
        yield ", ".join(f"{name} {tool.version or '?'}" for name, tool in facts.tools.items())


def _settings(facts: Facts) -> Iterator[str]:
    for tool, values in facts.config.items():
        for key, value in values.items():
            yield f"{tool} {key} = {value}"
    for name in ("CUDA_HOME", "LD_LIBRARY_PATH", "TORCH_CUDA_ARCH_LIST", "MAMBAOPS_DRIVER_CUDA"):
        if name in facts.env:
            yield f"{name}={facts.env[name]}"

"""Will a wheel that was looked into load and run on a machine, and if not, what one thing is missing?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mambaops.facts.model import Facts
from mambaops.knowledge.cuda import cubin_runs_on, driver_runs, minor_compat_floor, ptx_runs_on
from mambaops.knowledge.tables import version_key
from mambaops.wheels.inspect.abi import missing_from
from mambaops.wheels.inspect.contents import WheelContents
from mambaops.wheels.inspect.extension import Extension
from mambaops.wheels.machine import Machine, machine_of

# the one symbol above the floor that a repair can supply (see `wheels.repair`)
SUPPLIED_SYMBOL = "__libc_single_threaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compatibility:
    """`loads`: the import works. `runs`: its kernels work too (None: nothing here to judge by).

    `reason` names the first thing that is missing; `repairable`: a repair supplies all that stops the import.
    """

    loads: bool
    runs: bool | None
    reason: str
    repairable: bool = False

    def as_json(self) -> dict[str, object]:
        return {
            "loads": self.loads,
            "runs": self.runs,
            "reason": self.reason,
            "repairable": self.repairable,
        }


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that stops the import."""

    reason: str
    repairable: bool = False


def check_compatibility(contents: WheelContents, facts: Facts) -> Compatibility:
    """Hold what a wheel holds against a machine."""
    machine = machine_of(facts)
    if obstacles := list(_obstacles(contents, machine)):
        repairable = all(obstacle.repairable for obstacle in obstacles)
        reason = obstacles[0].reason
        return Compatibility(loads=False, runs=False, reason=reason, repairable=repairable)
    for reason in _run_reasons(contents, machine):
        return Compatibility(loads=True, runs=False, reason=reason)
    return _loading(contents, machine)


def _loading(contents: WheelContents, machine: Machine) -> Compatibility:
    """The verdict on a wheel that nothing speaks against."""
    if not contents.cubins and not contents.ptx:
        return Compatibility(loads=True, runs=None, reason="loads; it holds no GPU code")
    if not machine.capabilities:
        unseen = "loads; no GPU was seen, so nothing to judge runs by"
        if machine.unread:
            unseen = f"loads; nobody tells the compute capability of {', '.join(machine.unread)}"
        return Compatibility(loads=True, runs=None, reason=unseen)
    served = f"loads and has code for {', '.join(machine.capabilities)}"
    return Compatibility(loads=True, runs=True, reason=served)


def _obstacles(contents: WheelContents, m: Machine) -> Iterator[Obstacle]:
    yield from (Obstacle(reason) for reason in _wrong_build(contents, m))
    for extension in contents.extensions:
        yield from _system_libraries(extension, m)


def _wrong_build(contents: WheelContents, m: Machine) -> Iterator[str]:
    if contents.contradictions:
        yield f"its name is not true: {contents.contradictions[0]}"
    for extension in contents.extensions:
        if m.system != "Linux":
            yield f"`{extension.name}` is for Linux; this is {m.system}"
        if extension.machine != m.machine:
            yield f"`{extension.name}` is for {extension.machine} processors; this one is {m.machine}"
    if reason := _python(contents, m):
        yield reason
    if contents.extensions:
        yield from _torch(contents, m)


def _python(contents: WheelContents, m: Machine) -> str | None:
    name = contents.name
    if name is None or not name.python.startswith("cp") or name.abi == "abi3":
        return None
    wanted = f"{name.python[2]}.{name.python[3:]}"
    if wanted == m.python and name.free_threaded == m.free_threaded:
        return None
    return f"is for CPython {wanted} (`{name.abi}`); this is {m.python}"


def _torch(contents: WheelContents, m: Machine) -> Iterator[str]:
    needs_torch = any(
        library.startswith(("libc10", "libtorch")) for library in contents.needed
    ) or bool(contents.era.evidence)
    if not needs_torch:
        return
    if m.torch is None:
        yield "needs torch, and none is installed here"
        return
    undefined = {symbol for extension in contents.extensions for symbol in extension.undefined}
    if missing := missing_from(m.torch, undefined):
        yield (
            f"is for torch {contents.era.specifier}; this is {m.torch}: undefined symbol {missing[0]}"
        )
    if contents.cuda and m.cuda is None:
        yield f"needs libcudart.so.{contents.cuda}; torch {m.torch} here is built without CUDA"
    elif contents.cuda and contents.cuda != m.cuda_major:
        yield (
            f"needs libcudart.so.{contents.cuda}; torch {m.torch} here brings that of CUDA "
            f"{m.cuda_major}: take a wheel for CUDA {m.cuda_major}"
        )
    if None not in (contents.cxx11_abi, m.cxx11_abi) and contents.cxx11_abi != m.cxx11_abi:
        ours = "old" if contents.cxx11_abi is False else "new"
        yield (
            f"uses the {ours} C++11 ABI; torch {m.torch} here uses the other one: take a "
            f"cxx11abi{str(m.cxx11_abi).upper()} wheel, or build here"
        )


def _system_libraries(extension: Extension, m: Machine) -> Iterator[Obstacle]:
    needed = extension.glibc
    if needed and m.glibc and version_key(needed) > version_key(m.glibc):
        names = sorted(s for need in extension.above("GLIBC", m.glibc) for s in need.symbols)
        repairable = names == [SUPPLIED_SYMBOL]
        remedy, older = (
            "repair it (`mambaops --help repair-wheel`)",
            "take an older release's wheel",
        )
        yield Obstacle(
            f"`{extension.name}` was built on a newer system: it needs GLIBC_{needed} "
            f"({', '.join(names[:4])}); {m.where} has {m.glibc}: build here, or "
            f"{remedy if repairable else older}",
            repairable,
        )
    needed = extension.glibcxx
    if needed and m.glibcxx and version_key(needed) > version_key(m.glibcxx):
        yield Obstacle(
            f"`{extension.name}` needs GLIBCXX_{needed}; the libstdc++ here ({m.where}) has "
            f"{m.glibcxx}: put a newer libstdc++ into the environment (conda-forge: libstdcxx-ng), or build here"
        )


def _run_reasons(contents: WheelContents, m: Machine) -> Iterator[str]:
    if contents.cuda and m.driver_cuda and not driver_runs(m.driver_cuda, contents.cuda):
        yield (
            f"needs a driver for CUDA {contents.cuda} ({minor_compat_floor(contents.cuda)} or newer); "
            f"this one ({m.driver or '?'}) runs CUDA up to {m.driver_cuda}"
        )
    for capability in m.capabilities:
        for extension in contents.extensions:
            if reason := _no_code(extension, capability, m):
                yield reason


def _no_code(extension: Extension, capability: str, m: Machine) -> str | None:
    """Every file with kernels must have code for the GPU: one without it fails when it is called."""
    too_new: str | None = None
    for fatbin in extension.fatbins:
        kernels = [entry for entry in fatbin.entries if entry.kernels]
        if not kernels or any(
            e.kind == "cubin" and cubin_runs_on(e.architecture, capability) for e in kernels
        ):
            continue
        ptx = [e for e in kernels if e.kind == "ptx" and ptx_runs_on(e.architecture, capability)]
        if any(_driver_compiles(e.ptx_cuda, m.driver_cuda) for e in ptx):
            continue
        if not ptx:
            return _no_kernel_image(extension, capability)
        too_new = ptx[0].ptx_cuda
    if too_new is None:
        return None
    return (
        f"`{extension.name}` has only PTX for {capability}, written by CUDA {too_new}; a driver for CUDA "
        f"{m.driver_cuda} cannot compile it: update the driver, or build with machine code for {capability}"
    )


def _driver_compiles(ptx_cuda: str | None, driver_cuda: str | None) -> bool:
    if ptx_cuda is None or driver_cuda is None:
        return True
    return version_key(driver_cuda) >= version_key(ptx_cuda)


def _no_kernel_image(extension: Extension, capability: str) -> str:
    code = f"machine code for {', '.join(extension.cubins) or 'nothing'}"
    code += f" and PTX for {', '.join(extension.ptx)}" if extension.ptx else " and no PTX"
    return (
        f"`{extension.name}` holds {code}: no kernel image for this GPU ({capability}); "
        f"build for {capability} here"
    )

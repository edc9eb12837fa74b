"""One function per step: is it done, needed or blocked, and why? Pure.

The plan shows what these say before anything happens; the runner asks them again before each step acts
and after it has acted. So what is shown and what is done are decided in one place.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from packaging.version import Version

from mambaops.facts.model import Compiler, Disk, Facts, Toolkit
from mambaops.knowledge import cuda as cuda_tables
from mambaops.knowledge.tables import minor_of
from mambaops.knowledge.torch_builds import torch_row
from mambaops.plan.choice import Choice, build_key, setup_options
from mambaops.plan.situation import Flags, Situation
from mambaops.profiles import PackageSpec, Profile

GIB = 1024**3
# a torch with its CUDA libraries, the toolkit's wheels and both build trees (measured: 8.1 GiB)
DISK_NEEDED = 10 * GIB
CPU_DISK_NEEDED = 3 * GIB
# one nvcc for one architecture peaks near 2.5 GiB (flash-attention and these packages, measured)
MEMORY_NEEDED = 3 * GIB

# C++ standard -> first g++ major that compiles torch's headers with it (torch's own build asks for 11.3)
GCC_FLOOR = {20: 11}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is done, needed or blocked; `hint` says what to do about a blocked step."""

    status: str
    reason: str
    hint: str = ""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a step is judged by."""

    profile: Profile
    choice: Choice
    flags: Flags
    situation: Situation

    @property
    def facts(self) -> Facts:
        return self.situation.facts

    @property
    def target(self) -> Facts | None:
        return self.situation.target

    def wanted_version(self, package: str, spec: PackageSpec) -> str:
        """The version that the built wheel carries, with its local part."""
        key = build_key(package, spec, self.profile, self.choice, self.flags)
        return f"{spec.version}+{key.local_version()}"


Assess = Callable[[Case], Verdict]


def done(reason: str) -> Verdict:
    return Verdict(status="done", reason=reason)


def needed(reason: str) -> Verdict:
    return Verdict(status="needed", reason=reason)


def blocked(reason: str, hint: str) -> Verdict:
    return Verdict(status="blocked", reason=reason, hint=hint)


# --- the machine ------------------------------------------------------------------------------------


def check_machine(case: Case) -> Verdict:
    """Is this the machine that the profile is for?"""
    misfits = mismatches(case.profile, case.facts)
    if not misfits:
        return done("this machine is what the profile expects")
    if case.flags.cross:
        return done("built here for another machine (--cross): " + "; ".join(misfits))
    return blocked(
        f"profile `{case.profile.name}` is for another machine: " + "; ".join(misfits),
        "run it there; or `--cross` to build its wheels here; or `--profile local` for this machine",
    )


def mismatches(profile: Profile, facts: Facts) -> list[str]:
    """What the profile expects and the machine is not, as found and wanted."""
    expect, host = profile.expect, facts.host
    found: list[str] = []
    if host.system != expect.system:
        found.append(f"the system is {host.system}, not {expect.system}")
    if expect.machine and host.machine not in expect.machine:
        found.append(f"the CPU is {host.machine}, not {' or '.join(expect.machine)}")
    if expect.wsl is not None and (host.wsl is not None) != expect.wsl:
        found.append("it is not WSL" if expect.wsl else "it is WSL")
    if expect.distribution and not _is_distribution(facts, expect.distribution):
        found.append(
            f"the distribution is {host.distribution.name or 'unknown'}, "
            f"not {' or '.join(expect.distribution)}"
        )
    found.extend(_gpu_mismatch(profile, facts))
    return found


def _is_distribution(facts: Facts, wanted: list[str]) -> bool:
    distribution = facts.host.distribution
    here = f"{distribution.id or ''} {distribution.version or ''}"
    return any((here + " ").startswith(one + " ") or here.startswith(one + ".") for one in wanted)


def _gpu_mismatch(profile: Profile, facts: Facts) -> list[str]:
    wanted = profile.expect.capability
    capabilities = {gpu.compute_capability for gpu in facts.gpus}
    if (profile.expect.gpu or wanted) and not facts.gpus:
        if facts.driver.state == "ok":
            return ["no GPU is visible"]
        return [f"no GPU is visible (driver: {facts.driver.state})"]
    if wanted and wanted not in capabilities:
        listed = ", ".join(f"{gpu.name} ({gpu.compute_capability or '?'})" for gpu in facts.gpus)
        return [f"the GPU is {listed}, not one of compute capability {wanted}"]
    return []


def check_space(case: Case) -> Verdict:
    """Is there room on the disk and in memory for what is about to happen?"""
    wanted = DISK_NEEDED if case.choice.kernels else CPU_DISK_NEEDED
    disk = _disk(case.facts)
    if disk is not None and not disk.writable:
        return blocked(
            f"{disk.path} cannot be written to", "set MAMBAOPS_HOME to a folder of your own"
        )
    half_done = case.target is not None and case.target.torch is not None
    if disk is not None and disk.free is not None and disk.free < wanted and not half_done:
        return blocked(
            f"{disk.path} has {disk.free / GIB:.1f} GiB free, {wanted / GIB:.0f} are needed",
            "make room, or put `.mambaops` elsewhere: `export MAMBAOPS_HOME=/big/disk/mambaops`",
        )
    memory = _memory(case.facts)
    if case.choice.kernels and memory is not None and memory < MEMORY_NEEDED:
        return blocked(
            f"{memory / GIB:.1f} GiB of memory, one nvcc needs about {MEMORY_NEEDED / GIB:.0f}",
            "add swap (WSL: `memory=` in .wslconfig), or build on another machine with --cross",
        )
    return done("room enough")


def _disk(facts: Facts) -> Disk | None:
    """The disk that environments and builds go to."""
    for why in ("asked for", "environments and builds", "working folder"):
        for disk in facts.host.disks:
            if disk.why == why:
                return disk
    return None


def _memory(facts: Facts) -> int | None:
    limits = [facts.host.memory_total, facts.host.memory_limit]
    known = [one for one in limits if one is not None]
    return min(known) + (facts.host.swap_total or 0) if known else None


# --- the environment --------------------------------------------------------------------------------


def create_venv(case: Case) -> Verdict:
    """The target environment, with the right Python."""
    wanted = case.choice.python
    if case.target is None:
        if case.profile.target.kind == "conda" and not conda_tool(case.facts):
            return blocked(
                f"profile `{case.profile.name}` needs a conda environment, and there is neither "
                "conda, mamba nor micromamba",
                "install micromamba or miniforge in your home (no root): "
                "https://mamba.readthedocs.io/en/latest/installation/micromamba-installation.html",
            )
        return needed(f"no environment at {case.situation.env}; Python {wanted}")
    found = minor_of(case.target.python.version)
    if found != wanted:
        return blocked(
            f"{case.situation.env} has Python {found}, wanted is {wanted}",
            f"`mambaops create-venv --profile {case.profile.name} --recreate` makes it anew",
        )
    return done(f"Python {case.target.python.version} at {case.situation.env}")


def conda_tool(facts: Facts) -> str | None:
    """The first of micromamba, mamba and conda that the machine has (path)."""
    for name in ("micromamba", "mamba", "conda"):
        if name in facts.tools:
            return facts.tools[name].path
    return None


def install_torch(case: Case) -> Verdict:
    """torch in the target environment, of the chosen release and CUDA build."""
    wanted = case.choice.torch_version
    why = case.choice.reasons.get("torch", "")
    if case.target is None or case.target.torch is None:
        return needed(f"torch {wanted}: {why}")
    found = case.target.torch
    if _same_torch(found.version, found.cuda, case.choice):
        return done(f"torch {found.version} is there")
    return needed(
        f"torch {found.version} (CUDA {found.cuda or 'none'}) is there, {wanted} wanted: {why}"
    )


def _same_torch(version: str, cuda: str | None, choice: Choice) -> bool:
    same_release = version.split("+")[0] == choice.torch
    if choice.torch_cuda is None:
        # a CUDA build runs on the CPU as well: nothing to replace
        return same_release
    return same_release and cuda is not None and minor_of(cuda) == choice.torch_cuda


# --- the toolkit ------------------------------------------------------------------------------------


def check_compiler(case: Case) -> Verdict:
    """A C++ compiler that works, and Python's headers."""
    if not case.choice.kernels:
        return done("nothing will be compiled")
    compiler = host_compiler(case.facts)
    if compiler is None:
        return blocked(
            "there is no working g++ (looked on PATH)",
            "`sudo apt-get install g++` (Debian, Ubuntu), `dnf install gcc-c++`, or conda's gxx_linux-64",
        )
    floor = GCC_FLOOR.get(cxx_standard(case), 0)
    if _major(compiler.version) < floor:
        return blocked(
            f"{compiler.name} {compiler.version} does not know C++{cxx_standard(case)}, which the "
            f"headers of torch {case.choice.torch} demand (g++ {floor} or newer)",
            f"a newer compiler (conda's gxx_linux-64={floor}), or an older torch: `--torch 2.10.0`",
        )
    python = (case.target or case.facts).python
    if case.target is not None and python.headers is None:
        return blocked(
            f"Python.h of {python.executable} is missing",
            f"`sudo apt-get install python{minor_of(python.version)}-dev`, or a uv or conda Python, "
            "which bring their own",
        )
    return done(f"{compiler.name} {compiler.version} at {compiler.path}")


def cxx_standard(case: Case) -> int:
    """The C++ standard that the chosen torch's headers demand."""
    row = torch_row(case.choice.torch)
    return row.cxx_standard if row else 17


def host_compiler(facts: Facts, limit: int | None = None) -> Compiler | None:
    """The g++ to compile with: plain `g++` where it works and nvcc takes it, else the newest that it takes."""
    working = [one for one in facts.compilers if one.name.startswith("g++") and one.works]
    fitting = [one for one in working if limit is None or _major(one.version) <= limit]
    newest_first = sorted(fitting, key=lambda one: _major(one.version), reverse=True)
    newest_first.sort(key=lambda one: one.name != "g++")
    return newest_first[0] if newest_first else None


def _major(version: str | None) -> int:
    return int((version or "0").split(".")[0] or 0)


def install_toolkit(case: Case) -> Verdict:
    """An nvcc that makes code for the wanted architectures and that torch accepts."""
    choice = case.choice
    if not choice.kernels:
        return done("nothing will be compiled")
    toolkit, refused = fitting_toolkit(case)
    if toolkit is not None:
        return _compiler_bound(case, toolkit)
    why = f"no nvcc fits (CUDA {choice.toolkit} wanted)" + (
        ": " + "; ".join(refused) if refused else ": none was found"
    )
    row = cuda_tables.toolkit(choice.toolkit)
    if "wheels" in case.profile.toolkit.routes and row is not None and row.wheels_on_index:
        return needed(f"{why}; nvcc {choice.toolkit} comes as wheels of the package index")
    return _other_routes(case, why)


def _other_routes(case: Case, why: str) -> Verdict:
    from mambaops.system.routes import toolkit_routes

    wanted = case.profile.toolkit.routes
    routes = toolkit_routes(case.facts, case.choice.toolkit, sudo=case.flags.sudo)
    routes = [route for route in routes if route.kind in wanted]
    open_routes = [route for route in routes if route.blocked is None]
    if open_routes:
        return needed(f"{why}; route: {open_routes[0].reason}")
    reasons = "; ".join(route.blocked or "" for route in routes[:2])
    hint = next((route.hint for route in routes if route.hint), "")
    return blocked(f"{why}; {reasons}" if reasons else why, hint or _toolkit_hint(case))


def _toolkit_hint(case: Case) -> str:
    return (
        f"install CUDA {case.choice.toolkit}'s nvcc and name it: `export CUDA_HOME=/usr/local/cuda-"
        f"{case.choice.toolkit}`; with --sudo mambaops runs the package manager itself"
    )


def fitting_toolkit(case: Case) -> tuple[Toolkit | None, list[str]]:
    """The best toolkit there is, and why each other one was refused. Same minor version first."""
    seen: dict[str, Toolkit] = {}
    for facts in (case.target, case.facts):
        for toolkit in facts.toolkits if facts is not None else []:
            seen.setdefault(toolkit.home, toolkit)
    refused: list[str] = []
    fitting: list[Toolkit] = []
    for toolkit in seen.values():
        reason = _toolkit_refusal(case, toolkit)
        if reason is None:
            fitting.append(toolkit)
        else:
            refused.append(f"{toolkit.nvcc} {reason}")
    fitting.sort(key=lambda one: one.version == case.choice.toolkit, reverse=True)
    return (fitting[0] if fitting else None), refused


def _toolkit_refusal(case: Case, toolkit: Toolkit) -> str | None:
    version, choice = toolkit.version, case.choice
    if version is None:
        return "does not say its version"
    if not toolkit.whole:
        return f"({version}) is not whole: {', '.join(toolkit.missing)} missing"
    if choice.torch_cuda and version.split(".")[0] != choice.torch_cuda.split(".")[0]:
        return f"is {version}, torch was built with {choice.torch_cuda}"
    if Version(version) < Version("11.6"):
        return f"is {version}, the packages ask for 11.6"
    if "machine" not in case.profile.toolkit.routes and toolkit.source not in ("target", "conda"):
        return f"({version}) is the machine's, and the profile does not use that"
    for arch in choice.archs:
        base = arch.removesuffix("+PTX")
        if cuda_tables.nvcc_can_target(version, base) is False:
            return f"is {version} and cannot target {base}"
    return None


def _compiler_bound(case: Case, toolkit: Toolkit) -> Verdict:
    if host_compiler(case.facts, toolkit.gcc_max) is not None:
        return done(f"nvcc {toolkit.version} at {toolkit.nvcc}")
    found = host_compiler(case.facts)
    if found is None or toolkit.gcc_max is None:
        return done(f"nvcc {toolkit.version} at {toolkit.nvcc}")
    return blocked(
        f"nvcc {toolkit.version} takes g++ up to {toolkit.gcc_max} "
        f"({toolkit.gcc_max_source or 'its host_config.h'}), here is {found.version}",
        f"`sudo apt-get install g++-{toolkit.gcc_max}` beside it (it is found by itself), "
        f"or conda's gxx_linux-64={toolkit.gcc_max}",
    )


def patch_cpp_extension(case: Case) -> Verdict:
    """torch's compiler tables know the CUDA version that the profile builds with (P11)."""
    version = case.profile.build.patch_cpp_extension
    if case.situation.cpp_extension == version:
        return done(f"torch's compiler tables have a row for CUDA {version}")
    return needed(f"torch's compiler tables lack CUDA {version}")


# --- sources, patches, builds -----------------------------------------------------------------------


def find_wheels(case: Case) -> Verdict:
    """Prebuilt wheels are looked for before anything is compiled, where the profile says so."""
    missing = [
        name
        for name, spec in case.profile.packages.items()
        if not _have(case, name, spec) and name not in case.situation.prebuilt
    ]
    if not missing:
        return done(_found_prebuilt(case))
    return needed("look for a prebuilt wheel of " + " and ".join(missing))


def _found_prebuilt(case: Case) -> str:
    if not case.situation.prebuilt:
        return "the wheels are there"
    return "; ".join(
        f"{name}: {found.name or found.reason}" for name, found in case.situation.prebuilt.items()
    )


def ways(case: Case) -> tuple[str, ...]:
    """How the packages may be obtained, in order."""
    return case.flags.obtain or tuple(case.profile.obtain)


def wants_prebuilt(case: Case) -> bool:
    """Does the order of ways put prebuilt wheels before the source build?"""
    order = ways(case)
    if case.flags.arch or case.flags.source or any("+PTX" in arch for arch in case.choice.archs):
        return False  # no prebuilt wheel is made for a list of one's own
    return "prebuilt" in order and (
        "source" not in order or order.index("prebuilt") < order.index("source")
    )


def has_prebuilt(case: Case, package: str) -> bool:
    found = case.situation.prebuilt.get(package)
    return found is not None and bool(found.url)


def _have(case: Case, package: str, spec: PackageSpec) -> bool:
    """Is there a wheel for the wanted build, or is it installed already?"""
    if package in case.situation.wheels:
        return True
    return _installed(case, package, spec)


def _installed(case: Case, package: str, spec: PackageSpec) -> bool:
    if case.target is None or case.target.torch is None:
        return False
    if not _same_torch(case.target.torch.version, case.target.torch.cuda, case.choice):
        return False
    found = case.target.packages.get(package)
    return found is not None and found.version == case.wanted_version(package, spec)


def to_build(case: Case) -> list[tuple[str, PackageSpec]]:
    """The packages that have to be compiled: no wheel, not installed, none found ready-made."""
    return [
        (name, spec)
        for name, spec in case.profile.packages.items()
        if not _have(case, name, spec) and not has_prebuilt(case, name)
    ]


def fetch_sources(case: Case) -> Verdict:
    """The sources of both packages, hash-checked and unpacked."""
    missing = [
        f"{name} {spec.version}"
        for name, spec in to_build(case)
        if name not in case.situation.sources
    ]
    if missing:
        return needed(" and ".join(missing))
    return done("unpacked" if case.situation.sources else "nothing has to be built")


def patch_setup(case: Case) -> Verdict:
    """setup.py compiles exactly the wanted architectures."""
    wanted = setup_options(case.profile, case.choice, case.flags).digest()
    trees = case.situation.sources
    missing = [
        name for name, _ in to_build(case) if name not in trees or trees[name].patched != wanted
    ]
    if missing:
        archs = ";".join(case.choice.archs)
        return needed(f"setup.py of {' and '.join(missing)}: compile {archs} and nothing else")
    return done("patched" if trees else "nothing has to be built")


def build_wheel(package: str) -> Assess:
    """The assessment of building one package."""

    def assess(case: Case) -> Verdict:
        spec = dict(case.profile.packages.items())[package]
        if package in case.situation.wheels:
            return done(case.situation.wheels[package])
        if _installed(case, package, spec):
            return done(f"{case.wanted_version(package, spec)} is installed")
        if has_prebuilt(case, package):
            return done(f"not compiled: {case.situation.prebuilt[package].name} fits")
        unless = " (unless a prebuilt wheel is found)" if _still_to_look(case, package) else ""
        return needed(f"no wheel for {', '.join(case.choice.archs)} yet{unless}")

    return assess


def _still_to_look(case: Case, package: str) -> bool:
    return wants_prebuilt(case) and package not in case.situation.prebuilt


def may_find_prebuilt(case: Case) -> bool:
    """Is there a search for prebuilt wheels still to come that may make compiling unnecessary?"""
    return any(_still_to_look(case, name) for name, _ in to_build(case))


def install_wheels(case: Case) -> Verdict:
    """Both packages and what they really need, in the target environment."""
    absent = [
        name
        for name, spec in case.profile.packages.items()
        if case.choice.kernels and not _installed(case, name, spec) and not _prebuilt_in(case, name)
    ]
    lacking = missing_requirements(case)
    if absent or lacking:
        return needed(" and ".join(absent + lacking))
    return done("installed")


def _prebuilt_in(case: Case, package: str) -> bool:
    """A prebuilt wheel carries upstream's version, so its release is what can be compared."""
    if not has_prebuilt(case, package) or case.target is None:
        return False
    found = case.target.packages.get(package)
    spec = dict(case.profile.packages.items())[package]
    return found is not None and found.version.split("+")[0] == spec.version


def prepare_build(case: Case) -> Verdict:
    """What setup.py imports and runs: setuptools, wheel, packaging, ninja."""
    missing = missing_build_requirements(case)
    return needed(", ".join(missing)) if missing else done("setup.py has what it needs")


def missing_build_requirements(case: Case) -> list[str]:
    return _unsatisfied(case, case.profile.build_requirements)


def missing_requirements(case: Case) -> list[str]:
    """Requirements of the profile that the target environment does not satisfy."""
    return _unsatisfied(case, case.profile.requirements)


def _unsatisfied(case: Case, wanted: list[str]) -> list[str]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    missing: list[str] = []
    for text in wanted:
        requirement = Requirement(text)
        installed = case.target.distributions if case.target else {}
        have = installed.get(canonicalize_name(requirement.name))
        if have is None or not requirement.specifier.contains(have, prereleases=True):
            missing.append(text)
    return missing


def verify(case: Case) -> Verdict:
    """The environment passed `verify` since it was last changed."""
    situation = case.situation
    if situation.verified and situation.verified == situation.fingerprint:
        return done("this very environment has passed")
    if situation.verified:
        return needed("the environment was changed since it passed")
    return needed("imports, binaries, and results against a reference")

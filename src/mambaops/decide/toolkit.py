"""The C++ compiler, nvcc, and torch's tables of both. Pure."""

from __future__ import annotations

from packaging.version import Version

from mambaops.decide.case import Case, Verdict, blocked, done, needed
from mambaops.facts.model import Compiler, Facts, Toolkit
from mambaops.knowledge import cuda as cuda_tables
from mambaops.knowledge.tables import minor_of
from mambaops.knowledge.torch_builds import torch_row

# C++ standard -> first g++ major that compiles torch's headers with it (torch's own build asks for 11.3)
GCC_FLOOR = {20: 11}


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

"""nvcc and the compilers: everything that a source build needs and finds out after twenty minutes."""

from __future__ import annotations

from collections.abc import Iterator

from mambaops.doctor.model import Check, minor, release
from mambaops.facts.model import Compiler, Facts, Toolkit
from mambaops.knowledge.cuda import nvcc_can_target
from mambaops.knowledge.cuda import toolkit as known_toolkit
from mambaops.knowledge.torch_builds import torch_row
from mambaops.profiles.model import Profile

OLDEST = (11, 6)  # both setup.py refuse less
GXX_FOR_CXX20 = 11
GXX_FOR_CXX17 = 9


def wanted_cuda(facts: Facts, profile: Profile | None) -> str:
    """The CUDA that nvcc must have: the profile's, else torch's; empty when neither says."""
    if profile and profile.toolkit.version:
        return minor(profile.toolkit.version)
    return minor(facts.torch.cuda) if facts.torch else ""


def best_toolkit(facts: Facts, cuda: str) -> Toolkit | None:
    """The toolkit that a build for this CUDA would take: its minor, else its major, whole ones only."""
    whole = [kit for kit in facts.toolkits if kit.whole and kit.version]
    same = [kit for kit in whole if minor(kit.version) == cuda]
    major = [kit for kit in whole if cuda and release(kit.version)[:1] == release(cuda)[:1]]
    return next(iter(same or major or ([] if cuda else whole)), None)


def toolkit(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """Is there an nvcc for torch's CUDA, whole, and does it know the GPU?"""
    cuda = wanted_cuda(facts, profile)
    chosen = best_toolkit(facts, cuda)
    yield from _broken(facts)
    if chosen is None:
        yield _none_fits(facts, cuda)
        return
    if release(chosen.version) < OLDEST:
        yield _too_old(chosen)
        return
    yield Check(
        area="toolkit", state="ok", what=f"nvcc {chosen.release or chosen.version} in {chosen.home}"
    )
    yield from _first_on_path(facts, chosen)
    yield from _too_old_for_gpu(facts, profile, chosen)
    yield from _math_headers(facts, chosen)


def _none_fits(facts: Facts, cuda: str) -> Check:
    cure = f"mambaops install-toolkit   # nvcc{' ' + cuda if cuda else ''} into the environment, no root"
    whole = [kit for kit in facts.toolkits if kit.whole]
    if not whole:
        return Check(
            area="toolkit",
            state="failed",
            what="no nvcc",
            cause="a source build ends in `NameError: name 'bare_metal_version' is not defined`; wheels need none",
            cure=cure,
        )
    kits = ", ".join(f"{kit.version} ({kit.nvcc})" for kit in whole)
    old = all(release(kit.version) < OLDEST for kit in whole)
    return Check(
        area="toolkit",
        state="failed",
        what=f"no nvcc for CUDA {cuda}: there is {kits}",
        cause="nvcc is older than 11.6, which both setup.py ask for"
        if old
        else "torch refuses an nvcc of another CUDA major (`The detected CUDA version … mismatches`)",
        cure=cure,
    )


def _too_old(kit: Toolkit) -> Check:
    return Check(
        area="toolkit",
        state="failed",
        what=f"nvcc {kit.version} is older than 11.6",
        cause="`mamba_ssm is only supported on CUDA 11.6 and above`",
        cure="mambaops install-toolkit   # nvcc of torch's CUDA into the environment",
    )


def _broken(facts: Facts) -> Iterator[Check]:
    for kit in facts.toolkits:
        if kit.whole:
            continue
        conda = kit.source == "conda"
        yield Check(
            area="toolkit",
            state="warning",
            what=f"{kit.home} is not whole: {', '.join(kit.missing) or 'parts are missing'}",
            cause="conda's cuda-nvcc comes without headers: `cuda_runtime.h: No such file or directory`"
            if conda
            else "a build with it ends at the first missing header or program",
            cure="conda install cuda-toolkit of the same label, or `mambaops install-toolkit`"
            if conda
            else "mambaops install-toolkit",
        )


def _first_on_path(facts: Facts, chosen: Toolkit) -> Iterator[Check]:
    first = next((kit for kit in facts.toolkits if kit.source in ("PATH", "CUDA_HOME")), None)
    if (
        first is None
        or first.home == chosen.home
        or release(first.version) == release(chosen.version)
    ):
        return
    yield Check(
        area="toolkit",
        state="warning",
        what=f"the shell finds nvcc {first.version} ({first.nvcc}) first",
        cause="pip by hand would build with that one",
        cure=f"mambaops build-mamba   # takes the right one; by hand: export CUDA_HOME={chosen.home} PATH={chosen.home}/bin:$PATH",
    )


def _too_old_for_gpu(facts: Facts, profile: Profile | None, kit: Toolkit) -> Iterator[Check]:
    ptx = bool(profile and "PTX" in profile.build.arch)
    for capability in sorted({gpu.compute_capability or "" for gpu in facts.gpus} - {""}):
        if nvcc_can_target(kit.version or "", capability) is not False or ptx:
            continue
        row = known_toolkit(kit.version or "")
        dropped = row is not None and release(capability) < min(map(release, row.archs))
        yield Check(
            area="toolkit",
            state="failed",
            what=f"nvcc {kit.version} cannot compile for {capability}",
            cause="this CUDA dropped the GPU" if dropped else "the GPU is newer than this nvcc",
            cure="mambaops install-toolkit with a torch of CUDA 12"
            if dropped
            else f"mambaops install-toolkit, or PTX: `mambaops build-mamba --arch {_newest(row)}+PTX`",
        )


def _newest(row: object) -> str:
    archs: list[str] = getattr(row, "archs", [])
    return max(archs, key=release, default="9.0")


def _math_headers(facts: Facts, kit: Toolkit) -> Iterator[Check]:
    if release(facts.host.glibc) >= (2, 41) and release(kit.version) < (13, 0):
        yield Check(
            area="toolkit",
            state="failed",
            what=f"glibc {facts.host.glibc} and the headers of CUDA {kit.version} contradict each other",
            cause='`exception specification is incompatible with that of previous function "cospi"`; no gcc avoids it',
            cure="mambaops install-toolkit   # CUDA 13 with a torch of CUDA 13; or build in a container with an older glibc",
        )


def compiler(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """Is there a g++ that works, new enough for torch and old enough for nvcc?"""
    if facts.host.system == "Windows":
        yield Check(area="compiler", state="skipped", what="Windows itself: builds are made in WSL")
        return
    found = _by_name(facts)
    gxx = found.get("g++") or next((c for n, c in found.items() if n.startswith("g++")), None)
    if gxx is None or not gxx.works:
        yield _no_gxx(gxx, found)
        return
    bound, where = _bound(facts, profile)
    major = next(iter(release(gxx.version)), 0)
    if bound and major > bound:
        yield _above_bound(found, gxx, bound, where)
        return
    yield from _below_torch(facts, gxx, major)
    limit = f", nvcc takes up to {bound}" if bound else ""
    yield Check(area="compiler", state="ok", what=f"g++ {gxx.version}{limit}")


def _by_name(facts: Facts) -> dict[str, Compiler]:
    return {one.name: one for one in reversed(facts.compilers)}


def _no_gxx(gxx: Compiler | None, found: dict[str, Compiler]) -> Check:
    broken = gxx is not None
    return Check(
        area="compiler",
        state="failed",
        what=f"g++ does not work: {gxx.error or 'no reason given'}" if gxx else "no g++",
        cause="gcc is there without its C++ part (`cannot execute 'cc1plus'`)"
        if broken or "gcc" in found
        else "nvcc needs a host compiler, triton a C compiler at the first kernel call",
        cure="sudo apt-get install build-essential g++ python3-dev   # without root: conda install -c conda-forge gxx_linux-64",
        fix="apt:build-essential g++",
    )


def _bound(facts: Facts, profile: Profile | None) -> tuple[int | None, str]:
    kit = best_toolkit(facts, wanted_cuda(facts, profile))
    if kit is None:
        return None, ""
    if kit.gcc_max is not None:
        return kit.gcc_max, kit.gcc_max_source or kit.home
    row = known_toolkit(kit.version or "")
    return (row.gcc_max, f"CUDA {kit.version}'s documentation") if row else (None, "")


def _above_bound(found: dict[str, Compiler], gxx: Compiler, bound: int, where: str) -> Check:
    usable = [
        one
        for one in found.values()
        if one.name.startswith("g++")
        and one.works
        and 0 < next(iter(release(one.version)), 0) <= bound
    ]
    apt = where.startswith("/usr/include/crt")
    best = max(usable, key=lambda one: release(one.version), default=None)
    return Check(
        area="compiler",
        state="warning" if best else "failed",
        what=f"g++ {gxx.version} is above what nvcc takes ({bound})",
        cause=f"`unsupported GNU version` from {where}" + (", apt's old headers" if apt else ""),
        cure=f"mambaops build-mamba   # builds with {best.name}"
        if best
        else "sudo apt-get remove nvidia-cuda-toolkit, then `mambaops install-toolkit`"
        if apt
        else f"sudo apt-get install g++-{bound}   # or `mambaops install-toolkit` with a newer CUDA of the same major",
    )


def _below_torch(facts: Facts, gxx: Compiler, major: int) -> Iterator[Check]:
    row = torch_row(facts.torch.version) if facts.torch else None
    # without a torch: every torch since 2.1 is C++17
    standard = row.cxx_standard if row else 17
    need = GXX_FOR_CXX20 if standard >= 20 else GXX_FOR_CXX17
    if standard >= 17 and major < need:
        yield Check(
            area="compiler",
            state="failed" if standard >= 20 else "warning",
            what=f"g++ {gxx.version} is below {need}",
            cause=f"the headers of torch {row.minor if row else '2.1 and later'} are C++{standard}",
            cure=f"sudo apt-get install g++-{need}   # without root: conda install -c conda-forge gxx_linux-64={need}",
        )

"""nvcc: everything that a source build finds out about it after twenty minutes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from mambaops.doctor.model import Check, minor, release
from mambaops.facts.model import Facts, Toolkit
from mambaops.knowledge.cuda import toolkit as known_toolkit
from mambaops.profiles.model import Profile

OLDEST = (11, 6)  # both setup.py refuse less


def wanted_cuda(facts: Facts, profile: Profile | None) -> str:
    """The CUDA that nvcc must have: the profile's, else torch's; empty when neither says."""
    if profile and profile.toolkit.version:
        return minor(profile.toolkit.version)
    return minor(facts.torch.cuda) if facts.torch else ""


def best_toolkit(facts: Facts, cuda: str) -> Toolkit | None:
    """The toolkit that a build for this CUDA would take: its minor, else its major, whole ones only."""
    whole = _usable(facts)
    same = [kit for kit in whole if minor(kit.version) == cuda]
    major = [kit for kit in whole if release(kit.version)[:1] == release(cuda)[:1]]
    return next(iter(same or major or ([] if cuda else whole)), None)


def _usable(facts: Facts) -> list[Toolkit]:
    """Whole ones that say what they are."""
    return [kit for kit in facts.toolkits if kit.whole and kit.version]


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
        id="toolkit",
        area="toolkit",
        state="ok",
        what=f"nvcc {chosen.release or chosen.version} in {chosen.home}",
    )
    yield from _first_on_path(facts, chosen)
    yield from _too_old_for_gpu(facts, profile, chosen)
    yield from _math_headers(facts, chosen)


def _none_fits(facts: Facts, cuda: str) -> Check:
    remedy = f"`mambaops install-toolkit`: nvcc{' ' + cuda if cuda else ''} into the environment, no root"
    whole = _usable(facts)
    if not whole:
        return Check(
            id="toolkit-missing",
            area="toolkit",
            state="failed",
            what="no nvcc",
            cause="a source build ends in `NameError: name 'bare_metal_version' is not defined`; wheels need none",
            remedy=remedy,
        )
    kits = ", ".join(f"{kit.version} ({kit.nvcc})" for kit in whole)
    old = all(release(kit.version) < OLDEST for kit in whole)
    return Check(
        id="toolkit-of-other-cuda",
        area="toolkit",
        state="failed",
        what=f"no nvcc for CUDA {cuda}: there is {kits}",
        cause="nvcc is older than 11.6, which both setup.py ask for"
        if old
        else "torch refuses an nvcc of another CUDA major (`The detected CUDA version … mismatches`)",
        remedy=remedy,
    )


def _too_old(kit: Toolkit) -> Check:
    return Check(
        id="toolkit-too-old",
        area="toolkit",
        state="failed",
        what=f"nvcc {kit.version} is older than 11.6",
        cause="`mamba_ssm is only supported on CUDA 11.6 and above`",
        remedy="`mambaops install-toolkit`: nvcc of torch's CUDA into the environment",
    )


def _broken(facts: Facts) -> Iterator[Check]:
    for kit in facts.toolkits:
        if kit.whole:
            continue
        conda = kit.source == "conda"
        yield Check(
            id="toolkit-not-whole",
            area="toolkit",
            state="warning",
            what=f"{kit.home} is not whole: {', '.join(kit.missing) or 'parts are missing'}",
            cause="conda's cuda-nvcc comes without headers: `cuda_runtime.h: No such file or directory`"
            if conda
            else "a build with it ends at the first missing header or program",
            remedy="`mambaops install-toolkit`, or conda's whole cuda-toolkit of the same label"
            if conda
            else "`mambaops install-toolkit`",
        )


def _first_on_path(facts: Facts, chosen: Toolkit) -> Iterator[Check]:
    first = next((kit for kit in facts.toolkits if kit.source in ("PATH", "CUDA_HOME")), None)
    if first is None or release(first.version) == release(chosen.version):
        return
    yield Check(
        id="other-toolkit-first",
        area="toolkit",
        state="warning",
        what=f"the shell finds nvcc {first.version} ({first.nvcc}) first",
        cause="pip by hand would build with that one",
        remedy=f"`mambaops build-mamba` takes the right one; by hand: `export CUDA_HOME={shlex.quote(chosen.home)} PATH={shlex.quote(chosen.home)}/bin:$PATH`",
    )


def _too_old_for_gpu(facts: Facts, profile: Profile | None, kit: Toolkit) -> Iterator[Check]:
    ptx = bool(profile and "PTX" in profile.build.arch)
    for capability in sorted({gpu.compute_capability or "" for gpu in facts.gpus} - {""}):
        row = known_toolkit(kit.version or "")
        if row is None or ptx or capability in row.archs:
            continue
        dropped = release(capability) < min(map(release, row.archs))
        yield Check(
            id="toolkit-lacks-gpu",
            area="toolkit",
            state="failed",
            what=f"nvcc {kit.version} cannot compile for {capability}",
            cause="this CUDA dropped the GPU" if dropped else "the GPU is newer than this nvcc",
            remedy="a torch of CUDA 12 and its toolkit: `mambaops install-toolkit --torch 2.11.0`"
            if dropped
            else f"`mambaops install-toolkit`, or PTX: `mambaops build-mamba --arch {max(row.archs, key=release)}+PTX`",
        )


def _math_headers(facts: Facts, kit: Toolkit) -> Iterator[Check]:
    if release(facts.host.glibc) >= (2, 41) and release(kit.version) < (13, 0):
        yield Check(
            id="cuda-headers-against-glibc",
            area="toolkit",
            state="failed",
            what=f"glibc {facts.host.glibc} and the headers of CUDA {kit.version} contradict each other",
            cause='`exception specification is incompatible with that of previous function "cospi"`; no gcc avoids it',
            remedy="`mambaops install-toolkit`: CUDA 13 with a torch of CUDA 13; or build in a container with an older glibc",
        )

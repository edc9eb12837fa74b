"""Which torch is kept, and what speaks for it: what no plan of `tests/cases` shows by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from recorded import facts_of, varied

from mambaops.core.errors import MachineError, UsageError
from mambaops.decide.choice import check_flags, decide
from mambaops.decide.memory import Made
from mambaops.decide.situation import Flags
from mambaops.decide.torch import asked_torch, companions, is_asked, kept_torch
from mambaops.facts.model import Torch
from mambaops.profiles.load import load_profile

HOPPER = facts_of("hopper")


@pytest.mark.parametrize(
    ("version", "cuda", "channel", "kept", "row"),
    [
        ("2.14.1+cu130", "13.0", "stable", True, True),
        ("2.14.1+cu118", "11.8", "stable", False, False),  # no such build was ever made
        ("2.14.0.dev20260301+cu118", "11.8", "nightly", True, False),  # a nightly's may have been
        ("2.14.0.dev20260301+cu130", "13.0", "nightly", True, True),
        ("2.99.0.dev20260301+cu130", "13.0", "nightly", True, False),
        ("2.14.1+cpu", None, "stable", False, False),
    ],
)
def test_what_stays_and_whether_the_table_tells_of_it(
    version: str, cuda: str | None, channel: str, kept: bool, row: bool
) -> None:
    profile = load_profile("local")
    torch = msgspec.structs.replace(profile.torch, channel=channel)
    there = msgspec.structs.replace(HOPPER, torch=Torch(version=version, path="/x", cuda=cuda))
    reasons: dict[str, str] = {}
    found = kept_torch(
        msgspec.structs.replace(profile, torch=torch), HOPPER, Flags(), there, None, reasons
    )
    assert (found is not None) is kept, reasons
    if found is not None:
        assert (found[:2], found[2] is not None) == ((version.split("+")[0], cuda), row)
        assert reasons["torch"].startswith("it is installed, ")


@pytest.mark.parametrize(
    ("mamba", "conv", "torch", "kept"),
    [
        ("2.3.2.post1", "1.7.0", "2.4.0+cu121", True),
        ("2.3.2.post1", "1.7.0", "2.3.1+cu121", False),
        ("2.3.2.post1", "1.4.0", "2.3.1+cu121", False),  # one of them asks for a newer one
        ("2.2.4", "1.7.0", "2.3.1+cu121", False),
        ("2.2.4", "1.4.0", "2.3.1+cu121", True),
        ("99.0", "1.4.0", "2.3.1+cu121", True),  # of which nobody knows what it asks for
    ],
)
def test_somebodys_own_torch_stays_where_every_package_takes_it(
    mamba: str, conv: str, torch: str, kept: bool
) -> None:
    profile = load_profile("local")
    packages = {
        name: msgspec.structs.replace(profile.packages[name], version=version)
        for name, version in (("causal-conv1d", conv), ("mamba-ssm", mamba))
    }
    there = msgspec.structs.replace(HOPPER, torch=Torch(version=torch, path="/x", cuda="12.1"))
    changed = msgspec.structs.replace(profile, packages=packages)
    found = kept_torch(changed, HOPPER, Flags(), there, None, {})
    assert (found is not None) is kept


@pytest.mark.parametrize(
    ("text", "release", "build"),
    [
        ("2.17.0", "2.17.0", ""),
        ("2.17.0+cu132", "2.17.0", "13.2"),
        ("2.5.1+cu118", "2.5.1", "11.8"),
        ("", "", ""),
    ],
)
def test_a_release_that_is_asked_for(text: str, release: str, build: str) -> None:
    flags = Flags(torch=text)
    assert asked_torch(flags) == (release, build)
    assert is_asked(flags, release, build or "12.6")
    assert not is_asked(flags, "1.0.0", build)
    assert is_asked(flags, release, "9.9") is (build == "")


def test_companions_of_another_release_are_not_pinned() -> None:
    profile = load_profile("local")
    torch = msgspec.structs.replace(
        profile.torch, versions=["2.9.1", "2.8.0"], companions=["torchvision==0.24.1", "torchaudio"]
    )
    changed = msgspec.structs.replace(profile, torch=torch)
    assert companions(changed, "2.9.1", "12.8") == ["torchvision==0.24.1", "torchaudio"]
    assert companions(changed, "2.8.0", "12.8") == ["torchvision", "torchaudio"]
    assert companions(changed, "2.9.1", None) == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (Flags(torch="newest"), "--torch `newest` is not a version"),
        (Flags(python="snake"), "--python `snake` is not a version"),
        (Flags(arch="ninety"), "ninety"),
    ],
)
def test_flags_that_cannot_be_understood(flags: Flags, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_flags(flags, HOPPER)
    assert said in caught.value.message


FITS = "the newest of the profile's that fits"
OLD_GPU = {"gpus": [{"index": 0, "name": "P100", "compute_capability": "6.0"}]}


@pytest.mark.parametrize(
    ("machine", "changes", "flags", "chosen", "reason"),
    [
        ("hopper", {}, {}, "2.14.1+cu130", f"{FITS}; CUDA 13.0 because the driver runs CUDA 13.0"),
        ("hopper", {}, {"torch": "2.14.1+cu126"}, "2.14.1+cu126", "asked for with --torch; CUDA 12.6 because the driver runs CUDA 13.0"),
        ("hopper", {}, {"torch": "2.99.0+cu130"}, "2.99.0+cu130", "asked for with --torch; CUDA 13.0 because the driver runs CUDA 13.0"),
        ("hopper", OLD_GPU, {}, "2.14.1+cu126", f"{FITS}; CUDA 12.6 because the driver runs CUDA 13.0; nobody promises prebuilt wheels for any torch of the profile"),
        ("hopper", OLD_GPU, {"torch": "2.14.1"}, "2.14.1+cu126", "asked for with --torch; CUDA 12.6 because the driver runs CUDA 13.0"),
        ("v100", {}, {}, "2.10.0+cu129", f"{FITS}; CUDA 12.9 because the driver runs CUDA 12.4; prebuilt wheels come first, and for 2.14.1+cu126 nobody promises any"),
        ("hopper", {"driver": {"version": "525.1", "cuda": "12.0"}}, {}, "2.14.1+cu126", f"{FITS}; CUDA 12.6 because the driver runs CUDA 12.0"),
        ("hopper", {"driver": {"version": "525.1", "cuda": None}}, {}, "2.14.1+cu130", f"{FITS}; CUDA 13.0 because driver 525.1 does not tell its CUDA"),
        ("no-gpu", {}, {"arch": "9.0"}, "2.14.1+cu130", f"{FITS}; CUDA 13.0 because there is no driver to ask"),
        ("no-gpu", {}, {"arch": "7.0;12.0"}, "2.14.1+cu126", f"{FITS}; CUDA 12.6 because no nvcc of CUDA 13 from 13.0 on compiles for 7.0"),
        ("hopper", {"driver": {"version": "525.1", "cuda": "12.0"}}, {"cross": True, "torch": "2.14.1+cu130"}, "2.14.1+cu130", "asked for with --torch; CUDA 13.0 because the driver runs CUDA 12.0"),
    ],
)  # fmt: skip
def test_why_this_torch(
    machine: str, changes: dict[str, Any], flags: dict[str, Any], chosen: str, reason: str
) -> None:
    profile = msgspec.structs.replace(load_profile("local"), obtain=["prebuilt", "source"])
    found = decide(profile, varied(machine, changes), Flags(**flags))
    assert (found.torch_version, found.reasons["torch"]) == (chosen, reason)


def test_a_torch_that_was_lost_comes_again() -> None:
    profile = msgspec.structs.replace(load_profile("local"), obtain=["prebuilt", "source"])
    made = Made(profile="local", archs=("9.0",), torch="2.13.0", torch_cuda="12.6")
    found = decide(profile, HOPPER, Flags(), None, made)
    assert found.torch == "2.13.0"
    assert found.reasons["torch"].startswith("this environment was made with it; CUDA ")
    old = msgspec.structs.replace(made, archs=("6.0",))  # for which nobody publishes wheels
    again = decide(profile, varied("hopper", OLD_GPU), Flags(), None, old).reasons["torch"]
    assert again == "this environment was made with it; CUDA 12.6 because the driver runs CUDA 13.0"
    there = msgspec.structs.replace(HOPPER, torch=Torch(version="2.3.1", path="/x", cuda="12.1"))
    assert decide(profile, HOPPER, Flags(), there, made).torch == "2.14.1"  # another one is there
    without = msgspec.structs.replace(made, torch_cuda=None)  # a CPU torch of ours gives way
    assert decide(profile, HOPPER, Flags(), None, without).torch == "2.14.1"


@pytest.mark.parametrize(
    ("machine", "flags", "refusal"),
    [
        ("no-gpu", {"arch": "9.0", "torch": "2.14.1+cu118"}, "2.14.1+cu118: torch 2.14 has no build for CUDA 11.8"),
        ("hopper", {"torch": "2.14.1+cu126", "python": "3.8"}, "2.14.1: it has no wheel for Python 3.8 (it has for 3.10, "),
        ("wsl-5090-bare", {"torch": "2.5.1+cu118"}, "2.5.1+cu118: holds no code for NVIDIA GeForce RTX 5090 (12.0)"),
        ("no-gpu", {"arch": "9.0;7.0", "torch": "2.14.1+cu130"}, "2.14.1+cu130: no nvcc of CUDA 13 from 13.0 on compiles for 7.0"),
    ],
)  # fmt: skip
def test_why_no_torch_fits(machine: str, flags: dict[str, str], refusal: str) -> None:
    with pytest.raises(MachineError) as caught:
        decide(load_profile("local"), facts_of(machine), Flags(**flags))
    assert f"\n  {refusal}" in caught.value.message

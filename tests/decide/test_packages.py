"""How packages are built and obtained: what no plan of `tests/cases` shows by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from recorded import facts_of, varied

from mambaops.decide.build import setup_options
from mambaops.decide.case import Case, make_case
from mambaops.decide.packages import may_find_prebuilt, prebuilt_version
from mambaops.decide.ready_made import _fits, has_wheels, is_meant
from mambaops.decide.situation import Flags, Prebuilt, elsewhere
from mambaops.decide.strategies import prebuilt_comes_first
from mambaops.knowledge.packages import package
from mambaops.knowledge.packages.model import Patch
from mambaops.profiles.load import load_profile
from mambaops.profiles.model import PackageSpec, Profile
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.machine import machine_of
from mambaops.wheels.select.rules import first_refusal
from mambaops.wheels.sources.planned import planned

PATCH = Patch(id="a-diff", why="", target="a.cu", sha256="0" * 64, diff="--- a", nvcc="13.0")


def profile_with(**changes: Any) -> Profile:
    return msgspec.structs.replace(load_profile("local"), **changes)


def case_of(
    machine: str = "hopper", flags: Flags | None = None, only: tuple[str, ...] = (), **changes: Any
) -> Case:
    """The profile `local` with changes, on a recorded machine."""
    profile = profile_with(**changes)
    return make_case(profile, elsewhere(profile.name, facts_of(machine)), flags, only=only)


def test_a_setup_py_is_patched_for_the_choice_and_by_the_packages_own_diffs() -> None:
    case = case_of()
    described = msgspec.structs.replace(package("causal-conv1d"), patches=(PATCH,))
    options = setup_options(described, case.profile, case.choice, case.flags)
    (pinned,) = options.diffs
    assert msgspec.to_builtins(pinned) == {
        "id": "a-diff", "target": "a.cu", "sha256": "0" * 64, "diff": "--- a", "nvcc": "13.0",
    }  # fmt: skip
    assert (options.archs, options.cxx_standard, options.force_build) == (("9.0",), 20, True)
    assert (options.split, options.large) == (case.choice.split, ("csrc/causal_conv1d_bwd.cu",))
    assert case.choice.split > 1
    threads = msgspec.structs.replace(case.profile.build, nvcc_threads=7)
    other = case_of(flags=Flags(add={"torch-scatter": ""}), build=threads)
    assert other.setup_options("torch-scatter").route == "environment"
    assert other.setup_options("torch-scatter").nvcc_threads == 7
    whole = case.setup_options("mamba-ssm")
    assert (whole.split, whole.large, whole.route) == (0, (), "flags")


@pytest.mark.parametrize(
    ("torch", "own", "standard"), [("2.99.0", 0, None), ("2.99.0", 17, 17), ("2.14.1", 17, 20)]
)
def test_the_later_of_two_standards(torch: str, own: int, standard: int | None) -> None:
    case, described = case_of(), package("mamba-ssm")
    build = msgspec.structs.replace(described.build, cxx_standard=own)
    choice = msgspec.structs.replace(case.choice, torch=torch)
    options = setup_options(
        msgspec.structs.replace(described, build=build), case.profile, choice, case.flags
    )
    assert options.cxx_standard == standard


@pytest.mark.parametrize(("ninja", "wanted"), [(None, True), (True, True), (False, False)])
def test_ninja_is_the_profiles_where_no_flag_says_otherwise(
    ninja: bool | None, wanted: bool
) -> None:
    assert case_of(flags=Flags(ninja=ninja)).setup_options("mamba-ssm").ninja is wanted


def test_what_is_installed_beside_the_packages_is_named_once() -> None:
    case = case_of(
        flags=Flags(add={"torch-sparse": "", "torch-cluster": ""}), requirements=["scipy", "einops"]
    )
    assert (case.package, case.about("torch-sparse").package) == ("", "torch-sparse")
    assert case.requirements == ["scipy", "einops"]  # torch-scatter is built, not fetched
    bounded = case_of(flags=Flags(add={"torch-cluster": ""}), requirements=["scipy>=1.11"])
    assert bounded.requirements == ["scipy>=1.11"]


@pytest.mark.parametrize(
    ("obtain", "flags", "archs", "first"),
    [
        (("prebuilt", "source"), {}, ("9.0",), True),
        (("store", "prebuilt", "runtime"), {}, ("9.0",), True),
        (("source", "prebuilt"), {}, ("9.0",), False),
        (("runtime", "prebuilt"), {}, ("9.0",), False),
        (("store", "source"), {}, ("9.0",), False),
        (("prebuilt",), {}, (), False),  # nothing is wanted for a GPU
        (("prebuilt",), {"arch": "9.0"}, ("9.0",), False),
        (("prebuilt",), {"source": {"mamba-ssm": "/src"}}, ("9.0",), False),
    ],
)
def test_where_prebuilt_wheels_choose_the_torch(
    obtain: tuple[str, ...], flags: dict[str, Any], archs: tuple[str, ...], first: bool
) -> None:
    asked = Flags(obtain=obtain, **flags)
    assert prebuilt_comes_first(load_profile("local"), asked, archs) is first


@pytest.mark.parametrize(
    ("looked_for", "may"),
    [((), True), (("mamba-ssm",), True), (("mamba-ssm", "causal-conv1d"), False)],
)
def test_a_search_for_one_package_is_still_to_come(looked_for: tuple[str, ...], may: bool) -> None:
    case = case_of(obtain=["prebuilt", "source"])
    found = {name: Prebuilt(reason="none fits") for name in looked_for}
    situation = msgspec.structs.replace(case.situation, prebuilt=found)
    assert may_find_prebuilt(msgspec.structs.replace(case, situation=situation)) is may


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("mamba_ssm-2.3.0+cu12torch2.8cxx11abiTRUE-cp312-cp312-linux_x86_64.whl", "2.3.0"),
        ("mamba_ssm-2.3.1-cp312-cp312-linux_x86_64.whl", "2.3.1"),
        ("mamba_ssm-2.3.1-odd", "2.3.1"),
        ("mamba_ssm-2.3.1", "2.3.2.post1"),  # no wheel's name: the profile's release
    ],
)
def test_the_release_of_a_found_wheel(name: str, version: str) -> None:
    case = case_of()
    found = {"mamba-ssm": Prebuilt(name=name, url="https://x")}
    situation = msgspec.structs.replace(case.situation, prebuilt=found)
    given = msgspec.structs.replace(case, situation=situation)
    assert prebuilt_version(given, "mamba-ssm") == version


def candidate(version: str) -> Candidate:
    return msgspec.structs.replace(next(iter(planned("mamba-ssm"))), version=version)


@pytest.mark.parametrize(
    ("version", "ready_made", "meant"),
    [
        ("2.3.2", "", True),
        ("2.3.1", "", False),
        ("2.3.1", ">=2.3", True),
        ("2.2.4", ">=2.3", False),
    ],
)
def test_a_release_that_does_as_well(version: str, ready_made: str, meant: bool) -> None:
    spec = PackageSpec(version="2.3.2", ready_made=ready_made)
    assert is_meant(spec, candidate(version)) is meant


@pytest.mark.parametrize(
    ("packages", "changes", "torch", "cuda", "promised"),
    [
        (("causal-conv1d", "mamba-ssm"), {}, "2.7.1", "12.8", True),
        (("causal-conv1d", "mamba-ssm"), {}, "2.99.0", "12.8", False),
        (("causal-conv1d", "selective-scan"), {}, "2.7.1", "12.8", True),  # nobody publishes that
        (("selective-scan",), {}, "2.7.1", "12.8", False),
        (
            ("causal-conv1d", "mamba-ssm"),
            {"host": {"glibc": "2.17"}},
            "2.7.1",
            "12.8",
            True,
        ),  # repaired
        (("causal-conv1d", "mamba-ssm"), {"host": {"machine": "riscv64"}}, "2.7.1", "12.8", False),
    ],
)
def test_for_which_torch_wheels_are_promised(
    packages: tuple[str, ...], changes: dict[str, Any], torch: str, cuda: str, promised: bool
) -> None:
    known = load_profile("local").packages
    wanted = {name: known.get(name, PackageSpec(version="1.0")) for name in packages}
    facts = varied("hopper", changes)
    assert has_wheels(profile_with(packages=wanted), facts, "3.12", torch, cuda) is promised


@pytest.mark.parametrize(("repairable", "fits"), [(True, True), (False, False)])
def test_a_wheel_for_a_newer_glibc_is_promised_where_a_repair_helps(
    repairable: bool, fits: bool
) -> None:
    torch = {"version": "2.7.1+cu128", "cuda": "12.8", "cxx11_abi": True, "path": "/x"}
    machine = machine_of(varied("hopper", {"torch": torch}))
    wanted = next(one for one in planned("mamba-ssm") if first_refusal(one, machine) is None)
    newer = msgspec.structs.replace(wanted, glibc="2.99", repairable=repairable)
    assert _fits(wanted, machine)
    assert _fits(newer, machine) is fits
    other = msgspec.structs.replace(newer, python="3.99", glibc=None)
    assert not _fits(other, machine)

"""A build's key: what makes one build another, and the local version that says so."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from mambaops.wheels.keys import BuildKey

CAPABILITIES = ["7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0", "12.0+PTX", "9.0a"]


def key(**changes: object) -> BuildKey:
    values: dict[str, object] = {
        "package": "tiny",
        "version": "1.0",
        "torch": "2.14.1+cu130",
        "cuda": "13.0",
        "cxx11_abi": True,
        "python": "cp311",
        "platform": "linux_x86_64",
        "architectures": ["9.0"],
    }
    return BuildKey.of(**{**values, **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"package": "other"},
        {"version": "1.1"},
        {"torch": "2.14.0+cu130"},
        {"cuda": "12.6"},
        {"cuda": None},
        {"cxx11_abi": False},
        {"cxx11_abi": None},
        {"python": "cp312"},
        {"python": "cp311t"},
        {"platform": "linux_aarch64"},
        {"architectures": ["9.0", "12.0"]},
        {"architectures": ["9.0+PTX"]},
        {"architectures": ["9.0a"]},
        {"patches": ["arch-list"]},
        {"source": "ab"},
        {"flags": ["glibc2.31"]},
    ],
    ids=str,
)
def test_whatever_changes_the_result_changes_the_key(change: dict[str, object]) -> None:
    assert key(**change).digest() != key().digest()
    assert key(**change).local_version() != key().local_version()


def test_the_order_of_patches_counts() -> None:
    assert key(patches=["a", "b"]).digest() != key(patches=["b", "a"]).digest()


def test_the_order_of_architectures_and_the_spelling_of_names_do_not_count() -> None:
    one = key(package="Mamba_SSM", version="2.3.2.post1", architectures=["12.0+PTX", "9.0"])
    two = key(package="mamba-ssm", version="2.3.2-1", architectures=["9.0", "12.0+PTX"])
    assert one == two
    assert one.digest() == two.digest()


def test_architectures_are_ordered_by_number_then_by_kind() -> None:
    given_ = ["12.0+PTX", "10.0f", "9.0a", "9.0", "12.0", "9.0+PTX", "8.6"]
    ordered = ("8.6", "9.0", "9.0+PTX", "9.0a", "10.0f", "12.0", "12.0+PTX")
    assert key(architectures=given_).architectures == ordered


def test_the_digest_stays_the_same_from_release_to_release() -> None:
    # a store that was filled by an older mambaops must not lose its wheels silently
    assert key().digest().startswith("c894a816")


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({}, "cu130torch2.14.sm90."),
        ({"cuda": None, "architectures": []}, "cputorch2.14."),
        ({"torch": "2.15.0.dev20261101+cu130"}, "cu130torch2.15.sm90."),
        ({"architectures": ["12.0+PTX", "9.0a"]}, "cu130torch2.14.sm90asm120ptx."),
        ({"architectures": ["7.5", "8.0", "9.0"]}, "cu130torch2.14.sm75sm80sm90."),
        ({"architectures": ["7.5", "8.0", "9.0", "12.1"]}, "cu130torch2.14.sm75tosm121."),
    ],
)
def test_the_local_version_says_what_a_person_asks_first(
    changes: dict[str, object], version: str
) -> None:
    made = key(**changes)
    assert made.local_version() == f"{version}x{made.digest()[:8]}"


def test_setup_py_is_told_the_local_version() -> None:
    made = key(package="mamba-ssm")
    assert made.environment() == {"MAMBA_LOCAL_VERSION": made.local_version()}
    assert key(package="other").environment() == {}


@pytest.mark.parametrize("wrong", [{"cuda": 13}, {"colour": "blue"}, {"architectures": "9.0"}])
def test_wrong_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        key(**wrong)


@given(
    architectures=st.lists(st.sampled_from(CAPABILITIES), unique=True),
    cuda=st.sampled_from(["11.8", "12.1", "13.0", None]),
    torch=st.sampled_from(["2.0.0+cu117", "2.14.1+cu130", "2.15.0.dev20261101+cu130"]),
    patches=st.lists(st.text(max_size=5), max_size=3),
)
def test_local_versions_are_legal_and_already_normal(
    architectures: list[str], cuda: str | None, torch: str, patches: list[str]
) -> None:
    made = key(architectures=architectures, cuda=cuda, torch=torch, patches=patches)
    version = f"1.0+{made.local_version()}"
    assert str(Version(version)) == version

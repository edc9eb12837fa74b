"""Candidates: what the tables know of torch's ABI, and what is kept of a file that cannot be used."""

from __future__ import annotations

import pytest

from mambaops.wheels.candidates import Candidate, abi_of_torch, from_name, unusable
from mambaops.wheels.names import parse_wheel_name


@pytest.mark.parametrize(
    ("torch", "cuda", "abi"),
    [
        ("2.6.0+cu124", "12.4", False),
        ("2.6.0+cu126", "12.6", True),
        ("2.6", "11", False),  # a major version whose builds agree
        ("2.6", "12", None),  # and one whose builds do not
        ("2.6", None, None),
        ("2.5", "12.9", False),  # a CUDA that it was never made for: what all builds have
        ("2.5", None, False),
        ("2.8.0", None, True),
        ("99.0", "12.8", None),
        (None, "12.8", None),
    ],
)
def test_the_abi_of_torchs_builds(torch: str | None, cuda: str | None, abi: bool | None) -> None:
    assert abi_of_torch(torch, cuda) is abi


def test_where_a_file_is_and_what_it_must_be_is_kept() -> None:
    name = parse_wheel_name("mamba_ssm-2.3.1-cp311-cp311-linux_x86_64.whl")
    found = from_name(name, "find-links", url="there", status="planned", sha256="ab", size=7)
    assert (found.url, found.status, found.sha256, found.size) == ("there", "planned", "ab", 7)


def test_a_file_that_cannot_be_used_is_refused_for_that_alone() -> None:
    assert unusable("x.whl", "mamba-ssm", "store", "there", "present", "damaged") == Candidate(
        name="x.whl",
        package="mamba-ssm",
        version="",
        source="store",
        url="there",
        status="present",
        system="any",
        machine="any",
        unusable="damaged",
    )

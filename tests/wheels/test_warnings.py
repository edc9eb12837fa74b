"""What is told of a candidate that fits, and whether it costs rank."""

from __future__ import annotations

from typing import Any

import pytest

from mambaops.wheels.candidates import Candidate
from mambaops.wheels.machine import machine_of
from mambaops.wheels.select.warnings import warnings_about

from .facts_of import machine

WRONG = "machine code for 10.3 made by nvcc 13 gave wrong numbers"


def candidate(**more: Any) -> Candidate:
    plain: dict[str, Any] = {
        "name": "x.whl",
        "package": "causal-conv1d",
        "version": "1.7.0",
        "source": "upstream",
        "status": "listed",
        "cuda": "13.0",
        "cubins": ("10.3",),
        "cxx11_abi": True,
    }
    return Candidate(**{**plain, **more})


def told(one: Candidate, gpus: tuple[str, ...] = ("10.3",)) -> list[tuple[bool, str]]:
    return warnings_about(one, machine_of(machine(torch="2.9.0+cu130", gpus=gpus)))


@pytest.mark.parametrize(
    ("more", "gpus", "warned"),
    [
        ({}, ("10.3",), True),
        ({}, ("9.0", "10.3"), True),
        ({"package": "mamba-ssm"}, ("10.3",), False),
        ({"cuda": "12.9"}, ("10.3",), False),
        ({"cubins": ("10.0",)}, ("10.3",), False),
        ({"cubins": None}, ("10.3",), False),
        ({"cubins": ("9.0", "10.3")}, ("9.0",), False),
    ],
)
def test_machine_code_that_is_known_to_be_wrong_costs_rank(
    more: dict[str, Any], gpus: tuple[str, ...], warned: bool
) -> None:
    found = [lowers for lowers, text in told(candidate(**more), gpus) if text.startswith(WRONG)]
    assert found == ([True] if warned else [])


@pytest.mark.parametrize(("needs", "lowers"), [("conda", True), ("", False)])
def test_another_installer_costs_rank_a_remark_does_not(needs: str, lowers: bool) -> None:
    one = candidate(needs=needs, why="it comes from elsewhere", cuda="12.9")
    assert told(one) == [(lowers, "it comes from elsewhere")]


def test_what_is_known_only_after_looking_inside_costs_rank() -> None:
    one = candidate(cubins=None, cxx11_abi=None, cuda="12.9")
    assert told(one) == [
        (True, "its GPU code is known only after looking inside"),
        (True, "its C++11 ABI is known only after looking inside"),
    ]
    # another installer looks by itself
    assert told(candidate(cubins=None, cxx11_abi=None, needs="conda", why="w")) == [(True, "w")]

"""Which wheels of a store each target is offered, row by row: no wheel is made, no file is read."""

from __future__ import annotations

import pytest

from mambaops.store.entries import Entry
from mambaops.store.targets import Target, offered
from mambaops.wheels.keys import BuildKey

HOPPER = "cu128-torch2.8-sm90"
ANOTHER = "another build of this release is offered"


def entry(wheel: str, *, added: float = 0.0, **changes: object) -> Entry:
    """A wheel for torch 2.8 of CUDA 12.8 on an H100, or what the changes say."""
    values: dict[str, object] = {
        "package": wheel.partition("-")[0],
        "version": "1.0",
        "torch": "2.8.0+cu128",
        "cuda": "12.8",
        "cxx11_abi": True,
        "python": "cp311",
        "platform": "linux_x86_64",
        "architectures": ["9.0a"],
    }
    key = BuildKey.of(**{**values, **changes})
    return Entry(wheel=wheel, sha256="", size=1, added=added, key=key)


def by_hand(wheel: str) -> Entry:
    return Entry(wheel=wheel, sha256="", size=1, added=0.0)


def names(*entries: Entry) -> dict[str, list[str]]:
    found = offered(entries).wheels.items()
    return {target.name: [one.wheel for one in several] for target, several in found}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (Target(torch="2.8", cuda="12.8", capability="12.0"), "cu128-torch2.8-sm120"),
        (Target(torch="2.8", cuda="12.8"), "cu128-torch2.8"),
        (Target(torch="2.13"), "cpu-torch2.13"),
    ],
)
def test_the_name_of_a_target(target: Target, name: str) -> None:
    assert target.name == name


@pytest.mark.parametrize(
    ("architectures", "on", "not_on"),
    [
        (["8.0", "9.0+PTX"], {"8.0", "8.6", "8.9", "9.0", "10.0", "12.0"}, {"7.5", "8.7"}),
        (["8.6"], {"8.6", "8.9"}, {"8.0", "8.7", "9.0"}),
        (["8.7"], {"8.7"}, {"8.6", "8.9"}),  # Jetson's GPU runs only its own code
        (["9.0a"], {"9.0"}, {"10.0", "12.0"}),
        (["10.0f"], {"10.0", "10.3"}, {"9.0", "12.0"}),
        # a GPU of tomorrow, which only the wheel knows
        (["99.0a"], {"99.0"}, {"9.0", "12.1"}),
        (["99.0+PTX"], {"99.0"}, {"12.1"}),
    ],
)
def test_code_goes_to_every_gpu_that_runs_it(
    architectures: list[str], on: set[str], not_on: set[str]
) -> None:
    wheel = entry("tiny-1.0-py3-none-any.whl", architectures=architectures)
    found = {target.capability for target in offered([wheel]).wheels}
    assert on <= found
    assert found.isdisjoint(not_on)


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({}, HOPPER),
        ({"torch": "2.7.1+cu128"}, "cu128-torch2.7-sm90"),
        ({"cxx11_abi": None}, HOPPER),  # it calls nothing that differs
        ({"torch": "99.0", "cxx11_abi": False}, "cu128-torch99.0-sm90"),  # no row says its ABI
        ({"torch": "2.13.0", "cuda": None, "architectures": [], "cxx11_abi": False}, "cpu-torch2.13"),
        ({"cuda": "12.8.1", "torch": "2.8.1a0+5228986c39.nv25.06"}, HOPPER),
    ],
)  # fmt: skip
def test_a_wheel_is_offered_for_its_torch(changes: dict[str, object], target: str) -> None:
    assert names(entry("tiny-1.0-py3-none-any.whl", **changes)) == {
        target: ["tiny-1.0-py3-none-any.whl"]
    }


@pytest.mark.parametrize(
    ("wheel", "why"),
    [
        (
            entry("tiny-1.0-py3-none-any.whl", cxx11_abi=False),
            "torch 2.8 for CUDA 12.8 has the other C++ ABI",
        ),
        (
            entry("tiny-1.0-py3-none-any.whl", architectures=[]),
            "it was built for CUDA, and holds code for no GPU",
        ),
        (
            by_hand("odd-1.0-cp311-cp311-linux_x86_64.whl"),
            "nothing says which torch and GPU it was built for",
        ),
        (by_hand("plain-1.0-py3-none-any.whl"), f"no target runs it, or {ANOTHER}"),
        (
            entry("mambaops_kernels-1.0-py3-none-any.whl", torch="0"),
            f"no target runs it, or {ANOTHER}",
        ),
    ],
)
def test_what_is_offered_to_nobody_is_said(wheel: Entry, why: str) -> None:
    found = offered([wheel])
    assert found.wheels == {}
    assert found.left_out == {wheel.wheel: why}


TWO = "tiny-1.0+b-cp311-cp311-linux_x86_64.whl"
ONE = "tiny-1.0+a-cp311-cp311-linux_x86_64.whl"


@pytest.mark.parametrize(
    ("first", "second", "offer"),
    [
        # machine code before PTX, then the newer before the older, whatever the names
        (entry(ONE), entry(TWO, architectures=["8.0+PTX"], added=9), [ONE]),
        (entry(ONE, architectures=["8.0+PTX"], added=9), entry(TWO), [TWO]),
        (entry(ONE, architectures=["8.0", "9.0a"]), entry(TWO, architectures=["8.0+PTX"], added=9), [ONE]),
        (entry(ONE, added=9), entry(TWO), [ONE]),
        (entry(ONE), entry(TWO, added=9), [TWO]),
        # pip tells these apart itself
        (entry(TWO), entry("tiny-1.1+a-cp311-cp311-linux_x86_64.whl", version="1.1"), [TWO, "tiny-1.1+a-cp311-cp311-linux_x86_64.whl"]),
        (entry(TWO), entry("tiny-1.0+a-cp312-cp312-linux_x86_64.whl"), ["tiny-1.0+a-cp312-cp312-linux_x86_64.whl", TWO]),
        (entry(TWO), entry("tiny-1.0+a-cp311-cp311-linux_aarch64.whl"), ["tiny-1.0+a-cp311-cp311-linux_aarch64.whl", TWO]),
        (entry(TWO), entry("other-1.0+a-cp311-cp311-linux_x86_64.whl"), ["other-1.0+a-cp311-cp311-linux_x86_64.whl", TWO]),
    ],
)  # fmt: skip
def test_one_build_of_a_release_is_offered(first: Entry, second: Entry, offer: list[str]) -> None:
    assert names(first, second)[HOPPER] == offer
    assert names(second, first)[HOPPER] == offer


def test_the_build_that_gave_way_is_said() -> None:
    older = entry(ONE, architectures=["9.0a"])
    assert offered([older, entry(TWO, added=9)]).left_out == {ONE: ANOTHER}
    # it is still offered where the other one does not run
    assert offered([entry(ONE, architectures=["8.0", "9.0"]), entry(TWO, added=9)]).left_out == {}


@pytest.mark.parametrize(
    ("wheel", "targets"),
    [
        (by_hand("plain-1.0-py3-none-any.whl"), {"cu128-torch2.8-sm90", "cpu-torch2.13"}),
        (entry("plain-1.0-py3-none-any.whl", torch="0", cuda=None, architectures=[]),
         {"cu128-torch2.8-sm90", "cpu-torch2.13"}),
        (entry("mambaops_kernels-1.0-py3-none-any.whl", torch="0", cuda="12.9"), {"cu128-torch2.8-sm90"}),
        (entry("mambaops_kernels-1.0-py3-none-any.whl", torch="0", cuda="11.8",
               architectures=["8.0", "9.0a"]), {"cu128-torch2.8-sm90"}),
        # a driver that runs CUDA 12 need not take code of CUDA 13
        (entry("mambaops_kernels-1.0-py3-none-any.whl", torch="0", cuda="13.0"), set()),
        (entry("mambaops_kernels-1.0-py3-none-any.whl", torch="0", architectures=["8.0"]), set()),
    ],
)  # fmt: skip
def test_what_needs_no_torch_goes_to_every_target_that_runs_it(
    wheel: Entry, targets: set[str]
) -> None:
    others = entry(TWO), entry(ONE, torch="2.13.0", cuda=None, architectures=[])
    found = offered([*others, wheel])
    assert {target.name for target, several in found.wheels.items() if wheel in several} == targets
    assert len(found.wheels) == 2
    assert (wheel.wheel in found.left_out) == (not targets)

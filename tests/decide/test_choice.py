"""The choice as a whole: its words, and what stands in for a GPU's own code."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from recorded import facts_of, varied

from mambaops.core.errors import UsageError
from mambaops.decide.architectures import code_for
from mambaops.decide.choice import Choice, decide
from mambaops.decide.memory import Made
from mambaops.decide.situation import Flags
from mambaops.facts.model import Facts, Torch
from mambaops.profiles.load import load_profile

NEWER = {"gpus": [{"index": 0, "name": "X9000", "compute_capability": "12.5"}]}


def chosen(facts: Facts, flags: Flags | None = None, made: Made | None = None) -> Choice:
    return decide(load_profile("local"), facts, flags or Flags(), made=made)


@pytest.mark.parametrize(
    ("archs", "flag", "note", "why"),
    [
        (("8.0", "9.0"), "", "kernels for 8.0;9.0: that is what this environment was made for; others: `--arch`", "what this environment was made for ("),
        (("8.0",), "9.0;12.0", "this environment was made for 8.0; now for 9.0;12.0: asked for with --arch", "asked for with --arch"),
        (("9.0",), "9.0", None, "asked for with --arch"),
        ((), "", None, "compute capability of NVIDIA H100"),
    ],
)  # fmt: skip
def test_another_list_than_before_is_said(
    archs: tuple[str, ...], flag: str, note: str | None, why: str
) -> None:
    made = Made(profile="local", archs=archs)
    found = chosen(facts_of("hopper"), Flags(arch=flag), made)
    assert found.notes == (() if note is None else (note,))
    assert found.reasons["arch"].startswith(why)
    assert found.named is bool(flag)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("absent", "no GPU is visible and no --arch was given: no kernels are compiled"),
        ("ok", "no GPU is visible and no --arch was given: no kernels are compiled"),
        ("broken", "no GPU is visible (driver broken: mismatch) and no --arch was given: no kernels are compiled"),
    ],
)  # fmt: skip
def test_without_a_gpu(state: str, said: str) -> None:
    driver = {"state": state, "error": "mismatch" if state == "broken" else None}
    found = chosen(varied("no-gpu", {"driver": driver}))
    plain: dict[str, Any] = msgspec.to_builtins(found)
    assert (found.reasons["arch"], found.notes) == (said, ())
    assert found.reasons["torch"] == "no GPU here and no `--arch`: a CPU build"
    assert {name: plain[name] for name in ("named", "split", "toolkit", "archs", "cxx11_abi")} == {
        "named": False, "split": 0, "toolkit": "", "archs": (), "cxx11_abi": True,
    }  # fmt: skip
    assert (found.torch_version, found.machine) == ("2.13.0+cpu", "x86_64")


@pytest.mark.parametrize(
    ("machine", "changes", "archs", "toolkit", "code", "notes"),
    [
        ("hopper", {}, ("9.0",), "13.0", ("9.0",), []),
        ("hopper", NEWER, ("12.5",), "13.0", ("12.1",), ["CUDA 13.0 came before GPUs of 12.5: 12.1 is compiled, which runs there"]),
        ("hopper", NEWER, ("9.0",), "13.0", ("9.0",), []),  # nobody asked for that GPU's
        ("hopper", NEWER, ("12.5",), "99.0", ("12.5",), []),  # nvcc itself will judge
        ("hopper", NEWER, ("12.5a",), "13.0", ("12.5a",), []),
        ("b300", {}, ("9.0",), "13.0", ("9.0",), []),
    ],
)  # fmt: skip
def test_what_stands_in_for_a_gpus_own_code(
    machine: str, changes: dict[str, Any], archs: tuple[str, ...], toolkit: str,
    code: tuple[str, ...], notes: list[str],
) -> None:  # fmt: skip
    said: list[str] = []
    made, instead = code_for(archs, varied(machine, changes), toolkit, said)
    assert (made, said) == (code, notes)
    assert all(instead[one] not in code for one in code if one in instead)


def test_ptx_is_compiled_by_a_toolkit_that_knows_its_architecture() -> None:
    found = chosen(facts_of("no-gpu"), Flags(arch="7.0;12.0+PTX"))
    assert (found.torch_cuda, found.toolkit) == ("12.6", "12.8")


@pytest.mark.parametrize(
    ("flags", "python", "why"),
    [
        (Flags(python="3.14"), "3.14", "asked for with --python"),
        (Flags(), "3.12", "3.12 is here and in the profile's list"),
    ],
)
def test_which_python(flags: Flags, python: str, why: str) -> None:
    found = chosen(facts_of("hopper"), flags)
    assert (found.python, found.reasons["python"]) == (python, why)


def test_a_list_that_cannot_be_understood_is_refused_without_packages_too() -> None:
    from mambaops.decide.case import make_case
    from mambaops.decide.situation import elsewhere

    bare = msgspec.structs.replace(load_profile("local"), packages={})
    with pytest.raises(UsageError):
        make_case(bare, elsewhere("local", facts_of("hopper")), Flags(arch="ninety"))


def test_a_gpu_that_a_profile_expects_and_that_is_not_there_makes_no_cuda_torch() -> None:
    profile = load_profile("local")
    expect = msgspec.structs.replace(profile.expect, gpu=True)
    found = decide(msgspec.structs.replace(profile, expect=expect), facts_of("no-gpu"), Flags())
    assert (found.torch_cuda, found.archs) == (None, ())


@pytest.mark.parametrize(
    ("there", "asked", "chosen", "notes"),
    [
        ("2.12.0+cpu", "", "2.12.0", 0),
        ("2.12.0+cpu", "2.11.0", "2.11.0", 0),
        ("2.99.0+cpu", "", "2.99.0", 1),  # a torch that is newer than what this version knows
    ],
)
def test_a_torch_for_the_cpu(there: str, asked: str, chosen: str, notes: int) -> None:
    facts = facts_of("no-gpu")
    target = msgspec.structs.replace(facts, torch=Torch(version=there, path="/x"))
    found = decide(load_profile("local"), facts, Flags(torch=asked), target)
    assert (found.torch, found.torch_cuda) == (chosen, None)
    assert len([one for one in found.notes if "torch 2.99.0" in one]) == notes

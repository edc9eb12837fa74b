"""Kernels that are compiled without nvcc: which stored ones serve, and what is installed."""

from __future__ import annotations

import msgspec
import pytest
from recorded import facts_of, varied

from mambaops.decide.case import Case, make_case
from mambaops.decide.packages import by_nvrtc
from mambaops.decide.runtime import own_sources, serves, stored_pack, wanted_kernels
from mambaops.decide.situation import Flags, StoredPack, elsewhere
from mambaops.profiles.load import load_profile

PACK = StoredPack(path="/x.whl", version="1.0+cu130.sm90.x1", cuda="13.0", archs=("9.0",))


def case_of(*packs: StoredPack, machine: str = "hopper", cuda: str = "13.0", **flags: str) -> Case:
    torch = {"version": f"2.14.1+cu{cuda.replace('.', '')}", "cuda": cuda, "path": "/x"}
    facts = facts_of(machine)
    there = varied(machine, {"torch": torch, "python": {"kind": "venv"}})
    situation = msgspec.structs.replace(elsewhere("local", facts, packs), target=there)
    return make_case(load_profile("local"), situation, Flags(**flags))


@pytest.mark.parametrize(
    ("cuda", "archs", "torch_cuda", "wanted", "serve"),
    [
        ("13.0", ("9.0",), "13.0", ("9.0",), True),
        ("12.8", ("9.0",), "13.0", ("9.0",), True),  # the driver takes an older major's
        ("13.2", ("9.0",), "13.0", ("9.0",), True),  # and its own
        ("13.0", ("9.0",), "12.8", ("9.0",), False),
        ("9.2", ("9.0",), "12.8", ("9.0",), True),
        ("13.0", ("8.0",), "13.0", ("9.0",), False),
        ("13.0", ("8.0", "9.0"), "13.0", ("9.0",), True),
        ("13.0", ("8.0",), "13.0", ("8.0", "9.0"), False),  # one of two GPUs
        ("13.0", ("8.0",), "13.0", ("8.6",), True),
    ],
)
def test_machine_code_that_serves(
    cuda: str, archs: tuple[str, ...], torch_cuda: str, wanted: tuple[str, ...], serve: bool
) -> None:
    assert serves(cuda, archs, torch_cuda, wanted) is serve


def test_a_stored_pack_is_taken_where_it_serves() -> None:
    wide = msgspec.structs.replace(PACK, version="1.0+cu130.wide", archs=("8.0", "9.0"))
    other = msgspec.structs.replace(PACK, version="1.0+cu130.sm80.x1", archs=("8.0",))
    assert stored_pack(case_of(wide, PACK, other)) == PACK  # the smallest
    assert stored_pack(case_of(wide, other)) == wide
    assert stored_pack(case_of(other)) is None
    assert stored_pack(case_of(PACK, machine="no-gpu")) is None  # a CUDA torch, and no GPU
    assert wanted_kernels(case_of(PACK)) == PACK.version


def test_the_version_of_what_is_compiled_here_names_the_cuda() -> None:
    versions = {cuda: wanted_kernels(case_of(cuda=cuda, arch="8.0")) for cuda in ("13.0", "12.6")}
    assert "cu130" in versions["13.0"]
    assert "cu126" in versions["12.6"]


@pytest.mark.parametrize(
    ("package", "given", "without_nvcc"),
    [
        ("mamba-ssm", False, True),
        ("selective-scan", False, False),
        ("selective-scan", True, True),  # of the sources that are given
        ("torch-scatter", True, False),
    ],
)
def test_what_compiles_without_nvcc(package: str, given: bool, without_nvcc: bool) -> None:
    flags = Flags(
        add={} if package == "mamba-ssm" else {package: ""},
        source_ids={package: "c0ffee"} if given else {},
    )
    case = make_case(load_profile("local"), elsewhere("local", facts_of("hopper")), flags)
    assert by_nvrtc(case, package) is without_nvcc
    assert own_sources(case) == ({package: "c0ffee"} if given else {})

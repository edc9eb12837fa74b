"""Which torch and which C++11 ABI undefined symbols tell."""

from __future__ import annotations

import pytest

from mambaops.wheels.inspect.abi import (
    TorchEra,
    cxx11_abi,
    minor_key,
    missing_from,
    symbol_rows,
    torch_era,
)

# Mangled names that users reported, with what they mean (the issues stand in torch_symbols.toml).
REPORTED = [
    ("_ZN3c104cuda9SetDeviceEi", ">=2.1,<2.3", None),
    ("_ZN3c104cuda9SetDeviceEa", ">=2.3,<2.8", None),
    ("_ZN3c104cuda9SetDeviceEab", ">=2.8", None),
    (
        "_ZN3c107WarningC1ESt7variantIJNS0_11UserWarningENS0_18DeprecationWarningEEERKNS_14SourceLocationESsb",
        ">=2.2",
        False,
    ),
    (
        "_ZN3c107WarningC1ENS_7variantIJNS0_11UserWarningENS0_18DeprecationWarningEEEERKNS_14SourceLocationESsb",
        ">=2.0,<2.2",
        False,
    ),
    (
        "_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
        None,
        True,
    ),
    ("_ZN3c106detail14torchCheckFailEPKcS2_jRKSs", None, False),
    (
        "_ZN2at4_ops10zeros_like4callERKNS_6TensorEN3c108optionalINS5_10ScalarTypeEEENS6_INS5_6LayoutEEE",
        "<2.2",
        None,
    ),
    ("_ZN3c104cuda20CUDACachingAllocator9allocatorE", ">=2.0", None),
    (
        "_ZN3c104cuda20CUDACachingAllocator12recordStreamERKNS_7DataPtrENS0_10CUDAStreamE",
        "<2.0",
        None,
    ),
    ("_ZN3c109ProcessSsEv", None, None),
]


@pytest.mark.parametrize(("symbol", "specifier", "abi"), REPORTED)
def test_symbols_of_real_reports(symbol: str, specifier: str | None, abi: bool | None) -> None:
    assert torch_era([symbol]).specifier == specifier
    assert cxx11_abi([symbol]) is abi


def test_every_row_of_the_symbol_table_has_a_bound_and_a_header() -> None:
    for _, row in symbol_rows():
        assert row.since or row.before, row.pattern
        assert row.header.startswith("c10/"), row.pattern


def test_symbols_that_a_torch_lacks_are_named() -> None:
    (missing,) = missing_from("2.7.1+cu128", ["_ZN3c104cuda9SetDeviceEab", "printf"])
    assert missing.startswith("_ZN3c104cuda9SetDeviceEab (")
    assert missing_from("2.8.0", ["_ZN3c104cuda9SetDeviceEab"]) == ()


def test_a_module_of_two_torches_is_a_contradiction() -> None:
    era = torch_era(["_ZN3c104cuda9SetDeviceEi", "_ZN3c104cuda9SetDeviceEab"])
    assert era.contradiction
    assert not era.has("2.8.0")


@pytest.mark.parametrize(
    ("since", "before", "torch", "inside"),
    [
        (None, None, "2.8.0", True),
        ("2.8", None, "2.7.9", False),
        ("2.8", None, "2.8.0+cu128", True),
        ("2.8", None, "2.10.0", True),
        (None, "2.8", "2.7.1", True),
        (None, "2.8", "2.8.0.dev20250601", False),
        ("2.1", "2.3", "2.2.2", True),
        ("2.1", "2.3", "2.3.0", False),
        ("2.1", "2.3", "2.0.1", False),
    ],
)
def test_an_era_has_its_first_torch_and_not_its_last(
    since: str | None, before: str | None, torch: str, inside: bool
) -> None:
    assert TorchEra(since=since, before=before).has(torch) is inside


@pytest.mark.parametrize(
    ("symbols", "specifier"),
    [
        # the latest beginning and the earliest end count
        (
            ["_ZN3c104cuda9SetDeviceEa", "_ZN3c104cuda20CUDACachingAllocator9allocatorE"],
            ">=2.3,<2.8",
        ),
        ([], None),
        (["printf"], None),
    ],
)
def test_every_symbol_narrows_the_era(symbols: list[str], specifier: str | None) -> None:
    assert torch_era(symbols).specifier == specifier


def test_the_evidence_is_what_set_the_bounds() -> None:
    era = torch_era(["_ZN3c104cuda9SetDeviceEa", "_ZN3c104cuda20CUDACachingAllocator9allocatorE"])
    assert [one.split(" (")[0] for one in era.evidence] == ["_ZN3c104cuda9SetDeviceEa"]
    assert not era.contradiction


def test_two_torches_that_meet_are_a_contradiction() -> None:
    """What ended with 2.3 and what began with 2.3 were never in one torch."""
    assert torch_era(["_ZN3c104cuda9SetDeviceEi", "_ZN3c104cuda9SetDeviceEa"]).contradiction


@pytest.mark.parametrize(
    ("version", "minor"),
    [("2.14.1+cu130", (2, 14)), ("2.14.0.dev20260101", (2, 14)), ("2.14", (2, 14))],
)
def test_minor_versions(version: str, minor: tuple[int, int]) -> None:
    assert minor_key(version) == minor


def test_what_is_no_version() -> None:
    with pytest.raises(ValueError, match="`newest` is no version of torch"):
        minor_key("newest")


@pytest.mark.parametrize(
    ("symbols", "new"),
    [
        (["_ZN2at4_ops5emptyERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"], True),
        (["_ZNK5torch3jit5printB5cxx11Ev"], True),
        (["_ZN6caffe28TypeMeta4nameESs"], False),
        # both at once cannot load beside any torch; the new one is reported
        (["_ZN3c101aESs", "_ZN3c101bENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"], True),
        # an extension's own strings say nothing about torch's
        (["_ZN4mine3useENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"], None),
        (["_ZN4mine3useESs"], None),
        # identifiers and substitutions that only look like the abbreviation
        (["_ZN3c109ProcessSsEv"], None),
        (["_ZN3c103useES_S0_"], None),
        ([], None),
    ],
)
def test_the_abi_of_strings(symbols: list[str], new: bool | None) -> None:
    assert cxx11_abi(symbols) is new


ZEROS_LIKE = "_ZN2at4_ops10zeros_like4callERKNS_6TensorEN3c108optionalINS5_10ScalarTypeEEENS6_INS5_6LayoutEEE"


@pytest.mark.parametrize(
    ("symbols", "evidence"),
    [
        # a beginning alone, an end alone, and of two beginnings the later one
        (["_ZN3c104cuda9SetDeviceEab"], ["_ZN3c104cuda9SetDeviceEab"]),
        ([ZEROS_LIKE], [ZEROS_LIKE]),
        (
            ["_ZN3c104cuda20CUDACachingAllocator9allocatorE", "_ZN3c104cuda9SetDeviceEab"],
            ["_ZN3c104cuda9SetDeviceEab"],
        ),
        # of two ends the earlier one
        (["_ZN3c104cuda9SetDeviceEa", ZEROS_LIKE], [ZEROS_LIKE, "_ZN3c104cuda9SetDeviceEa"]),
        (["printf"], []),
    ],
)
def test_what_set_a_bound_is_named(symbols: list[str], evidence: list[str]) -> None:
    assert [one.split(" (")[0] for one in torch_era(symbols).evidence] == evidence


def test_a_torch_past_the_end_of_a_symbol_lacks_it() -> None:
    assert missing_from("2.8.0", ["_ZN3c104cuda9SetDeviceEa"])
    assert not missing_from("2.7.1", ["_ZN3c104cuda9SetDeviceEa"])

"""Architecture lists: what is understood, what is refused and how it is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mambaops.core.errors import UsageError
from mambaops.patching.archs import KNOWN, lowest, nvcc_flags, parse_archs


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("9.0", ("9.0",)),
        ("8.0;9.0;12.0+PTX", ("8.0", "9.0", "12.0+PTX")),
        (" 12.0 8.0 , 9.0 ", ("8.0", "9.0", "12.0")),
        ("10.0;9.0;10.0", ("9.0", "10.0")),
        ("8.0;8.0+PTX", ("8.0+PTX",)),
        ("9.0+ptx", ("9.0+PTX",)),
        ("9.0a;12.0f", ("9.0a", "12.0f")),
        ("9.0;9.0a", ("9.0", "9.0a")),
        ("Ampere;Hopper", ("8.0", "8.6+PTX", "9.0+PTX")),
        ("12.0a;12.1f;10.3a+PTX", ("10.3a+PTX", "12.0a", "12.1f")),
    ],
)
def test_lists_as_torch_takes_them(text: str, wanted: tuple[str, ...]) -> None:
    assert parse_archs(text) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'write for example "9.0"'),
        ("12.0;;", 'write for example "9.0"'),
        ("8.0,", 'write for example "9.0"'),
        ("sm_90", 'as a compute capability: "9.0"'),
        ("sm90", 'as a compute capability: "9.0"'),
        ("compute_120+PTX", 'as a compute capability: "12.0+PTX"'),
        ("90", 'as a compute capability: "9.0"'),
        ("90a", 'as a compute capability: "9.0a"'),
        ("120F", 'as a compute capability: "12.0f"'),
        ("9", 'as a compute capability: "9.0"'),
        ("12", 'as a compute capability: "12.0"'),
        ("103", 'as a compute capability: "10.3"'),
        ("h100", 'as a compute capability: "9.0"'),
        ("RTX5090", "write for example"),
        ("A800", 'as a compute capability: "8.0"'),
        ("9.7", "there are: 3.5, 3.7, 5.0"),
        ("99.9", "12.0, 12.1"),
        ("13.7", "12.0, 12.1"),
        ("777", "write for example"),
        ("8.0a", "`a` exists from 9.0 on"),
        ("9.0f", "`f` exists from 9.0 on"),
        ("native", "name the architectures"),
        ("9.0+PTX+PTX", "write for example"),
        ("ninety", "write for example"),
        ("9.0; rm -rf /", "write for example"),
    ],
)
def test_nonsense_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_archs(text)
    assert caught.value.exit_code == 2
    if "f` exists" in said:
        said = "`f` from 10.0 on"
    assert said in caught.value.hint


def test_each_architecture_by_itself() -> None:
    assert nvcc_flags(("8.0", "9.0+PTX")) == [
        "-gencode",
        "arch=compute_80,code=sm_80",
        "-gencode",
        "arch=compute_90,code=sm_90",
        "-gencode",
        "arch=compute_90,code=compute_90",
    ]


def test_all_from_one_ptx() -> None:
    assert nvcc_flags(("8.0+PTX", "8.6", "12.0"), one_ptx=True) == [
        "-gencode",
        "arch=compute_80,code=[sm_80,sm_86,sm_120,compute_80]",
    ]
    assert nvcc_flags(("9.0",), one_ptx=True) == nvcc_flags(("9.0",))


@pytest.mark.parametrize("archs", [("8.0", "9.0a"), ("8.0", "9.0+PTX")])
def test_one_ptx_refuses_what_it_cannot_give(archs: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="PTX"):
        nvcc_flags(archs, one_ptx=True)


@given(st.lists(st.tuples(st.sampled_from(sorted(KNOWN)), st.booleans()), min_size=1))
def test_what_is_read_reads_back(entries: list[tuple[str, bool]]) -> None:
    text = ";".join(arch + ("+PTX" if ptx else "") for arch, ptx in entries)
    archs = parse_archs(text)
    assert parse_archs(";".join(archs)) == archs
    assert {arch.removesuffix("+PTX") for arch in archs} == {arch for arch, _ in entries}
    flags = nvcc_flags(archs)
    assert sum("code=sm_" in flag for flag in flags) == len(archs)
    assert sum("code=compute_" in flag for flag in flags) == sum("PTX" in arch for arch in archs)
    assert f"{lowest(archs)[0]}.{lowest(archs)[1]}" == archs[0].removesuffix("+PTX")

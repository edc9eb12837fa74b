"""The tags of an interpreter that may be far away, and what tags promise of glibc."""

from __future__ import annotations

import pytest
from packaging.tags import parse_tag

from mambaops.wheels.tags import glibc_floor, linux_platforms, target_tags


@pytest.mark.parametrize(
    ("machine", "glibc", "platforms"),
    [
        ("x86_64", None, ["linux_x86_64"]),
        ("x86_64", "", ["linux_x86_64"]),
        ("riscv64", "2.18", ["linux_riscv64", "manylinux_2_18_riscv64", "manylinux_2_17_riscv64",
                             "manylinux2014_riscv64"]),
        ("aarch64", "2.17", ["linux_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"]),
        ("aarch64", "2.16", ["linux_aarch64"]),
        ("x86_64", "2.6", ["linux_x86_64", "manylinux_2_6_x86_64", "manylinux_2_5_x86_64",
                           "manylinux1_x86_64"]),
        ("i686", "2.5", ["linux_i686", "manylinux_2_5_i686", "manylinux1_i686"]),
        ("x86_64", "3.1", ["linux_x86_64"]),
    ],
)  # fmt: skip
def test_platforms(machine: str, glibc: str | None, platforms: list[str]) -> None:
    assert list(linux_platforms(machine, glibc)) == platforms


def test_the_older_names_stand_behind_the_floor_that_they_mean() -> None:
    found = list(linux_platforms("x86_64", "2.31"))
    for name, floor in (("manylinux2014", 17), ("manylinux2010", 12), ("manylinux1", 5)):
        assert found.index(f"{name}_x86_64") == found.index(f"manylinux_2_{floor}_x86_64") + 1


@pytest.mark.parametrize(
    ("tag", "taken"),
    [
        ("cp311-cp311-linux_x86_64", True),
        ("cp311-cp311-manylinux_2_31_x86_64", True),
        ("cp311-cp311-manylinux_2_32_x86_64", False),
        ("cp311-abi3-manylinux2014_x86_64", True),
        ("cp38-abi3-linux_x86_64", True),
        ("cp312-cp312-linux_x86_64", False),
        ("cp311-cp311t-linux_x86_64", False),
        ("py3-none-any", True),
        ("py311-none-linux_x86_64", True),
        ("py312-none-any", False),
    ],
)
def test_what_a_usual_python_takes(tag: str, taken: bool) -> None:
    tags = target_tags(python="3.11.7", machine="x86_64", glibc="2.31")
    assert bool(parse_tag(tag) & set(tags)) is taken


def test_a_python_without_the_gil_takes_its_own_abi() -> None:
    tags = target_tags(python="3.13", machine="x86_64", glibc="2.31", abi="cp313t")
    assert parse_tag("cp313-cp313t-linux_x86_64") <= set(tags)
    assert not parse_tag("cp313-cp313-linux_x86_64") & set(tags)


@pytest.mark.parametrize(
    ("tag", "floor"),
    [
        ("py3-none-any", None),
        ("cp311-cp311-linux_x86_64", None),
        ("cp311-cp311-manylinux_2_28_x86_64", "2.28"),
        ("cp311-cp311-manylinux2014_x86_64", "2.17"),
        ("cp311-cp311-manylinux1_x86_64", "2.5"),
        ("cp311-cp311-manylinux_2_28_x86_64.manylinux_2_9_x86_64", "2.9"),
        ("cp311-cp311-musllinux_1_2_x86_64", None),
    ],
)
def test_the_lowest_glibc_that_tags_promise(tag: str, floor: str | None) -> None:
    assert glibc_floor(parse_tag(tag)) == floor

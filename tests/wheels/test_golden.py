"""The whole trace of every machine, held against its golden file.

After a change that is meant: `python -m tests.wheels.refresh`, and read the difference.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from recorded import facts_of

from mambaops.wheels.select.selection import select
from mambaops.wheels.sources.planned import UpstreamPlan

from .machines import INVENTED, NOTES, machines
from .refresh import GOLDEN, text

ALL = machines()


@pytest.mark.parametrize("name", sorted(ALL))
def test_trace(name: str, tmp_path: Path) -> None:
    expected = (GOLDEN / f"{name}.json").read_text(encoding="utf-8")
    got = text(ALL[name], tmp_path / "no-store")
    assert json.loads(got) == json.loads(expected), "python -m tests.wheels.refresh"


def test_every_golden_file_has_its_machine() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(ALL)
    assert len(NOTES) == 5
    assert len(INVENTED) >= 20


def golden(name: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((GOLDEN / f"{name}.json").read_text())
    return found


def reasons(name: str, package: str = "mamba-ssm") -> str:
    rows = golden(name)[package]["refused"]
    assert isinstance(rows, list)
    return "\n".join(str(row["reason"]) for row in rows)


# What the notes' machines must come to, independent of the recorded traces.
def test_the_a800_in_a_conda_environment_gets_the_wheels_whose_abi_is_torchs() -> None:
    """Note C: conda's libstdc++ is new enough; the note took the wheels of the other ABI."""
    pair = golden("note-a800-debian10")["pair"]
    assert pair["mamba-ssm"] == (
        "mamba_ssm-2.2.4+cu12torch2.2cxx11abiFALSE-cp310-cp310-linux_x86_64.whl"
    )
    # the wheel that the note installed: named TRUE beside a torch whose ABI is FALSE
    assert "uses the new C++11 ABI; torch 2.2.0+cu121 here uses the old (FALSE)" in reasons(
        "note-a800-debian10"
    )


def test_the_a800_without_conda_is_told_of_its_libstdcxx() -> None:
    """Debian 10's own libstdc++ is one version short of what wheels of that time ask for."""
    facts = facts_of("debian10-a800")
    bare = replace(facts, python=replace(facts.python, libstdcxx=None))
    chosen = select("mamba-ssm", bare, UpstreamPlan().candidates("mamba-ssm", bare))
    assert chosen.chosen is None
    miss = chosen.nearest[0]
    assert miss.name == "mamba_ssm-2.2.4+cu12torch2.2cxx11abiFALSE-cp310-cp310-linux_x86_64.whl"
    assert "GLIBCXX_3.4.26" in miss.reason


def test_graph_mambas_first_environment_gets_cu118_wheels() -> None:
    pair = golden("note-ubuntu20-torch200-cu117")["pair"]
    assert pair["mamba-ssm"] == (
        "mamba_ssm-2.2.2+cu118torch2.0cxx11abiFALSE-cp39-cp39-linux_x86_64.whl"
    )
    assert pair["causal-conv1d"] == (
        "causal_conv1d-1.4.0+cu118torch2.0cxx11abiFALSE-cp39-cp39-linux_x86_64.whl"
    )


def test_ubuntu_20_gets_no_wheel_that_its_glibc_refuses() -> None:
    found = golden("note-ubuntu20-torch28-cu128")
    assert "manylinux_2_28" in str(found["mamba-ssm"]["chosen"])
    assert "cannot be imported on Python 3.9" in reasons(
        "note-ubuntu20-torch28-cu128", "causal-conv1d"
    )


def test_nightly_torch_is_sent_to_a_build() -> None:
    assert golden("note-5090-nightly")["mamba-ssm"]["chosen"] is None
    assert "is the nightly 2.8.0.dev20250605+cu128" in reasons("note-5090-nightly")


def test_windows_is_sent_to_wsl() -> None:
    assert golden("note-windows")["mamba-ssm"]["chosen"] is None
    assert "use WSL2" in reasons("note-windows")

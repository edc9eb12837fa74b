"""What holds for every choice, over all planned wheels; the rules one by one are in `cases/`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mambaops.facts.model import Facts
from mambaops.knowledge.releases import same_generation
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.select.pair import pair_versions
from mambaops.wheels.select.selection import Wanted, select
from mambaops.wheels.sources.planned import AstralIndexPlan, OtherInstallers, UpstreamPlan

from .facts_of import machine
from .machines import machines


def everything(package: str, facts: Facts) -> list[Candidate]:
    sources = (UpstreamPlan(), AstralIndexPlan(), OtherInstallers())
    return [one for source in sources for one in source.candidates(package, facts)]


def test_the_real_abi_counts_not_the_name() -> None:
    """From 2.2.5 on, cu12torch2.6cxx11abiFALSE was built on a torch whose ABI is new."""
    name = "mamba_ssm-2.3.1+cu12torch2.6cxx11abiFALSE-cp311-cp311-linux_x86_64.whl"
    old = machine(torch="2.6.0+cu124", cxx11_abi=False)
    new = machine(torch="2.6.0+cu126", cxx11_abi=True)
    (one,) = [c for c in everything("mamba-ssm", old) if (c.name, c.tag) == (name, "2.3.1")]
    assert "says cxx11abiFALSE and is not" in select("mamba-ssm", old, [one]).candidates[0].reason
    chosen = select("mamba-ssm", new, [one]).chosen
    assert chosen is not None
    assert "the new C++11 ABI in spite of its name" in chosen.reason


def test_pins_that_would_replace_triton_cost_rank_and_are_said() -> None:
    facts = machine(torch="2.7.1+cu126", triton="3.3.1")
    selection = select("mamba-ssm", facts, everything("mamba-ssm", facts))
    assert selection.chosen is not None
    assert selection.chosen.version == "2.3.1"
    newest = next(v for v in selection.candidates if v.version == "2.3.2.post1" and v.accepted)
    assert any("triton>=3.5.0 (here: 3.3.1): install with --no-deps" in n for n in newest.notes)


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2.3.0", {"2.3.0"}), (">=2.2.5,<2.3", {"2.2.5", "2.2.6.post2", "2.2.6.post3"})],
)
def test_versions_can_be_asked_for(version: str, expected: set[str]) -> None:
    facts = machine(torch="2.5.1+cu124")
    offered = everything("mamba-ssm", facts)
    selection = select("mamba-ssm", facts, offered, Wanted(version=version))
    assert {v.version for v in selection.candidates if v.accepted} == expected


def test_pairs_are_of_one_generation_on_every_machine() -> None:
    pairs = 0
    for facts in list(machines().values())[::2]:
        both = [one for p in ("mamba-ssm", "causal-conv1d") for one in everything(p, facts)]
        pair = pair_versions(facts, both, Wanted(allow_neighbour=True))
        assert pair.reason
        if pair.first is None or pair.other is None:
            assert pair.first is pair.other is None
            continue
        assert same_generation("mamba-ssm", pair.first.version, "causal-conv1d", pair.other.version)
        pairs += 1
    assert pairs > 5


def test_no_rule_depends_on_the_order_of_candidates() -> None:
    facts = machine()
    offered = everything("mamba-ssm", facts)
    forward, backward = (select("mamba-ssm", facts, o) for o in (offered, offered[::-1]))
    assert forward.chosen == backward.chosen
    assert {v.name: v.reason for v in forward.candidates} == {
        v.name: v.reason for v in backward.candidates
    }


@settings(max_examples=60, deadline=None)
@given(
    python=st.sampled_from(["3.7.1", "3.9.18", "3.10.2", "3.13.0", "3.15.0"]),
    torch=st.sampled_from(
        [None, "1.12.1+cu116", "2.4.1+cu118", "2.6.0+cu126", "2.10.0+cu130", "3.0.0+cu140"]
    ),
    gpu=st.sampled_from(["3.5", "6.1", "7.0", "8.9", "9.0", "12.1"]),
    driver=st.sampled_from([None, "11.4", "12.2", "13.2"]),
    on=st.sampled_from(["centos 7", "debian 10", "ubuntu 20.04", "alpine 3.20"]),
)
def test_any_machine_gets_a_whole_trace(
    python: str, torch: str | None, gpu: str, driver: str | None, on: str
) -> None:
    facts = machine(python=python, torch=torch, gpus=(gpu,), driver=driver, distro=on)
    offered = everything("causal-conv1d", facts)[::29]
    selection = select("causal-conv1d", facts, offered, Wanted(allow_neighbour=True))
    assert {id(one.candidate) for one in selection.candidates} == {id(one) for one in offered}
    assert all(verdict.reason for verdict in selection.candidates)
    assert (selection.chosen is None) == (not any(v.accepted for v in selection.candidates))

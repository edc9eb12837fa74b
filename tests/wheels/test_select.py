"""The rules one by one, ranking, pairs: facts in, verdicts out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mambaops.core.errors import UsageError
from mambaops.facts.model import Facts
from mambaops.knowledge.releases import same_generation
from mambaops.wheels.candidates import Candidate, from_name
from mambaops.wheels.machine import machine_of
from mambaops.wheels.names import parse_wheel_name
from mambaops.wheels.select.rules import RULES, all_refusals
from mambaops.wheels.select.selection import pair_versions, select
from mambaops.wheels.sources.planned import AstralIndexPlan, OtherInstallers, UpstreamPlan

from .facts_of import machine
from .machines import machines


def everything(package: str, facts: Facts) -> list[Candidate]:
    sources = (UpstreamPlan(), AstralIndexPlan(), OtherInstallers())
    return [one for source in sources for one in source.candidates(package, facts)]


def candidate(name: str, **known: Any) -> Candidate:
    defaults: dict[str, Any] = {"status": "listed", "cubins": ("8.0", "9.0")}
    return from_name(parse_wheel_name(name), "upstream", **{**defaults, **known})


TODAY = "mamba_ssm-2.3.1+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"


@pytest.mark.parametrize(
    ("known", "facts", "reason"),
    [
        ({}, {"system": "Windows"}, "use WSL2"),
        ({}, {"processor": "aarch64"}, "is for x86_64 processors; this one is aarch64"),
        ({}, {"python": "3.12.1"}, "is for Python 3.11; this is 3.12"),
        ({}, {"abi_tag": "cp311t"}, "without the GIL"),
        ({"python_min": "3.12"}, {}, "cannot be imported on Python 3.11"),
        ({}, {"torch": None}, "no torch is installed here"),
        ({}, {"torch": "2.8.0+cpu", "cuda": None}, "is built for the CPU"),
        ({}, {"torch": "2.8.0+rocm6.4", "cuda": None, "hip": "6.4"}, "ROCm 6.4"),
        ({}, {"torch": "2.7.1+cu128"}, "is for torch 2.8; this is 2.7.1+cu128"),
        ({}, {"torch": "2.8.0.dev20250601+cu128"}, "nightly"),
        ({}, {"torch": "2.8.0a0+5228986c39.nv25.06", "cuda": "12.9"}, "image 25.06"),
        ({"torch_min": "2.9"}, {}, "needs torch 2.9 or newer"),
        ({}, {"torch": "2.8.0+cu118", "cuda": "11.8"}, "links to libcudart of CUDA 12"),
        ({}, {"cxx11_abi": False}, "uses the new C++11 ABI"),
        (
            {"cxx11_abi": True, "named_abi": False},
            {"cxx11_abi": False},
            "says cxx11abiFALSE and is not",
        ),
        (
            {},
            {"packages": {"causal-conv1d": "1.4.0"}},
            "does not go with the installed causal-conv1d",
        ),
        (
            {"runs_with": ("transformers<5",)},
            {"packages": {"transformers": "5.1"}},
            "beside transformers 5.1",
        ),
        ({"glibc": "2.36", "repairable": False}, {}, "needs GLIBC_2.36; Ubuntu 22.04 has 2.35"),
        ({"glibcxx": "3.4.32"}, {}, "needs GLIBCXX_3.4.32"),
        ({}, {"on": "alpine 3.20"}, "is built for glibc"),
        ({}, {"driver": "11.4", "driver_version": "470.82"}, "525.60.13 or newer"),
        ({}, {"gpus": ("7.5",)}, "none of it runs on 7.5"),
        ({}, {"gpus": ("12.0",)}, "none of it runs on 12.0"),
        ({"doubt": "torch 9 was never made"}, {}, "cannot exist: torch 9 was never made"),
        ({"lie": "it is a web page"}, {}, "cannot be trusted: it is a web page"),
    ],
)
def test_each_rule_refuses_with_its_reason(
    known: dict[str, Any], facts: dict[str, Any], reason: str
) -> None:
    one = candidate(TODAY, **known)
    selection = select("mamba-ssm", machine(**facts), [one])
    assert selection.chosen is None
    assert reason in selection.candidates[0].reason
    assert selection.candidates[0].kind == "refused"
    fitting = select("mamba-ssm", machine(), [candidate(TODAY)])
    assert fitting.chosen is not None


def test_every_rule_was_hit_above_and_in_the_golden_traces() -> None:
    hit = set()
    for facts in machines().values():
        described = machine_of(facts)
        for package in ("mamba-ssm", "causal-conv1d"):
            offered = everything(package, facts)
            for one in offered[::7] + offered[-2:]:
                hit |= {rule.check.__name__ for rule, _ in all_refusals(one, described)}
    # only files that are at hand can lie
    assert {rule.check.__name__ for rule in RULES} - hit == {"_honest"}


def test_a_driver_of_the_same_major_version_is_enough() -> None:
    """Minor-version compatibility: machine code of CUDA 12.9 runs on a driver for 12.1."""
    selection = select("mamba-ssm", machine(driver="12.1"), [candidate(TODAY, nvcc="12.9.1")])
    assert selection.chosen is not None


def test_the_real_abi_counts_not_the_name() -> None:
    """From 2.2.5 on, cu12torch2.6cxx11abiFALSE was built on a torch whose ABI is new."""
    name = "mamba_ssm-2.3.1+cu12torch2.6cxx11abiFALSE-cp311-cp311-linux_x86_64.whl"
    old = machine(torch="2.6.0+cu124", cxx11_abi=False)
    new = machine(torch="2.6.0+cu126", cxx11_abi=True)
    (one,) = [c for c in everything("mamba-ssm", old) if c.name == name]
    assert "says cxx11abiFALSE and is not" in select("mamba-ssm", old, [one]).candidates[0].reason
    chosen = select("mamba-ssm", new, [one]).chosen
    assert chosen is not None
    assert "the new C++11 ABI in spite of its name" in chosen.reason


def test_a_repair_is_offered_only_where_it_is_all_that_is_missing() -> None:
    name = "mamba_ssm-2.3.1+cu11torch2.7cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"
    old = machine(on="ubuntu 20.04", torch="2.7.1+cu118")
    (one,) = [c for c in everything("mamba-ssm", old) if c.name == name]
    chosen = select("mamba-ssm", old, [one]).chosen
    assert chosen is not None
    assert (chosen.kind, chosen.repair) == ("fits after repair", "2.31")
    too_old = machine(on="centos 7", torch="2.7.1+cu118", gpus=("6.1",))
    assert select("mamba-ssm", too_old, [one]).chosen is None


def test_what_fits_at_once_comes_before_what_needs_a_repair() -> None:
    facts = machine(on="ubuntu 20.04", torch="2.8.0+cu128")
    selection = select("mamba-ssm", facts, everything("mamba-ssm", facts))
    kinds = [verdict.kind for verdict in selection.candidates if verdict.accepted]
    assert kinds == sorted(kinds, key=["fits", "fits after repair"].index)
    assert set(kinds) == {"fits", "fits after repair"}


@pytest.mark.parametrize("torch", ["2.11.0+cu130", "2.12.1+cu130"])
def test_a_neighbour_is_flagged_and_taken_only_when_allowed(torch: str) -> None:
    facts = machine(torch=torch, driver="13.0")
    name = "mamba_ssm-2.3.1+cu13torch2.10cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"
    refused = select("mamba-ssm", facts, [candidate(name)])
    assert refused.chosen is None
    assert refused.candidates[0].kind == "neighbour"
    assert "--allow-neighbour" in refused.candidates[0].reason
    assert refused.nearest[0].change == ("--allow-neighbour",)
    taken = select("mamba-ssm", facts, [candidate(name)], allow_neighbour=True).chosen
    assert taken is not None
    assert (taken.kind, taken.accepted) == ("neighbour", True)
    assert "verify" in taken.reason


def test_torch_2_13_is_no_neighbour() -> None:
    name = "mamba_ssm-2.3.1+cu13torch2.10cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"
    facts = machine(torch="2.13.0+cu130", driver="13.0")
    assert select("mamba-ssm", facts, [candidate(name)], allow_neighbour=True).chosen is None


def test_pins_that_would_replace_triton_cost_rank_and_are_said() -> None:
    facts = machine(torch="2.7.1+cu126", triton="3.3.1")
    selection = select("mamba-ssm", facts, everything("mamba-ssm", facts))
    assert selection.chosen is not None
    assert selection.chosen.version == "2.3.1"
    newest = next(v for v in selection.candidates if v.version == "2.3.2.post1" and v.accepted)
    assert any("triton>=3.5.0 (here: 3.3.1): install with --no-deps" in n for n in newest.notes)


def test_conda_packages_are_taken_only_when_allowed() -> None:
    facts = machine(kind="conda", gpus=("6.1",))
    offered = everything("mamba-ssm", facts)
    assert select("mamba-ssm", facts, offered).chosen is None
    chosen = select("mamba-ssm", facts, offered, allow_conda=True).chosen
    assert chosen is not None
    assert (chosen.source, chosen.name) == ("conda-forge", "conda-forge::mamba-ssm")
    assert any("may replace torch" in note for note in chosen.notes)


def test_the_store_comes_first_then_newer_versions() -> None:
    old = candidate("mamba_ssm-2.3.0+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl")
    stored = replace(old, source="store", status="present", url="/store/x.whl")
    selection = select("mamba-ssm", machine(), [candidate(TODAY), old, stored])
    assert [v.source for v in selection.candidates] == ["store", "upstream", "upstream"]
    assert [v.version for v in selection.candidates] == ["2.3.0", "2.3.1", "2.3.0"]
    assert selection.chosen is not None
    assert "already in the store" in selection.chosen.reason


def test_the_order_of_sources_can_be_changed() -> None:
    facts = machine()
    usual = select("mamba-ssm", facts, everything("mamba-ssm", facts)).chosen
    other = select(
        "mamba-ssm", facts, everything("mamba-ssm", facts), order=["astral", "upstream"]
    ).chosen
    assert usual is not None
    assert other is not None
    assert (usual.source, other.source) == ("upstream", "astral")
    assert "cu.12.8" in other.name  # torch's own CUDA before another minor


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2.3.0", {"2.3.0"}), (">=2.2.5,<2.3", {"2.2.5", "2.2.6.post2", "2.2.6.post3"})],
)
def test_versions_can_be_asked_for(version: str, expected: set[str]) -> None:
    facts = machine(torch="2.5.1+cu124")
    offered = everything("mamba-ssm", facts)
    selection = select("mamba-ssm", facts, offered, version=version)
    assert {v.version for v in selection.candidates if v.accepted} == expected


def test_usage_errors() -> None:
    with pytest.raises(UsageError, match="no prebuilt wheels are known for `flash-attn`"):
        select("flash-attn", machine(), [])
    with pytest.raises(UsageError, match="neither a version nor a condition"):
        select("mamba-ssm", machine(), [], version="newest")


def test_pairs_are_of_one_generation_on_every_machine() -> None:
    pairs = 0
    for facts in list(machines().values())[::2]:
        both = [one for p in ("mamba-ssm", "causal-conv1d") for one in everything(p, facts)]
        pair = pair_versions(facts, both, allow_neighbour=True)
        assert pair.reason
        if pair.mamba is None or pair.conv is None:
            assert pair.mamba is pair.conv is None
            continue
        assert same_generation(pair.mamba.version, pair.conv.version)
        pairs += 1
    assert pairs > 5


def test_an_installed_partner_is_respected_and_can_be_ignored() -> None:
    facts = machine(torch="2.5.1+cu124", packages={"causal-conv1d": "1.4.0"})
    offered = everything("mamba-ssm", facts)
    bound = select("mamba-ssm", facts, offered).chosen
    free = select("mamba-ssm", facts, offered, partner=None).chosen
    other = select("mamba-ssm", facts, offered, partner="1.6.0").chosen
    assert bound is not None
    assert free is not None
    assert other is not None
    assert (bound.version, free.version, other.version) == ("2.2.4", "2.3.2.post1", "2.3.2.post1")


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
    facts = machine(python=python, torch=torch, gpus=(gpu,), driver=driver, on=on)
    offered = everything("causal-conv1d", facts)[::29]
    selection = select("causal-conv1d", facts, offered, allow_neighbour=True)
    assert len(selection.candidates) == len(offered)
    assert all(verdict.reason for verdict in selection.candidates)
    assert (selection.chosen is None) == (not any(v.accepted for v in selection.candidates))

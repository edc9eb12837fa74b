"""The smallest set of packs, from recorded machines."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from recorded import facts_of, varied

from mambaops.decide.runtime import serves
from mambaops.decide.situation import StoredPack
from mambaops.facts.model import Facts
from mambaops.fleet.gather import Seen
from mambaops.fleet.model import Host
from mambaops.fleet.packset import CUDAS, PackSet, fewest, pack_set
from mambaops.fleet.plan import Planned, plans, profiles_of


def rows_of(machines: dict[str, Facts], **profiles: str) -> list[Planned]:
    hosts = {name: Host(profile=profiles.get(name, "local")) for name in machines}
    seen = [Seen(host=name, outcome="ok", facts=facts) for name, facts in machines.items()]
    return plans(seen, hosts, profiles_of(hosts))


def gpu(capability: str, driver: str = "580.65", cuda: str = "13.0") -> Facts:
    changes: dict[str, Any] = {
        "gpus": [{"index": 0, "name": "a GPU", "compute_capability": capability}],
        "driver": {"version": driver, "cuda": cuda},
        "torch": None,
    }
    return varied("debian13", changes)


def told(found: PackSet) -> list[tuple[str, list[str], list[str]]]:
    return [(pack.cuda, pack.archs, pack.hosts) for pack in found.packs]


def test_one_pack_serves_old_and_new_gpus_where_one_cuda_can() -> None:
    machines = {"a800": gpu("8.0", "535.104.12", "12.2"), "3090": gpu("8.6"), "5090": gpu("12.0")}
    found = pack_set(rows_of(machines))
    assert told(found) == [("12.8", ["8.0", "12.0"], ["a800", "3090", "5090"])]
    assert "--arch '8.0;12.0' --cuda 12.8" in found.packs[0].command


def test_a_driver_for_cuda_11_alone_needs_one_of_its_own() -> None:
    machines = {"old": gpu("8.0", "470.82.01", "11.4"), "5090": gpu("12.0")}
    found = pack_set(rows_of(machines))
    assert {tuple(pack.hosts): pack.cuda for pack in found.packs} == {
        ("old",): "11.8",
        ("5090",): "12.8",
    }


def test_machines_without_a_gpu_or_out_of_reach_need_none() -> None:
    rows = rows_of({"plain": facts_of("no-gpu"), "5090": gpu("12.0")})
    gone = Planned(
        host="gone", profile="local", outcome="unreachable", reason="no way there", hint=""
    )
    found = pack_set([*rows, gone])
    assert [pack.hosts for pack in found.packs] == [["5090"]]
    assert found.without == {
        "plain": "no kernels are wanted: it has no GPU",
        "gone": "no way there",
    }


def test_what_the_store_has_is_not_compiled_again() -> None:
    rows = rows_of({"a800": gpu("8.0"), "3090": gpu("8.6")})
    small = StoredPack(path="/s/small.whl", version="1", cuda="12.8", archs=("8.6",))
    large = StoredPack(path="/s/large.whl", version="1", cuda="12.8", archs=("8.0", "12.0"))
    (pack,) = pack_set(rows, [small, large]).packs
    assert (pack.stored, pack.command, pack.archs) == ("/s/large.whl", "", ["8.0", "12.0"])
    (pack,) = pack_set(rows, [small]).packs
    assert (pack.stored, pack.archs) == ("", ["8.0"])


def test_a_profile_that_takes_its_kernels_elsewhere_is_said() -> None:
    found = pack_set(rows_of({"a": gpu("9.0"), "b": gpu("9.0")}, a="ubuntu22-cu118"))
    assert "elsewhere: source" in found.without["a"]
    assert [pack.hosts for pack in found.packs] == [["b"]]


@pytest.mark.parametrize("seed", range(4))
def test_no_smaller_set_serves_all(seed: int) -> None:
    """Against every choice of CUDAs, each with what it must hold."""
    drivers = [("470.82.01", "11.4"), ("535.104.12", "12.2"), ("580.65", "13.0")]
    kinds = [("8.0", 0), ("8.6", 1), ("9.0", 1), ("12.0", 2), ("7.5", 2), ("8.9", 2)][
        seed : seed + 3
    ]
    machines = {f"m{place}": gpu(arch, *drivers[row]) for place, (arch, row) in enumerate(kinds)}
    rows = [row for row in rows_of(machines) if row.plan]
    found = pack_set(rows)
    served = {host for pack in found.packs for host in pack.hosts}
    assert served == {row.host for row in rows} - set(found.without)
    for pack in found.packs:
        for row in rows:
            if row.host in pack.hosts and row.plan:
                choice = row.plan.choice
                assert serves(pack.cuda, pack.archs, choice.torch_cuda or "0", choice.archs)
    fewer = itertools.combinations(CUDAS, len(found.packs) - 1)
    for cudas in fewer:
        alone = [
            row.host
            for row in rows
            if row.plan and row.host in served
            and not any(serves(one, row.plan.choice.archs, row.plan.choice.torch_cuda or "0", row.plan.choice.archs) for one in cudas)
        ]  # fmt: skip
        assert alone


def test_the_fewest_architectures() -> None:
    assert fewest(["8.9", "8.6", "8.0", "9.0", "12.1", "12.0"]) == ["8.0", "9.0", "12.0"]
    assert fewest(["8.6", "8.7", "8.9"]) == ["8.6", "8.7"]  # Jetson's GPU runs only its own

"""Recorded machines decode, have the shape that the probe prints, and do not contradict themselves."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest
from machine_files import assembled, merged
from recorded import facts_of, names, path_of

from mambaops.facts.complete import complete
from mambaops.facts.model import Facts, load
from mambaops.facts.summary import render
from mambaops.knowledge.cuda import cuda_of_driver, toolkit
from mambaops.knowledge.distributions import distribution
from mambaops.knowledge.gpus import capability_of
from mambaops.knowledge.torch_builds import torch_row

recorded = pytest.mark.parametrize("name", names())


@recorded
def test_every_key_of_its_file_is_a_fact(name: str) -> None:
    """A misspelt key would be ignored: what was assembled must come back from the record."""
    assert _missing(assembled(name), msgspec.to_builtins(facts_of(name))) == []


def _missing(said: object, facts: object, place: str = "") -> list[str]:
    """What is said and not among the facts, by its place."""
    if isinstance(said, dict) and isinstance(facts, dict):
        pairs = [(value, facts.get(key, ...), f"{place}.{key}") for key, value in said.items()]
    elif isinstance(said, list) and isinstance(facts, list) and len(said) == len(facts):
        pairs = [(one, other, f"{place}[]") for one, other in zip(said, facts)]
    else:
        return [] if said == facts else [place]
    return [row for one, other, where in pairs for row in _missing(one, other, where)]


@recorded
def test_its_file_for_a_command_holds_the_same_facts(name: str) -> None:
    assert load(path_of(name)) == facts_of(name)
    jsonschema.validate(json.loads(path_of(name).read_text()), msgspec.json.schema(Facts))


@pytest.mark.parametrize(
    ("base", "changes", "result"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": {"b": 1}}, {"a": None}, {}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        # nothing to take away: it stands against what would follow from other facts
        ({}, {"headers": None}, {"headers": None}),
    ],
)
def test_what_a_file_says_wins_over_its_base(
    base: dict[str, object], changes: dict[str, object], result: dict[str, object]
) -> None:
    assert merged(base, changes) == result


@recorded
def test_the_interpreter_agrees_with_itself(name: str) -> None:
    facts = facts_of(name)
    python = facts.python
    minor = ".".join(python.version.split(".")[:2])
    assert python.abi_tag == "cp" + minor.replace(".", "")
    assert python.executable.startswith((python.prefix, "/usr/bin"))
    assert python.in_virtualenv == (python.kind == "venv")
    if facts.torch:
        row = torch_row(facts.torch.version)
        assert row is not None
        assert minor in row.python
        assert facts.torch.path.startswith(python.site_packages)


@recorded
def test_the_system_is_what_its_distribution_brings(name: str) -> None:
    host = facts_of(name).host
    row = distribution(host.distribution.id or "", host.distribution.version or "")
    if row is None:
        assert host.distribution.id in ("windows", "fedora")
        return
    assert host.glibc == row.glibc
    assert host.libstdcxx is not None
    assert host.libstdcxx.glibcxx == row.glibcxx
    assert host.cores <= host.cores_total
    for disk in host.disks:
        assert disk.free is not None
        assert disk.total is not None
        assert disk.free <= disk.total


@recorded
def test_driver_and_gpus_belong_together(name: str) -> None:
    facts = facts_of(name)
    driver = facts.driver
    if driver.state != "ok":
        assert not facts.gpus
        return
    assert driver.cuda is not None
    assert driver.version is not None
    if facts.host.machine == "x86_64" or facts.host.system == "Windows":
        assert driver.cuda == cuda_of_driver(driver.version, windows=driver.kind != "linux")
    for gpu in facts.gpus:
        assert gpu.compute_capability == capability_of(gpu.name)


@recorded
def test_toolkits_are_what_the_table_says(name: str) -> None:
    for kit in facts_of(name).toolkits:
        row = toolkit(kit.version or "")
        assert row is not None
        assert (kit.release or "").startswith(f"{kit.version}.")
        assert kit.gcc_max == row.gcc_max
        assert kit.nvcc.startswith(kit.home)


@recorded
def test_nothing_is_left_for_the_tables_to_fill_in(name: str) -> None:
    facts = facts_of(name)
    if facts.driver.state != "ok":
        return
    assert complete(facts).gpus == facts.gpus
    assert complete(facts).driver == facts.driver


@recorded
def test_it_can_be_told_in_words(name: str) -> None:
    facts = facts_of(name)
    text = render(facts)
    assert facts.host.distribution.name is not None
    assert facts.host.distribution.name in text
    assert facts.python.version in text
    for kit in facts.toolkits:
        assert kit.nvcc in text

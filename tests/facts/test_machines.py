"""Recorded machines decode, have the shape that the probe prints, and do not contradict themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import msgspec
import pytest

from mambaops.facts.complete import complete
from mambaops.facts.model import Facts, load
from mambaops.facts.summary import render
from mambaops.knowledge.cuda import cuda_of_driver, toolkit
from mambaops.knowledge.distributions import distribution
from mambaops.knowledge.gpus import capability_of
from mambaops.knowledge.torch_builds import torch_row

FOLDER = Path(__file__).parents[1] / "machines"
FILES = sorted(FOLDER.glob("*.json"))
recorded = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_the_list_names_every_machine() -> None:
    listed = set(re.findall(r"^\| (.*?) \|", (FOLDER / "README.md").read_text(), re.MULTILINE))
    names = {name for cell in listed for name in re.findall(r"`([\w-]+)`", cell)}
    assert names == {path.stem for path in FILES}
    assert len(FILES) >= 25


@recorded
def test_it_has_the_probes_shape(path: Path) -> None:
    facts = load(path)
    assert json.loads(msgspec.json.encode(facts)) == json.loads(path.read_text())


@recorded
def test_it_fits_the_json_schema(path: Path) -> None:
    schema = msgspec.json.schema(Facts)
    jsonschema.validate(json.loads(path.read_text()), schema)


@recorded
def test_the_interpreter_agrees_with_itself(path: Path) -> None:
    facts = load(path)
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
def test_the_system_is_what_its_distribution_brings(path: Path) -> None:
    host = load(path).host
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
def test_driver_and_gpus_belong_together(path: Path) -> None:
    facts = load(path)
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
def test_toolkits_are_what_the_table_says(path: Path) -> None:
    for kit in load(path).toolkits:
        row = toolkit(kit.version or "")
        assert row is not None
        assert (kit.release or "").startswith(f"{kit.version}.")
        assert kit.gcc_max == row.gcc_max
        assert kit.nvcc.startswith(kit.home)


@recorded
def test_nothing_is_left_for_the_tables_to_fill_in(path: Path) -> None:
    facts = load(path)
    if facts.driver.state != "ok":
        return
    assert complete(facts).gpus == facts.gpus
    assert complete(facts).driver == facts.driver


@recorded
def test_it_can_be_told_in_words(path: Path) -> None:
    facts = load(path)
    text = render(facts)
    assert facts.host.distribution.name is not None
    assert facts.host.distribution.name in text
    assert facts.python.version in text
    for kit in facts.toolkits:
        assert kit.nvcc in text

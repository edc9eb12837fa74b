"""The three commands as a person calls them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest
from recorded import path_of

from mambaops.core import process
from mambaops.facts.model import Facts

from .conftest import EXTENSION, UPSTREAM, Compile, make_wheel
from .facts_of import machine

MAMBAOPS = Path(sys.executable).parent / "mambaops"
VERDICT = {
    "type": "object",
    "required": ["name", "source", "accepted", "reason"],
    "properties": {
        "name": {"type": "string"},
        "source": {"type": "string"},
        "accepted": {"type": "boolean"},
        "reason": {"type": "string", "minLength": 1},
    },
}
SELECTION = {
    "type": "object",
    "required": ["chosen", "candidates"],
    "properties": {
        "chosen": {"anyOf": [VERDICT, {"type": "null"}]},
        "candidates": {"type": "array", "items": VERDICT},
    },
}
TEXT = {"type": "array", "items": {"type": "string"}}
MAYBE = {"type": ["string", "null"]}
CONTENTS = {
    "type": "object",
    "required": ["cubins", "ptx", "glibc", "glibcxx", "needed", "cxx11_abi", "torch"],
    "properties": {
        "cubins": TEXT,
        "ptx": TEXT,
        "needed": TEXT,
        "glibc": MAYBE,
        "glibcxx": MAYBE,
        "torch": MAYBE,
        "cxx11_abi": {"type": ["boolean", "null"]},
        "fits": {
            "type": "object",
            "required": ["loads", "runs", "reason"],
            "properties": {
                "loads": {"type": "boolean"},
                "runs": {"type": ["boolean", "null"]},
                "reason": {"type": "string"},
            },
        },
    },
}


def call(*arguments: str | Path) -> process.Completed:
    return process.run([MAMBAOPS, *arguments], check=False, timeout=60)


def written(facts: Facts, folder: Path) -> Path:
    path = folder / "facts.json"
    path.write_bytes(msgspec.json.encode(facts))
    return path


def test_select_prints_the_promised_json(tmp_path: Path) -> None:
    facts = path_of("ubuntu20-graph-mamba-torch200")
    flags = ["--package", "mamba-ssm", "--facts", facts, "--store", tmp_path, "--json"]
    done = call("select-wheel", *flags)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, SELECTION)
    assert found["chosen"] == found["candidates"][0]
    assert {row["version"] for row in found["candidates"]} > {"1.0.0", "2.3.2.post1"}
    assert found["machine"]["python"] == found["chosen"]["python"]
    assert found["machine"]["torch"].startswith(found["chosen"]["torch"].rpartition(".")[0])
    assert found["command"].endswith(found["chosen"]["url"])
    assert "-m pip install --no-deps" in found["command"]


def test_select_exits_4_when_nothing_fits(tmp_path: Path) -> None:
    recorded = json.loads(path_of("debian10-a800").read_text(encoding="utf-8"))
    recorded["python"]["libstdcxx"] = None  # outside of conda
    facts = tmp_path / "bare-debian10.json"
    facts.write_text(json.dumps(recorded), encoding="utf-8")
    flags = ["--package", "causal-conv1d", "--facts", facts, "--store", tmp_path]
    done = call("select-wheel", *flags, "--json")
    assert done.returncode == 4
    found = json.loads(done.stdout)
    jsonschema.validate(found, SELECTION)
    assert found["chosen"] is None
    text = call("select-wheel", *flags)
    assert text.returncode == 4
    first, second, *rest = text.stdout.splitlines()
    assert found["command"] == first  # in both as this person types it
    assert first.endswith("build-wheel --package causal-conv1d")
    assert second.startswith("nothing fits (")
    assert any("glibcxx: e.g. built on Ubuntu 20.04: needs GLIBCXX_3.4.26" in line for line in rest)
    assert "would fit with: a libstdc++ with GLIBCXX_3.4.26" in text.stdout


@pytest.mark.parametrize("machine", ["b300", "hopper", "python314"])
def test_without_torch_the_command_is_the_one_that_installs_it_too(
    machine: str, tmp_path: Path
) -> None:
    flags = ["--package", "mamba-ssm", "--facts", path_of(machine), "--store", tmp_path]
    done = call("select-wheel", *flags)
    first, second, *_ = done.stdout.splitlines()
    assert done.returncode == 4
    assert first.endswith("mambaops build-mamba")
    assert second.endswith("install torch first")


def test_select_prints_every_candidate_and_pairs(tmp_path: Path) -> None:
    flags = ["--facts", path_of("digress"), "--store", tmp_path]
    done = call("select-wheel", "--package", "mamba-ssm", "--version", "2.2.2", "--all", *flags)
    assert done.returncode == 0, done.stderr
    # 84 planned, of which one fits
    assert done.stdout.count("\n- ") == 83
    pair = call("select-wheel", "--pair", *flags, "--json")
    assert pair.returncode == 0, pair.stderr
    found = json.loads(pair.stdout)
    assert {"mamba-ssm", "causal-conv1d", "reason"} <= set(found)
    # the one command first, in the text too: the package that the other needs before it
    lines = call("select-wheel", "--pair", *flags).stdout.splitlines()
    assert lines[0] == found["command"]
    conv, mamba = found["command"].split(" && ")
    assert found["causal-conv1d"]["url"] in conv
    assert found["mamba-ssm"]["url"] in mamba
    assert all(" -m pip install --no-deps " in one for one in (conv, mamba))


def test_where_no_two_fit_the_command_makes_both(tmp_path: Path) -> None:
    done = call("select-wheel", "--pair", "--facts", path_of("b300"), "--store", tmp_path)
    assert done.returncode == 4
    assert done.stdout.splitlines()[0].endswith("mambaops build-mamba")


def test_select_takes_several_places(tmp_path: Path, wheel: Path) -> None:
    (tmp_path / "empty").mkdir()
    flags = [
        "--find-links",
        tmp_path / "empty",
        "--find-links",
        wheel.parent,
        "--store",
        tmp_path / "s",
    ]
    facts = written(machine(), tmp_path)
    done = call("select-wheel", "--package", "mamba-ssm", *flags, "--facts", facts, "--json")
    assert done.returncode == 0, done.stderr
    found = [one for one in json.loads(done.stdout)["candidates"] if one["source"] == "find-links"]
    assert [one["name"] for one in found] == [wheel.name]
    assert found[0]["accepted"]


def test_select_says_what_it_does_not_understand(tmp_path: Path) -> None:
    assert call("select-wheel").returncode == 2
    facts = ["--facts", path_of("digress")]
    unknown = call("select-wheel", "--package", "torch", *facts)
    assert unknown.returncode == 2
    assert "there is no package `torch`; there are: causal-conv1d" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    nowhere = call("select-wheel", "--package", "mamba-ssm", "--facts", tmp_path / "no.json")
    assert nowhere.returncode == 2


def test_inspect_prints_the_promised_json(wheel: Path, tmp_path: Path) -> None:
    fitting, too_old = machine(), machine(distro="ubuntu 20.04")
    done = call("inspect-wheel", wheel, "--facts", written(fitting, tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, CONTENTS)
    assert found["fits"]["loads"] is True
    assert found["fits"]["runs"] is True
    done = call("inspect-wheel", wheel, "--facts", written(too_old, tmp_path))
    assert done.returncode == 1
    assert "does not load" in done.stdout
    assert "GLIBC_2.32" in done.stdout


def test_inspect_refuses_lies_and_other_files(tmp_path: Path, compile_module: Compile) -> None:
    module = {EXTENSION: compile_module(EXTENSION).read_bytes()}
    lying = make_wheel(tmp_path, UPSTREAM.replace("cu12", "cu13"), module)
    done = call("inspect-wheel", lying)
    assert done.returncode == 1
    assert "the name says CUDA 13" in done.stdout
    text = tmp_path / UPSTREAM
    text.write_text("not a wheel")
    done = call("inspect-wheel", text)
    assert done.returncode == 1
    assert "not a whole zip archive" in done.stderr
    assert "Traceback" not in done.stderr


def test_inspect_reads_an_installed_package() -> None:
    pytest.importorskip("msgspec")
    done = call("inspect-wheel", "msgspec", "--python", sys.executable, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, CONTENTS)
    assert found["package"] == "msgspec"
    assert found["extensions"]
    assert found["notes"] == []
    missing = call("inspect-wheel", "mamba-ssm", "--python", sys.executable)
    assert missing.returncode == 1
    assert "is not installed in" in missing.stderr


def test_repair_writes_a_copy(wheel: Path, tmp_path: Path) -> None:
    done = call("repair-wheel", wheel, "--output", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["wheel"]).is_file()
    assert ".glibc2.31-" in found["wheel"]
    again = call("repair-wheel", found["wheel"])
    assert again.returncode == 1
    assert "nothing to repair" in again.stderr

"""What commands print with --json keeps to the schemas of docs/schemas, and says which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import documented
import jsonschema
import pytest
from recorded import path_of

from mambaops.bundle.collect import Bundle
from mambaops.bundle.install import InstalledBundle
from mambaops.bundle.model import Manifest
from mambaops.cli import output
from mambaops.cli.documents import DOCUMENTS
from mambaops.cli.program import run
from mambaops.core.paths import CHECKOUT
from mambaops.install.wheels import InstalledWheel

WHEEL = "x-1.0-py3-none-any.whl"
FACTS = ["--facts", "{machine}"]
RUNS: list[tuple[str, list[str], int]] = [
    ("plan", ["plan", "--arch", "9.0", *FACTS], 4),
    ("plan", ["plan", "--profile", "hopper", *FACTS], 4),
    ("facts", ["facts"], 0),
    ("facts", ["facts", *FACTS], 0),
    ("doctor", ["doctor", *FACTS], 1),
    ("diagnose", ["diagnose", "build.log"], 1),
    ("select-wheel", ["wheels", "choose", "mamba-ssm", *FACTS], 0),
    ("select-wheel", ["wheels", "choose", "--pair", *FACTS], 0),
    ("inspect-wheel", ["inspect-wheel", WHEEL], 0),
    ("inspect-wheel", ["inspect-wheel", WHEEL, *FACTS], 0),
    ("wheels-list", ["wheels", "list"], 0),
    ("wheels-path", ["wheels", "path"], 0),
    ("wheels-prune", ["wheels", "prune", "--keep", "3", "--dry-run"], 0),
    ("profiles", ["profiles"], 0),
    ("steps", ["steps"], 0),
    ("commands", ["--list"], 0),
    ("version", ["--version"], 0),
    ("env", ["env", "wsl-5090"], 0),
    ("completion", ["completion", "bash"], 0),
    ("strip-crlf", ["strip-crlf", "scripts", "--check"], 1),
    ("map-paths", ["map-paths", "D:\\x", "."], 1),
    ("fetch-wheel", ["fetch-wheel", WHEEL, "--output", "fetched"], 0),
    ("openblas-check", ["openblas-check", "--module", "json"], 0),
    ("patch-setup", ["patch-setup", "DIR", "--package", "causal-conv1d", "--arch", "9.0"], 0),
    ("patch-setup", ["patch-setup", "DIR", "--revert"], 0),
    ("patch-cpp-extension", ["patch-cpp-extension", "--cuda", "11.8", "--file", "tables.py"], 0),
    ("patch-cpp-extension", ["patch-cpp-extension", "--file", "tables.py", "--revert"], 0),
    ("install-requirements", ["install-requirements", "requirements.txt", "--dry-run"], 0),
    ("get-nvcc", ["get-nvcc", "--cuda", "12.8", "--list", *FACTS], 0),
    ("get-nvcc", ["get-nvcc", "--cuda", "11.8", *FACTS], 0),
    ("profiles", ["profiles", "local"], 0),
    ("done", ["create-venv", "--undo"], 0),
    ("error", ["plan", "--profile", "nope"], 2),
    ("error", ["verify", "--profile", "local"], 1),
    ("error", ["pln"], 2),
    ("error", ["diagnose", "no-such.log"], 2),
]
# what is printed after work that takes long: one record of each
RECORDS: dict[str, tuple[Any, str]] = {
    "bundle": (
        Bundle(
            path=Path("x.tar"),
            sha256="0" * 64,
            size=1,
            manifest=Manifest(
                name="x",
                python="3.11",
                machine="x86_64",
                glibc="2.36",
                torch=None,
                requirements=[],
                imports=[],
                runtime_env={},
                installer="pip.whl",
                files=[],
            ),
        ),
        "",
    ),
    "install-bundle": (
        InstalledBundle(name="x", environment=Path("e"), python=Path("p"), packages=3),
        "",
    ),
    "install-wheel": (
        [InstalledWheel(wheel="x.whl", name="x", version="1", location="l", installer="uv")],
        "wheels",
    ),
}


def schema(name: str) -> dict[str, Any]:
    text = (CHECKOUT / "docs" / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = documented.sandbox(tmp_path)
    (folder / "tables.py").write_text(
        "CUDA_GCC_VERSIONS = {'11.7': ((6, 0), (12, 0))}\n"
        "CUDA_CLANG_VERSIONS = {'11.7': ((6, 0), (14, 0))}\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MAMBAOPS_HOME", str(folder / "home"))
    monkeypatch.setenv("MAMBAOPS_CACHE", str(folder / "cache"))
    return folder


@pytest.mark.parametrize(("name", "words", "status"), RUNS, ids=lambda one: str(one)[:40])
def test_the_document_keeps_to_its_schema(
    name: str, words: list[str], status: int, sandbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.format(machine=path_of("debian10-a800")) for word in words]
    ended = run(["mambaops", *words, "--json"])
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema(name))
    assert ended == status
    assert name != "error" or document["error"]["code"] == status


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_a_schema_is_one_and_refuses_another_document(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"schema": f"mambaops/{name}/1", "another": 1}, schema(name))


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_a_record_keeps_to_its_schema(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.begin(name, json=True)
    record, rows = RECORDS[name]
    output.emit(record, as_json=True, text=str, rows=rows)
    jsonschema.validate(json.loads(capsys.readouterr().out), schema(name))


def test_the_schema_of_profiles_is_one_document_also_as_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["mambaops", "profiles", "--schema", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["$defs"]["Profile"]["required"]


def test_a_proof_keeps_to_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    from mambaops.verify.model import Check, Verification

    output.begin("verify", json=True)
    looked = [Check(id="import:torch", outcome="ok", value={"version": "2.8.0"})]
    output.emit(Verification(checks=looked), as_json=True, text=str)
    jsonschema.validate(json.loads(capsys.readouterr().out), schema("verify"))


def test_a_run_keeps_to_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    from mambaops.cli.run_step import run_document
    from mambaops.decide.case import make_case
    from mambaops.decide.situation import elsewhere
    from mambaops.facts.model import load
    from mambaops.plan import plan_of
    from mambaops.profiles.load import load_profile
    from mambaops.run.runner import Done, Outcome

    plan = plan_of(make_case(load_profile("hopper"), elsewhere("hopper", load(path_of("hopper")))))
    done = [Done(step="create-venv", outcome="done", seconds=1.5)]
    output.emit_json(run_document(Outcome(plan=plan, steps=done, folder="/x")))
    jsonschema.validate(json.loads(capsys.readouterr().out), schema("run"))

"""Training programs with --json: one document on stdout in the end, whatever else is printed meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mambaops.core.paths import CHECKOUT, PACKAGE

MAINS = """
import os, sys
from mambaops.payload.train.errors import InputError, guarded

def trains():
    print("epoch 1", flush=True)
    os.system("echo of a child")
    return {"stage": 2, "folder": "/x/\u56fe", "log": "/x/log.csv"}

def refuses():
    print("epoch 1")
    raise InputError("caption table x.csv is not there", hint="`mambaops demo-data` writes one")

def breaks():
    raise ZeroDivisionError("by hand")

def is_refused():
    import argparse
    argparse.ArgumentParser().parse_args(["--no-such"])

def helps():
    import argparse
    argparse.ArgumentParser().parse_args(["--help"])

def is_interrupted():
    raise KeyboardInterrupt

sys.exit(guarded(globals()[sys.argv[1]]))
"""


def ran(name: str, **env: str) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "MAMBAOPS_PROGRAM": "mambaops", **env}
    argv = [sys.executable, "-c", MAINS, name]
    return subprocess.run(
        argv, env=whole, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def schema(name: str) -> Any:
    return json.loads((CHECKOUT / "docs" / "schemas" / f"{name}.json").read_text(encoding="utf-8"))


def test_the_result_is_the_only_thing_on_stdout() -> None:
    done = ran("trains", MAMBAOPS_JSON="train-stage2")
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema("train-stage2"))
    assert (done.returncode, document["folder"]) == (0, "/x/\u56fe")
    assert done.stderr == "epoch 1\nof a child\n"


def test_without_json_nothing_is_changed() -> None:
    done = ran("trains")
    assert set(done.stdout.splitlines()) == {"epoch 1", "of a child"}
    assert done.stderr == ""


@pytest.mark.parametrize(
    "name, code, message",
    [
        ("refuses", 2, "caption table x.csv is not there"),
        ("breaks", 1, "ZeroDivisionError: by hand"),
        ("is_refused", 2, "the program's flags were refused: see above"),
        ("is_interrupted", 130, "interrupted: nothing was running that needed saving"),
    ],
)
def test_an_error_is_the_document(name: str, code: int, message: str) -> None:
    done = ran(name, MAMBAOPS_JSON="train-stage2")
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema("error"))
    error = document["error"]
    assert (done.returncode, error["code"], error["message"]) == (code, code, message)


def test_help_is_talk_too() -> None:
    done = ran("helps", MAMBAOPS_JSON="train-stage1")
    jsonschema.validate(json.loads(done.stdout), schema("done"))
    assert "usage:" in done.stderr


def test_other_ranks_say_nothing() -> None:
    assert ran("trains", MAMBAOPS_JSON="train-stage2", RANK="1").stdout == ""


def test_the_command_asks_its_program_for_the_document(tmp_path: Path) -> None:
    env = {**os.environ, "MAMBAOPS_HOME": str(tmp_path)}
    words = ["run-graph-mamba", "--json", "--python", sys.executable, "--repeat", "0"]
    argv = [sys.executable, "-m", "mambaops", *words]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"] == "--repeat is 0, wanted at least 1"

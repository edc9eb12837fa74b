"""Handing over to programs that another interpreter runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from standins import command, program

from mambaops.core.paths import PACKAGE
from mambaops.system import launch


def test_an_installed_package_is_linked_alone_into_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "CHECKOUT", tmp_path)  # as where there is no checkout
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        folder = launch.import_path()
        assert [path.name for path in folder.iterdir()] == ["mambaops"]
        assert (folder / "mambaops").resolve() == PACKAGE


def test_the_graph_command_hands_its_flags_over_word_by_word(tmp_path: Path) -> None:
    show = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['PYTHONPATH']]))"
    python = program(tmp_path, "python", f'exec {sys.executable} -c "{show}" "$@"')
    done = command(
        tmp_path,
        *("run-graph-mamba", "--python", str(python), "--no-mamba", "--wandb", "False"),
        *("--override", "gt.layers=4", "--", "--name_tag", "a b"),
    )
    assert done.returncode == 0, done.stderr
    words, path = json.loads(done.stdout)
    assert words[:2] == ["-m", "mambaops.payload.train.graph"]
    assert words[2:] == [
        *("--wandb", "False", "--repeat", "1", "--no-mamba", "--resume", "auto"),
        *("--override", "gt.layers=4", "--name_tag", "a b"),
    ]
    assert path.split(os.pathsep)[0] == str(PACKAGE.parent)

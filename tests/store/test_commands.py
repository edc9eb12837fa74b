"""`mambaops wheels list|add|prune|path` by the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))

    def run(*words: str | Path, ok: bool = True) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "mambaops", "wheels", *map(str, words)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is ok, done.stderr
        return done

    return run


def test_a_fetched_wheel_is_added_listed_found_by_pip_and_pruned(wheels, make_wheel, tmp_path):
    """Upstream's METADATA lacks the local version; pip takes the stored copy all the same."""
    name = "mamba_ssm-2.2.4+cu12torch2.2cxx11abiTRUE-py3-none-any.whl"
    added = Path(
        wheels("add", "--file", make_wheel("mamba_ssm", "2.2.4", filename=name)).stdout.strip()
    )
    folder = wheels("path").stdout.strip()
    assert added == Path(folder) / name
    (entry,) = json.loads(wheels("list", "--json").stdout)["wheels"]
    assert entry["key"]["torch"] == "2.2"
    assert entry["key"]["cuda"] == "12"
    assert name in wheels("list").stdout
    argv = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "--target",
        tmp_path / "out",
    ]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    clean["PIP_CONFIG_FILE"] = os.devnull
    subprocess.run([*argv, "--find-links", folder, "mamba-ssm==2.2.4"], check=True, env=clean)
    assert (tmp_path / "out/mamba_ssm").is_dir()
    assert "would go" in wheels("prune", "--keep", "0", "--dry-run").stdout
    assert added.exists()
    refused = wheels("prune", "--keep", "0", ok=False).stderr
    assert name in refused
    assert "`--yes`" in refused
    assert added.exists()
    assert "1 wheel, " in wheels("prune", "--keep", "0", "--yes").stdout
    assert not added.exists()
    assert wheels("list").stdout.startswith("0 wheels")


def test_words_that_make_no_sense(wheels):
    assert "there is no such verb" in wheels("remove", ok=False).stderr
    assert "--older-than 90d" in wheels("prune", ok=False).stderr
    assert "FILE is missing" in wheels("add", ok=False).stderr
    assert "no age" in wheels("prune", "--older-than", "soon", ok=False).stderr

"""`mambaops wheels list|add|prune|path` by the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mambaops.core.errors import UsageError
from mambaops.store.commands import parse_age


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


def test_compiled_kernels_go_by_age_or_all(wheels, tmp_path):
    """Those of first uses and of packs; a folder of a pack goes with its last kernel."""
    old, new, packed = (
        tmp_path / "cache" / name
        for name in ("kernels/a.kernel", "kernels/b.kernel", "packs/x/c.kernel")
    )
    for path in (old, new, packed):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"k" * 10)
    os.utime(old, (1, 1))
    assert json.loads(wheels("list", "--json").stdout)["kernels"]["count"] == 3
    assert wheels("prune", "--keep", "2", "--yes").stdout.startswith("0 wheels")
    assert "1 compiled kernel, " in wheels("prune", "--older-than", "9d", "--yes").stdout
    assert [old.exists(), new.exists()] == [False, True]
    elsewhere = tmp_path / "other"
    wheels("prune", "--keep", "0", "--yes", "--store", elsewhere)
    assert new.exists()
    assert "2 compiled kernels, " in wheels("prune", "--keep", "0", "--yes").stdout
    assert not new.exists()
    assert not packed.parent.exists()


def test_words_that_make_no_sense(wheels):
    assert "there is no such verb" in wheels("remove", ok=False).stderr
    assert "--older-than 90d" in wheels("prune", ok=False).stderr
    assert "FILE is missing" in wheels("add", ok=False).stderr
    assert "no age" in wheels("prune", "--older-than", "soon", ok=False).stderr


def test_ages():
    assert parse_age("90d").days == 90
    assert parse_age("2w").days == 14
    assert parse_age("12h").total_seconds() == 12 * 3600
    with pytest.raises(UsageError):
        parse_age("90")

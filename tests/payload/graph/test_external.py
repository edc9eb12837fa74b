"""The original repository: what it lacks is named before it starts; then it is started as its README says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mambaops.core.paths import PACKAGE
from mambaops.payload.train.graph import external

pytestmark = pytest.mark.long

# Prints how it was called: what the real main.py reads from its command line.
MAIN = """
import json, os, sys
import graphgps
from standin_pyg.graphgym import cmd_args
try:
    import not_needed_module
except ImportError:
    pass
def later():
    import only_when_called
print(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "path": os.environ["PYTHONPATH"]}))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "Graph-Mamba"
    (root / "graphgps" / "layer").mkdir(parents=True)
    (root / "main.py").write_text(MAIN)
    (root / "graphgps" / "__init__.py").write_text("from .layer import gps_layer\n")
    (root / "graphgps" / "layer" / "__init__.py").write_text("")
    (root / "graphgps" / "layer" / "gps_layer.py").write_text("import json, os.path\n")
    (root / "configs" / "Mamba").mkdir(parents=True)
    config = "gt:\n  layer_type: CustomGatedGCN+None\n"
    (root / "configs" / "Mamba" / "morphology-node-GatedGCN-only.yaml").write_text(config)
    (root / "configs" / "Mamba" / "mixed.yaml").write_text(config.replace("None", "Mamba"))
    return root


def _modules(folder: Path) -> Path:
    """Importable stand-ins of what `main.py` imports."""
    package = folder / "site" / "standin_pyg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "graphgym.py").write_text("cmd_args = None\n")
    return folder / "site"


def _run(root: Path, *words: str, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = str(PACKAGE.parent) + (os.pathsep + str(site) if site else "")
    command = [
        sys.executable,
        "-m",
        "mambaops.payload.train.graph",
        "--graph_mamba_root",
        str(root),
    ]
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [*command, *words], capture_output=True, text=True, env=env, timeout=120, check=False
    )


def test_imports_are_read_without_running_anything(root: Path) -> None:
    (root / "graphgps" / "bad.py").write_text(
        "raise SystemExit('this must not run')\nimport aaa.b\n"
    )
    wanted = external.imports_of(str(root))
    assert wanted == {"standin_pyg.graphgym": {"cmd_args"}, "aaa.b": set()}


def test_every_missing_module_is_named_at_once(root: Path, tmp_path: Path) -> None:
    (root / "graphgps" / "more.py").write_text(
        "import missing_one\nfrom missing_two.part import thing\n"
        "from standin_pyg.graphgym import set_agg_dir\n"
    )
    done = _run(root, "--no-mamba", site=_modules(tmp_path))
    assert done.returncode == 1
    assert "3 modules are missing" in done.stderr
    assert "missing_one: not installed" in done.stderr
    assert "missing_two.part: not installed" in done.stderr
    assert "standin_pyg.graphgym: has no set_agg_dir (another version" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_module_that_crashes_python_is_named_and_the_others_still_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_crash.py").write_text("import os; os.kill(os.getpid(), 11)\n")
    (tmp_path / "b_error.py").write_text("raise OSError('libopenblas.so.0: cannot open')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    problems = external.try_imports({"a_crash": set(), "b_error": set(), "json": {"loads"}})
    assert problems == {
        "a_crash": "importing it ended Python (exit -11)",
        "b_error": "OSError: libopenblas.so.0: cannot open",
    }


def test_it_starts_with_the_flags_of_its_own_command_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    done = _run(
        root,
        *("--no-mamba", "--wandb", "False", "--repeat", "3", "--name_tag", "t"),
        *("--data_dir", str(tmp_path / "data"), "--override", "gnn.layers_mp", "20"),
        site=_modules(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    config = "configs/Mamba/morphology-node-GatedGCN-only.yaml"
    assert told["argv"] == [
        *("--cfg", config, "--repeat", "3", "wandb.use", "False"),
        *("dataset.dir", str(tmp_path / "data"), "name_tag", "t", "gnn.layers_mp", "20"),
    ]
    assert told["cwd"] == str(root)
    assert told["path"].split(os.pathsep)[0] == str(root)


def test_mamba_ssm_is_asked_for_only_where_the_layers_need_it(root: Path, tmp_path: Path) -> None:
    site = _modules(tmp_path)
    mixed = _run(root, "--cfg", "configs/Mamba/mixed.yaml", site=site)
    assert mixed.returncode == 1
    assert "mamba_ssm: not installed" in mixed.stderr


def test_its_failure_is_ours(root: Path, tmp_path: Path) -> None:
    (root / "main.py").write_text("import sys; sys.exit(3)\n")
    done = _run(root, "--no-mamba", site=_modules(tmp_path))
    assert done.returncode == 1
    assert "ended with status 3" in done.stderr

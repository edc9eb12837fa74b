"""The program as a person runs it: flags, files, exit statuses, what is imported, resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from mambaops.core.paths import PACKAGE

pytestmark = pytest.mark.long

ENV = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "OMP_NUM_THREADS": "1"}
ENV.pop("GNN_DATA_ROOT", None)
SMALL = [
    *("--override", "synthetic.nodes=40", "gnn.dim_inner=32"),
    *("gt.dim_hidden=32", "gt.layers=2", "gnn.layers_mp=3", "optim.num_warmup_epochs=1"),
    *("train.batch_size=8", "optim.base_lr=0.003"),
]


def _run(
    folder: Path, *words: str, epochs: int = 6, graphs: int = 24
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mambaops.payload.train.graph", "--out_dir", str(folder)]
    return subprocess.run(
        [*command, *words, *SMALL, f"optim.max_epoch={epochs}", f"synthetic.graphs={graphs}"],
        capture_output=True,
        text=True,
        env=ENV,
        timeout=200,
        check=False,
    )


def _rows(folder: Path, split: str) -> list[dict]:
    return [json.loads(line) for line in (folder / split / "stats.json").read_text().splitlines()]


def _best(folder: Path, split: str = "test") -> dict:
    return json.loads((folder / "agg" / split / "best.json").read_text())


def _majority(output: str) -> float:
    line = next(line for line in output.splitlines() if "commonest class" in line)
    return float(line.split("gives ")[1].split()[0])


def test_without_mamba_it_learns_and_leaves_the_files_of_the_notes(tmp_path: Path) -> None:
    done = _run(tmp_path, "--no-mamba", "--wandb", "False", "--name_tag", "t", epochs=10, graphs=50)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "morphology-node-GatedGCN-only-t"
    assert _best(run)["accuracy"] > _majority(done.stdout) + 0.05
    assert {path.name for path in (run / "42" / "ckpt").iterdir()} == {"last.ckpt", "best.ckpt"}
    assert "epoch 10 train_loss" in (run / "42" / "logging.log").read_text()
    assert yaml.safe_load((run / "config.yaml").read_text())["optim"]["max_epoch"] == 10
    for split in ("train", "val", "test"):
        assert set(_best(run, split)) >= {"accuracy", "accuracy_std", "loss", "epochs"}
        assert [row["epoch"] for row in _rows(run / "42", split)] == list(range(10))


def test_a_full_disk_ends_neither_log_nor_training(tmp_path: Path) -> None:
    """A file may have 3,500 bytes: neither the checkpoints nor the log fit, and the epochs go on."""
    code = (
        "import resource, runpy, sys; sys.argv[0] = 'graph'; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3500, 3500)); "
        "runpy.run_module('mambaops.payload.train.graph', run_name='__main__')"
    )
    words = ["--no-mamba", "--out_dir", str(tmp_path), *SMALL, "synthetic.nodes=12"]
    words += ["optim.max_epoch=40", "synthetic.graphs=10", "gnn.layers_mp=1"]
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, *words],
        capture_output=True, text=True, env=ENV, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "epoch 40 train_loss" in done.stdout, "training went on"
    folder = tmp_path / "morphology-node-GatedGCN-only" / "42"
    assert f"{folder}/logging.log: File too large. Training goes on" in done.stdout
    last = (folder / "logging.log").read_text().splitlines()[-1]
    assert last.startswith("epoch ") and last.endswith("s"), "no half line"
    assert [row["epoch"] for row in _rows(folder, "val")] == list(range(len(_rows(folder, "val"))))


def test_with_mamba_it_learns_on_the_scan_of_mambaops(tmp_path: Path) -> None:
    done = _run(tmp_path, "--wandb", "False", epochs=10, graphs=50)
    assert done.returncode == 0, done.stderr
    assert "Mamba layers compute with mambaops' scan" in done.stdout
    assert _best(tmp_path / "morphology-node-EX")["accuracy"] > _majority(done.stdout) + 0.05


def test_no_mamba_imports_neither_the_scan_nor_mamba_ssm_nor_pyg(tmp_path: Path) -> None:
    flags = [
        "--no-mamba",
        "--out_dir",
        str(tmp_path),
        *SMALL,
        "optim.max_epoch=1",
        "synthetic.graphs=12",
    ]
    script = (
        "import sys; from mambaops.payload.train.graph.__main__ import main; "
        f"sys.argv = ['x', *{flags!r}]; main(); "
        "loaded = [m for m in sys.modules if m.split('.')[0] in ('mamba_ssm', 'torch_geometric', "
        "'causal_conv1d') or m.startswith('mambaops.payload.scan')]; print('loaded', loaded)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=ENV, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "loaded []" in done.stdout


def test_repeats_take_the_next_seeds_and_are_aggregated(tmp_path: Path) -> None:
    done = _run(tmp_path, "--no-mamba", "--repeat", "2", epochs=2)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "morphology-node-GatedGCN-only"
    best = _best(run)
    assert best["seeds"] == [42, 43]
    accuracies = [
        _rows(run / str(seed), "test")[epoch]["accuracy"]
        for seed, epoch in zip(best["seeds"], best["epochs"])
    ]
    assert best["accuracy"] == pytest.approx(sum(accuracies) / 2, abs=1e-5)
    assert best["accuracy_std"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2, abs=1e-5)


def test_a_second_start_finds_the_work_done_and_other_settings_are_refused(tmp_path: Path) -> None:
    assert _run(tmp_path, "--no-mamba", epochs=2).returncode == 0
    run = tmp_path / "morphology-node-GatedGCN-only" / "42"
    before = _rows(run, "val")
    again = _run(tmp_path, "--no-mamba", epochs=2)
    assert again.returncode == 0
    assert "continued after epoch 2" in again.stdout
    assert _rows(run, "val") == before
    other = _run(tmp_path, "--no-mamba", epochs=3)
    assert other.returncode == 2
    assert "optim.max_epoch (2 there)" in other.stderr
    fresh = _run(tmp_path, "--no-mamba", "--resume", "never", epochs=3)
    assert fresh.returncode == 0
    assert [row["epoch"] for row in _rows(run, "val")] == [0, 1, 2]


def test_killed_in_the_middle_it_resumes_to_the_same_curve(tmp_path: Path) -> None:
    whole = _run(tmp_path / "whole", epochs=5)
    assert whole.returncode == 0, whole.stderr
    command = [
        sys.executable,
        "-m",
        "mambaops.payload.train.graph",
        "--out_dir",
        str(tmp_path / "cut"),
    ]
    process = subprocess.Popen(
        [*command, *SMALL, "optim.max_epoch=5", "synthetic.graphs=24"],
        stdout=subprocess.PIPE,
        text=True,
        env=ENV,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 2 "):
            process.send_signal(signal.SIGTERM)
            break
    process.stdout.read()
    assert process.wait(60) == 143
    resumed = _run(tmp_path / "cut", epochs=5)
    assert resumed.returncode == 0, resumed.stderr
    assert "continued after epoch 2" in resumed.stdout
    name = "morphology-node-EX"
    for split in ("val", "test"):
        assert _rows(tmp_path / "cut" / name / "42", split) == _rows(
            tmp_path / "whole" / name / "42", split
        )


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--data_dir", "/nowhere/data"], 1, "/nowhere/data is not there"),
        (["--cfg", "/nowhere/c.yaml"], 1, "configuration /nowhere/c.yaml is not there"),
        (["--wandb", "True"], 2, "W&B"),
        (["--require-kernels", "--device", "cpu"], 1, "not a GPU"),
        (["--baseline", "10_10", "--no-mamba"], 2, "--no-mamba excludes"),
        (["--repeat", "0"], 2, "wanted at least 1"),
        (["--override", "optim.base_lrr", "1"], 2, "did you mean `optim.base_lr`"),
        (["--override", "optim.base_lr"], 2, "a value is missing"),
        (["--graph_mamba_root", "/nowhere/root"], 1, "/nowhere/root"),
    ],
)
def test_mistakes_end_with_a_message_and_no_traceback(
    words: list[str], status: int, message: str, tmp_path: Path
) -> None:
    done = _run(tmp_path, *words)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_torch_is_said(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['torch'] = None; sys.argv = ['x', '--no-mamba']; "
    start = "from mambaops.payload.train.errors import guarded; "
    start += "from mambaops.payload.train.graph.__main__ import main; sys.exit(guarded(main))"
    done = subprocess.run(
        [sys.executable, "-c", hide + start], capture_output=True, text=True, env=ENV, check=False
    )
    assert done.returncode == 1
    assert "torch cannot be imported by" in done.stderr
    assert "run-graph-mamba" in done.stderr


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("10_10", {"gt.layers": 10, "model.type": "GPSModel"}),
        ("bfs", {"gt.layers": 10, "gt.layer_type": "CustomGatedGCN+Mamba_BFS"}),
        ("20_aligned", {"gnn.layers_mp": 20, "model.type": "custom_gnn", "gnn.dim_inner": 96}),
    ],
)
def test_baselines_are_the_published_settings(name: str, wanted: dict) -> None:
    from mambaops.payload.train.graph import config as settings
    from mambaops.payload.train.graph.__main__ import BASELINES

    file, pairs = BASELINES[name]
    config = settings.read(settings.shipped(file))
    settings.override(config, pairs)
    assert {key: config[key] for key in wanted} == wanted


def test_a_folder_of_graphs_trains(tmp_path: Path) -> None:
    from mambaops.payload.train.graph import trees

    data = tmp_path / "data"
    data.mkdir()
    for number in range(12):
        torch.save(trees.tree(number, 20, 3), data / f"{number}.pt")
    done = _run(tmp_path, "--data_dir", str(data), "--no-mamba", epochs=1)
    assert done.returncode == 0, done.stderr
    assert f"data: {data}: graphs 10 train, 1 val, 1 test" in done.stdout

"""What ends a run early, and what must not: signals to everybody, full disks, used folders, torn pictures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mambaops.payload.train import trainlog
from mambaops.payload.train.errors import InputError

pytestmark = pytest.mark.long

Flags = Callable[..., list[str]]
Train = Callable[[list[str]], None]
LOG = "stage2_train_log.csv"


def steps(out: Path) -> list[list[float]]:
    return [row[:3] for row in trainlog.read_log(str(out / LOG))]


def test_a_signal_to_the_whole_group_saves_and_leaves(
    flags: Flags, train: Train, tmp_path: Path
) -> None:
    """`timeout` and Slurm send to everybody, the loader's workers too, and `timeout` twice."""
    common = {"epochs": 30, "batch_size": 4, "num_workers": 2}
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    argv = [sys.executable, "-m", "mambaops.payload.train.vlm", *flags(**common)]
    process = subprocess.Popen(
        argv, cwd=tmp_path, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    out, deadline = tmp_path / "out", time.monotonic() + 90
    while len(steps(out)) < 6 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    os.killpg(process.pid, signal.SIGTERM)
    output = process.communicate(timeout=90)[0]
    assert process.returncode == 128 + signal.SIGTERM, output
    assert "--resume auto continues" in output
    assert "Traceback" not in output
    before = steps(out)
    train(flags(resume="auto", **common, max_steps=len(before) + 4))
    assert steps(out)[: len(before)] == before
    assert len(steps(out)) > len(before)


def test_torn_pictures_are_named_before_the_model_is_loaded(
    flags: Flags, train: Train, tmp_path: Path, demo: Path
) -> None:
    pictures = sorted((demo / "data" / "train").glob("*.png"))
    lines = [f"{picture},图" for picture in pictures * 12]
    (tmp_path / "torn.png").write_bytes(pictures[0].read_bytes()[:200])
    lines[101] = f"{tmp_path}/torn.png,图"
    table = tmp_path / "t.csv"
    table.write_text("image_path,answer\n" + "\n".join(lines) + "\n", "utf-8")
    absent = {"csv": table, "mamba_model": tmp_path / "absent"}
    with pytest.raises(
        InputError, match=r"1 of 192 pictures cannot be read\n.*line 103: .*torn\.png"
    ):
        train([*flags(**absent), "--check_images"])
    lines[0] = lines[101]
    table.write_text("image_path,answer\n" + "\n".join(lines) + "\n", "utf-8")
    with pytest.raises(InputError, match=r"1 of 64 pictures that were looked at \(of 192; --check"):
        train(flags(**absent))


def test_a_used_folder_is_refused_and_kept(flags: Flags, train: Train, tmp_path: Path) -> None:
    train(flags(epochs=1))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(InputError, match=r"holds a run already \(stage2_last\.pt") as error:
        train(flags(epochs=1, mamba_model=tmp_path / "absent"))
    assert "--resume auto continues it" in error.value.hint
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    train(flags(epochs=1, overwrite=True))


def test_another_run_is_not_continued(
    flags: Flags, train: Train, tmp_path: Path, demo: Path
) -> None:
    train(flags(epochs=1))
    table = tmp_path / "other.csv"
    rows = (demo / "data" / "caption_train.csv").read_text("utf-8-sig").splitlines()[:9]
    root = str(demo / "data")
    table.write_text("\n".join(rows) + "\n", "utf-8")
    for changed, told in (
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"batch_size": 4}, "global_batch: 8 there, 4 here"),
        ({"lr": 1e-3}, "lr: 0.01 there, 0.001 here"),
        ({"csv": table, "image_root": root}, "data: 16 rows, checksum .* there, 8 rows"),
    ):
        with pytest.raises(InputError, match="is of another run: .*" + told):
            train(flags(epochs=2, resume="auto", **changed))  # type: ignore[arg-type]
    train(flags(epochs=2, resume="auto"))
    assert steps(tmp_path / "out")[-1][0] == 4


def test_a_folder_that_cannot_be_written_to_is_found_first(
    flags: Flags, train: Train, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written to: Not a directory"):
        train(flags(output_dir=tmp_path / "file" / "out", mamba_model=tmp_path / "absent"))


def test_a_full_disk_ends_neither_log_nor_training(flags: Flags, tmp_path: Path) -> None:
    """Not even the log fits: training goes on to the end, and the exit code tells that nothing is saved."""
    code = (
        "import resource, runpy, sys; sys.argv[0] = 'vlm'; "
        "runpy.run_module('mambaops.payload.train.vlm', run_name='__main__')"
    )
    start = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    words = flags(epochs=8, batch_size=2)
    words.remove("--no_tensorboard")
    done = subprocess.run(
        [sys.executable, "-B", "-c", start + code, *words],
        check=False, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=290,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "epoch 8 " in done.stdout, "training went on"
    assert "stage2_train_log.csv: File too large. Training goes on" in done.stdout
    assert len(steps(tmp_path / "out")) > 5, "what did fit is there, whole"


def test_old_step_files_go(flags: Flags, train: Train, tmp_path: Path) -> None:
    train(flags(epochs=3, save_every_steps=1, keep_steps=2))
    names = {path.name for path in (tmp_path / "out").glob("*step*.pt")}
    assert names == {"vision_bridge_vlm_step5.pt", "vision_bridge_vlm_step6.pt"}


def test_a_file_of_flags(flags: Flags, train: Train, tmp_path: Path) -> None:
    """YAML by hand, and the one that a run leaves: the same curve again."""
    words, out = flags(epochs=1), tmp_path / "out"
    train(words)
    again = ["--config", str(out / "stage2_config.json"), "--output_dir", str(tmp_path / "again")]
    train(again)
    assert steps(tmp_path / "again") == steps(out)
    config = tmp_path / "c.yaml"
    for text, told in (
        ("epoch: 3", "no flag is named epoch"),
        ("epochs: many", "epochs is 'many'; wanted a number"),
        ("train_llm: some", "wanted none or lora or full or auto"),
        ("- epochs", "wanted `flag: value` lines, found a list"),
    ):
        config.write_text(text)
        with pytest.raises(InputError, match=told):
            train(["--config", str(config)])
    config.write_text("lr: 2e-5\nlog-every-steps: 7\nepochs: 3\n")
    from mambaops.payload.train.options import parse

    chosen = parse(["--config", str(config), "--epochs", "5"])
    assert (chosen.lr, chosen.log_every_steps, chosen.epochs) == (2e-5, 7, 5)
    assert json.loads((out / "stage2_config.json").read_text("utf-8"))["bridge_lr"] == 1e-2

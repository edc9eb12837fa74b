"""The commands of the controller: which interpreter, the launchers, writing and judging."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mambaops.core.errors import MachineError, UsageError
from mambaops.system.launch import import_path
from mambaops.train import launch as training
from mambaops.train import models

pytestmark = pytest.mark.long


def mambaops(words: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, "OMP_NUM_THREADS": "1", "MAMBAOPS_HOME": str(folder / "state"), **env}
    whole.pop("VIRTUAL_ENV", None)
    argv = [sys.executable, "-m", "mambaops", *words]
    return subprocess.run(
        argv, cwd=folder, env=whole, capture_output=True, text=True, timeout=280, check=False
    )


def test_train_generate_evaluate_by_command(
    flags: Callable[..., list[str]], demo: Path, tmp_path: Path
) -> None:
    done = mambaops(["train-stage2", "--python", sys.executable, "--", *flags(epochs=1)], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "epoch 1 step 1 caption_loss" in done.stdout
    checkpoint = str(tmp_path / "out" / "vision_bridge_vlm_final.pt")
    table = demo / "data" / "caption_test.csv"
    image = demo / "data" / "test" / "00000.png"
    words = ["--checkpoint", checkpoint, "--python", sys.executable, "--json"]
    written = mambaops(
        ["generate", *words, "--image", str(image), "--", "--max_new_tokens", "4"], tmp_path
    )
    assert written.returncode == 0, written.stderr
    (found,) = json.loads(written.stdout)["captions"]
    assert found["image"] == str(image)
    judged = mambaops(
        ["evaluate", *words, "--csv", str(table), "--", "--max_new_tokens", "4"], tmp_path
    )
    assert judged.returncode == 0, judged.stderr
    scores = json.loads(judged.stdout)
    assert scores["rows"] == 1
    assert {"loss", "exact_match", "bleu4", "rouge_l", "cider"} <= set(scores)


def test_the_programs_errors_come_through_without_a_traceback(tmp_path: Path) -> None:
    words = [
        "train-stage2",
        "--python",
        sys.executable,
        "--",
        "--csv",
        "no.csv",
        "--mamba_model",
        "x",
    ]
    done = mambaops(words, tmp_path)
    assert done.returncode == 2
    assert "caption table no.csv is not there" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_script_for_slurm_names_this_environment(tmp_path: Path) -> None:
    path = training.write_launcher("slurm", tmp_path / "stage2.sbatch", "local")
    text = path.read_text("utf-8")
    assert "@PYTHON@" not in text
    assert f'PYTHONPATH="{import_path()}$' in text
    assert "envs/local/bin/python" in text
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0


def test_characters_are_judged_without_java() -> None:
    from mambaops.payload.train.evaluate import caption_scores

    text = ["图片左上方有三个红色的圆形。", "图片右下方有一个蓝色的圆环。"]
    assert caption_scores(text, text)["bleu4"] == pytest.approx(1.0, abs=1e-6)
    assert caption_scores(text, text)["rouge_l"] == pytest.approx(1.0)
    other = caption_scores(text[::-1], text)
    assert 0.0 < other["bleu4"] < 1.0
    assert other["cider"] < caption_scores(text, text)["cider"]


def test_the_shuffled_control_moves_every_picture() -> None:
    from mambaops.payload.train.evaluate import shuffled

    for length in (2, 3, 10, 101):
        order = shuffled(length)
        assert sorted(order) == list(range(length))
        assert all(there != here for here, there in enumerate(order))


def test_a_profile_without_an_environment_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="has no environment yet") as error:
        training.target_python("", "local")
    assert "mambaops build-mamba --profile local" in error.value.hint


def test_the_only_environment_is_taken_and_of_several_one_must_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path))
    python = tmp_path / "envs" / "local" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert training.target_python("", "") == python
    other = tmp_path / "envs" / "hopper" / "bin" / "python"
    other.parent.mkdir(parents=True)
    other.symlink_to(sys.executable)
    with pytest.raises(UsageError, match="several here: hopper, local"):
        training.target_python("", "")


def test_missing_packages_are_named_before_anything_starts() -> None:
    with pytest.raises(MachineError, match="has no no_such_package"):
        training.check_packages(Path(sys.executable), ("json", "no_such_package"))


def test_the_model_is_the_profiles_or_asked_for() -> None:
    assert models.wanted_model("a/b", "") == "a/b"
    assert models.wanted_model("", "wsl-5090") == "state-spaces/mamba-2.8b-hf"
    with pytest.raises(UsageError, match="which model"):
        models.wanted_model("", "")


def test_the_powershell_launcher_has_windows_line_ends_and_a_mark(tmp_path: Path) -> None:
    file = training.write_launcher("powershell", tmp_path / "run.ps1", "wsl-5090")
    raw = file.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.count(b"\r\n") == raw.count(b"\n") > 10
    assert b"wsl.exe" in raw
    assert b"@PROFILE@" not in raw


def test_the_wsl_launcher_hands_its_words_over(tmp_path: Path) -> None:
    file = training.write_launcher("wsl", tmp_path / "run.sh", "wsl-5090")
    assert b"\r" not in file.read_bytes()
    stand_in = tmp_path / "mambaops"
    stand_in.write_text("#!/bin/sh\nprintf '%s|' \"$@\"\n")
    stand_in.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def run(*words: str) -> str:
        argv = ["bash", str(file), *words]
        return subprocess.run(
            argv, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert run("--install-only") == "train-stage2|--profile|wsl-5090|--install-only|"
    assert (
        run("--train-only", "--csv", "a b.csv")
        == "train-stage2|--profile|wsl-5090|--train-only|--|--csv|a b.csv|"
    )
    assert "|--max_visual_tokens|96|" in run()
    with pytest.raises(UsageError, match="no launcher of kind cmd"):
        training.write_launcher("cmd", tmp_path / "x", "wsl-5090")


def test_the_command_goes_on_by_its_former_name() -> None:
    from mambaops.cli import collection

    assert collection()["write-door"].name == "write-launcher"

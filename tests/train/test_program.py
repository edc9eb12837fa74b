"""The program end to end on 16 pictures: loss, files, resume, signals, bad input."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mambaops.payload.train import demo_data, trainlog
from mambaops.payload.train.errors import InputError, TrainError

pytestmark = pytest.mark.long

Flags = Callable[..., list[str]]
Train = Callable[[list[str]], None]
Start = Callable[..., "subprocess.Popen[str]"]


def losses(out: Path, stage: int = 2) -> list[tuple[int, float]]:
    return [
        (int(row[0]), row[2]) for row in trainlog.read_log(str(out / f"stage{stage}_train_log.csv"))
    ]


def test_the_loss_starts_at_6_to_8_and_falls_below_2(
    flags: Flags, train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(flags(epochs=15, val_csv=flags()[2].replace("train.csv", "val.csv"), safetensors=True))
    out = tmp_path / "out"
    curve = losses(out)
    assert 6.0 <= curve[0][1] <= 8.0
    assert curve[-1][1] < 2.0
    saved = torch.load(out / "vision_bridge_vlm_final.pt", weights_only=True)
    assert {"step", "model_state_dict", "val_loss", "config"} <= set(saved)
    assert saved["step"] == 30
    config = json.loads((out / "stage2_config.json").read_text("utf-8"))
    assert (config["max_visual_tokens"], config["train_llm"]) == (4, "full")
    assert config["question"] == demo_data.QUESTION, "the table's question, for generate"
    header = (out / "stage2_train_log.csv").read_text().splitlines()[0]
    assert header.startswith("step,epoch,caption_loss")
    assert (out / "stage2_curve.png").read_bytes().startswith(b"\x89PNG")
    names = {path.name for path in out.iterdir()}
    assert {"vision_bridge_vlm_best_val.pt", "stage2_last.pt", "stage2_heartbeat.txt"} <= names
    assert "vision_bridge_vlm_final.safetensors" in names
    assert not [name for name in names if "tmp" in name]
    text = capsys.readouterr().out
    assert "epoch 1 step 1 caption_loss " in text
    assert "scan: " in text
    assert "text tokens: p50" in text
    assert "gap " in text
    epochs = trainlog.read_epochs(str(out / "stage2_train_log.csv"))
    assert [row["epoch"] for row in epochs] == list(range(1, 16))
    assert all(row["val_loss"] > 0 and row["shuffled_loss"] > 0 for row in epochs)


def test_resuming_a_finished_run_adds_nothing(flags: Flags, train: Train, tmp_path: Path) -> None:
    train(flags(batch_size=3, gradient_accumulation_steps=2))
    whole = losses(tmp_path / "out")
    train(flags(batch_size=3, gradient_accumulation_steps=2, resume="auto"))
    assert losses(tmp_path / "out") == whole
    assert whole[-1][0] == 6  # 16 rows: 6 batches, 3 updates an epoch


def wait_for_step(out: Path, step: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        curve = losses(out)
        if curve and curve[-1][0] >= step and (out / "stage2_last.pt").exists():
            return
        time.sleep(0.02)
    pytest.fail(
        f"no step {step}: {process.communicate()[0] if process.poll() is not None else 'slow'}"
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_continues_to_the_same_curve(
    flags: Flags, train: Train, start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    common = {"epochs": 12, "batch_size": 4, "save_every_steps": 3}
    train(flags(output_dir=tmp_path / "whole", **common))
    whole, out = losses(tmp_path / "whole"), tmp_path / "out"
    process = start(flags(**common))
    wait_for_step(out, 5, process)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    if number == signal.SIGKILL:
        assert process.returncode == -9
    else:
        assert process.returncode == 128 + number, output
        assert "--resume auto continues" in output
    assert len(losses(out)) < len(whole)
    train(flags(resume="auto", **common))
    assert losses(out) == whole


def test_from_scratch_ignores_stage_1_and_otherwise_it_is_taken(
    flags: Flags, train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    train(flags(stage=1, epochs=1))
    assert {"vision_bridge_best_val.pt", "vision_bridge_final.pt"} <= {
        path.name for path in out.iterdir()
    }
    saved = torch.load(out / "vision_bridge_best_val.pt", weights_only=True)
    assert not [name for name in saved["model_state_dict"] if name.startswith("lm.")]
    capsys.readouterr()
    train(flags(epochs=1))
    assert "start from " + str(out / "vision_bridge_best_val.pt") in capsys.readouterr().out
    train(flags(epochs=1, from_scratch=True, overwrite=True))
    assert "start at random (--from_scratch)" in capsys.readouterr().out


def test_a_collapsed_stage_1_file_is_found(
    flags: Flags, train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(flags(stage=1, epochs=1))
    file = tmp_path / "out" / "vision_bridge_best_val.pt"
    saved = torch.load(file, weights_only=True)
    saved["model_state_dict"]["bridge.project.weight"].zero_()
    torch.save(saved, file)
    train(flags(epochs=1))
    assert "has collapsed" in capsys.readouterr().out
    with pytest.raises(InputError, match="has collapsed"):
        train(flags(epochs=1, vision_checkpoint=file, overwrite=True))


def test_a_checkpoint_of_another_width_is_named(flags: Flags, train: Train, tmp_path: Path) -> None:
    train(flags(stage=1, epochs=1))
    with pytest.raises(
        TrainError, match=r"does not fit .*\(8, 3, 3, 3\) there, \(4, 3, 3, 3\) here"
    ):
        train(flags(epochs=1, conv_widths="4,16"))
    with pytest.raises(TrainError, match="does not fit"):
        train(flags(epochs=1, max_visual_tokens=9))


def test_a_damaged_checkpoint_is_an_error(flags: Flags, train: Train, tmp_path: Path) -> None:
    train(flags(epochs=1))
    state = tmp_path / "out" / "stage2_last.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(TrainError, match="cannot be read"):
        train(flags(epochs=2, resume="auto"))


def test_a_model_that_is_absent_offline_gives_the_recipe(
    flags: Flags, train: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="nobody/no-such-mamba cannot be loaded: offline") as error:
        train(flags(mamba_model="nobody/no-such-mamba"))
    assert "mambaops fetch-model --model nobody/no-such-mamba" in error.value.hint


def test_no_table_and_impossible_flags(flags: Flags, train: Train) -> None:
    with pytest.raises(InputError, match="no caption table"):
        train(flags(csv=""))
    with pytest.raises(InputError, match="--epochs is 0"):
        train([*flags(), "--epochs", "0"])
    with pytest.raises(InputError, match="excludes --resume"):
        train(flags(from_scratch=True, resume="auto"))


def test_values_come_from_flag_environment_and_yaml_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mambaops.payload.train.options import DEFAULT_MODEL, parse

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAMBA_MODEL", raising=False)
    assert parse([]).mamba_model == DEFAULT_MODEL
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "paths.yaml").write_text(
        "mamba_hf_model: /yaml\ncaption_csv_train: /t.csv\n"
    )
    assert (parse([]).mamba_model, parse([]).csv) == ("/yaml", "/t.csv")
    assert "caption_csv_train: /t.csv does not exist" in capsys.readouterr().out
    monkeypatch.setenv("MAMBA_MODEL", "/env")
    assert parse([]).mamba_model == "/env"
    assert parse(["--mamba-model", "/flag", "--csv", "/f.csv"]).mamba_model == "/flag"


def test_the_notes_command_line_is_understood() -> None:
    from mambaops.payload.train.options import parse

    words = "--epochs 20 --batch_size 1 --lr 2e-5 --max_visual_tokens 96 --max_text_len 512 --num_workers 4"
    settings = parse([*words.split(), "--from_scratch", "--mamba_model", "m"])
    assert (settings.lr, settings.mamba_model) == (2e-5, "m")
    # a random bridge in front of a frozen model learns nothing at the model's rate
    assert settings.rates("none", False) == (2e-5, 1e-3)
    assert replace(settings, lr=0.0) == parse(["--from_scratch", "--mamba_model", "m"])


def test_a_full_disk_leaves_the_old_file_and_ends_with_an_error(
    flags: Flags, start: Start, train: Train, tmp_path: Path
) -> None:
    train(flags(epochs=1))
    state = tmp_path / "out" / "stage2_last.pt"
    before = state.read_bytes()
    limit = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000)); "
    )
    code = (
        limit
        + "sys.argv[0] = 'vlm'; runpy.run_module('mambaops.payload.train.vlm', run_name='__main__')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code, *flags(epochs=3, resume="auto")],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "could not save" in done.stdout
    assert "The file that was there is untouched" in done.stderr
    assert done.stdout.count("epoch 3 ") > 0, "training went on"
    assert state.read_bytes() == before
    assert not list((tmp_path / "out").glob("*.tmp"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 50000


@pytest.mark.parametrize(
    "words", [("--train_llm", "lora"), ("--train_llm", "none"), ("--amp", "bf16")]
)
def test_other_ways_of_training_learn_too(
    flags: Flags, train: Train, tmp_path: Path, words: tuple[str, ...]
) -> None:
    train([*flags(epochs=6), *words])
    curve = [loss for _, loss in losses(tmp_path / "out")]
    # two steps are one pass over the pictures: single steps see different ones
    assert sum(curve[-2:]) < sum(curve[:2])
    names = torch.load(tmp_path / "out" / "vision_bridge_vlm_final.pt", weights_only=True)[
        "model_state_dict"
    ]
    has_base = any(name == "lm.backbone.embeddings.weight" for name in names)
    assert has_base == (words[0] == "--amp")


def test_checkpointing_changes_nothing_but_memory(
    flags: Flags, train: Train, tmp_path: Path
) -> None:
    train(flags(output_dir=tmp_path / "a", epochs=1))
    train([*flags(output_dir=tmp_path / "b", epochs=1), "--gradient_checkpointing"])
    pairs = zip(losses(tmp_path / "a"), losses(tmp_path / "b"), strict=True)
    assert all(here == pytest.approx(there, rel=1e-5) for here, there in pairs)

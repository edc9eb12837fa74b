"""The demonstration: generated pictures, a tiny random Mamba, stage 2, and a test on unseen combinations.

`python -m mambaops.payload.train.vlm --demo`. It passes where caption_loss starts between 6 and 8 and ends
below 2, at least nine of ten test sentences are exactly right, and with the pictures shuffled among
the test rows the score falls to chance: so the model looks at the picture. No download, CPU is enough.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any, Dict, List

from mambaops.payload.train import demo_data, trainlog, watch
from mambaops.payload.train.errors import TrainError
from mambaops.payload.train.options import Settings, parse

WANTED_EXACT = 0.9
WANTED_START = (6.0, 8.0)


def main(argv: List[str]) -> Settings:
    """Write the data and the model, train, test, judge; what was trained with.

    Raises:
        TrainError: one of the four statements does not hold.
    """
    parser = argparse.ArgumentParser(prog="vlm --demo", description=__doc__)
    parser.add_argument("--output_dir", default="outputs/demo")
    parser.add_argument("--count", type=int, default=4000, help="pictures for training")
    own, rest = parser.parse_known_args(argv)
    began = time.monotonic()
    words = flags(own.output_dir, own.count) + rest
    if is_demonstration(own.output_dir) and "--resume" not in " ".join(rest):
        words.append("--overwrite")  # all that is there was made by one like this
    settings = parse(words)
    from mambaops.payload.train import session

    if not (settings.resume and os.path.exists(settings.file("stage2_last.pt"))):
        prepare(own.output_dir, own.count)
    session.train(settings)
    scores = test(own.output_dir)
    judge(settings, scores, time.monotonic() - began)
    return settings


def is_demonstration(folder: str) -> bool:
    """Is the run in the folder an earlier demonstration's?"""
    return os.path.exists(os.path.join(folder, "tiny-mamba")) and os.path.exists(
        os.path.join(folder, "data", "caption_test.csv")
    )


def flags(folder: str, count: int) -> List[str]:
    """The flags of stage 2 that suit pictures of 64 pixels and a model of half a million parameters."""
    data = os.path.join(folder, "data")
    values = {
        "csv": os.path.join(data, "caption_train.csv"),
        "val_csv": os.path.join(data, "caption_val.csv"),
        "mamba_model": os.path.join(folder, "tiny-mamba"),
        "output_dir": folder,
        "image_size": demo_data.SIDE,
        "conv_widths": "16,32,64",
        "max_visual_tokens": 16,
        "max_text_len": 64,
        "batch_size": 24,
        "epochs": 8,
        "lr": 2e-3,
        "weight_decay": 0.05,
        "warmup": 0.05,
        "num_workers": 0,
    }
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def prepare(folder: str, count: int) -> None:
    """Pictures, tables and the tiny model."""
    from mambaops.payload.train.tiny_model import write_tiny_model

    data = os.path.join(folder, "data")
    demo_data.write_set(data, count)
    parts = demo_data.split_scenes(0)
    print(
        f"{count} pictures of {len(parts['train'])} combinations to train on; "
        f"{len(parts['test'])} other combinations to test on, in {data}"
    )
    sentences = [f"{demo_data.QUESTION}\n{scene.sentence}" for scene in parts["train"]]
    write_tiny_model(os.path.join(folder, "tiny-mamba"), sentences)


def test(folder: str) -> Dict[str, Dict[str, Any]]:
    """Scores on the test table, with its own pictures and with shuffled ones."""
    from mambaops.payload.train import evaluate

    checkpoint = os.path.join(folder, "vision_bridge_vlm_final.pt")
    table = os.path.join(folder, "data", "caption_test.csv")
    scores = {}
    for name, shuffled in (("test", False), ("shuffled", True)):
        scores[name] = evaluate.evaluate(checkpoint, table, shuffle_images=shuffled)
        print(f"{name}: {evaluate.describe(scores[name])}")
    return scores


def chance() -> float:
    """The share of exactly right sentences that guessing among all combinations gives."""
    return 1.0 / len(demo_data.all_scenes())


def judge(settings: Settings, scores: Dict[str, Dict[str, Any]], seconds: float) -> None:
    """Compare with what was promised, say it, keep it in demo.json."""
    from mambaops.payload.train.weights import write_json

    losses = [row[2] for row in trainlog.read_log(settings.file("stage2_train_log.csv"))]
    exact, shuffled = scores["test"]["exact_match"], scores["shuffled"]["exact_match"]
    claims = {
        f"caption_loss starts between 6 and 8 ({losses[0]:.2f})": WANTED_START[0]
        <= losses[0]
        <= WANTED_START[1],
        f"caption_loss ends below {watch.TARGET:g} ({losses[-1]:.3f})": losses[-1] < watch.TARGET,
        f"unseen combinations described exactly right: {exact:.1%} (wanted 90%)": exact
        >= WANTED_EXACT,
        f"with shuffled pictures {shuffled:.1%} (wanted at most 5%; chance {chance():.1%})": shuffled
        <= 0.05,
    }
    for text, holds in claims.items():
        print(("ok      " if holds else "FAILED  ") + text)
    print(f"whole demonstration: {seconds:.0f} s")
    write_json(
        settings.file("demo.json"),
        {"scores": scores, "first_loss": losses[0], "last_loss": losses[-1], "seconds": seconds},
    )
    if not all(claims.values()):
        raise TrainError("the demonstration did not show what it should")

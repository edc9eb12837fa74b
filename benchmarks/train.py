"""Tokens per second of stage 2 by scan policy, on one random model: kernels, ours, transformers' loop.

    python benchmarks/train.py --hidden 768 --layers 24 --steps 10      # the size of mamba-130m
    python benchmarks/train.py --device cpu --hidden 128 --layers 2 --text 64 --steps 3

Run by the target interpreter with PYTHONPATH=src. Prints one JSON object per policy: tokens per second
(median of the steps after the first), peak device memory, the last loss. A policy that cannot run says why.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from typing import Any

import torch

from mambaops.payload import scan
from mambaops.payload.train import captioner, demo_data, engine, lm, tiny_model


def batch_of(rows: int, size: int, text: int) -> dict[str, torch.Tensor]:
    """Random pictures and texts, the second half of each labelled."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 1000, (rows, text), generator=generator)
    labels = ids.clone()
    labels[:, : text // 2] = -100
    images = torch.randn(rows, 1, size, size, generator=generator)
    return {"images": images, "ids": ids, "labels": labels}


def measure(policy: str, folder: str, flags: argparse.Namespace) -> dict[str, Any]:
    """Train `steps` steps under one policy; "loop" is transformers without us."""
    runtime = engine.start(seed=0, device=flags.device)
    scan.uninstall()
    if policy != "loop":
        scan.install(policy, families=["mamba"], say=lambda _line: None)
    language = lm.load(folder, flags.train_llm, runtime.device)
    if flags.checkpointing:
        lm.enable_checkpointing(language.model)
    vision, size, _channels = captioner.build_vision("conv", 128, 1, [16, 32, 64])
    model = captioner.build(language, vision, size, flags.visual, 0)
    options = engine.Options(lr=1e-4, batch_size=flags.batch)
    trainer = engine.Trainer(
        model,
        options,
        runtime,
        loss=lambda net, b: net(b["images"], b["ids"], b["labels"]),
        weight=lambda b: int((b["labels"] != -100).sum()),
        state_file="",
    )
    model.train()
    batch, seconds = batch_of(flags.batch, size, flags.text), []
    for _step in range(flags.steps + 1):
        began = time.perf_counter()
        loss = trainer.backward([batch], [False])[0]
        trainer._update(flags.steps + 1)
        if runtime.device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    cuda = runtime.device.type == "cuda"
    tokens = flags.batch * (flags.text + model.bridge.tokens)
    return {
        "policy": policy,
        "tokens_per_s": round(tokens / statistics.median(seconds[1:]), 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if cuda else None,
        "loss": round(loss, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--policies", default="kernels,reference,loop")
    parser.add_argument("--train_llm", default="full", choices=("none", "lora", "full"))
    parser.add_argument("--checkpointing", action="store_true")
    for name, value in (
        ("hidden", 768),
        ("layers", 24),
        ("batch", 1),
        ("visual", 96),
        ("text", 512),
        ("steps", 10),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    flags = parser.parse_args()
    sentences = [scene.sentence for scene in demo_data.all_scenes()]
    for policy in flags.policies.split(","):
        with tempfile.TemporaryDirectory() as folder:
            tiny_model.write_tiny_model(
                folder, sentences, hidden=flags.hidden, layers=flags.layers, state=16
            )
            try:
                print(json.dumps(measure(policy, folder, flags)), flush=True)
            except Exception as error:  # the table's row says why there is no number
                print(
                    json.dumps({"policy": policy, "error": str(error).splitlines()[0]}), flush=True
                )


if __name__ == "__main__":
    main()

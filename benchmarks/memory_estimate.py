"""`--estimate` against what a run really takes on this machine's CPU, case by case.

    PYTHONPATH=src python benchmarks/memory_estimate.py [CASE ...]

Run by the target interpreter. Each case is two processes: the estimate, and a run of two steps whose highest
resident memory the system tells. Prints a row per case, exit 1 where one is wrong by more than 15 %.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

LIMIT = 0.15
# name -> (width, layers, vocabulary of the random model; is it pretrained?; flags)
CASES: dict[str, tuple[tuple[int, int, int], bool, str]] = {
    "everything learns": ((512, 8, 30_000), False, "--batch_size 4"),
    "recomputed": ((512, 8, 30_000), False, "--batch_size 8 --gradient_checkpointing"),
    "LoRA": ((768, 8, 50_000), True, "--train_llm lora --batch_size 8"),
    "frozen": ((768, 8, 50_000), True, "--train_llm none --batch_size 4"),
    "BF16 autocast": ((512, 8, 30_000), False, "--batch_size 4 --amp bf16"),
    "long texts": ((256, 6, 30_000), False, "--batch_size 4"),
    "large pictures": ((256, 4, 5_000), False, "--batch_size 4 --image_size 256"),
}


def prepare(folder: Path, case: str) -> list[str]:
    """A model and a table; the flags of the case."""
    from mambaops.payload.train import demo_data, tiny_model

    (width, layers, rows), pretrained, flags = CASES[case]
    sentences = [scene.sentence for scene in demo_data.all_scenes()]
    model = tiny_model.write_tiny_model(
        str(folder / "model"), sentences, hidden=width, layers=layers, state=16, rows=rows
    )
    if not pretrained:
        (folder / "model" / "model.safetensors").unlink()
    demo_data.write_set(str(folder / "data"), 64)
    table = folder / "data" / "caption_train.csv"
    if case == "long texts":
        lines = table.read_text("utf-8-sig").splitlines()
        table.write_text("\n".join([lines[0], *(f"{line}{'长' * 150}" for line in lines[1:])]))
    words = ["--csv", str(table), "--mamba_model", model, "--output_dir", str(folder / "out")]
    words += ["--max_steps", "2", "--epochs", "1", "--num_workers", "0", *flags.split()]
    return words + ([] if "--image_size" in words else ["--image_size", "64"])


def run(words: list[str], answer: Any) -> None:
    """In a process of its own: the estimate's total, or the memory that a run took."""
    from mambaops.payload.train import vlm
    from mambaops.payload.train.memory import peak_memory

    with contextlib.redirect_stdout(io.StringIO()):
        said = vlm.main(words)
    answer.put(said["total"] if "--estimate" in words else peak_memory())


def measure(words: list[str]) -> float:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=run, args=(words, answer))
    process.start()
    value = float(answer.get(timeout=3600))
    process.join()
    return value


def main(names: list[str]) -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    wrong = 0
    print("| case | estimate, GiB | measured, GiB | off |\n|---|---|---|---|")
    for name in names or list(CASES):
        with tempfile.TemporaryDirectory() as folder:
            words = prepare(Path(folder), name)
            said, took = measure([*words, "--estimate"]), measure(words)
        off = said / took - 1
        wrong += abs(off) > LIMIT
        print(f"| {name} | {said / 2**30:.2f} | {took / 2**30:.2f} | {off:+.1%} |", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

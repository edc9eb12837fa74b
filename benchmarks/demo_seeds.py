"""The demonstration under several seeds: the range of its score.

    PYTHONPATH=src python benchmarks/demo_seeds.py [SEED ...]          # 0 1 2; some minutes each

Run by the target interpreter. Pictures, split and the random language model are the same; the seed is that of the
bridge's and encoder's start, of the data's order and of everything drawn in training.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path


def main(seeds: list[str]) -> None:
    from mambaops.payload.train import vlm
    from mambaops.payload.train.errors import TrainError

    print(
        "| seed | exactly right | with shuffled pictures | loss at step 1 | at the end | seconds |"
    )
    print("|---|---|---|---|---|---|")
    for seed in seeds or ["0", "1", "2"]:
        with tempfile.TemporaryDirectory() as folder:
            # where it shows too little it says so by an error, after its scores are written
            with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(TrainError):
                vlm.main(["--demo", "--output_dir", folder, "--seed", seed])
            found = json.loads((Path(folder) / "demo.json").read_text("utf-8"))
        exact, shuffled = (found["scores"][name]["exact_match"] for name in ("test", "shuffled"))
        print(
            f"| {seed} | {exact:.2%} | {shuffled:.2%} | {found['first_loss']:.2f} | "
            f"{found['last_loss']:.4f} | {found['seconds']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])

"""A table of a million rows: when the first step is done, and how much memory the run takes by then and later.

    PYTHONPATH=src python benchmarks/million_rows.py [--rows 1000000] [--steps 1500]

Run by the target interpreter. The rows are generated (one picture, a different sentence each), the model is the
demonstration's size. Prints seconds from the start of the process to the first step (the clock's, and what the main
process computed: the clock's on a machine with nothing else to do), and the memory of the main process and of its
workers (each worker's own share) after the first step and then every 500.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def prepare(folder: Path, rows: int) -> list[str]:
    """Model, picture and table; the flags of a run."""
    from PIL import Image

    from mambaops.payload.train import demo_data, tiny_model

    sentences = [f"{demo_data.QUESTION}\n{scene.sentence}" for scene in demo_data.all_scenes()]
    tiny_model.write_tiny_model(str(folder / "model"), sentences)
    Image.new("RGB", (64, 64), "red").save(folder / "a.png")
    with (folder / "t.csv").open("w", encoding="utf-8") as file:
        file.write("image_path,question,answer\n")
        for number in range(rows):
            file.write(f"a.png,{demo_data.QUESTION},{number}{sentences[number % 480][-12:]}\n")
    values = {
        "csv": folder / "t.csv",
        "mamba_model": folder / "model",
        "output_dir": folder / "out",
    }
    values |= {"image_size": 64, "conv_widths": "16,32", "max_visual_tokens": 4}
    values |= {"batch_size": 8, "num_workers": 1, "log_every_steps": 50, "epochs": 1}
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def own_memory(pid: int) -> float:
    """MiB that no other process has a share in, of the process and its children together."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0.0
    for each in (str(pid), *children):
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += float(line.split()[1]) / 1024
    return total


def processor_time(pid: int) -> float:
    """Seconds that the process has computed; less than the clock's where others compute too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=1500)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        words = prepare(Path(name), flags.rows)
        size = (Path(name) / "t.csv").stat().st_size / 2**20
        words += ["--max_steps", str(flags.steps), "--no_tensorboard"]
        began = time.monotonic()
        run = subprocess.Popen(
            [sys.executable, "-u", "-m", "mambaops.payload.train.vlm", *words],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert run.stdout is not None
        print(f"{flags.rows} rows, {size:.0f} MiB")
        last = 0
        for line in run.stdout:
            if " step " in line and line.startswith("epoch"):
                last = int(line.split()[3])
                if last == 1 or not last % 500:
                    print(
                        f"step {last}: {time.monotonic() - began:.1f} s after the start "
                        f"({processor_time(run.pid):.1f} s computed), {own_memory(run.pid):.0f} MiB", flush=True,
                    )  # fmt: skip
            if last >= flags.steps:
                break
        run.kill()
        run.wait()


if __name__ == "__main__":
    main()

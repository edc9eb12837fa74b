"""Everything that needs a GPU, in one call: tests, kernels against references, scan, training.

    python benchmarks/gpu_all.py --python ENV/bin/python [--compiled FOLDER] [--out FOLDER]

`ENV` is an environment that `mambaops build-mamba` made for this GPU (carry it as a bundle where there is no
network). Writes `gpu.md` with a table per part, and exits 1 where a part failed; a part that cannot run is
named with its reason and is not a pass.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="interpreter with the kernels")
    parser.add_argument("--compiled", default="", help="folder with the modules that nvcc built")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    parts = {
        "numbers": [options.python, str(ROOT / "src/mambaops/payload/numerics.py")],
        "kernels": [
            options.python,
            str(ROOT / "src/mambaops/payload/kernels_gpu.py"),
            *(["--compiled", options.compiled] if options.compiled else []),
        ],
        "tests": [sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(ROOT / "tests/gpu")],
        "scan": [options.python, str(HERE / "gpu_scan.py")],
        "training": [
            options.python,
            str(HERE / "train.py"),
            *["--hidden", "768", "--layers", "24", "--steps", "10"],
        ],
    }
    failed = [name for name, argv in parts.items() if not run(name, argv, options)]
    print(f"written: {options.out / 'gpu.md'}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run(name: str, argv: list[str], options: argparse.Namespace) -> bool:
    """One part; its whole output goes into the folder, a summary into `gpu.md`."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "MAMBAOPS_TARGET_PYTHON": options.python,
    }
    started = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    seconds = time.monotonic() - started
    text = done.stdout + done.stderr
    (options.out / f"{name}.log").write_text(text, encoding="utf-8")
    good = done.returncode == 0 and '"outcome": "failed"' not in text
    with (options.out / "gpu.md").open("a", encoding="utf-8") as file:
        file.write(f"## {name}: {'ok' if good else 'FAILED'} in {seconds:.0f} s\n\n")
        file.write(f"`{' '.join(argv)}`\n\n{summary(done.stdout)}\n\n")
    print(f"{name}: {'ok' if good else 'FAILED'} ({seconds:.0f} s)", flush=True)
    return good


def summary(text: str) -> str:
    """Checks as a table; other output as it is."""
    rows = []
    for line in text.splitlines():
        try:
            check = json.loads(line)
        except ValueError:
            continue
        if isinstance(check, dict) and "outcome" in check:
            value = json.dumps(check.get("value"))
            rows.append(f"| {check['id']} | {check['outcome']} | {check['reason']} | {value} |")
    if not rows:
        return text[-6000:]
    return "\n".join(["| check | outcome | reason | value |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    main()

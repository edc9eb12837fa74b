"""Everything that needs a GPU, in one call of ten minutes: numbers, kernels against compiled ones, scan, training, tests.

    python benchmarks/gpu_all.py --python ENV/bin/python [--compiled FOLDER] [--out FOLDER]
    python3 benchmarks/gpu_all.py --wheel mambaops_kernels-….whl --wheel mamba_ssm-….whl [--minutes 9]

`ENV` is an environment that `mambaops build-mamba` made for this GPU. Where there is only a PyTorch and no network, the
second form takes wheels of Python files (`mambaops-kernels`, the packages' Python parts, einops; a few MB) beside it: they
are unpacked into a folder of their own, and nothing is installed. Needs the standard library only.

Writes `gpu.md` with a table per part, and exits 1 where a part failed; a part that cannot run, or for which no time is
left, is named with its reason and is not a pass.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="interpreter with PyTorch")
    parser.add_argument("--wheel", action="append", default=[], help="of Python files, unpacked")
    parser.add_argument("--compiled", default="", help="folder with the modules that nvcc built")
    parser.add_argument("--minutes", type=float, default=9.0, help="for all parts together")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    options = parser.parse_args()
    asked = "import sys, torch; sys.exit(0 if torch.cuda.is_available() else 'torch sees no GPU')"
    if subprocess.run([options.python, "-c", asked], check=False).returncode:
        sys.exit(f"{options.python}: nothing can be run")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "gpu.md").write_text("", encoding="utf-8")
    options.until = time.monotonic() + options.minutes * 60
    # what is most wanted first: the time may end
    parts = {
        "kernels": [
            str(ROOT / "src/mambaops/payload/kernels_gpu.py"),
            *(["--compiled", options.compiled] if options.compiled else []),
        ],
        "numbers": [str(ROOT / "src/mambaops/payload/numerics.py")],
        "training": [str(HERE / "train.py"), "--hidden", "768", "--layers", "24", "--steps", "10"],
        "scan": [str(HERE / "gpu_scan.py")],
        # the other files of tests/gpu run the first two parts once more, or need no GPU
        "tests": [
            "-m",
            "pytest",
            "-q",
            "--noconftest",
            "-p",
            "no:cacheprovider",
            "-o",
            "addopts=",
            str(ROOT / "tests/gpu/test_scan_gpu.py"),
        ],
    }
    with tempfile.TemporaryDirectory(prefix="mambaops-gpu-") as folder:
        for wheel in options.wheel:
            with zipfile.ZipFile(wheel) as packed:
                packed.extractall(folder)
        options.site = folder
        failed = [name for name, words in parts.items() if not run(name, words, options)]
    print(f"written: {options.out / 'gpu.md'}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run(name: str, words: list[str], options: argparse.Namespace) -> bool:
    """One part; its whole output goes into the folder, a summary into `gpu.md`."""
    argv = [options.python, *words]
    started = time.monotonic()
    status, text = finished(argv, options)
    seconds = time.monotonic() - started
    (options.out / f"{name}.log").write_text(text, encoding="utf-8")
    wrong = trouble(status, text)
    said = wrong or "ok"
    with (options.out / "gpu.md").open("a", encoding="utf-8") as file:
        file.write(f"## {name}: {said} in {seconds:.0f} s\n\n")
        file.write(f"`{' '.join(argv)}`\n\n{summary(text)}\n\n")
    print(f"{name}: {said} ({seconds:.0f} s)", flush=True)
    return not wrong


def finished(argv: list[str], options: argparse.Namespace) -> tuple[int, str]:
    """(status, output); 124 where the time was over."""
    left = options.until - time.monotonic()
    places = [options.site, str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(one for one in places if one),
        "MAMBAOPS_TARGET_PYTHON": options.python,
    }
    # the beginning is kept where the time ends
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        try:
            if left < 5:
                return 124, "no time was left"
            done = subprocess.run(
                argv, stdout=file, stderr=subprocess.STDOUT, env=env, check=False, timeout=left
            )
            status = done.returncode
        except subprocess.TimeoutExpired:
            status = 124
        file.seek(0)
        return status, file.read()


def checks_of(text: str) -> list[dict[str, object]]:
    """The checks that a part printed, one JSON object a line."""
    found = []
    for line in text.splitlines():
        try:
            check = json.loads(line)
        except ValueError:
            continue
        if isinstance(check, dict) and "outcome" in check:
            found.append(check)
    return found


def trouble(status: int, text: str) -> str:
    """Why a part is no pass, "" where it is one."""
    outcomes = [check["outcome"] for check in checks_of(text)]
    if status == 124:
        return "NOT FINISHED"
    if status or "failed" in outcomes:
        return "FAILED"
    if outcomes and "ok" not in outcomes:
        return "NOT RUN"
    last = (text.splitlines() or [""])[-1]
    return "NOT RUN" if "skipped" in last and "passed" not in last else ""


def summary(text: str) -> str:
    """Checks as a table; other output as it is."""
    rows = [
        f"| {one['id']} | {one['outcome']} | {one['reason']} | {json.dumps(one.get('value'))} |"
        for one in checks_of(text)
    ]
    if not rows:
        return text[-6000:]
    return "\n".join(["| check | outcome | reason | value |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    main()

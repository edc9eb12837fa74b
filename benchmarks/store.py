"""Installing from the store against `uv pip install` of the same file, in one run.

    python benchmarks/store.py [--wheel FILE] [--rounds 7]

Both do the same work: put one wheel (a given one, or 60 MB made for this) into a fresh environment, with uv's
cache empty for both. The two take turns, so that a busy machine harms them alike. Fails above 1.5 times.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from mambaops.facts.collect import collect
from mambaops.facts.model import Facts, Torch
from mambaops.install.installers import uv_command
from mambaops.install.wheels import install_wheels
from mambaops.store.store import Store
from mambaops.wheels.keys import BuildKey

LIMIT = 1.5
TORCH = "2.14.1+cu130"
SIZE = 60 * 1000 * 1000


def made(folder: Path) -> Path:
    """A wheel of about SIZE bytes with one large member, as the two packages' are."""
    info = "storebench-1.0.dist-info"
    members = {
        "storebench/__init__.py": b"",
        "storebench/kernels.bin": os.urandom(SIZE),
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: storebench\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for name, data in members.items()
    ]
    members[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    path = folder / "storebench-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def fresh(folder: Path) -> Path:
    """A new environment and an empty uv cache."""
    for name in ("env", "uv-cache"):
        shutil.rmtree(folder / name, ignore_errors=True)
    argv = [sys.executable, "-m", "venv", "--without-pip", folder / "env"]
    subprocess.run(argv, check=True)
    return folder / "env/bin/python"


def by_uv(wheel: Path, python: Path) -> None:
    words = [
        *(uv_command() or ["uv"]),
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--python",
        str(python),
    ]
    subprocess.run([*words, str(wheel)], check=True)


def by_store(store: Store, key: BuildKey, python: Path, facts: Facts) -> None:
    found = store.find(key)
    assert found is not None, "the store lost the wheel"
    install_wheels([found], python, facts=facts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mambaops-bench-") as name:
        folder = Path(name)
        os.environ["UV_CACHE_DIR"] = str(folder / "uv-cache")
        wheel = options.wheel or made(folder)
        distribution, version = wheel.name.split("-")[:2]
        key = BuildKey.of(
            package=distribution,
            version=version,
            torch=TORCH,
            cuda=None,
            cxx11_abi=None,
            python="cp3",
            platform="any",
        )
        store = Store(folder / "store")
        store.add(wheel, key)
        # whoever installs from the store has looked at the machine and the environment long before;
        # torch is said to be there, which would take minutes to install in every round
        seen = collect(fresh(folder))
        facts = msgspec.structs.replace(seen, torch=Torch(version=TORCH, path=""))
        uv: list[float] = []
        ours: list[float] = []
        for _ in range(options.rounds):
            python = fresh(folder)
            uv.append(timed(lambda python=python: by_uv(wheel, python)))
            python = fresh(folder)
            ours.append(timed(lambda python=python: by_store(store, key, python, facts)))
    ratio = statistics.median(ours) / statistics.median(uv)
    report = {
        "wheel": wheel.name,
        "megabytes": round(store_size(key, wheel, options), 1),
        "uv_seconds": [round(value, 3) for value in uv],
        "store_seconds": [round(value, 3) for value in ours],
        "ratio_of_medians": round(ratio, 3),
        "limit": LIMIT,
        "passed": ratio <= LIMIT,
    }
    print(json.dumps(report, indent=2))
    return 0 if report["passed"] else 1


def store_size(key: BuildKey, wheel: Path, options: argparse.Namespace) -> float:
    return (wheel.stat().st_size if options.wheel else SIZE) / 1e6


if __name__ == "__main__":
    sys.exit(main())

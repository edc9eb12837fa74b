"""Runs setup.py files with stand-ins for torch, setuptools and nvcc, and reads what would reach nvcc."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from mambaops.core import process

HERE = Path(__file__).parent
STANDIN = HERE / "standin"
SETUPS = HERE / "setup_py"
SHAPES = {path.stem: path.read_text("utf-8") for path in sorted((HERE / "shapes").glob("*.py"))}
INDEX: dict[str, dict[str, dict[str, Any]]] = json.loads((SETUPS / "index.json").read_text("utf-8"))
RELEASES = {
    f"{package}-{version}": entry["file"]
    for package, versions in INDEX.items()
    for version, entry in versions.items()
}
FILES = {name: (SETUPS / name).read_text("utf-8") for name in sorted(set(RELEASES.values()))}

# what the real `nvcc -V` prints
NVCC = {
    "11.8": """nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2022 NVIDIA Corporation
Built on Wed_Sep_21_10:33:58_PDT_2022
Cuda compilation tools, release 11.8, V11.8.89
Build cuda_11.8.r11.8/compiler.31833905_0
""",
    "12.1": """nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2023 NVIDIA Corporation
Built on Mon_Apr__3_17:16:06_PDT_2023
Cuda compilation tools, release 12.1, V12.1.105
Build cuda_12.1.r12.1/compiler.32688072_0
""",
    "12.8": """nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2025 NVIDIA Corporation
Built on Fri_Feb_21_20:23:50_PST_2025
Cuda compilation tools, release 12.8, V12.8.93
Build cuda_12.8.r12.8/compiler.35583870_0
""",
    "13.0": """nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2025 NVIDIA Corporation
Built on Wed_Aug_20_01:58:59_PM_PDT_2025
Cuda compilation tools, release 13.0, V13.0.88
Build cuda_13.0.r13.0/compiler.36424714_0
""",
}


def record(
    texts: dict[str, str], folder: Path, cuda: str | None, **environment: str
) -> dict[str, dict[str, Any]]:
    """Run every text as a setup.py, with an nvcc of that release (None: no nvcc at all)."""
    items = []
    for number, (name, text) in enumerate(texts.items()):
        tree = folder / str(number)
        for package in ("mamba_ssm", "causal_conv1d"):
            (tree / package).mkdir(parents=True, exist_ok=True)
            (tree / package / "__init__.py").write_text('__version__ = "0"\n')
        (tree / "README.md").write_text("")
        (tree / "setup.py").write_text(text, encoding="utf-8")
        items.append({"id": name, "path": str(tree / "setup.py")})
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(STANDIN),
        "PYTHONDONTWRITEBYTECODE": "1",
        "STANDIN_TORCH": "2.14.1",
        "STANDIN_TORCH_CUDA": cuda or "13.0",
        **environment,
    }
    if cuda is not None:
        env["CUDA_HOME"] = str(_toolkit(folder / "cuda", cuda))
    script = [sys.executable, STANDIN / "run_all.py"]
    done = process.run(script, env=env, stdin=json.dumps(items), timeout=120)
    return json.loads(done.stdout)


def _toolkit(home: Path, cuda: str) -> Path:
    (home / "bin").mkdir(parents=True)
    (home / "version.txt").write_text(NVCC[cuda])
    nvcc = home / "bin" / "nvcc"
    nvcc.write_text('#!/bin/sh\nexec cat "${0%/*}/../version.txt"\n')
    nvcc.chmod(0o755)
    return home


def compiled(flags: list[str]) -> list[str]:
    """What nvcc would make of its flags, e.g. `["80->sm_80", "90->compute_90"]`, sorted."""
    found = []
    for flag in flags:
        match = re.search(r"arch=compute_(\w+),code=\[?([\w,]+)", flag)
        if match:
            found += [f"{match[1]}->{code}" for code in match[2].split(",")]
        elif flag.startswith("-arch="):
            found.append(flag)
    return sorted(found)


def standards(flags: list[str]) -> list[str]:
    return [flag for flag in flags if re.search(r"std[=:]", flag)]


def threads(flags: list[str]) -> list[str]:
    joined = " ".join(flags)
    return re.findall(r"--threads[ =](\d+)", joined)

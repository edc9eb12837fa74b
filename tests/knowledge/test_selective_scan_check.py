"""The check of VMamba's kernels: it takes right kernels and notices wrong ones (played by torch on the CPU)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mambaops.core.paths import payload_file
from mambaops.knowledge.packages import package

# the compiled module's two functions, as VMamba's C++ declares them
KERNELS = """
import torch

def scan(u, delta, A, B, C, D, bias):
    delta = torch.nn.functional.softplus(delta + bias[None, :, None])
    decay = torch.exp(torch.einsum("bdl,dn->bdln", delta, A))
    pushed = torch.einsum("bdl,bnl,bdl->bdln", delta, B[:, 0], u)
    state, out = torch.zeros_like(pushed[:, :, 0]), []
    for at in range(u.shape[2]):
        state = decay[:, :, at] * state + pushed[:, :, at]
        out.append(torch.einsum("bdn,bn->bd", state, C[:, 0, :, at]))
    return torch.stack(out, 2) + u * D[None, :, None] WRONG_RESULT

def fwd(u, delta, A, B, C, D, bias, softplus, rows, out_float):
    return [scan(u, delta, A, B, C, D, bias), None]

def bwd(u, delta, A, B, C, D, bias, dout, x, softplus, rows):
    inputs = [one.detach().requires_grad_() for one in (u, delta, A, B, C, D, bias)]
    found = torch.autograd.grad((scan(*inputs) * dout).sum(), inputs)
    return [one WRONG_GRADIENT for one in found]
"""


def outcome(folder: Path, result: str = "", gradient: str = "") -> str:
    text = KERNELS.replace("WRONG_RESULT", result).replace("WRONG_GRADIENT", gradient)
    (folder / "selective_scan_cuda_oflex.py").write_text(text, encoding="utf-8")
    argv = [sys.executable, payload_file("package_check.py"), "selective-scan", "cpu"]
    code = package("selective-scan").check.code
    env = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, input=code, capture_output=True, text=True, env=env, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("result", "gradient", "said"),
    [
        ("", "", '"outcome": "ok"'),
        ("* 1.01", "", '"outcome": "failed"'),
        ("", "* 1.1", '"outcome": "failed"'),
    ],
    ids=["right", "wrong-result", "wrong-gradient"],
)
def test_it_tells_right_from_wrong(result: str, gradient: str, said: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert said in outcome(tmp_path, result, gradient)

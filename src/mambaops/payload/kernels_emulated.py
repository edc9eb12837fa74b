"""The kernels of `mambaops-kernels`, executed without a GPU: results and gradients against float64 in PyTorch.

    python kernels_emulated.py --emulator /path/of/mambaops/emulator --arch 9.0 [--cuda 13.0]

Run by the target interpreter; prints one JSON object per check: `{"id", "outcome", "reason", "value"}`. What is executed
is their PTX, by the very launch rules and structs of a GPU's launch. The machine code that is made of it is not, so the
outcome is `emulated` and no pass for a GPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from typing import Any, List, Optional, Tuple

# a rounding of the type, on results of a few dozen additions in fp32
WITHIN = {"float32": 2e-6, "bfloat16": 1.2e-2}
Pair = Tuple[str, Optional[Any], Optional[Any]]


def say(identity: str, outcome: str, reason: str = "", value: object = None) -> None:
    line = {"id": identity, "outcome": outcome, "reason": reason, "value": value}
    print(json.dumps(line), flush=True)


def load_emulator(folder: str) -> Any:
    place = os.path.join(folder, "__init__.py")
    spec = importlib.util.spec_from_file_location(
        "mambaops_emulator", place, submodule_search_locations=[folder]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mambaops_emulator"] = module
    spec.loader.exec_module(module)
    return module


def double(tensor: Any) -> Any:
    """In float64, in the same layout: a convolution goes by it."""
    import torch

    if tensor is None:
        return None
    return torch.empty_like(tensor, dtype=torch.float64).copy_(tensor)


def compare(identity: str, pairs: List[Pair], dtype: str, began: float) -> None:
    worst = {}
    for name, found, wanted in pairs:
        if found is None or wanted is None:
            continue
        largest = wanted.abs().max().item() or 1.0
        worst[name] = (found.double() - wanted).abs().max().item() / largest
    bad = [name for name, value in worst.items() if not value <= WITHIN[dtype]]
    value = {"worst": max(worst.values()), "seconds": round(time.monotonic() - began, 1)}
    if bad:
        say(identity, "failed", "{}: other than float64's".format(", ".join(bad)), worst)
        return
    say(identity, "emulated", "equal to float64; PTX, not the machine code of a GPU", value)


def check_scan() -> None:
    import selective_scan_cuda  # type: ignore
    import torch
    from mambaops_kernels.pytorch import raw_scan  # type: ignore

    began, (batch, dim, length, state) = time.monotonic(), (1, 4, 37, 3)
    run = (batch, dim, length)
    given = [
        torch.randn(run), torch.randn(run) * 0.5 - 1, -torch.rand(dim, state), torch.randn(batch, 1, state, length),
        torch.randn(batch, 1, state, length), torch.randn(dim), torch.randn(run), torch.randn(dim) * 0.1,
    ]  # fmt: skip
    wide = [double(one) for one in given]
    out, x, gated = selective_scan_cuda.fwd(*given, True)
    wanted, wide_x, wide_gated = raw_scan.fwd(*wide, True)
    compare("results:scan", [("out", out, wanted), ("gated", gated, wide_gated)], "float32", began)
    began, grad = time.monotonic(), torch.randn(run)
    found = selective_scan_cuda.bwd(*given, grad, x, out, None, True, False)
    right = raw_scan.bwd(*wide, double(grad), wide_x, wanted, None, True, False)
    names = ("du", "ddelta", "dA", "dB", "dC", "dD", "ddelta_bias", "dz")
    compare("results:scan:gradients", list(zip(names, found, right)), "float32", began)


def check_convolution() -> None:
    import causal_conv1d_cuda  # type: ignore
    import torch
    from mambaops_kernels.pytorch import raw_conv  # type: ignore

    began, (batch, dim, length, width) = time.monotonic(), (2, 8, 37, 4)
    x = torch.randn(batch, dim, length).bfloat16()
    weight, bias = torch.randn(dim, width), torch.randn(dim)
    wide = [double(one) for one in (x, weight, bias)]
    out, wanted = torch.empty_like(x), torch.empty_like(wide[0])
    causal_conv1d_cuda.causal_conv1d_fwd(x, weight, bias, None, None, out, None, True)
    raw_conv.causal_conv1d_fwd(*wide, None, None, wanted, None, True)
    compare("results:convolution", [("out", out, wanted)], "bfloat16", began)
    began, grad = time.monotonic(), torch.randn(batch, dim, length).bfloat16()
    found = [torch.empty_like(x), torch.zeros_like(weight), torch.zeros_like(bias), None]
    right = [*(torch.zeros_like(one) for one in wide), None]
    causal_conv1d_cuda.causal_conv1d_bwd(x, weight, bias, grad, None, None, None, *found, True)
    raw_conv.causal_conv1d_bwd(*wide, double(grad), None, None, None, *right, True)
    pairs = list(zip(("dx", "dweight", "dbias"), found, right))
    compare("results:convolution:gradients", pairs, "bfloat16", began)


def check_update() -> None:
    import causal_conv1d_cuda  # type: ignore
    import torch
    from mambaops_kernels.pytorch import raw_conv  # type: ignore

    began = time.monotonic()
    x, state = torch.randn(2, 8, 1).bfloat16(), torch.randn(2, 8, 4).bfloat16()
    weight, bias = torch.randn(8, 4), torch.randn(8)
    wide = [double(one) for one in (x, state, weight, bias)]
    out, wanted = torch.empty_like(x), torch.empty_like(wide[0])
    causal_conv1d_cuda.causal_conv1d_update(x, state, weight, bias, out, True, None, None)
    raw_conv.causal_conv1d_update(*wide, wanted, True, None, None)
    pairs: List[Pair] = [("out", out, wanted), ("state", state, wide[1])]
    compare("results:convolution:update", pairs, "bfloat16", began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emulator", required=True)
    parser.add_argument("--arch", required=True)
    given = parser.parse_args()
    # the folder of this script must not stand for an installed module
    sys.path.pop(0)
    try:
        emulator = load_emulator(given.emulator)
    except ImportError as error:
        say(
            "results",
            "skipped",
            "no GPU here, and to execute kernels without one: {}".format(error),
        )
        return
    try:
        import torch
        from mambaops_kernels import emulated  # type: ignore

        torch.manual_seed(0)
        major, _, minor = given.arch.partition(".")
        emulated.use(emulator, (int(major), int(minor)))
        for check in (check_scan, check_convolution, check_update):
            check()
    except Exception as error:  # whatever it is, a first use would meet it
        say("results", "failed", "{}: {}".format(type(error).__name__, error))


if __name__ == "__main__":
    main()

"""`mambaops-kernels` on a GPU: the same bits as compiled kernels, first use, calls, a training step, graphs, two streams.

    python kernels_gpu.py [--compiled FOLDER]

Run by an interpreter that has torch and `mambaops-kernels`; `--compiled` is a folder with the modules that nvcc built
(`selective_scan_cuda*.so`, `causal_conv1d_cuda*.so`), for the same torch. Prints one JSON object per check.
"""

from __future__ import annotations

import argparse
import glob
import importlib.machinery
import importlib.util
import json
import os
import sys
import tempfile
import time
from typing import Any, Callable, Dict, List, Tuple

MODULES = ("selective_scan_cuda", "causal_conv1d_cuda")
# of gradients that are summed by atomics, in an order of their own each time, before they are rounded to their type
ATOMICS = 1e-3
# all classes of the launch rules; none whose compiled convolution is wrong (docs/runtime.md)
LENGTHS = (1, 128, 300, 1000, 2048, 4104)


def say(identity: str, outcome: str, reason: str = "", value: object = None) -> None:
    line = {"id": identity, "outcome": outcome, "reason": reason, "value": value}
    print(json.dumps(line), flush=True)


def compiled(folder: str) -> Dict[str, Any]:
    """The modules that nvcc built, beside ours of the same names."""
    found = {}
    for name in MODULES:
        for path in glob.glob(os.path.join(folder, name + "*.so")):
            loader = importlib.machinery.ExtensionFileLoader(name, path)
            spec = importlib.util.spec_from_loader(name, loader)
            assert spec is not None
            found[name] = importlib.util.module_from_spec(spec)
            loader.exec_module(found[name])
    return found


def scan_arguments(length: int, dtype: Any) -> List[Any]:
    import torch

    torch.manual_seed(length)
    run, device = (2, 64, length), "cuda"
    u, z = (torch.randn(run, device=device).to(dtype) for _ in range(2))
    delta = (torch.rand(run, device=device) * 0.5).to(dtype)
    B, C = (torch.randn(2, 1, 16, length, device=device).to(dtype) for _ in range(2))
    A, D = -torch.rand(64, 16, device=device), torch.randn(64, device=device)
    return [u, delta, A, B, C, D, z, torch.rand(64, device=device) * 0.1, True]


def scan(module: Any, arguments: List[Any]) -> Tuple[List[Any], List[Any]]:
    """Forward results, then gradients."""
    forward = module.fwd(*arguments)
    grad = arguments[6]
    backward = module.bwd(*arguments[:8], grad, forward[1], forward[0], None, True, False)
    return forward, [one for one in backward if one is not None]


def convolution(module: Any, length: int, dtype: Any) -> Tuple[List[Any], List[Any]]:
    import torch

    torch.manual_seed(length)
    x, weight, bias = torch.randn(2, 64, length, device="cuda").to(dtype), torch.randn(64, 4).cuda(), torch.randn(64).cuda()  # fmt: skip
    out, dx = torch.empty_like(x), torch.empty_like(x)
    module.causal_conv1d_fwd(x, weight, bias, None, None, out, None, True)
    dweight, dbias = torch.zeros_like(weight), torch.zeros_like(bias)
    module.causal_conv1d_bwd(x, weight, bias, x, None, None, None, dx, dweight, dbias, None, True)
    return [out, dx], [dweight, dbias]


def same_as_compiled(ours: Dict[str, Any], theirs: Dict[str, Any]) -> None:
    import torch

    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for length in LENGTHS:
            for name in theirs:
                identity = "compiled:{}:{}:{}".format(name, str(dtype)[6:], length)
                if name == MODULES[0]:
                    arguments = scan_arguments(length, dtype)
                    first, second = (scan(one[name], arguments) for one in (ours, theirs))
                else:
                    first, second = (
                        convolution(one[name], length, dtype) for one in (ours, theirs)
                    )
                bits = all(torch.equal(a, b) for a, b in zip(first[0], second[0]))
                far = max(
                    float((a.double() - b.double()).abs().max() / (b.double().abs().max() + 1e-9))
                    for a, b in zip(first[1], second[1])
                )
                reason = "" if bits else "not the same bits"
                reason = reason or (
                    "" if far <= ATOMICS + torch.finfo(dtype).eps else "gradients differ"
                )
                say(identity, "failed" if reason else "ok", reason, {"gradients": far})


def first_use(ours: Dict[str, Any]) -> None:
    """With nothing compiled before, but what a pack holds."""
    import torch

    torch.zeros(1, device="cuda")  # CUDA itself starts in seconds
    began = time.perf_counter()
    scan(ours[MODULES[0]], scan_arguments(300, torch.bfloat16))
    torch.cuda.synchronize()
    say("first-use", "ok", "", {"seconds": time.perf_counter() - began})


def latency(sides: Dict[str, Dict[str, Any]]) -> None:
    """Host and GPU together, as a decoding loop has it: calls one after the other, then one wait."""
    import torch

    x, state, weight = torch.randn(1, 1536, 1).cuda(), torch.randn(1, 1536, 4).cuda(), torch.randn(1536, 4).cuda()  # fmt: skip
    out = torch.empty_like(x)
    for side, modules in sides.items():
        if MODULES[1] not in modules:
            continue
        update: Callable[..., Any] = modules[MODULES[1]].causal_conv1d_update
        for count in (10, 2000):
            torch.cuda.synchronize()
            began = time.perf_counter()
            for _ in range(count):
                update(x, state, weight, None, out, True, None, None)
            torch.cuda.synchronize()
        say("update:" + side, "ok", "", {"us": (time.perf_counter() - began) / count * 1e6})


def graph_and_streams(ours: Dict[str, Any]) -> None:
    import torch

    arguments = scan_arguments(300, torch.float32)
    wanted = ours[MODULES[0]].fwd(*arguments)[0]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = ours[MODULES[0]].fwd(*arguments)[0]
    graph.replay()
    torch.cuda.synchronize()
    say("graph", "ok" if torch.equal(found, wanted) else "failed")
    streams, results = [torch.cuda.Stream() for _ in range(2)], []
    torch.cuda.synchronize()
    for _ in range(50):
        for stream in streams:
            with torch.cuda.stream(stream):
                results.append(ours[MODULES[0]].fwd(*arguments)[0])
    torch.cuda.synchronize()
    say("two-streams", "ok" if all(torch.equal(one, wanted) for one in results) else "failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiled", default="")
    given = parser.parse_args()
    sys.path.pop(0)
    # a first use is one, however often this is run
    cache = tempfile.TemporaryDirectory(prefix="mambaops-gpu-")
    os.environ["MAMBAOPS_CACHE"] = cache.name
    import torch

    if not torch.cuda.is_available():
        say("kernels-gpu", "skipped", "no GPU here")
        return
    ours = {name: importlib.import_module(name) for name in MODULES}
    first_use(ours)
    theirs = compiled(given.compiled) if given.compiled else {}
    lacking = [name for name in MODULES if given.compiled and name not in theirs]
    if lacking:
        say("compiled", "failed", "{} holds no {}".format(given.compiled, " and no ".join(lacking)))
    if theirs:
        same_as_compiled(ours, theirs)
    else:
        say("compiled", "skipped", "no folder of compiled modules was named")
    latency({"ours": ours, "compiled": theirs})
    graph_and_streams(ours)


if __name__ == "__main__":
    main()

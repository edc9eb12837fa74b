"""Kernels against references: values, gradients and speed. Run by the target interpreter.

    python numerics.py [--device cuda|cpu] [--quick]

prints one JSON object per check: `{"id", "outcome", "reason", "value"}`. The references are the packages'
own pure PyTorch ones (`selective_scan_ref`, `causal_conv1d_ref`), computed in float32 on the same inputs.
Tolerances (relative, absolute) are those that Astral's index tests its wheels with.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, Callable, Iterable, Sequence, Tuple

Pair = Tuple[str, Any, Any]  # name, tensor found, tensor wanted

TOLERANCES = {"float32": (6e-4, 2e-3), "float16": (3e-3, 5e-3), "bfloat16": (3e-2, 5e-2)}


def say(identity: str, outcome: str, reason: str = "", value: object = None) -> None:
    line = {"id": identity, "outcome": outcome, "reason": reason, "value": value}
    print(json.dumps(line), flush=True)


def distance(found: Any, wanted: Any, relative: float, absolute: float) -> Tuple[float, float]:
    """(largest excess over the tolerance as a ratio, largest absolute difference)."""
    found, wanted = found.float(), wanted.float()
    difference = (found - wanted).abs()
    allowed = absolute + relative * wanted.abs()
    return (difference / allowed).max().item(), difference.max().item()


def compare(identity: str, pairs: Iterable[Pair], dtype: str, scaled: bool = False) -> None:
    """Say ok or failed for (name, found, wanted) tensors of one check."""
    relative, absolute = TOLERANCES[dtype]
    worst = {}
    for name, found, wanted in pairs:
        if not bool(found.isfinite().all()):
            say(identity, "failed", "{} holds NaN or infinity".format(name))
            return
        # gradients sum over the whole sequence: they are held to the scale of their largest entry
        scale = max(1.0, wanted.float().abs().max().item()) if scaled else 1.0
        excess, difference = distance(found, wanted, relative, absolute * scale)
        worst[name] = {"max_abs_diff": difference, "of_tolerance": round(excess, 4)}
    bad = [name for name, one in worst.items() if one["of_tolerance"] > 1.0]
    reason = "{} beyond the tolerance".format(", ".join(bad)) if bad else ""
    say(identity, "failed" if bad else "ok", reason, worst)


def gradients(output: Any, inputs: Sequence[Any], weight: Any) -> Any:
    import torch

    return torch.autograd.grad((output.float() * weight).sum(), inputs, allow_unused=True)


def conv_inputs(device: str, dtype: Any) -> Any:
    import torch

    torch.manual_seed(0)
    x = torch.randn(2, 64, 151, device=device, dtype=dtype, requires_grad=True)
    w = torch.randn(64, 4, device=device, dtype=torch.float32, requires_grad=True)
    b = torch.randn(64, device=device, dtype=torch.float32, requires_grad=True)
    return x, w, b


def check_conv(device: str, name: str) -> None:
    import torch
    from causal_conv1d import causal_conv1d_fn
    from causal_conv1d.causal_conv1d_interface import causal_conv1d_ref

    x, w, b = conv_inputs(device, getattr(torch, name))
    found = causal_conv1d_fn(x, w, b, activation="silu")
    wanted = causal_conv1d_ref(x.float(), w, b, activation="silu")
    compare("conv-forward-" + name, [("out", found, wanted)], name)
    weight = torch.randn_like(wanted)
    pairs = zip(
        ("dx", "dw", "db"),
        gradients(found, (x, w, b), weight),
        gradients(wanted, (x, w, b), weight),
    )
    compare("conv-backward-" + name, list(pairs), name, scaled=True)


def scan_inputs(device: str, dtype: Any, length: int = 257) -> Any:
    import torch

    torch.manual_seed(0)
    batch, dim, state = 2, 48, 16

    def make(*shape: int) -> Any:
        return torch.randn(*shape, device=device)

    u = make(batch, dim, length).to(dtype).requires_grad_()
    delta = (0.5 * torch.rand(batch, dim, length, device=device)).to(dtype).requires_grad_()
    a = (-0.5 * torch.rand(dim, state, device=device) - 0.1).requires_grad_()
    b = make(batch, state, length).to(dtype).requires_grad_()
    c = make(batch, state, length).to(dtype).requires_grad_()
    d = make(dim).requires_grad_()
    z = make(batch, dim, length).to(dtype).requires_grad_()
    bias = (0.5 * torch.rand(dim, device=device)).requires_grad_()
    return u, delta, a, b, c, d, z, bias


def check_scan(device: str, name: str) -> None:
    import torch
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn, selective_scan_ref

    inputs = scan_inputs(device, getattr(torch, name))
    u, delta, a, b, c, d, z, bias = inputs
    options = {"z": z, "delta_bias": bias, "delta_softplus": True, "return_last_state": True}
    found, state = selective_scan_fn(u, delta, a, b, c, d, **options)
    wide = [one.float() for one in (u, delta, b, c, z)]
    wide_options = dict(options, z=wide[4])
    wanted, wanted_state = selective_scan_ref(
        wide[0], wide[1], a, wide[2], wide[3], d, **wide_options
    )
    compare("scan-forward-" + name, [("out", found, wanted), ("state", state, wanted_state)], name)
    weight = torch.randn_like(wanted)
    names = ("du", "ddelta", "dA", "dB", "dC", "dD", "dz", "dbias")
    pairs = zip(names, gradients(found, inputs, weight), gradients(wanted, inputs, weight))
    compare("scan-backward-" + name, list(pairs), name, scaled=True)


def check_block(device: str) -> None:
    """The fused block against the same block without its fast path, and step by step."""
    import torch
    from mamba_ssm import Mamba

    torch.manual_seed(0)
    block = Mamba(d_model=64, d_state=16, d_conv=4, expand=2, layer_idx=0).to(device)
    x = torch.randn(2, 65, 64, device=device, requires_grad=True)
    fused = block(x)
    block.use_fast_path = False
    plain = block(x)
    compare("block-fused-against-plain", [("out", fused, plain)], "float32")
    if device == "cpu":
        say("block-step", "skipped", "mamba_ssm's step is a Triton kernel: GPU only")
        return
    with torch.no_grad():
        conv, state = block.allocate_inference_cache(2, 65)
        steps = []
        for index in range(8):
            out, conv, state = block.step(x[:, index : index + 1], conv, state)
            steps.append(out)
        compare("block-step", [("out", torch.cat(steps, 1), plain[:, :8])], "float32")


def timed(function: Callable[[], Any], device: str, repeats: int) -> float:
    import torch

    for _ in range(2):
        function()
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(repeats):
        function()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / repeats


def check_speed(device: str) -> None:
    """Forward of the scan: kernel against the reference (a ratio, not a pass or a failure by itself)."""
    import torch
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn, selective_scan_ref

    u, delta, a, b, c, d, z, bias = scan_inputs(device, torch.float32, length=1024)

    def call(function: Callable[..., Any]) -> Any:
        return function(u, delta, a, b, c, d, z=z, delta_bias=bias, delta_softplus=True)

    with torch.no_grad():
        kernel = timed(lambda: call(selective_scan_fn), device, 20)
        reference = timed(lambda: call(selective_scan_ref), device, 2)
    ratio = reference / kernel
    value = {"kernel_ms": kernel * 1e3, "reference_ms": reference * 1e3, "ratio": round(ratio, 1)}
    slow = "the kernel is slower than the reference" if ratio < 1 and device == "cuda" else ""
    say("scan-speed", "failed" if slow else "ok", slow, value)


def guarded(identity: str, function: Callable[..., None], *arguments: Any) -> None:
    try:
        function(*arguments)
    except Exception as error:  # one broken kernel must not hide the others
        say(identity, "failed", "{}: {}".format(type(error).__name__, error))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtypes", default="float32,float16,bfloat16")
    options = parser.parse_args()
    sys.path.pop(0)
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        say("cuda-available", "failed", "torch sees no GPU (CUDA {})".format(torch.version.cuda))
        return
    if options.device == "cuda":
        name, capability = torch.cuda.get_device_name(0), torch.cuda.get_device_capability(0)
        value = {"device": name, "capability": "{}.{}".format(*capability)}
        say("cuda-available", "ok", "", value)
    for dtype in options.dtypes.split(","):
        guarded("conv-" + dtype, check_conv, options.device, dtype)
        guarded("scan-" + dtype, check_scan, options.device, dtype)
    guarded("block", check_block, options.device)
    guarded("scan-speed", check_speed, options.device)


if __name__ == "__main__":
    main()

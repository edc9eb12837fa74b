"""Calls of the modules with kernels emulated, and the same in float64 by PyTorch; run by `zygote.py` in a child."""

import json

import causal_conv1d_cuda
import selective_scan_cuda
import torch
from mambaops_kernels import emulated
from mambaops_kernels.pytorch import raw_conv, raw_scan

import mambaops.emulator

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def begin():
    """Kernels are emulated from now on; returns what records the launches."""
    torch.manual_seed(0)
    return emulated.use(mambaops.emulator)


def scan(case):
    """Forward and backward of a scan: for every result its distance from float64's, relative to its largest."""
    backend = begin()
    arguments = scan_arguments(**case)
    softplus = case.get("softplus", True)
    wide = [double(one) for one in arguments]
    results = selective_scan_cuda.fwd(*arguments, softplus)
    wanted = raw_scan.fwd(*wide, softplus)
    found = {"out": distance(results[0], wanted[0])}
    # the kernel's state is without a B that does not change: it multiplies the output by it
    weight = arguments[3] if case.get("B") == "constant" else 1
    found["last"] = distance(last(results[1]) * weight, last(wanted[1]))
    if len(results) == 3:
        found["gated"] = distance(results[2], wanted[2])
    grad = torch.randn_like(arguments[0])
    tail = (None, softplus, len(results) == 3)
    gradients = selective_scan_cuda.bwd(*arguments, grad, results[1], results[0], *tail)
    wanted = raw_scan.bwd(*wide, double(grad), wanted[1], wanted[0], *tail)
    names = ("du", "ddelta", "dA", "dB", "dC", "dD", "ddelta_bias", "dz", "again")
    for name, one, other in zip(names, gradients, wanted):
        assert (one is None) == (other is None), name
        if one is not None:
            found[name] = distance(one, other)
    print(json.dumps([found, [[i.family, list(i.values)] for i, _, _ in backend.launches]]))


def scan_arguments(
    length,
    dtype="fp32",
    complex=False,
    B="variable",
    C="variable",
    z=True,
    more=True,
    groups=1,
    batch=2,
    dim=4,
    state=3,
    softplus=True,
):
    kind = DTYPES[dtype]
    weight = torch.complex64 if complex else torch.float32
    steps = length * 2 if complex else length

    def matrix(how):
        if how == "constant":
            return torch.randn(dim, state, dtype=weight)
        return torch.randn(batch, groups, state, steps).to(kind)

    A = -torch.rand(dim, state)
    if complex:
        A = torch.complex(A, torch.randn(dim, state))
    run = (batch, dim, length)
    delta = torch.rand(run) * 0.5 if not softplus else torch.randn(run) * 0.5 - 1
    return [
        torch.randn(run).to(kind), delta.to(kind), A, matrix(B), matrix(C),
        torch.randn(dim) if more else None, torch.randn(run).to(kind) if z else None,
        torch.randn(dim) * 0.1 if more else None,
    ]  # fmt: skip


def conv(case):
    """Forward and backward of a convolution, by the newest arguments."""
    backend = begin()
    x, weight, bias, seq_idx, initial, final = conv_arguments(**case)
    silu = case.get("silu", True)
    out, wide_final = torch.empty_like(x), double(final)
    causal_conv1d_cuda.causal_conv1d_fwd(x, weight, bias, seq_idx, initial, out, final, silu)
    wide = [double(one) for one in (x, weight, bias)]
    wanted = torch.empty_like(wide[0])
    raw_conv.causal_conv1d_fwd(*wide, seq_idx, double(initial), wanted, wide_final, silu)
    found = {"out": distance(out, wanted)}
    if final is not None:
        found["final"] = distance(final, wide_final)
    grad = torch.randn_like(x)
    dfinal = None if final is None else torch.randn_like(final)
    ours = targets(x, weight, bias, initial)
    causal_conv1d_cuda.causal_conv1d_bwd(
        x, weight, bias, grad, seq_idx, initial, dfinal, *ours, silu
    )
    theirs = targets(*wide, double(initial))
    raw_conv.causal_conv1d_bwd(
        *wide, double(grad), seq_idx, double(initial), double(dfinal), *theirs, silu
    )
    for name, one, other in zip(("dx", "dweight", "dbias", "dinitial"), ours, theirs):
        if one is not None:
            found[name] = distance(one, other)
    print(json.dumps([found, [[i.family, list(i.values)] for i, _, _ in backend.launches]]))


def targets(x, weight, bias, initial):
    kind = torch.float64 if x.dtype == torch.float64 else torch.float32
    return (
        torch.empty_like(x),
        torch.zeros_like(weight, dtype=kind),
        None if bias is None else torch.zeros_like(bias, dtype=kind),
        None if initial is None else torch.empty_like(initial),
    )


def conv_arguments(
    length,
    width=4,
    dtype="fp32",
    weight="fp32",
    last=False,
    bias=True,
    rows=False,
    initial=False,
    final=False,
    batch=2,
    dim=8,
    silu=True,
):
    kind = DTYPES[dtype]

    def made(*shape):
        if not last:
            return torch.randn(*shape).to(kind)
        return torch.randn(shape[0], shape[2], shape[1]).to(kind).transpose(1, 2)

    seq_idx = None
    if rows:
        seq_idx = (torch.arange(length) * 3 // length).to(torch.int32).repeat(batch, 1)
    kept = (batch, dim, width - 1)
    return (
        made(batch, dim, length), torch.randn(dim, width).to(DTYPES[weight]),
        torch.randn(dim).to(DTYPES[weight]) if bias else None, seq_idx,
        made(*kept) if initial else None, torch.empty_like(made(*kept)) if final else None,
    )  # fmt: skip


def update(case):
    """Steps of decoding: output, and the state that moved on."""
    backend = begin()
    kind, width, length = DTYPES[case["dtype"]], case["width"], case["length"]
    batch, dim, kept = 2, 70, case["kept"]
    x, weight = torch.randn(batch, dim, length).to(kind), torch.randn(dim, width)
    bias, state = torch.randn(dim), torch.randn(batch + 1, dim, kept).to(kind)
    seqlens = torch.tensor([1, 5], dtype=torch.int32) if case.get("circular") else None
    indices = torch.tensor([2, 0], dtype=torch.int32)
    out, wide_state = torch.empty_like(x), double(state)
    causal_conv1d_cuda.causal_conv1d_update(x, state, weight, bias, out, True, seqlens, indices)
    wanted = torch.empty_like(double(x))
    raw_conv.causal_conv1d_update(
        double(x), wide_state, double(weight), double(bias), wanted, True, seqlens, indices
    )
    found = {"out": distance(out, wanted), "state": distance(state, wide_state)}
    print(json.dumps([found, [[i.family, list(i.values)] for i, _, _ in backend.launches]]))


def double(one):
    if one is None or not (one.is_floating_point() or one.is_complex()):
        return one
    # the layout stays: a convolution goes by it
    wide = torch.empty_like(one, dtype=torch.complex128 if one.is_complex() else torch.float64)
    return wide.copy_(one)


def last(x):
    """States after the last step: every second number of x."""
    return x[:, :, -1, 1::2]


def distance(one, other):
    largest = other.abs().max().item() or 1.0
    return ((one.to(other.dtype) - other).abs().max() / largest).item()

"""Run by an environment with unmodified mamba_ssm and the stand-ins: prints how far they are apart.

mamba_ssm's own `selective_scan_ref` and `causal_conv1d_ref` and our step-by-step definition in float64
are the judges. Every number printed is the largest error relative to the largest value.
"""

from __future__ import annotations

import json

import causal_conv1d
import causal_conv1d_cuda
import mamba_ssm
import selective_scan_cuda
import torch
import torch.nn.functional as F
from causal_conv1d import causal_conv1d_fn, causal_conv1d_update
from causal_conv1d.causal_conv1d_interface import causal_conv1d_ref, causal_conv1d_update_ref
from causal_conv1d.causal_conv1d_varlen import (
    causal_conv1d_varlen_states,
    causal_conv1d_varlen_states_ref,
)
from mamba_ssm import Mamba, Mamba2, Mamba3, MambaLMHeadModel
from mamba_ssm.models.config_mamba import MambaConfig
from mamba_ssm.ops.selective_scan_interface import (
    mamba_inner_fn,
    mamba_inner_ref,
    selective_scan_fn,
    selective_scan_ref,
)
from mamba_ssm.ops.triton import layer_norm, layernorm_gated
from mamba_ssm.ops.triton.selective_state_update import selective_state_update_ref
from mamba_ssm.ops.triton.ssd_combined import (
    mamba_split_conv1d_scan_ref,
    ssd_chunk_scan_combined_ref,
)
from mamba_ssm.utils.generation import InferenceParams
from mambaops_fallback import kernel_probe, selective_scan_loop

FOUND = {}
PASSED = []
DOUBLE = torch.float64


def compare(name, ours, judge):
    """Record the largest relative error over pairs of tensors."""
    for mine, wanted in zip(ours, judge):
        error = (mine.detach().double() - wanted.detach().double()).abs().max()
        error = float(error / wanted.detach().double().abs().max().clamp(min=1e-12))
        FOUND[name] = max(FOUND.get(name, 0.0), error)


def with_gradients(function, tensors):
    inputs = [None if t is None else t.clone().requires_grad_() for t in tensors]
    out = function(*inputs)
    out = out if isinstance(out, tuple) else (out,)
    seeds = [torch.linspace(-1, 1, o.numel(), dtype=o.dtype).view_as(o) for o in out[:1]]
    return [*out, *torch.autograd.grad(out[:1], [t for t in inputs if t is not None], seeds)]


def scans():
    for is_complex in (False, True):
        for groups in (0, 2):
            steps = 2 * 150 if is_complex else 150
            A = -torch.rand(8, 4) - 0.1
            A = torch.complex(A, torch.randn(8, 4)) if is_complex else A
            shape = (2, groups, 4, steps) if groups else (2, 4, steps)
            tensors = [
                torch.randn(2, 8, 150),
                torch.randn(2, 8, 150),
                A,
                torch.randn(shape),
                torch.randn(shape),
                torch.randn(8),
                torch.randn(2, 8, 150),
                torch.randn(8),
            ]
            if is_complex:
                # the reference takes the complex B and C only as float32 pairs, like the kernel
                scan, judge = (
                    (lambda *t, f=f: f(*t, delta_softplus=True))
                    for f in (selective_scan_fn, selective_scan_ref)
                )
            else:
                scan, judge = (
                    (lambda *t, f=f: f(*t, delta_softplus=True, return_last_state=True))
                    for f in (selective_scan_fn, selective_scan_ref)
                )
            name = f"selective_scan{' complex' if is_complex else ''}{' groups' if groups else ''}"
            compare(
                name,
                *(
                    [
                        torch.view_as_real(t) if t.is_complex() else t
                        for t in with_gradients(f, tensors)
                    ]
                    for f in (scan, judge)
                ),
            )


def scan_without_gate():
    """z=None takes another way through mamba_ssm's autograd function."""
    tensors = [torch.randn(2, 8, 150) for _ in range(2)] + [-torch.rand(8, 4) - 0.1]
    tensors += [torch.randn(2, 4, 150) for _ in range(2)]
    found = (with_gradients(f, tensors) for f in (selective_scan_fn, selective_scan_ref))
    compare("selective_scan without z", *found)


def decoded(model, rows):
    """`model` on seven places at once, then on one after the other."""
    state = InferenceParams(max_seqlen=rows.shape[1], max_batch_size=rows.shape[0])
    found = []
    for begin, end in [(0, 7), *((t, t + 1) for t in range(7, rows.shape[1]))]:
        out = model(rows[:, begin:end], inference_params=state)
        found.append(getattr(out, "logits", out))
        state.seqlen_offset = end
    return torch.cat(found, 1)


def triton_functions():
    """What mamba_ssm computes in Triton only, for CPU tensors: against its own references."""
    rows = torch.randn(2, 12, 32)
    for name, block in (
        ("Mamba", Mamba(32, layer_idx=0)),
        ("Mamba2", Mamba2(32, headdim=8, layer_idx=0)),
    ):
        compare(f"{name} decoded", [decoded(block, rows)], [block(rows)])
    for whole in (True, False):
        block = Mamba2(32, headdim=8, use_mem_eff_path=whole)
        compare("Mamba2 block", *(
            [out, *torch.autograd.grad(out.square().mean(), list(block.parameters()))]
            for out in (block(rows), mamba2_in_reference(block, rows))
        ))  # fmt: skip
    ids = torch.randint(0, 64, (2, 12))
    for kind in ({}, {"layer": "Mamba2", "headdim": 8}):
        lm = MambaLMHeadModel(MambaConfig(d_model=32, n_layer=2, vocab_size=64, ssm_cfg=kind))
        compare("language model decoded", [decoded(lm, ids)], [lm(ids).logits])
    norms()
    packed, starts = torch.randn(60, 16), torch.tensor([0, 2, 33, 60])
    states = [
        f(packed, starts, 4) for f in (causal_conv1d_varlen_states, causal_conv1d_varlen_states_ref)
    ]
    compare("states of packed rows", states[:1], states[1:])


def mamba2_in_reference(block, rows):
    return mamba_split_conv1d_scan_ref(
        block.in_proj(rows),
        block.conv1d.weight.squeeze(1),
        block.conv1d.bias,
        block.dt_bias,
        -torch.exp(block.A_log),
        block.D,
        256,
        rmsnorm_weight=block.norm.weight,
        rmsnorm_eps=block.norm.eps,
        outproj_weight=block.out_proj.weight,
        headdim=8,
        norm_before_gate=block.norm_before_gate,
    )


def norms():
    x, residual, z = (torch.randn(3, 5, 32) for _ in range(3))
    weight, bias = torch.randn(32), torch.randn(32)
    for ours, judge in (
        (layer_norm.layer_norm_fn, layer_norm.layer_norm_ref),
        (layer_norm.rms_norm_fn, layer_norm.rms_norm_ref),
    ):
        found = ([*f(x, weight, bias, residual, eps=1e-5, prenorm=True)] for f in (ours, judge))
        compare("norms", *found)
    for before in (True, False):
        found = (
            [f(x, weight, bias, z, 1e-5, 8, before)]
            for f in (layernorm_gated.rmsnorm_fn, layernorm_gated.rms_norm_ref)
        )
        compare("norms", *found)


def refusal_of_mamba3():
    """Its error, which must not be Triton's."""
    try:
        Mamba3(32, d_state=16, headdim=8)(torch.randn(1, 4, 32))
    except NotImplementedError as error:
        return str(error)
    return "no error"


def convolutions():
    tensors = [torch.randn(2, 16, 60), torch.randn(16, 4), torch.randn(16)]
    for activation in (None, "silu"):
        ours, judge = (
            with_gradients(lambda *t, f=f, a=activation: f(*t, activation=a), tensors)
            for f in (causal_conv1d_fn, causal_conv1d_ref)
        )
        compare("causal_conv1d", ours, judge)
    packed = torch.tensor([[0] * 20 + [1] * 30 + [2] * 10] * 2, dtype=torch.int32)
    x, weight, bias = tensors
    last = x.transpose(1, 2).contiguous().transpose(1, 2)
    compare(
        "causal_conv1d packed",
        *(
            with_gradients(
                lambda *t, f=f: f(*t, seq_idx=packed, activation="silu"), [last, weight, bias]
            )
            for f in (causal_conv1d_fn, causal_conv1d_ref)
        ),
    )
    states = [torch.randn(2, 16, 4) for _ in range(1)] * 2
    states = [s.clone() for s in states]
    outs = [
        f(x[..., 0], s, weight, bias, "silu")
        for f, s in zip((causal_conv1d_update, causal_conv1d_update_ref), states)
    ]
    compare("causal_conv1d_update", [outs[0], states[0]], [outs[1], states[1]])


def inner():
    d, rank, n = 8, 2, 4
    tensors = [
        torch.randn(2, 2 * d, 40),
        torch.randn(d, 1, 4),
        torch.randn(d),
        torch.randn(rank + 2 * n, d) / 3,
        torch.randn(d, rank),
        torch.randn(6, d) / 3,
        -torch.rand(d, n) - 0.1,
        torch.randn(d),
        torch.randn(d),
    ]

    def call(function):
        return lambda xz, cw, cb, xw, dw, ow, A, D, b: function(
            xz, cw, cb, xw, dw, ow, None, A, None, None, D, delta_bias=b, delta_softplus=True
        )

    compare(
        "mamba_inner_fn",
        *(with_gradients(call(f), tensors) for f in (mamba_inner_fn, mamba_inner_ref)),
    )


def probes():
    """What `install` launches on a GPU, here with mamba_ssm's own references on the CPU."""

    def split_in_reference(*inputs, chunk_size, headdim, ngroups):
        return mamba_split_conv1d_scan_ref(*inputs, chunk_size, headdim=headdim, ngroups=ngroups)

    functions = {
        "causal_conv1d_fn": causal_conv1d_fn,
        "causal_conv1d_update": causal_conv1d_update,
        "selective_scan_fn": selective_scan_fn,
        "mamba_inner_fn": mamba_inner_fn,
        "selective_state_update": selective_state_update_ref,
        "mamba_chunk_scan_combined": ssd_chunk_scan_combined_ref,
        "mamba_split_conv1d_scan_combined": split_in_reference,
    }
    for name, function in functions.items():
        kernel_probe._PROBES[name](function, torch.device("cpu"))
        try:
            kernel_probe._PROBES[name](
                lambda *a, f=function, **k: f(*a, **k) * 1.01, torch.device("cpu")
            )
        except kernel_probe.WrongNumbers:
            PASSED.append(name)


def block_in_double(block, x):
    """mamba_ssm's Mamba block, written out with the step-by-step scan."""
    xz = (x @ block.in_proj.weight.t()).transpose(1, 2)
    u, z = xz.chunk(2, dim=1)
    u = F.conv1d(F.pad(u, (3, 0)), block.conv1d.weight, block.conv1d.bias, groups=u.shape[1])
    u = F.silu(u)
    dt, B, C = (block.x_proj.weight @ u).split([block.dt_rank, block.d_state, block.d_state], dim=1)
    y = selective_scan_loop(
        u,
        block.dt_proj.weight @ dt,
        -torch.exp(block.A_log),
        B,
        C,
        block.D,
        z,
        block.dt_proj.bias,
        True,
    )
    return y.transpose(1, 2) @ block.out_proj.weight.t()


def blocks():
    """The block itself, fused and not, against float64; then a few steps of training."""
    block = Mamba(d_model=32, d_state=16, d_conv=4, expand=2)
    x = torch.randn(2, 70, 32)
    exact = Mamba(d_model=32, d_state=16, d_conv=4, expand=2).double()
    exact.load_state_dict(block.state_dict())
    wanted = block_in_double(exact, x.double())
    judge = [wanted, *torch.autograd.grad(wanted.square().mean(), list(exact.parameters()))]
    for fast in (True, False):
        block.use_fast_path = fast
        out = block(x)
        grads = torch.autograd.grad(out.square().mean(), list(block.parameters()))
        name = f"Mamba block, {'fused' if fast else 'in parts'}"
        compare(name, [out, *grads], judge)
    optimizer = torch.optim.Adam(block.parameters(), 3e-3)
    losses = []
    for _ in range(20):
        loss = F.mse_loss(block(x), x.roll(1, dims=1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


torch.manual_seed(0)
torch.set_num_threads(1)
scans()
convolutions()
inner()
scan_without_gate()
triton_functions()
probes()
losses = blocks()
print(
    json.dumps(
        {
            "mamba_ssm": mamba_ssm.__version__,
            "causal_conv1d": causal_conv1d.__version__,
            "standins": [m.__mambaops_standin__ for m in (selective_scan_cuda, causal_conv1d_cuda)],
            "errors": FOUND,
            "probes": PASSED,
            "mamba3": refusal_of_mamba3(),
            "losses": [losses[0], losses[-1]],
        }
    )
)

"""torch.compile over the modules: the scan is one operator without a break, forward and backward, with the right numbers."""

from __future__ import annotations

import pytest
from kernel_runs import Run, of

pytestmark = [pytest.mark.network, pytest.mark.long]

LINES = """
import json, torch, emulated_calls as calls
calls.begin()
import selective_scan_cuda as m
args = calls.scan_arguments(37)
class Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, delta, A, B, C, D, z, bias):
        out, x, gated = m.fwd(u, delta, A, B, C, D, z, bias, True)
        ctx.save_for_backward(u, delta, A, B, C, D, z, bias, x, out)
        return gated
    @staticmethod
    def backward(ctx, dout):
        *given, x, out = ctx.saved_tensors
        du, ddelta, dA, dB, dC, dD, dbias, dz = m.bwd(*given, dout, x, out, None, True, False)
        return du, ddelta, dA, dB, dC, dD, dz, dbias
def loss(*given):
    return (Scan.apply(*given) * 2).sin().sum()
def gradients(function):
    given = [one.clone().requires_grad_() for one in args]
    function(*given).backward()
    return [one.grad for one in given]
torch._dynamo.config.suppress_errors = False
plain = gradients(loss)
compiled = gradients(torch.compile(loss, backend="aot_eager", fullgraph=True))
print(json.dumps([(a - b).abs().max().item() for a, b in zip(plain, compiled)]))
"""


def test_a_scan_is_compiled_without_a_break(run: Run) -> None:
    import torch

    if not hasattr(torch.library, "custom_op"):
        pytest.skip("custom operators come with torch 2.4")
    assert of(run(LINES)) == [0.0] * 8

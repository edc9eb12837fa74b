"""The PTX of each CUDA that the profiles name, for its machine's GPU: every dialect is read, and gives the same results."""

from __future__ import annotations

from pathlib import Path

import emulated_gpu
import pytest
import scan_reference
import torch

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.mark.parametrize(
    ("cuda", "capability"),
    [("11.7", (8, 0)), ("11.8", (8, 6)), ("12.1", (8, 0)), ("12.8", (12, 0)), ("13.0", (9, 0))],
)
def test_every_toolkit_gives_the_same_numbers(
    tmp_path: Path, cuda: str, capability: tuple[int, int]
) -> None:
    """bfloat16 before 9.0 is converted by other instructions, CUDA 13 writes its assembly in another way."""
    draw = torch.Generator().manual_seed(1)
    size = (2, 4, 300)
    u, delta, z, dout = (torch.randn(size, generator=draw).bfloat16() for _ in range(4))
    B, C = (torch.randn((2, 1, 3, 300), generator=draw).bfloat16() for _ in range(2))
    A, D = -torch.rand((4, 3), generator=draw), torch.randn(4, generator=draw)
    given = [u, delta.abs(), A, B, C, D, z]
    wide = [one.double().requires_grad_() for one in given]
    wanted_out, _, wanted = scan_reference.selective_scan(*wide, None, True)
    assert wanted is not None
    wanted.backward(dout.double())
    with emulated_gpu.gpu(tmp_path, cuda, capability) as gpu, gpu.holding(*given, dout):
        out, x, gated = gpu.modules.scan.fwd(*given, None, True)
        grads = gpu.modules.scan.bwd(*given, None, dout, x, out, None, True, False)
    del grads[6]  # of no delta_bias
    right = [wanted_out, wanted, *[one.grad for one in wide]]
    for found, one in zip([out, gated, *grads], right, strict=True):
        error = (found.double() - one.detach()).abs().max() / one.detach().abs().max()
        assert error < 2.0**-7

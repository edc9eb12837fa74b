"""Run under TRITON_INTERPRET=1: the Triton scan against the definition; prints the largest errors."""

from __future__ import annotations

import json
from typing import Any

import torch

from mambaops.payload.scan import selective_scan_loop
from mambaops.payload.scan.triton_scan import covers, selective_scan


def arguments(batch: int, dim: int, length: int, state: int, extras: bool) -> list[Any]:
    random = torch.Generator().manual_seed(length)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random)

    A = -torch.rand(dim, state, generator=random)
    made = [rand(batch, dim, length), rand(batch, dim, length), A]
    made += [rand(batch, state, length), rand(batch, 1, state, length)]
    return made + ([rand(dim), rand(batch, dim, length), rand(dim)] if extras else [None] * 3)


def results(scan: Any, given: list[Any], softplus: bool) -> list[torch.Tensor]:
    inputs = [None if t is None else t.clone().requires_grad_() for t in given]
    out, last = scan(*inputs, delta_softplus=softplus, return_last_state=True)
    weights = torch.linspace(1, 2, out.numel(), dtype=out.dtype).view_as(out)
    loss = (out * weights).sum() + last.square().sum()
    return [out, last, *torch.autograd.grad(loss, [t for t in inputs if t is not None])]


worst = {}
for length, extras in ((2, True), (33, True), (40, False)):
    given = arguments(2, 11, length, 3, extras)
    if not extras:
        given[1] = given[1].abs() * 0.1  # without softplus a step must be positive by itself
    exact = [None if t is None else t.double() for t in given]
    assert covers(given[0], *given[2:5])
    worst[f"{length} {extras}"] = max(
        float((ours.double() - wanted).detach().abs().max() / wanted.detach().abs().max())
        for ours, wanted in zip(
            results(selective_scan, given, extras), results(selective_scan_loop, exact, extras)
        )
    )
print(json.dumps(worst))

"""From image features to visual tokens: grid pooling and a bidirectional Mamba bridge.

The bridge's scan is `mambaops.payload.scan` itself, on every device: a few hundred steps of a narrow layer are
little work, and the weights and the results are the same with and without compiled kernels, so a checkpoint
moves between machines.
"""

from __future__ import annotations

import math
from typing import Any, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mambaops.payload.scan import causal_conv1d_fn, selective_scan


def grid_shape(tokens: int, height: int, width: int) -> Tuple[int, int]:
    """Rows and columns of the pooled grid: at most `tokens` cells, never more than there are.

    Of the grids with the most cells the one nearest to the picture's aspect: 96 of 16x16 is 8x12.
    """
    best, key = (1, 1), (0, 0.0)
    for rows in range(1, min(height, tokens) + 1):
        columns = min(width, tokens // rows)
        skew = abs(math.log((columns / rows) / (width / height)))
        if skew <= math.log(2.0) + 1e-9 and (rows * columns, -skew) > key:
            best, key = (rows, columns), (rows * columns, -skew)
    return best


class MambaMixer(nn.Module):
    """A Mamba (S6) mixer on [B, L, dim], with our own scan."""

    def __init__(self, dim: int, state: int = 16, kernel: int = 4, expand: int = 2) -> None:
        super().__init__()
        inner, self.rank, self.state = dim * expand, math.ceil(dim / 16), state
        self.in_proj = nn.Linear(dim, 2 * inner, bias=False)
        self.conv_weight = nn.Parameter(torch.empty(inner, kernel).uniform_(-0.5, 0.5))
        self.conv_bias = nn.Parameter(torch.zeros(inner))
        self.x_proj = nn.Linear(inner, self.rank + 2 * state, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner, bias=False)
        self.dt_bias = nn.Parameter(_step_bias(inner))
        self.A_log = nn.Parameter(torch.arange(1, state + 1).float().log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        wide, z = self.in_proj(x).transpose(1, 2).chunk(2, dim=1)  # each [B, inner, L]
        weight, bias = self.conv_weight.to(wide.dtype), self.conv_bias.to(wide.dtype)
        u: Any = causal_conv1d_fn(wide.contiguous(), weight, bias, activation="silu")
        dt, b, c = self.x_proj(u.transpose(1, 2)).split([self.rank, self.state, self.state], dim=-1)
        y: Any = selective_scan(  # a tensor: no state is asked for
            u,
            self.dt_proj(dt).transpose(1, 2).contiguous(),
            -torch.exp(self.A_log.float()),
            b.transpose(1, 2).contiguous(),
            c.transpose(1, 2).contiguous(),
            D=self.D.float(),
            z=z.contiguous(),
            delta_bias=self.dt_bias.float(),
            delta_softplus=True,
        )
        return self.out_proj(y.transpose(1, 2))  # type: ignore[no-any-return]


def _step_bias(inner: int, low: float = 1e-3, high: float = 1e-1) -> Tensor:
    """Inverse softplus of step sizes spread evenly in the logarithm."""
    step = torch.exp(torch.rand(inner) * (math.log(high) - math.log(low)) + math.log(low))
    return step + torch.log(-torch.expm1(-step))


class Bridge(nn.Module):
    """Features [B, H, W, F] to visual tokens [B, T, out] for the language model.

    Pool to the grid, project, add a learned place, mix in both directions, project to the language
    model's width, at the scale of its word embeddings.
    """

    def __init__(
        self, features: int, dim: int, out: int, grid: Tuple[int, int], scale: float = 1.0
    ) -> None:
        super().__init__()
        self.grid = grid
        self.norm_in = nn.LayerNorm(features)
        self.project = nn.Linear(features, dim)
        self.pos_embed = nn.Parameter(torch.randn(grid[0] * grid[1], dim) * 0.02)
        self.norm_mix = nn.LayerNorm(dim)
        self.forwards = MambaMixer(dim)
        self.backwards = MambaMixer(dim)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, out))
        self.norm_out = nn.LayerNorm(out)
        nn.init.constant_(self.norm_out.weight, scale)

    @property
    def tokens(self) -> int:
        return self.grid[0] * self.grid[1]

    def forward(self, features: Tensor) -> Tensor:
        pooled = functional.adaptive_avg_pool2d(features.permute(0, 3, 1, 2), self.grid)
        x = self.project(self.norm_in(pooled.flatten(2).transpose(1, 2))) + self.pos_embed
        y = self.norm_mix(x)
        x = x + self.forwards(y) + self.backwards(y.flip(1)).flip(1)
        return self.norm_out(self.mlp(self.norm_mlp(x)))  # type: ignore[no-any-return]

"""Mamba over the nodes of a graph: put them in an order, scan, put the results back.

The block has mamba_ssm's parameter names and shapes, so weights move between the two. Its scan is
mambaops' own in PyTorch (any device) or mamba_ssm's kernels where they were seen to work.
"""

from __future__ import annotations

import math
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

EVAL_DRAWS = 5  # random orders are averaged over this many draws when evaluating
BUCKETS = 3


class Kernels(NamedTuple):
    """The two functions that a block needs, with mamba_ssm's and causal_conv1d's signatures."""

    scan: Callable[..., Any]
    conv: Callable[..., Any]


def reference_kernels() -> Kernels:
    """mambaops' own scan and convolution; imported here, so that a run without Mamba never does."""
    from mambaops.payload.scan import causal_conv1d_fn, selective_scan

    return Kernels(selective_scan, causal_conv1d_fn)


class MambaBlock(nn.Module):
    """Mamba-1 (arXiv 2312.00752) on [batch, length, dim], as mamba_ssm lays it out."""

    def __init__(
        self,
        dim: int,
        kernels: Kernels,
        *,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 1,
    ) -> None:
        super().__init__()
        inner, self.rank, self.d_state = expand * dim, math.ceil(dim / 16), d_state
        self.kernels = kernels
        self.in_proj = nn.Linear(dim, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, d_conv, groups=inner, padding=d_conv - 1)
        self.x_proj = nn.Linear(inner, self.rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        steps = torch.arange(1, d_state + 1, dtype=torch.float32)
        self.A_log = nn.Parameter(torch.log(steps).repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, dim, bias=False)
        self._start_steps(inner)

    def _start_steps(self, inner: int, low: float = 1e-3, high: float = 0.1) -> None:
        """Step sizes start log-uniform in [low, high]: the bias is softplus' inverse of them."""
        nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
        dt = torch.exp(torch.rand(inner) * math.log(high / low) + math.log(low)).clamp_min(1e-4)
        with torch.no_grad():
            self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))

    def forward(self, hidden: Tensor) -> Tensor:
        """[batch, length, dim] -> [batch, length, dim], causal along length."""
        x, z = self.in_proj(hidden).transpose(1, 2).chunk(2, dim=1)
        x = self.kernels.conv(
            x.contiguous(), self.conv1d.weight.squeeze(1), self.conv1d.bias, activation="silu"
        )
        dt, b, c = self.x_proj(x.transpose(1, 2)).split([self.rank] + 2 * [self.d_state], dim=-1)
        y = self.kernels.scan(
            x,
            (dt @ self.dt_proj.weight.t()).transpose(1, 2).contiguous(),
            -torch.exp(self.A_log.float()),
            b.transpose(1, 2).contiguous(),
            c.transpose(1, 2).contiguous(),
            self.D.float(),
            z=z.contiguous(),
            delta_bias=self.dt_proj.bias.float(),
            delta_softplus=True,
        )
        return self.out_proj(y.transpose(1, 2))


def order_by(key: Tensor, graph: Tensor) -> Tensor:
    """The permutation [n] that sorts nodes by graph, and by `key` within a graph (stable)."""
    first = torch.argsort(key, stable=True)
    return first[torch.argsort(graph[first], stable=True)]


def in_order(block: Callable[[Tensor], Tensor], x: Tensor, order: Tensor, graph: Tensor) -> Tensor:
    """Run `block` over every graph's nodes in `order`; row i of the result belongs to node i.

    Args:
        block: [graphs, longest, dim] -> the same, causal (rows after a graph's end are zeros).
        order: [n], grouped by graph (see `order_by`).
    """
    sorted_graph = graph[order]
    _, number, size = torch.unique_consecutive(
        sorted_graph, return_inverse=True, return_counts=True
    )
    start = size.cumsum(0) - size
    place = torch.arange(len(order), device=x.device) - start[number]
    dense = x.new_zeros(len(size), int(size.max()), x.shape[1])
    dense[number, place] = x[order]
    result = block(dense)
    out = torch.empty_like(x, dtype=result.dtype)
    out[order] = result[number, place]
    return out


class NodeMamba(nn.Module):
    """Mamba over nodes, in the order that `kind` names.

    `Mamba`: as numbered; `Mamba_Permute`: at random; `Mamba_Degree`: by degree;
    `Mamba_Hybrid_Degree_Noise`: by degree + U(0, 1), so that nodes of a degree change places;
    `..._Bucket`: the same within three random parts; `Mamba_BFS`: breadth first. Nodes of high degree
    come late: they see more of the graph. Random orders are averaged over five draws in evaluation.
    """

    def __init__(self, dim: int, kind: str, kernels: Kernels) -> None:
        super().__init__()
        self.kind = kind
        self.block = MambaBlock(dim, kernels)

    @property
    def is_random(self) -> bool:
        return "Noise" in self.kind or "Permute" in self.kind

    def forward(self, x: Tensor, edges: Tensor, graph: Tensor, rank: Tensor) -> Tensor:
        """x [n, dim], edges [2, e], graph [n], rank [n] (breadth-first place) -> [n, dim]."""
        draws = 1 if self.training or not self.is_random else EVAL_DRAWS
        results: List[Tensor] = []
        for _ in range(draws):
            order, part = self._order(edges, graph, rank)
            results.append(in_order(self.block, x, order, part))
        return torch.stack(results).mean(0) if draws > 1 else results[0]

    def _order(self, edges: Tensor, graph: Tensor, rank: Tensor) -> Tuple[Tensor, Tensor]:
        """A permutation, and the sequence that every node belongs to."""
        part = graph
        if self.kind.endswith("Bucket"):
            part = graph * BUCKETS + torch.randint(0, BUCKETS, graph.shape, device=graph.device)
        key = self._key(edges, rank)
        return order_by(key, part), part

    def _key(self, edges: Tensor, rank: Tensor) -> Tensor:
        if self.kind == "Mamba":
            return torch.arange(len(rank), device=rank.device)
        if self.kind == "Mamba_BFS":
            return rank
        noise = torch.rand(len(rank), device=rank.device)
        if self.kind == "Mamba_Permute":
            return noise
        degree = torch.bincount(edges[0], minlength=len(rank)).float()
        return degree if self.kind == "Mamba_Degree" else degree + noise


def node_mamba(kind: str, dim: int, kernels: Optional[Kernels]) -> Optional[NodeMamba]:
    """The layer's Mamba, or None where the configuration has none."""
    if kind == "None":
        return None
    return NodeMamba(dim, kind, kernels or reference_kernels())

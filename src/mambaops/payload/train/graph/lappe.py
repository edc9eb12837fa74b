"""Laplacian positional encodings: dense eigenvectors per graph, and the DeepSet that reads them."""

from __future__ import annotations

from typing import List, Tuple

import torch
from torch import Tensor, nn


def eigen(
    edges: Tensor, nodes: int, *, count: int, laplacian: str = "none", norm: str = "L2"
) -> Tuple[Tensor, Tensor]:
    """The `count` smallest eigenpairs of the undirected graph's Laplacian.

    Args:
        edges: [2, e]; direction, repetition and self-loops do not count.
        laplacian: none (D - A), sym (I - D^-1/2 A D^-1/2) or rw (I - D^-1 A).
        norm: eigenvectors are divided by their L1, L2 or largest absolute value.

    Returns:
        vectors [nodes, count] and values [nodes, count], float32, NaN where the graph is smaller.
    """
    matrix, back = _laplacian(edges, nodes, laplacian)
    values, vectors = torch.linalg.eigh(matrix)
    vectors = back[:, None] * vectors
    keep = min(count, nodes)
    size = {
        "L1": vectors.abs().sum(0),
        "L2": vectors.norm(dim=0),
        "abs-max": vectors.abs().max(0).values,
    }[norm].clamp_min(1e-12)
    out = torch.full((nodes, count), float("nan"))
    out[:, :keep] = (vectors / size)[:, :keep].float()
    line = torch.full((count,), float("nan"))
    line[:keep] = values[:keep].clamp_min(0).float()
    return out, line.expand(nodes, count).clone()


def _laplacian(edges: Tensor, nodes: int, kind: str) -> Tuple[Tensor, Tensor]:
    """A symmetric matrix with the Laplacian's eigenvalues, and the factor that gives its vectors."""
    near = torch.zeros(nodes, nodes, dtype=torch.float64)
    near[edges[0], edges[1]] = 1.0
    near = torch.maximum(near, near.t()).fill_diagonal_(0)
    degree = near.sum(1)
    one = torch.ones(nodes, dtype=torch.float64)
    if kind == "none":
        return torch.diag(degree) - near, one
    root = degree.clamp_min(1).rsqrt()
    symmetric = torch.diag((degree > 0).double()) - root[:, None] * near * root[None, :]
    # the random-walk Laplacian is not symmetric, but it has the same values; vectors = D^-1/2 v
    return symmetric, root if kind == "rw" else one


class LapPE(nn.Module):
    """DeepSet over (vector entry, value) pairs: the encoding of a node does not depend on their number.

    In training the sign of every eigenvector is drawn anew, per graph: both signs are right.
    """

    def __init__(self, dim: int, layers: int) -> None:
        super().__init__()
        widths = [2] + [2 * dim] * (layers - 1) + [dim]
        steps: List[nn.Module] = []
        for number in range(layers):
            steps += [nn.Linear(widths[number], widths[number + 1]), nn.ReLU()]
        self.steps = nn.Sequential(*steps)

    def forward(self, vectors: Tensor, values: Tensor, graph: Tensor) -> Tensor:
        """[n, m] vectors and values, [n] graph numbers -> [n, dim]."""
        if self.training:
            size = (int(graph.max()) + 1, vectors.shape[1])
            signs = torch.randint(0, 2, size, device=vectors.device) * 2 - 1
            vectors = vectors * signs[graph]
        there = ~torch.isnan(vectors)
        pairs = torch.stack([vectors, values], dim=-1).nan_to_num(0.0)
        return (self.steps(pairs) * there[..., None]).sum(1)

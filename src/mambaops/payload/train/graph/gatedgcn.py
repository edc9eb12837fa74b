"""GatedGCN (Bresson and Laurent, arXiv 1711.07553) with edge states, in plain PyTorch: no PyG, no scatter."""

from __future__ import annotations

from typing import Tuple

import torch
from torch import Tensor, nn


class GatedGCN(nn.Module):
    """Every edge weighs its source by a gate; gates are normalised over the edges that enter a node.

        e_ij' = C e_ij + D x_i + E x_j          g_ij = sigmoid(e_ij')
        x_i'  = A x_i + sum_j g_ij * B x_j / (sum_j g_ij + 1e-6)

    Both results go through batch norm, ReLU, dropout and the residual.

    Args:
        last: no layer follows that reads the edges: they are not updated. (What nobody reads would have
            parameters without gradients, which DistributedDataParallel refuses.)
    """

    def __init__(
        self,
        dim: int,
        *,
        dropout: float = 0.0,
        residual: bool = True,
        norm: bool = True,
        last: bool = False,
    ) -> None:
        super().__init__()
        self.A, self.B, self.C, self.D, self.E = (nn.Linear(dim, dim) for _ in range(5))
        self.norm_x = nn.BatchNorm1d(dim) if norm else nn.Identity()
        self.norm_e = nn.BatchNorm1d(dim) if norm and not last else nn.Identity()
        self.dropout, self.residual, self.last = nn.Dropout(dropout), residual, last

    def forward(self, x: Tensor, e: Tensor, edges: Tensor) -> Tuple[Tensor, Tensor]:
        """x [n, dim], e [edges, dim], edges [2, edges] (source, target) -> new x and e."""
        source, target = edges[0], edges[1]
        e_new = self.C(e) + self.D(x)[target] + self.E(x)[source]
        gate = torch.sigmoid(e_new)
        weighed = torch.zeros_like(x).index_add_(0, target, (gate * self.B(x)[source]).to(x.dtype))
        total = torch.zeros_like(x).index_add_(0, target, gate.to(x.dtype))
        x_new = self.A(x) + weighed / (total + 1e-6)
        x_new = self.dropout(torch.relu(self.norm_x(x_new)))
        if self.last:
            return (x + x_new if self.residual else x_new), e
        # a graph without edges: batch norm has nothing to take statistics of
        e_new = self.dropout(torch.relu(self.norm_e(e_new))) if len(e) > 1 else e_new
        return (x + x_new, e + e_new) if self.residual else (x_new, e_new)

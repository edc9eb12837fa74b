"""The network: encoders, message passing (GatedGCN or GPS layers), a head that classifies nodes."""

from __future__ import annotations

from typing import List, Optional, Tuple

import torch
from torch import Tensor, nn

from mambaops.payload.train.graph.config import Config, mamba_kind, uses_gps, uses_lap_pe
from mambaops.payload.train.graph.data import FEATURES, Graph
from mambaops.payload.train.graph.gatedgcn import GatedGCN
from mambaops.payload.train.graph.lappe import LapPE
from mambaops.payload.train.graph.mamba import Kernels, node_mamba


class GPSLayer(nn.Module):
    """GatedGCN and Mamba side by side, each residual and normalised, summed; then a residual FFN."""

    def __init__(self, config: Config, kernels: Optional[Kernels], *, last: bool = False) -> None:
        super().__init__()
        dim, dropout, normed = (
            config["gt.dim_hidden"],
            config["gt.dropout"],
            config["gt.batch_norm"],
        )
        local = str(config["gt.layer_type"]).split("+")[0]
        gated = local == "CustomGatedGCN"
        self.local = GatedGCN(dim, dropout=dropout, last=last) if gated else None
        self.across = node_mamba(mamba_kind(config), dim, kernels)
        self.norm_local, self.norm_across, self.norm_out = (_norm(dim, normed) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
        self.ffn = nn.Sequential(
            nn.Linear(dim, 2 * dim),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * dim, dim),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor, e: Tensor, batch: Graph) -> Tuple[Tensor, Tensor]:
        """x [n, dim], e [edges, dim] -> new x and e."""
        outs: List[Tensor] = []
        if self.local is not None:
            near, e = self.local(x, e, batch.edge_index)
            outs.append(self.norm_local(near))
        if self.across is not None:
            far = self.across(x, batch.edge_index, batch.graph, batch.rank)
            outs.append(self.norm_across(x + self.dropout(far)))
        x = torch.stack(outs).sum(0)
        return self.norm_out(x + self.ffn(x)), e


def _norm(dim: int, normed: bool) -> nn.Module:
    return nn.BatchNorm1d(dim) if normed else nn.Identity()


def _mlp(dims: List[int], config: Config, *, last: bool) -> nn.Sequential:
    """Linear, batch norm, ReLU, dropout per step; `last` leaves the final Linear alone."""
    steps: List[nn.Module] = []
    for number in range(len(dims) - 1):
        before, after = dims[number], dims[number + 1]
        if last and number == len(dims) - 2:
            steps.append(nn.Linear(before, after))
            break
        steps += [nn.Linear(before, after), _norm(after, config["gnn.batchnorm"])]
        steps += [nn.ReLU(), nn.Dropout(config["gnn.dropout"])]
    return nn.Sequential(*steps)


class GraphMamba(nn.Module):
    """Nodes in, class scores out.

    Args:
        edge_width: features per edge in the data.
        classes: how many scores per node.
        kernels: what Mamba blocks compute with; None: mambaops' own scan.
    """

    def __init__(
        self, config: Config, *, edge_width: int, classes: int, kernels: Optional[Kernels] = None
    ) -> None:
        super().__init__()
        dim = config["gnn.dim_inner"]
        encoding = config["posenc_LapPE.dim_pe"] if uses_lap_pe(config) else 0
        self.node_encoder = nn.Linear(FEATURES, dim - encoding)
        self.lap_pe = LapPE(encoding, config["posenc_LapPE.layers"]) if encoding else None
        self.node_norm = _norm(dim, config["dataset.node_encoder_bn"])
        edges = config["dataset.edge_encoder"]
        self.edge_encoder = nn.Linear(edge_width, dim) if edges else None
        self.edge_norm = _norm(dim, config["dataset.edge_encoder_bn"])
        self.before = _mlp([dim] * (config["gnn.layers_pre_mp"] + 1), config, last=False)
        self.layers = nn.ModuleList(_layers(config, kernels))
        self.head = _mlp([dim] * config["gnn.layers_post_mp"] + [classes], config, last=True)

    def forward(self, batch: Graph) -> Tensor:
        """A batch of n nodes -> scores [n, classes]."""
        x = self.before(self._nodes(batch))
        e = self._edges(batch, x)
        for layer in self.layers:
            x, e = (
                layer(x, e, batch) if isinstance(layer, GPSLayer) else layer(x, e, batch.edge_index)
            )
        return self.head(x)

    def _nodes(self, batch: Graph) -> Tensor:
        x = self.node_encoder(batch.x)
        if self.lap_pe is not None:
            x = torch.cat([x, self.lap_pe(batch.vectors, batch.values, batch.graph)], dim=1)
        return self.node_norm(x)

    def _edges(self, batch: Graph, x: Tensor) -> Tensor:
        """Encoded edge features; the mean of both ends where the configuration has no encoder."""
        if self.edge_encoder is None:
            return (x[batch.edge_index[0]] + x[batch.edge_index[1]]) / 2
        encoded = self.edge_encoder(batch.edge_attr)
        return self.edge_norm(encoded) if len(encoded) > 1 else encoded


def _layers(config: Config, kernels: Optional[Kernels]) -> List[nn.Module]:
    if uses_gps(config):
        count = config["gt.layers"]
        return [GPSLayer(config, kernels, last=number == count - 1) for number in range(count)]
    count = config["gnn.layers_mp"]
    return [
        GatedGCN(
            config["gnn.dim_inner"],
            dropout=config["gnn.dropout"],
            residual=config["gnn.residual"],
            norm=config["gnn.batchnorm"],
            last=number == count - 1,
        )
        for number in range(count)
    ]

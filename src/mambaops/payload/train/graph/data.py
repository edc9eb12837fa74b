"""Graphs: read from a folder of `.pt` files (or generated), turned into features, split and batched.

A file holds a dict of tensors or a PyG `Data` with x [n, 4] (radius, type 0..2, distance, angle; < 0 is
missing), y [n], edge_index [2, e] and, if it likes, edge_attr [e, k]. Files are read without running
code from them (`weights_only=True`).
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, fields
from typing import Any, Dict, List, Optional, Tuple

import torch
from torch import Tensor

from mambaops.payload.train.errors import InputError, TrainError
from mambaops.payload.train.graph import lappe, trees
from mambaops.payload.train.graph.config import Config, uses_lap_pe

FEATURES = 6  # z(radius), type as one of three, z(distance), z(angle)


@dataclass
class Graph:
    """One graph (or several, as a batch: then `graph` tells which node belongs to which)."""

    x: Tensor  # [n, 6] float32
    y: Tensor  # [n] int64
    edge_index: Tensor  # [2, e] int64
    edge_attr: Tensor  # [e, k] float32
    vectors: Tensor  # [n, m] eigenvectors, m = 0 without LapPE; NaN where a graph has fewer
    values: Tensor  # [n, m] eigenvalues, the same for all nodes of a graph
    rank: Tensor  # [n] int64, place in breadth-first order
    graph: Tensor  # [n] int64

    @property
    def graphs(self) -> int:
        return int(self.graph.max()) + 1

    def to(self, device: torch.device, non_blocking: bool = False) -> Graph:
        return Graph(
            *(getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self))
        )


def collate(graphs: List[Graph]) -> Graph:
    """One disconnected graph from several; node numbers of the later ones are shifted."""
    sizes = [graph.x.shape[0] for graph in graphs]
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return Graph(
        x=torch.cat([graph.x for graph in graphs]),
        y=torch.cat([graph.y for graph in graphs]),
        edge_index=torch.cat([g.edge_index + s for g, s in zip(graphs, starts)], dim=1),
        edge_attr=torch.cat([graph.edge_attr for graph in graphs]),
        vectors=torch.cat([graph.vectors for graph in graphs]),
        values=torch.cat([graph.values for graph in graphs]),
        rank=torch.cat([graph.rank for graph in graphs]),
        graph=torch.repeat_interleave(torch.arange(len(graphs)), torch.tensor(sizes)),
    )


def load(config: Config, *, trust_pickle: bool = False) -> List[Graph]:
    """Every graph of `dataset.dir`, or generated ones where it says `synthetic`.

    Raises:
        TrainError: no such folder, or no `.pt` file in it (exit 1).
        InputError: a file that is no such graph (exit 2).
    """
    folder = config["dataset.dir"]
    if folder == "synthetic":
        nodes, seed = config["synthetic.nodes"], config["synthetic.seed"]
        count = range(config["synthetic.graphs"])
        return [prepared(trees.tree(number, nodes, seed), config, "tree") for number in count]
    if not os.path.isdir(folder):
        raise TrainError(
            f"data folder {folder} is not there",
            hint="--data_dir DIR (or GNN_DATA_ROOT); leave both out to train on generated trees",
        )
    paths = sorted(glob.glob(os.path.join(folder, "*.pt")))
    if not paths:
        raise TrainError(
            f"data folder {folder} holds no *.pt file ({len(os.listdir(folder))} entries)"
        )
    graphs = [prepared(read_graph(path, trust_pickle=trust_pickle), config, path) for path in paths]
    _one_width(graphs, paths)
    return graphs


def _one_width(graphs: List[Graph], paths: List[str]) -> None:
    for graph, path in zip(graphs, paths):
        if graph.edge_attr.shape[1] != graphs[0].edge_attr.shape[1]:
            raise InputError(
                f"{path} has {graph.edge_attr.shape[1]} features per edge, "
                f"{paths[0]} has {graphs[0].edge_attr.shape[1]}: wanted the same in all files"
            )


def read_graph(path: str, *, trust_pickle: bool = False) -> Dict[str, Tensor]:
    """The tensors of one file.

    Raises:
        InputError: it cannot be loaded safely, or holds neither a dict nor a `Data`.
    """
    try:
        value = _loaded(path, trust_pickle)
    except Exception as error:  # torch raises many kinds for damaged or foreign files
        first = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split(". ")[0].splitlines()
        raise InputError(
            f"{path} cannot be read: {first[0] if first else type(error).__name__}",
            hint="a PyG file needs torch_geometric here; --trust-pickle runs whatever code the file "
            "holds: only for files that you made yourself",
        ) from error
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a {type(value).__name__}, wanted a dict or a PyG Data")
    return {name: item for name, item in value.items() if isinstance(item, Tensor)}


def _loaded(path: str, trust_pickle: bool) -> Any:
    """What the file holds. PyG is imported only for a file that plain tensors do not explain."""
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except Exception:
        if trust_pickle or not _allow_pyg():
            raise
    return torch.load(path, map_location="cpu", weights_only=True)


def _allow_pyg() -> bool:
    """Let `weights_only=True` build PyG's own containers; False without PyG or before torch 2.4."""
    if not hasattr(torch.serialization, "add_safe_globals"):
        return False
    try:
        from torch_geometric.data import Data, data, storage
    except ImportError:
        return False
    names = ("DataEdgeAttr", "DataTensorAttr")
    extra = [getattr(data, name) for name in names if hasattr(data, name)]
    torch.serialization.add_safe_globals([Data, storage.GlobalStorage] + extra)
    return True


def prepared(raw: Dict[str, Tensor], config: Config, where: str) -> Graph:
    """A graph with its features, its edges' features, its encodings and its breadth-first order.

    Raises:
        InputError: names the file and the tensor that is missing or not of the wanted shape.
    """
    x, y, edges = _checked(raw, where)
    features = node_features(x)
    given = raw.get("edge_attr")
    edge_attr = _edge_features(features, edges, given, where)
    vectors, values = torch.zeros(len(x), 0), torch.zeros(len(x), 0)
    if uses_lap_pe(config):
        eigen = "posenc_LapPE.eigen."
        vectors, values = lappe.eigen(
            edges,
            len(x),
            count=config[eigen + "max_freqs"],
            laplacian=config[eigen + "laplacian_norm"],
            norm=config[eigen + "eigvec_norm"],
        )
    graph = torch.zeros(len(x), dtype=torch.long)
    return Graph(
        features, y, edges, edge_attr, vectors, values, breadth_first(edges, len(x)), graph
    )


def _checked(raw: Dict[str, Tensor], where: str) -> Tuple[Tensor, Tensor, Tensor]:
    missing = [name for name in ("x", "y", "edge_index") if name not in raw]
    if missing:
        raise InputError(f"{where} lacks {', '.join(missing)}; it has {', '.join(sorted(raw))}")
    x, y, edges = raw["x"].float(), raw["y"].long().reshape(-1), raw["edge_index"].long()
    if x.ndim != 2 or x.shape[1] != 4 or len(x) == 0:
        raise InputError(f"{where}: x is {tuple(x.shape)}, wanted [nodes, 4]")
    if not bool(torch.isfinite(x).all()):
        raise InputError(f"{where}: x holds values that are not finite")
    if len(y) != len(x) or bool((y < 0).any()):
        raise InputError(
            f"{where}: y is {tuple(y.shape)}, wanted one class >= 0 for {len(x)} nodes"
        )
    if edges.ndim != 2 or edges.shape[0] != 2:
        raise InputError(f"{where}: edge_index is {tuple(edges.shape)}, wanted [2, edges]")
    if edges.numel() and not 0 <= int(edges.min()) <= int(edges.max()) < len(x):
        raise InputError(f"{where}: edge_index names a node outside 0..{len(x) - 1}")
    if bool(((x[:, 1] < 0) | (x[:, 1] > 2)).any()):
        raise InputError(f"{where}: column 1 of x (type) leaves 0..2")
    return x, y, edges


def node_features(x: Tensor) -> Tensor:
    """[n, 4] -> [n, 6]: z(radius), one of three types, z(distance), z(angle); statistics per graph."""
    kind = torch.nn.functional.one_hot(x[:, 1].long(), 3).float()
    return torch.cat([_z(x[:, 0:1]), kind, _z(x[:, 2:3]), _z(x[:, 3:4])], dim=1)


def _z(column: Tensor) -> Tensor:
    """Standardised by the present values (>= 0); fewer than two of them leave it as it is."""
    present = column[column >= 0]
    if present.numel() < 2:
        return column
    return (column - present.mean()) / (present.std() + 1e-6)


def _edge_features(x: Tensor, edges: Tensor, given: Optional[Tensor], where: str) -> Tensor:
    if given is None:
        return (x[edges[0]] + x[edges[1]]) / 2
    given = given.float().reshape(edges.shape[1], -1) if given.ndim < 2 else given.float()
    if len(given) != edges.shape[1]:
        raise InputError(f"{where}: edge_attr has {len(given)} rows for {edges.shape[1]} edges")
    return given


def breadth_first(edges: Tensor, nodes: int) -> Tensor:
    """Place of every node in breadth-first order from the first node of least degree.

    Parts that are not connected follow one after the other.
    """
    near: List[List[int]] = [[] for _ in range(nodes)]
    for a, b in edges.t().tolist():
        if a != b:
            near[a].append(b)
            near[b].append(a)
    place = [-1] * nodes
    done = 0
    for root in sorted(range(nodes), key=lambda node: len(near[node])):
        queue = [root] if place[root] < 0 else []
        for node in queue:  # grows while it is read
            if place[node] < 0:
                place[node], done = done, done + 1
                queue += [other for other in near[node] if place[other] < 0]
    return torch.tensor(place)


def split(graphs: List[Graph], shares: List[float], seed: int) -> Dict[str, List[Graph]]:
    """Train, val and test, drawn by `seed`; the smaller two get one graph at least.

    Raises:
        TrainError: fewer than three graphs.
    """
    if len(graphs) < 3:
        raise TrainError(f"{len(graphs)} graphs cannot be split into train, val and test")
    order = torch.randperm(len(graphs), generator=torch.Generator().manual_seed(seed)).tolist()
    val, test = (max(1, round(share * len(graphs))) for share in shares[1:])
    train = max(1, len(graphs) - val - test)
    parts: Dict[str, Any] = {
        "train": order[:train],
        "val": order[train : train + val],
        "test": order[train + val :],
    }
    return {name: [graphs[number] for number in numbers] for name, numbers in parts.items()}

"""GatedGCN, the order of nodes under Mamba, positional encodings: what must hold whatever the weights."""

from __future__ import annotations

import math

import pytest
import torch

from mambaops.payload.train.graph import data, lappe, mamba, trees
from mambaops.payload.train.graph.gatedgcn import GatedGCN
from mambaops.payload.train.graph.mamba import Kernels, MambaBlock, NodeMamba, in_order, order_by

KINDS = [
    "Mamba",
    "Mamba_Permute",
    "Mamba_Degree",
    "Mamba_Hybrid_Degree_Noise",
    "Mamba_Hybrid_Degree_Noise_Bucket",
    "Mamba_BFS",
]


def _batch(count: int = 4, nodes: int = 9) -> data.Graph:
    from mambaops.payload.train.graph import config

    settings = {name: key.default for name, key in config.SCHEMA.items()}
    return data.collate(
        [data.prepared(trees.tree(n, nodes, 0), settings, "tree") for n in range(count)]
    )


def _reference_gatedgcn(layer: GatedGCN, x, e, edges):
    """The formulae of the docstring, edge by edge."""
    new_e = torch.stack(
        [
            layer.C(e[k]) + layer.D(x[i]) + layer.E(x[j])
            for k, (j, i) in enumerate(edges.t().tolist())
        ]
    )
    gate = torch.sigmoid(new_e)
    rows = []
    for i in range(len(x)):
        entering = [k for k, (_, target) in enumerate(edges.t().tolist()) if target == i]
        above = sum((gate[k] * layer.B(x[edges[0, k]]) for k in entering), torch.zeros_like(x[i]))
        below = sum((gate[k] for k in entering), torch.zeros_like(x[i]))
        rows.append(layer.A(x[i]) + above / (below + 1e-6))
    new_x = torch.stack(rows)
    return (
        x + torch.relu(layer.norm_x(new_x)),
        e + torch.relu(layer.norm_e(new_e)),
    )


def test_gatedgcn_computes_its_formulae() -> None:
    torch.manual_seed(0)
    batch = _batch(2)
    layer = GatedGCN(8).double()
    x = torch.randn(len(batch.x), 8, dtype=torch.float64)
    e = torch.randn(batch.edge_index.shape[1], 8, dtype=torch.float64)
    got = layer(x, e, batch.edge_index)
    wanted = _reference_gatedgcn(layer, x, e, batch.edge_index)
    torch.testing.assert_close(got, wanted)


def test_gatedgcn_is_equivariant_under_permutation_of_nodes_and_edges() -> None:
    torch.manual_seed(1)
    batch = _batch()
    layer = GatedGCN(8).double()
    x = torch.randn(len(batch.x), 8, dtype=torch.float64)
    e = torch.randn(batch.edge_index.shape[1], 8, dtype=torch.float64)
    nodes, edges = torch.randperm(len(x)), torch.randperm(len(e))
    new_number = torch.argsort(nodes)  # node nodes[k] gets number k
    moved = new_number[batch.edge_index][:, edges]
    plain_x, plain_e = layer(x, e, batch.edge_index)
    moved_x, moved_e = layer(x[nodes], e[edges], moved)
    torch.testing.assert_close(moved_x, plain_x[nodes])
    torch.testing.assert_close(moved_e, plain_e[edges])


@pytest.mark.parametrize("name", ["morphology-node-EX.yaml", "morphology-node-GatedGCN-only.yaml"])
def test_every_parameter_of_the_model_is_trained(name: str) -> None:
    from mambaops.payload.train.graph import config
    from mambaops.payload.train.graph.model import GraphMamba

    settings = config.read(config.shipped(name))
    graphs = [data.prepared(trees.tree(n, 9, 0), settings, "tree") for n in range(3)]
    model = GraphMamba(settings, edge_width=6, classes=2)
    scores = model(data.collate(graphs))
    assert scores.shape == (sum(len(graph.x) for graph in graphs), 2)
    torch.nn.functional.cross_entropy(scores, data.collate(graphs).y).backward()
    untouched = [path for path, value in model.named_parameters() if value.grad is None]
    assert untouched == []


def test_gatedgcn_takes_a_graph_without_edges() -> None:
    layer = GatedGCN(4)
    x, e = layer(torch.randn(3, 4), torch.zeros(0, 4), torch.zeros(2, 0, dtype=torch.long))
    assert torch.isfinite(x).all()
    assert e.shape == (0, 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_an_identity_block_gives_every_node_its_own_row_back(kind: str, training: bool) -> None:
    batch = _batch()
    layer = NodeMamba(5, kind, Kernels(None, None)).train(training)
    layer.block = torch.nn.Identity()
    x = torch.randn(len(batch.x), 5)
    torch.testing.assert_close(layer(x, batch.edge_index, batch.graph, batch.rank), x)


def test_a_running_sum_sees_only_earlier_nodes_of_the_same_graph() -> None:
    graph = torch.tensor([1, 0, 1, 0, 1])
    key = torch.tensor([3.0, 2.0, 1.0, 1.0, 2.0])
    x = torch.tensor([[1.0], [10.0], [100.0], [1000.0], [10000.0]])
    order = order_by(key, graph)
    got = in_order(lambda dense: dense.cumsum(1), x, order, graph)
    # graph 0: node 3 then 1; graph 1: nodes 2, 4, 0
    assert got.squeeze(1).tolist() == [10101.0, 1010.0, 100.0, 1000.0, 10100.0]


def test_degree_with_noise_keeps_degrees_in_order_and_shuffles_equals() -> None:
    batch = _batch(3, 30)
    layer = NodeMamba(4, "Mamba_Hybrid_Degree_Noise", Kernels(None, None))
    degree = torch.bincount(batch.edge_index[0])
    seen = set()
    for _ in range(3):
        order, part = layer._order(batch.edge_index, batch.graph, batch.rank)
        assert torch.equal(part[order], batch.graph)  # graph by graph
        for number in range(batch.graphs):
            ranked = degree[order[batch.graph[order] == number]]
            assert torch.equal(ranked, ranked.sort().values)
        seen.add(tuple(order.tolist()))
    assert len(seen) == 3


def test_buckets_never_mix_graphs() -> None:
    batch = _batch()
    layer = NodeMamba(4, "Mamba_Hybrid_Degree_Noise_Bucket", Kernels(None, None))
    order, part = layer._order(batch.edge_index, batch.graph, batch.rank)
    assert torch.equal(part // mamba.BUCKETS, batch.graph)
    assert sorted(order.tolist()) == list(range(len(batch.x)))


def test_evaluation_averages_five_draws() -> None:
    batch = _batch()
    layer = NodeMamba(4, "Mamba_Hybrid_Degree_Noise", Kernels(None, None))
    calls = []

    def block(dense: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return torch.full_like(dense, float(len(calls)))

    layer.block = None  # a module's attribute must go before a function can take its name
    object.__setattr__(layer, "block", block)
    del layer._modules["block"]
    x = torch.zeros(len(batch.x), 4)
    assert layer.eval()(x, batch.edge_index, batch.graph, batch.rank)[0, 0] == 3.0
    assert len(calls) == 5
    layer.train()(x, batch.edge_index, batch.graph, batch.rank)
    assert len(calls) == 6


def _loop_block(block: MambaBlock, hidden: torch.Tensor) -> torch.Tensor:
    """Mamba-1, one time step after the other, from the paper's equations."""
    x, z = block.in_proj(hidden).chunk(2, dim=-1)
    width = block.conv1d.weight.shape[-1]
    out = []
    state = torch.zeros(len(hidden), x.shape[-1], block.d_state, dtype=hidden.dtype)
    padded = torch.nn.functional.pad(x, (0, 0, width - 1, 0))
    for t in range(hidden.shape[1]):
        taps = (padded[:, t : t + width].transpose(1, 2) * block.conv1d.weight.squeeze(1)).sum(-1)
        u = torch.nn.functional.silu(taps + block.conv1d.bias)
        dt, b, c = block.x_proj(u).split([block.rank, block.d_state, block.d_state], dim=-1)
        dt = torch.nn.functional.softplus(block.dt_proj(dt))
        decay = torch.exp(dt[..., None] * -torch.exp(block.A_log))
        state = decay * state + (dt * u)[..., None] * b[:, None, :]
        y = (state * c[:, None, :]).sum(-1) + block.D * u
        out.append(y * torch.nn.functional.silu(z[:, t]))
    return block.out_proj(torch.stack(out, dim=1))


def test_the_block_is_mamba() -> None:
    torch.manual_seed(0)
    block = MambaBlock(12, mamba.reference_kernels())
    hidden = torch.randn(2, 17, 12)
    torch.testing.assert_close(block(hidden), _loop_block(block, hidden), atol=1e-5, rtol=1e-4)


def test_padding_does_not_reach_a_short_graph() -> None:
    torch.manual_seed(0)
    layer = NodeMamba(8, "Mamba", mamba.reference_kernels())
    small, large = _batch(1, 6), _batch(2, 40)
    both = data.collate([small, _one(large, 1)])
    x = torch.randn(len(both.x), 8)
    alone = layer(x[: len(small.x)], small.edge_index, small.graph, small.rank)
    together = layer(x, both.edge_index, both.graph, both.rank)
    torch.testing.assert_close(together[: len(small.x)], alone, atol=1e-6, rtol=1e-5)


def _one(batch: data.Graph, number: int) -> data.Graph:
    nodes = (batch.graph == number).nonzero().squeeze(1)
    first = int(nodes[0])
    edges = batch.edge_index[:, batch.graph[batch.edge_index[0]] == number] - first
    pick = batch.graph[batch.edge_index[0]] == number
    return data.Graph(
        batch.x[nodes],
        batch.y[nodes],
        edges,
        batch.edge_attr[pick],
        batch.vectors[nodes],
        batch.values[nodes],
        batch.rank[nodes],
        torch.zeros(len(nodes), dtype=torch.long),
    )


def test_laplacian_of_a_path_has_its_known_eigenvalues() -> None:
    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
    vectors, values = lappe.eigen(edges, 5, count=7)
    known = [2 - 2 * math.cos(math.pi * k / 5) for k in range(5)]
    torch.testing.assert_close(values[0, :5], torch.tensor(known), atol=1e-6, rtol=1e-6)
    assert torch.isnan(vectors[:, 5:]).all()  # a path of five has five
    torch.testing.assert_close(vectors[:, :5].norm(dim=0), torch.ones(5))
    laplacian = torch.tensor([[1, -1, 0, 0, 0]], dtype=torch.float32)
    torch.testing.assert_close(
        laplacian @ vectors[:, 1:2], values[0, 1] * vectors[:1, 1:2], atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("kind", ["sym", "rw"])
def test_normalised_laplacians_end_at_two_on_a_tree(kind: str) -> None:
    edges = torch.tensor([[0, 0, 0], [1, 2, 3]])  # a star is bipartite: the largest value is 2
    _, values = lappe.eigen(edges, 4, count=4, laplacian=kind)
    torch.testing.assert_close(values[0], torch.tensor([0.0, 1.0, 1.0, 2.0]), atol=1e-6, rtol=0)


def test_signs_flip_in_training_per_graph_and_not_in_evaluation() -> None:
    torch.manual_seed(0)
    encoder = lappe.LapPE(4, 2)
    vectors, values = torch.randn(6, 3), torch.rand(6, 3)
    graph = torch.tensor([0, 0, 0, 1, 1, 1])
    encoder.eval()
    same = encoder(vectors, values, graph)
    assert torch.equal(same, encoder(vectors, values, graph))
    encoder.train()
    seen = {tuple(encoder(vectors, values, graph)[0].tolist()) for _ in range(30)}
    assert 2 <= len(seen) <= 8  # two signs for each of three vectors


def test_missing_eigenpairs_count_nothing() -> None:
    encoder = lappe.LapPE(4, 2).eval()
    nan = float("nan")
    full = encoder(torch.tensor([[0.5]]), torch.tensor([[1.0]]), torch.tensor([0]))
    padded = encoder(torch.tensor([[0.5, nan]]), torch.tensor([[1.0, nan]]), torch.tensor([0]))
    torch.testing.assert_close(full, padded)

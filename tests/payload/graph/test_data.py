"""Graphs from files and from the generator; every bad file is named with what is wrong with it."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from mambaops.payload.train.errors import InputError, TrainError
from mambaops.payload.train.graph import config as settings
from mambaops.payload.train.graph import data, trees


def _config(folder: Path | str = "synthetic") -> settings.Config:
    config = settings.read(settings.shipped("morphology-node-GatedGCN-only.yaml"))
    return {**config, "dataset.dir": str(folder), "synthetic.graphs": 6, "synthetic.nodes": 12}


def _graph() -> dict[str, torch.Tensor]:
    return {
        "x": torch.tensor([[3.0, 0, -1, -1], [1.0, 1, 2.0, 0.5], [2.0, 2, 4.0, 1.5]]),
        "y": torch.tensor([1, 0, 1]),
        "edge_index": torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]),
    }


def test_features_are_standardised_by_what_is_there() -> None:
    features = data.node_features(_graph()["x"])
    assert features.shape == (3, 6)
    torch.testing.assert_close(features[:, 0], torch.tensor([1.0, -1.0, 0.0]), atol=1e-4, rtol=0)
    assert features[:, 1:4].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    present = features[1:, 4]  # the first distance is missing: it counts in no mean
    torch.testing.assert_close(present.sum(), torch.tensor(0.0), atol=1e-5, rtol=0)


def test_trees_are_trees_and_the_same_every_time() -> None:
    first, again, other = trees.tree(0, 40, 7), trees.tree(0, 40, 7), trees.tree(1, 40, 7)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["x"][:5], other["x"][:5])
    nodes = len(first["x"])
    assert first["edge_index"].shape == (2, 2 * (nodes - 1))
    assert int(data.breadth_first(first["edge_index"], nodes).max()) == nodes - 1
    assert set(first["y"].tolist()) <= {0, 1}


def test_breadth_first_visits_level_by_level_and_every_part() -> None:
    # 0 - 1 - 2 - 3, and 4 - 5 apart; leaves have the least degree, 0 is the first of them
    edges = torch.tensor([[0, 1, 2, 4], [1, 2, 3, 5]])
    assert data.breadth_first(edges, 6).tolist() == [0, 1, 2, 3, 4, 5]
    star = torch.tensor([[2, 2, 2], [0, 1, 3]])
    assert data.breadth_first(star, 4).tolist() == [0, 2, 1, 3]


def test_a_folder_of_dicts_is_read(tmp_path: Path) -> None:
    for number in range(4):
        torch.save(_graph(), tmp_path / f"{number}.pt")
    graphs = data.load(_config(tmp_path))
    assert len(graphs) == 4
    assert graphs[0].vectors.shape == (3, 10)
    batch = data.collate(graphs)
    assert batch.graphs == 4
    assert int(batch.edge_index.max()) == 11
    assert batch.graph[batch.edge_index[0]].tolist() == batch.graph[batch.edge_index[1]].tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": None}, "lacks x; it has edge_index, y"),
        ({"x": torch.zeros(3, 5)}, r"x is \(3, 5\), wanted \[nodes, 4\]"),
        ({"x": torch.full((3, 4), float("nan"))}, "not finite"),
        ({"x": torch.full((3, 4), 3.0)}, "leaves 0..2"),
        ({"y": torch.tensor([1, 0])}, r"y is \(2,\)"),
        ({"y": torch.tensor([1, 0, -1])}, "class >= 0"),
        ({"edge_index": torch.tensor([[0, 9], [1, 0]])}, r"outside 0\.\.2"),
        ({"edge_index": torch.zeros(3, 2)}, r"wanted \[2, edges\]"),
        ({"edge_attr": torch.zeros(3, 2)}, "3 rows for 4 edges"),
    ],
)
def test_a_bad_graph_is_named_with_its_fault(change: dict, words: str, tmp_path: Path) -> None:
    graph = {name: value for name, value in {**_graph(), **change}.items() if value is not None}
    torch.save(graph, tmp_path / "bad.pt")
    with pytest.raises(InputError, match=words) as caught:
        data.load(_config(tmp_path))
    assert "bad.pt" in caught.value.message


class _Evil:
    def __reduce__(self) -> tuple:
        return (os.system, ("touch pwned",))


def test_code_in_a_data_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"x": _Evil()}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match=r"evil\.pt cannot be read") as caught:
        data.load(_config(tmp_path))
    assert "--trust-pickle" in caught.value.hint
    assert not (tmp_path / "pwned").exists()


def test_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match=r"cut\.pt cannot be read"):
        data.load(_config(tmp_path))
    (tmp_path / "cut.pt").write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match=r"cut\.pt"):
        data.load(_config(tmp_path))


def test_no_folder_and_an_empty_folder_end_with_one(tmp_path: Path) -> None:
    for folder, words in ((tmp_path / "none", "is not there"), (tmp_path, r"no \*.pt file")):
        with pytest.raises(TrainError, match=words) as caught:
            data.load(_config(folder))
        assert caught.value.exit_code == 1


def test_the_split_is_whole_disjoint_and_repeatable() -> None:
    graphs = data.load({**_config(), "synthetic.graphs": 23})
    parts = data.split(graphs, [0.8, 0.1, 0.1], 42)
    assert {name: len(part) for name, part in parts.items()} == {"train": 19, "val": 2, "test": 2}
    ids = [id(graph) for part in parts.values() for graph in part]
    assert sorted(ids) == sorted(id(graph) for graph in graphs)
    again = data.split(graphs, [0.8, 0.1, 0.1], 42)
    assert [id(g) for g in again["test"]] == [id(g) for g in parts["test"]]
    with pytest.raises(TrainError, match="2 graphs"):
        data.split(graphs[:2], [0.8, 0.1, 0.1], 42)

"""GraphGym's YAML is read strictly; the shipped files hold what the notes name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mambaops.payload.train.errors import InputError, TrainError
from mambaops.payload.train.graph import config as settings

SHIPPED = ["morphology-node-GatedGCN-only.yaml", "morphology-node-EX.yaml"]


def _written(folder: Path, text: str) -> str:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_shipped_files_are_what_the_notes_describe() -> None:
    plain, mixed = (settings.read(settings.shipped(name)) for name in SHIPPED)
    for config in (plain, mixed):
        assert settings.check(config) == []
        assert config["dataset.split"] == [0.8, 0.1, 0.1]
        assert config["gnn.dim_inner"] == 96
        assert config["train.batch_size"] == 32
        assert config["optim.base_lr"] == 0.001
        assert config["optim.max_epoch"] == 200
        assert config["seed"] == 42
    assert settings.mamba_kind(plain) == "None"
    assert plain["gnn.layers_mp"] == 4
    assert settings.mamba_kind(mixed) == "Mamba_Hybrid_Degree_Noise"
    assert mixed["dataset.edge_encoder"] and not plain["dataset.edge_encoder"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_configuration_survives_being_written_and_read(name: str, tmp_path: Path) -> None:
    config = settings.read(settings.shipped(name))
    assert settings.read(_written(tmp_path, settings.as_yaml(config))) == config


@pytest.mark.parametrize(
    ("text", "named", "hint"),
    [
        ("optim:\n  base_lrr: 0.1\n", "`optim.base_lrr`", "optim.base_lr"),
        ("gnn:\n  max_epoch: 3\n", "`gnn.max_epoch`", "optim.max_epoch"),
        (
            "posenc_LapPE:\n  eigen:\n    max_freq: 3\n",
            "`posenc_LapPE.eigen.max_freq`",
            "max_freqs",
        ),
        ("xyz:\n  abc: 3\n", "`xyz.abc`", "configurations"),
    ],
)
def test_an_unknown_key_is_refused_by_its_path_with_the_nearest(
    text: str, named: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        settings.read(_written(tmp_path, text))
    assert named in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gt:\n  layers: three\n", "gt.layers"),
        ("gt:\n  layers: 0\n", "at least 1"),
        ("gnn:\n  batchnorm: 1\n", "bool"),
        ("model:\n  type: SANTransformer\n", "GPSModel, custom_gnn"),
        ("gt:\n  layer_type: CustomGatedGCN+Transformer\n", "CustomGatedGCN+Mamba"),
        ("dataset:\n  split: [0.8, x, 0.1]\n", "dataset.split"),
        ("- 1\n", "list"),
        ("a: [\n", "not YAML"),
    ],
)
def test_a_wrong_value_is_refused_with_what_it_may_be(
    text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words.replace("[", r"\[").replace("+", r"\+")):
        settings.read(_written(tmp_path, text))


def test_a_missing_file_ends_with_one() -> None:
    with pytest.raises(TrainError) as caught:
        settings.read("/nowhere/c.yaml")
    assert caught.value.exit_code == 1


def test_overrides_are_read_as_yaml_reads_them() -> None:
    config = settings.read(settings.shipped(SHIPPED[1]))
    pairs = [("optim.base_lr", "5e-4"), ("gt.layers", "10"), ("train.auto_resume", "True")]
    settings.override(config, pairs)
    assert (config["optim.base_lr"], config["gt.layers"]) == (0.0005, 10)
    with pytest.raises(InputError, match=r"gt\.layer"):
        settings.override(config, [("gt.layer", "10")])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dataset.split": [0.5, 0.5, 0.5]}, "sum to 1"),
        ({"gnn.dim_inner": 64}, "must be equal"),
        ({"wandb.use": True}, "W&B"),
        ({"posenc_LapPE.enable": False}, "LapPE"),
        ({"posenc_LapPE.dim_pe": 96}, "smaller"),
    ],
)
def test_values_that_contradict_each_other_are_refused(changed: dict, words: str) -> None:
    config = settings.read(settings.shipped(SHIPPED[1]))
    with pytest.raises(InputError, match=words):
        settings.check({**config, **changed})


def test_encodings_that_nothing_reads_are_said() -> None:
    config = settings.read(settings.shipped(SHIPPED[1]))
    notes = settings.check({**config, "dataset.node_encoder_name": "LinearNode"})
    assert "not used" in notes[0]


def test_every_shipped_key_has_an_effect() -> None:
    for name in SHIPPED:
        tree = yaml.safe_load(Path(settings.shipped(name)).read_text(encoding="utf-8"))
        used = {path for path, _ in settings._flat(tree)}
        assert not [path for path in used if settings.SCHEMA[path].inert]

"""GraphGym's YAML, read strictly: every key is known, of its type, and does what it says.

A configuration is flat inside: `config["optim.base_lr"]`. A key that the native engine does not know
is refused with the nearest names, because a misspelt setting that is silently dropped wastes a day.
"""

from __future__ import annotations

import difflib
import os
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from mambaops.payload.train.errors import InputError, TrainError

Config = Dict[str, Any]

MAMBA_LAYERS = (
    "Mamba",
    "Mamba_Permute",
    "Mamba_Degree",
    "Mamba_Hybrid_Degree_Noise",
    "Mamba_Hybrid_Degree_Noise_Bucket",
    "Mamba_BFS",
)
LAYER_TYPES = tuple(
    f"{local}+{across}"
    for local in ("CustomGatedGCN", "None")
    for across in MAMBA_LAYERS + ("None",)
    if (local, across) != ("None", "None")
)


class Key(NamedTuple):
    """A key: its default (whose type it has), what it may be, and whether the engine uses it."""

    default: Any
    choices: Optional[Tuple[Any, ...]] = None
    inert: bool = False  # accepted for the original's files, without effect here


SCHEMA: Dict[str, Key] = {
    "out_dir": Key("results"),
    "metric_best": Key("accuracy", ("accuracy", "auto")),
    "seed": Key(42),
    "accelerator": Key("auto", ("auto", "cpu", "cuda")),
    "num_workers": Key(0),
    "wandb.use": Key(False),
    "wandb.project": Key("", inert=True),
    "wandb.entity": Key("", inert=True),
    "dataset.format": Key("PyG-MorphologyNode", ("PyG-MorphologyNode",)),
    "dataset.name": Key("morphology-node"),
    "dataset.dir": Key("synthetic"),
    "dataset.task": Key("graph", ("graph", "node")),
    "dataset.task_type": Key("classification", ("classification",)),
    "dataset.transductive": Key(False, (False,)),
    "dataset.split": Key([0.8, 0.1, 0.1]),
    "dataset.split_mode": Key("standard", ("standard", "random")),
    "dataset.node_encoder": Key(True, (True,)),
    "dataset.node_encoder_name": Key("LinearNode", ("LinearNode", "LinearNode+LapPE")),
    "dataset.node_encoder_bn": Key(False),
    "dataset.edge_encoder": Key(False),
    "dataset.edge_encoder_name": Key("LinearEdge", ("LinearEdge",)),
    "dataset.edge_encoder_bn": Key(False),
    # what is generated where no data is given (`dataset.dir: synthetic`)
    "synthetic.graphs": Key(200),
    "synthetic.nodes": Key(60),
    "synthetic.seed": Key(0),
    "posenc_LapPE.enable": Key(False),
    "posenc_LapPE.eigen.laplacian_norm": Key("none", ("none", "sym", "rw")),
    "posenc_LapPE.eigen.eigvec_norm": Key("L2", ("L1", "L2", "abs-max")),
    "posenc_LapPE.eigen.max_freqs": Key(10),
    "posenc_LapPE.model": Key("DeepSet", ("DeepSet",)),
    "posenc_LapPE.dim_pe": Key(16),
    "posenc_LapPE.layers": Key(2),
    "posenc_LapPE.raw_norm_type": Key("none", ("none",)),
    "train.mode": Key("custom", ("custom", "standard")),
    "train.batch_size": Key(32),
    "train.eval_period": Key(1),
    "train.ckpt_period": Key(50),
    "train.auto_resume": Key(False),
    "model.type": Key("GPSModel", ("GPSModel", "custom_gnn")),
    "model.loss_fun": Key("cross_entropy", ("cross_entropy",)),
    "model.graph_pooling": Key("mean", inert=True),  # nodes are classified: nothing is pooled
    "gt.layer_type": Key("CustomGatedGCN+Mamba_Hybrid_Degree_Noise", LAYER_TYPES),
    "gt.layers": Key(3),
    "gt.n_heads": Key(4, inert=True),  # attention's
    "gt.dim_hidden": Key(96),
    "gt.dropout": Key(0.0),
    "gt.attn_dropout": Key(0.0, inert=True),
    "gt.layer_norm": Key(False, (False,)),
    "gt.batch_norm": Key(True),
    "gnn.head": Key("inductive_node", ("inductive_node",)),
    "gnn.layer_type": Key("gatedgcnconv", ("gatedgcnconv",)),
    "gnn.layers_pre_mp": Key(1),
    "gnn.layers_mp": Key(4),
    "gnn.layers_post_mp": Key(1),
    "gnn.dim_inner": Key(96),
    "gnn.batchnorm": Key(True),
    "gnn.act": Key("relu", ("relu",)),
    "gnn.dropout": Key(0.0),
    "gnn.residual": Key(True),
    "optim.optimizer": Key("adamW", ("adamW",)),
    "optim.base_lr": Key(0.001),
    "optim.weight_decay": Key(0.01),
    "optim.max_epoch": Key(200),
    "optim.scheduler": Key("cosine_with_warmup", ("cosine_with_warmup", "none")),
    "optim.num_warmup_epochs": Key(10),
    "optim.clip_grad_norm": Key(True),
    "optim.clip_grad_norm_value": Key(1.0),
}
AT_LEAST_ONE = (
    "train.batch_size",
    "train.eval_period",
    "train.ckpt_period",
    "gt.layers",
    "gnn.layers_mp",
    "gnn.layers_post_mp",
    "gnn.dim_inner",
    "optim.max_epoch",
    "synthetic.graphs",
    "synthetic.nodes",
    "posenc_LapPE.eigen.max_freqs",
    "posenc_LapPE.dim_pe",
    "posenc_LapPE.layers",
)


def read(path: str) -> Config:
    """The configuration in a YAML file, with the defaults of every key that it leaves out.

    Raises:
        TrainError: no such file, or no PyYAML (exit 1).
        InputError: not YAML, an unknown key, a value of another kind (exit 2).
    """
    try:
        import yaml
    except ImportError:
        raise TrainError(
            "PyYAML is not installed", hint=f"`{sys.executable} -m pip install pyyaml`"
        ) from None
    try:
        with open(path, encoding="utf-8") as file:
            tree = yaml.safe_load(file) or {}
    except FileNotFoundError:
        raise TrainError(f"configuration {path} is not there") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(tree, dict):
        raise InputError(f"{path} holds a {type(tree).__name__}, wanted keys and values")
    config = {name: key.default for name, key in SCHEMA.items()}
    for name, value in _flat(tree):
        config[name] = typed(name, value, path)
    return config


def _flat(tree: Dict[Any, Any], prefix: str = "") -> List[Tuple[str, Any]]:
    found: List[Tuple[str, Any]] = []
    for name, value in tree.items():
        path = f"{prefix}{name}"
        found += _flat(value, path + ".") if isinstance(value, dict) else [(path, value)]
    return found


def override(config: Config, pairs: Sequence[Tuple[str, str]]) -> None:
    """Set keys from `KEY VALUE` words; a value is read as YAML reads it.

    Raises:
        InputError: an unknown key or a value of another kind.
    """
    import yaml

    for name, text in pairs:
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"--override {name}: `{text}` is not YAML") from error
        config[name] = typed(name, value, "--override")


def typed(name: str, value: Any, where: str) -> Any:
    """`value` as the key `name` wants it.

    Raises:
        InputError: the key is unknown (the nearest are named), or the value is not what it may be.
    """
    key = SCHEMA.get(name)
    if key is None:
        raise InputError(f"{where}: unknown key `{name}`", hint=_nearest(name))
    value = _coerced(key.default, value)
    if value is None:
        wanted = type(key.default).__name__
        raise InputError(f"{where}: `{name}` is not of the kind {wanted}")
    if key.choices is not None and value not in key.choices:
        known = ", ".join(str(choice) for choice in key.choices)
        raise InputError(
            f"{where}: `{name}` is `{value}`; the native engine knows: {known}",
            hint="--graph_mamba_root DIR runs the original repository, which knows others",
        )
    if name in AT_LEAST_ONE and value < 1:
        raise InputError(f"{where}: `{name}` is {value}, wanted at least 1")
    return value


def _coerced(default: Any, value: Any) -> Any:
    """`value` in the type of `default`, or None. YAML reads `1e-3` as text: that counts as a number."""
    if isinstance(default, bool):
        return value if isinstance(value, bool) else None
    if isinstance(default, int):
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(default, float):
        return _number(value)
    if isinstance(default, list):
        numbers = [_number(item) for item in value] if isinstance(value, list) else [None]
        return None if None in numbers else numbers
    return str(value) if isinstance(value, (str, int, float)) else None


def _number(value: Any) -> Optional[float]:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, SCHEMA, n=3, cutoff=0.6)
    tail = name.rsplit(".", 1)[-1]
    close += [known for known in SCHEMA if known.rsplit(".", 1)[-1] == tail and known not in close]
    if close:
        return "did you mean " + " or ".join(f"`{item}`" for item in close[:3]) + "?"
    return "the known keys stand in the two configurations beside this program"


def check(config: Config) -> List[str]:
    """Whether the values fit each other; returns notes for the person.

    Raises:
        InputError: they contradict each other, or name something that the native engine lacks.
    """
    split = config["dataset.split"]
    if len(split) != 3 or min(split) <= 0 or abs(sum(split) - 1) > 1e-6:
        raise InputError(f"dataset.split is {split}, wanted three shares > 0 that sum to 1")
    if config["wandb.use"]:
        raise InputError(
            "wandb.use is True, but the native engine does not log to W&B",
            hint="use --wandb False; the same numbers stand in train|val|test/stats.json",
        )
    if uses_gps(config) and config["gt.dim_hidden"] != config["gnn.dim_inner"]:
        raise InputError(
            f"gt.dim_hidden ({config['gt.dim_hidden']}) and gnn.dim_inner "
            f"({config['gnn.dim_inner']}) must be equal",
        )
    return _check_posenc(config)


def _check_posenc(config: Config) -> List[str]:
    named = config["dataset.node_encoder_name"].endswith("+LapPE")
    if named and not config["posenc_LapPE.enable"]:
        raise InputError(
            "dataset.node_encoder_name names LapPE, but posenc_LapPE.enable is False",
            hint="set posenc_LapPE.enable: True",
        )
    if named and config["posenc_LapPE.dim_pe"] >= config["gnn.dim_inner"]:
        raise InputError("posenc_LapPE.dim_pe must be smaller than gnn.dim_inner")
    if config["posenc_LapPE.enable"] and not named:
        return [
            "posenc_LapPE.enable is True, but dataset.node_encoder_name does not end in `+LapPE`: "
            "the encodings are not used (the original does the same)"
        ]
    return []


def uses_gps(config: Config) -> bool:
    return bool(config["model.type"] == "GPSModel")


def uses_lap_pe(config: Config) -> bool:
    return str(config["dataset.node_encoder_name"]).endswith("+LapPE")


def mamba_kind(config: Config) -> str:
    """The Mamba layer that the model holds, or `None`."""
    across = str(config["gt.layer_type"]).split("+")[1]
    return across if uses_gps(config) else "None"


def as_yaml(config: Config) -> str:
    """The whole configuration as nested YAML, ready to be read again."""
    import yaml

    tree: Dict[str, Any] = {}
    for name, value in config.items():
        *path, leaf = name.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[leaf] = value
    return str(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))


def shipped(name: str) -> str:
    """The path of a configuration that comes with the program."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "configs", "Mamba", name)

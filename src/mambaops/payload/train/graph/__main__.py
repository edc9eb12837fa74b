"""`python -m mambaops.payload.train.graph`: the flags of Graph-Mamba's run_graph_mamba.py."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple

from mambaops.payload.train.errors import InputError, TrainError, guarded

WITHOUT_MAMBA = "morphology-node-GatedGCN-only.yaml"
WITH_MAMBA = "morphology-node-EX.yaml"
# configuration and settings of the published comparisons
BASELINES = {
    "10_10": (WITH_MAMBA, [("gt.layers", "10")]),
    "bfs": (WITH_MAMBA, [("gt.layers", "10"), ("gt.layer_type", "CustomGatedGCN+Mamba_BFS")]),
    "20_aligned": (WITHOUT_MAMBA, [("gnn.layers_mp", "20")]),
}
Pairs = List[Tuple[str, str]]


def parse(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The flags; unknown ones end the program with exit 2."""
    parser = argparse.ArgumentParser(
        prog="run-graph-mamba", description="Node classification with GatedGCN and Mamba."
    )
    add = parser.add_argument
    add("--cfg", help="YAML configuration: a path, or the name of a shipped one")
    add("--data_dir", "--data-dir", help="folder of .pt graphs (GNN_DATA_ROOT); none: generated")
    add("--out_dir", "--out-dir", help="where results go (default: the configuration's)")
    add("--wandb", choices=("True", "False"), help="log to W&B (the external engine only)")
    add("--repeat", type=int, default=1, help="runs with seeds seed, seed + 1, …")
    add("--no-mamba", "--no_mamba", action="store_true", help="GatedGCN alone")
    add("--name_tag", "--name-tag", default="", help="results go to <out>/<config>-<tag>")
    add("--baseline", choices=sorted(BASELINES), help="a published comparison")
    add("--device", choices=("auto", "cpu", "cuda"), help="where to compute")
    add("--resume", choices=("auto", "never"), default="auto", help="continue a run of this folder")
    add("--require-kernels", action="store_true", help="fail unless mamba_ssm's kernels work here")
    add("--trust-pickle", action="store_true", help="run the code that data files hold")
    add("--graph_mamba_root", "--graph-mamba-root", help="run this copy of the original instead")
    text = "set a key; may be repeated; KEY=VALUE works too"
    add("--override", nargs="+", action="append", default=[], metavar="KEY VALUE", help=text)
    return parser.parse_args(argv)


def overrides(words: Sequence[Sequence[str]]) -> Pairs:
    """`KEY VALUE [KEY VALUE …]` or `KEY=VALUE …` of every `--override`.

    Raises:
        InputError: a key without a value.
    """
    pairs: Pairs = []
    for group in words:
        left = list(group)
        while left:
            word = left.pop(0)
            if "=" in word:
                name, value = word.split("=", 1)
            elif left:
                name, value = word, left.pop(0)
            else:
                raise InputError(f"--override {word}: a value is missing")
            pairs.append((name, value))
    return pairs


def main() -> Dict[str, Any]:
    """Read the flags and run one of the two engines; where the results are, and the native engine's best."""
    flags = parse()
    if flags.repeat < 1:
        raise InputError(f"--repeat is {flags.repeat}, wanted at least 1")
    if flags.graph_mamba_root:
        status = _external(flags)
        if status:
            raise TrainError(f"the original's main.py ended with status {status}")
        return {"folder": os.path.abspath(flags.out_dir or flags.graph_mamba_root), "results": {}}
    name, config = _configured(flags)  # before torch is imported: mistakes are told at once
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise TrainError(
            f"torch cannot be imported by {sys.executable}: {error}",
            hint="run it with an environment's python: `mambaops --help run-graph-mamba` shows how",
        ) from error
    return _native(flags, name, config)


def _chosen(flags: argparse.Namespace) -> Tuple[str, Pairs]:
    """The configuration's name or path, and the settings that a baseline adds."""
    if flags.baseline:
        name, pairs = BASELINES[flags.baseline]
        if flags.no_mamba and name == WITH_MAMBA:
            raise InputError(
                f"--baseline {flags.baseline} has Mamba layers; --no-mamba excludes them"
            )
        return flags.cfg or name, list(pairs)
    return flags.cfg or (WITHOUT_MAMBA if flags.no_mamba else WITH_MAMBA), []


def _configured(flags: argparse.Namespace) -> Tuple[str, Dict[str, Any]]:
    """The configuration's name and its values: the file's, the baseline's, the flags', the overrides'."""
    from mambaops.payload.train.graph import config as settings

    name, pairs = _chosen(flags)
    path = name if os.path.exists(name) else settings.shipped(os.path.basename(name))
    if not os.path.exists(path):
        raise TrainError(f"configuration {name} is not there, nor among the shipped ones")
    config = settings.read(path)
    settings.override(config, pairs)
    _apply_flags(config, flags)
    settings.override(config, overrides(flags.override))
    settings.check(config)
    if flags.no_mamba and settings.mamba_kind(config) != "None":
        raise InputError(f"--no-mamba, but {name} has Mamba layers ({config['gt.layer_type']})")
    return os.path.splitext(os.path.basename(path))[0], config


def _native(flags: argparse.Namespace, name: str, config: Dict[str, Any]) -> Dict[str, Any]:
    from mambaops.payload.train.graph import native

    tag = f"-{flags.name_tag}" if flags.name_tag else ""
    job = native.Job(
        config=config,
        folder=os.path.join(config["out_dir"], name + tag),
        repeat=flags.repeat,
        resume=flags.resume == "auto",
        require_kernels=flags.require_kernels,
        trust_pickle=flags.trust_pickle,
    )
    return {"folder": os.path.abspath(job.folder), "results": native.run(job)}


def _apply_flags(config: Dict[str, Any], flags: argparse.Namespace) -> None:
    """Flags over the environment over the configuration."""
    folder = flags.data_dir or os.environ.get("GNN_DATA_ROOT")
    values = {
        "dataset.dir": folder,
        "out_dir": flags.out_dir,
        "accelerator": flags.device,
        "wandb.use": None if flags.wandb is None else flags.wandb == "True",
    }
    config.update({name: value for name, value in values.items() if value is not None})


def _external(flags: argparse.Namespace) -> int:
    from mambaops.payload.train.graph import external

    name, pairs = _chosen(flags)
    root = flags.graph_mamba_root
    cfg = (
        name if os.path.exists(os.path.join(root, name)) else os.path.join("configs", "Mamba", name)
    )
    settings = [("wandb.use", flags.wandb or "False")]
    folder = flags.data_dir or os.environ.get("GNN_DATA_ROOT")
    settings += [("dataset.dir", os.path.abspath(folder))] if folder else []
    settings += [("out_dir", os.path.abspath(flags.out_dir))] if flags.out_dir else []
    settings += [("name_tag", flags.name_tag)] if flags.name_tag else []
    return external.run(root, cfg, settings + pairs + overrides(flags.override), flags.repeat)


if __name__ == "__main__":
    sys.exit(guarded(main))

"""Graph-Mamba from the command line."""

from __future__ import annotations

from mambaops.cli.task import Context, task

_FLAGS = {
    "python": "interpreter of the environment that has torch (default: the active one)",
    "cfg": "YAML configuration: a path, or the name of a shipped one",
    "data_dir": "folder of .pt graphs; none: generated trees",
    "out_dir": "where results go",
    "wandb": "True or False; the native engine takes False",
    "repeat": "runs with seeds seed, seed + 1, …",
    "no_mamba": "GatedGCN alone",
    "name_tag": "results go to <out>/<configuration>-<tag>",
    "override": "KEY=VALUE of the configuration; may be repeated",
    "baseline": "10_10, bfs or 20_aligned",
    "device": "auto, cpu or cuda",
    "resume": "auto or never",
    "require_kernels": "fail unless mamba_ssm's kernels work here",
    "trust_pickle": "run the code that data files hold: only for your own files",
    "graph_mamba_root": "run this copy of the original repository instead",
}


@task(
    name="run-graph-mamba",
    group="train",
    examples=(
        "mambaops run-graph-mamba --no-mamba --wandb False",
        "mambaops run-graph-mamba --override gt.layers 4",
    ),
    rest="flags",
    help=_FLAGS,
    iterable=["override"],
)
def run_graph_mamba(
    c: Context,
    override: list[str],
    python: str = "",
    cfg: str = "",
    data_dir: str = "",
    out_dir: str = "",
    wandb: str = "",
    repeat: int = 1,
    no_mamba: bool = False,
    name_tag: str = "",
    baseline: str = "",
    device: str = "",
    resume: str = "auto",
    require_kernels: bool = False,
    trust_pickle: bool = False,
    graph_mamba_root: str = "",
) -> None:
    """Train Graph-Mamba, or GatedGCN alone with --no-mamba.

    Words after `--` go to the program as they are: `mambaops run-graph-mamba -- --override gt.layers 4`.
    """
    from mambaops.cli.passthrough import document, flags, remainder
    from mambaops.system.launch import hand_over

    values: dict[str, str | bool] = {
        "--cfg": cfg,
        "--data_dir": data_dir,
        "--out_dir": out_dir,
        "--wandb": wandb,
        "--repeat": str(repeat),
        "--no-mamba": no_mamba,
        "--name_tag": name_tag,
        "--baseline": baseline,
        "--device": device,
        "--resume": resume,
        "--require-kernels": require_kernels,
        "--trust-pickle": trust_pickle,
        "--graph_mamba_root": graph_mamba_root,
    }
    pairs = [word for pair in override for word in ("--override", pair)]
    words = flags(values) + pairs + remainder(c)
    hand_over(python, "mambaops.payload.train.graph", words, document=document())

"""Training: stage 1 and 2 of the captioner, its data, its models, its judges."""

from __future__ import annotations

from mambaops.cli.task import Context, emit, say, task, to_python

_WHERE = {
    "python": "interpreter of the environment that has torch and transformers",
    "profile": "the environment that this profile describes",
}
_MODES = {
    "install_only": "bring the profile's environment about and stop",
    "train_only": "do not look whether anything must be installed",
}


@task(
    name="train-stage1",
    group="train",
    examples=(
        "mambaops train-stage1 --epochs 5",
        "mambaops train-stage1 -- --help",
    ),
    rest="flags",
    help={**_WHERE, **_MODES},
)
def train_stage1(
    c: Context,
    python: str = "",
    profile: str = "",
    install_only: bool = False,
    train_only: bool = False,
) -> None:
    """Train vision and bridge on a frozen Mamba (flags of the program after `--`).

    Writes outputs/vision_bridge_best_val.pt and vision_bridge_final.pt, which stage 2 starts from.
    `mambaops train-stage1 -- --help` lists the program's flags.
    """
    _train(c, 1, python, profile, install_only, train_only)


@task(
    name="train-stage2",
    group="train",
    examples=(
        "mambaops train-stage2 --demo",
        "mambaops train-stage2 --profile wsl-5090 -- --epochs 20",
    ),
    rest="flags",
    help={**_WHERE, **_MODES},
)
def train_stage2(
    c: Context,
    python: str = "",
    profile: str = "",
    install_only: bool = False,
    train_only: bool = False,
) -> None:
    """Train the picture -> report model (flags of the program after `--`).

    `mambaops train-stage2 -- --epochs 20 --batch_size 1 --max_visual_tokens 96
    --from_scratch`; `-- --demo` runs the demonstration, `-- --help` lists all flags. With --profile
    the environment is installed first where it is not as wanted.
    """
    _train(c, 2, python, profile, install_only, train_only)


def _train(
    c: Context, stage: int, python: str, profile: str, install_only: bool, train_only: bool
) -> None:
    from mambaops.cli.passthrough import document, remainder
    from mambaops.train import launch as training

    training.train(
        stage,
        remainder(c),
        document=document(),
        python=python,
        profile=profile,
        install_only=install_only,
        train_only=train_only,
    )


@task(
    name="generate",
    group="train",
    examples=(
        "mambaops generate --image picture.png",
        "mambaops generate --checkpoint outputs/vision_bridge_vlm_final.pt --image a.png --json",
    ),
    rest="flags",
    iterable=["image"],
    help={
        **_WHERE,
        "checkpoint": "vision_bridge_vlm_final.pt",
        "image": "picture; may be repeated",
        "question": "default: the one trained with",
        "mamba_model": "folder of the language model, if it moved",
        "json": "print one JSON document",
    },
)
def generate(
    c: Context,
    image: list[str],
    checkpoint: str = "outputs/vision_bridge_vlm_final.pt",
    question: str = "",
    mamba_model: str = "",
    python: str = "",
    profile: str = "",
    json: bool = False,
) -> None:
    """Write what a trained checkpoint says about a picture."""
    from mambaops.cli.passthrough import document, flags, remainder
    from mambaops.train import launch as training

    values: dict[str, str | bool] = {
        "--checkpoint": checkpoint,
        "--question": question,
        "--mamba_model": mamba_model,
    }
    words = flags(values) + [word for path in image for word in ("--image", path)] + remainder(c)
    training.run_module(
        "mambaops.payload.train.generate",
        words,
        python=python,
        profile=profile,
        document=document(),
    )


@task(
    name="evaluate",
    group="train",
    examples=(
        "mambaops evaluate --csv test.csv",
        "mambaops evaluate --csv test.csv --shuffle-images",
    ),
    rest="flags",
    help={
        **_WHERE,
        "checkpoint": "vision_bridge_vlm_final.pt",
        "csv": "caption table",
        "mamba_model": "folder of the language model, if it moved",
        "shuffle_images": "a control: every row gets another row's picture, the score must fall",
        "limit": "rows; 0: all",
        "json": "print the scores as JSON",
    },
)
def evaluate(
    c: Context,
    csv: str = "",
    checkpoint: str = "outputs/vision_bridge_vlm_final.pt",
    mamba_model: str = "",
    shuffle_images: bool = False,
    limit: int = 0,
    python: str = "",
    profile: str = "",
    json: bool = False,
) -> None:
    """Score a checkpoint on a caption table: loss, exact match, BLEU-4, ROUGE-L and CIDEr."""
    from mambaops.cli.passthrough import document, flags, remainder
    from mambaops.train import launch as training

    values: dict[str, str | bool] = {
        "--checkpoint": checkpoint,
        "--csv": csv,
        "--mamba_model": mamba_model,
        "--shuffle_images": shuffle_images,
        "--limit": str(limit or ""),
    }
    words = flags(values) + remainder(c)
    training.run_module(
        "mambaops.payload.train.evaluate",
        words,
        python=python,
        profile=profile,
        document=document(),
    )


@task(
    name="export-model",
    group="train",
    examples=(
        "mambaops export-model --output exported",
        "mambaops export-model --output adapter --adapter",
    ),
    operand="output",
    help={
        **_WHERE,
        "output": "folder to write; must not be there",
        "checkpoint": "vision_bridge_vlm_final.pt",
        "adapter": "LoRA alone, as peft reads it",
        "mamba_model": "folder of the language model, if it moved",
    },
)
def export_model(
    c: Context,
    output: str = "exported",
    checkpoint: str = "outputs/vision_bridge_vlm_final.pt",
    adapter: bool = False,
    mamba_model: str = "",
    python: str = "",
    profile: str = "",
) -> None:
    """Write a trained checkpoint for other programs: LoRA merged into the model, or alone for peft.

    Merged: `language-model/` as transformers reads it, and vision and bridge for `generate` beside it.
    """
    from mambaops.cli.passthrough import document, flags
    from mambaops.train import launch as training

    values: dict[str, str | bool] = {"--checkpoint": checkpoint, "--output": output}
    words = flags({**values, "--adapter": adapter, "--mamba_model": mamba_model})
    training.run_module(
        "mambaops.payload.train.export",
        words,
        python=python,
        profile=profile,
        document=document(),
    )


@task(
    name="fetch-model",
    group="train",
    examples=(
        "mambaops fetch-model state-spaces/mamba-130m-hf",
        "mambaops fetch-model state-spaces/mamba-130m-hf --check",
    ),
    operand="model",
    help={
        **_WHERE,
        "model": "hub name (default: the profile's first), or a folder to check",
        "output": "folder; default: the cache",
        "force": "replace what is there, also where mambaops did not write it",
        "check": "only look whether it is here and complete",
    },
)
def fetch_model(
    c: Context,
    model: str = "",
    output: str = "",
    check: bool = False,
    force: bool = False,
    python: str = "",
    profile: str = "",
) -> None:
    """Get a model once: checked, and used without a network afterwards.

    Says first whether the folder or the cache holds it. HF_ENDPOINT names a mirror; HF_HUB_OFFLINE and
    TRANSFORMERS_OFFLINE are obeyed.
    """
    from pathlib import Path

    from mambaops.cli.passthrough import document, flags
    from mambaops.core.outputs import folder_to_write
    from mambaops.train import launch as training
    from mambaops.train import models

    if output and not check:
        folder_to_write(Path(output), force=force, ours=models.is_model)
    wanted = models.wanted_model(model, profile)
    words = flags({"--model": wanted, "--output": output, "--check": check})
    training.run_module(
        models.MODULE,
        words,
        python=python,
        profile=profile,
        needed=models.NEEDED,
        document=document(),
    )


@task(
    name="demo-data",
    group="train",
    examples=(
        "mambaops demo-data",
        "mambaops demo-data --output shapes --count 400",
    ),
    operand="output",
    help={
        **_WHERE,
        "output": "folder to write",
        "force": "replace what is there, also where mambaops did not write it",
        "count": "pictures for training; a tenth of that each for val and test",
        "windows_paths": "name the pictures as Windows does, to try the mapping",
    },
)
def demo_data(
    c: Context,
    output: str = "demo_data",
    count: int = 4000,
    windows_paths: bool = False,
    force: bool = False,
    python: str = "",
    profile: str = "",
) -> None:
    """Write pictures of coloured shapes to train on: with Chinese sentences, split by combination.

    What is tested (shape, colour, place, number together) never occurs in training.
    """
    from pathlib import Path

    from mambaops.cli.passthrough import document, flags
    from mambaops.core.outputs import folder_to_write
    from mambaops.train import launch as training

    folder_to_write(Path(output), force=force, ours=training.is_demo)
    values: dict[str, str | bool] = {"--output": output, "--count": str(count)}
    words = flags({**values, "--windows_paths": windows_paths})
    training.run_module(
        "mambaops.payload.train.demo_data",
        words,
        python=python,
        profile=profile,
        document=document(),
    )


@task(
    name="write-launcher",
    group="train",
    examples=(
        "mambaops write-launcher --kind wsl --profile wsl-5090",
        "mambaops write-launcher --kind slurm --profile hopper",
    ),
    operand="kind",
    aliases=("write-door",),  # its name in 0.1.0
    help={
        "kind": "powershell, wsl or slurm",
        "output": "file to write",
        "force": "replace what is there, also where mambaops did not write it",
        "profile": "profile that the script builds",
    },
)
def write_launcher(
    c: Context,
    kind: str = "powershell",
    output: str = "",
    profile: str = "wsl-5090",
    force: bool = False,
) -> None:
    """Write a script that starts stage 2 by one word: installs and trains.

    powershell: run_stage2_train.ps1, which enters WSL (CRLF); wsl: a bash script (LF); slurm: a script
    for sbatch, which saves, queues itself again and goes on when its time is over.
    """
    from pathlib import Path

    from mambaops.train import launch as training

    names = {"powershell": "run_stage2_train.ps1", "slurm": "stage2.sbatch"}
    default = names.get(kind, "wsl_install_and_train.sh")
    path = training.write_launcher(kind, Path(output or default), profile, force=force)
    say(f"wrote {path}")


@task(
    name="map-paths",
    group="system",
    examples=(
        "mambaops map-paths 'D:\\mamba'",
        "mambaops map-paths /mnt/d/mamba --to-windows",
    ),
    operand="path",
    positional=["path"],
    iterable=["path"],
    help={
        "path": "paths to map; a .yaml file or a .csv stands for the paths in it",
        "to_windows": "the other way",
        "json": "print [{path, mapped, exists}]",
    },
)
def map_paths(c: Context, path: list[str], to_windows: bool = False, json: bool = False) -> int:
    """Map Windows paths to this system's (or back); say which do not exist.

    Exit 1 where one does not exist.
    """
    from mambaops.cli.passthrough import remainder
    from mambaops.train import launch as training

    done = training.mapped(path + remainder(c), to_windows=to_windows, as_json=json)
    if done.stderr:
        say(done.stderr.rstrip("\n"))
    found = to_python(done.stdout) if json else done.stdout.rstrip("\n")
    emit(found, as_json=json, text=str, rows="paths")
    return done.returncode if done.returncode in (0, 1, 2) else 1

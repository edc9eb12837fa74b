"""What a model's layers run on."""

from __future__ import annotations

from mambaops.cli.task import Context, task


@task(
    name="check-model",
    group="train",
    examples=(
        "mambaops check-model models/mamba-130m-hf",
        "mambaops check-model config.json --json",
    ),
    operand="model",
    help={
        "model": "folder, config.json or hub name",
        "scan": "auto, kernels or reference, as in training",
        "python": "interpreter of the environment that has torch and transformers",
        "profile": "the environment that this profile describes",
        "json": "print one JSON document",
    },
)
def check_model(
    c: Context,
    model: str = "",
    scan: str = "",
    python: str = "",
    profile: str = "",
    json: bool = False,
) -> None:
    """Say for each layer of a model which function it takes here, why, and the line that mends it.

    From the configuration alone: no weights are read. A kernel, a runtime kernel, Triton, ours or
    transformers' slow loop; by transformers alone, and with mambaops' scan installed.
    """
    from mambaops.cli.passthrough import document, flags
    from mambaops.core.errors import UsageError
    from mambaops.train import launch as training

    if not model:
        raise UsageError("which model? Give a folder, a config.json or a hub name")
    words = [model, *flags({"--scan": scan})]
    training.run_module(
        "mambaops.payload.train.check_model",
        words,
        python=python,
        profile=profile,
        needed=("torch", "transformers"),
        document=document(),
    )

"""Models for training, fetched and checked by the target environment (it has huggingface_hub)."""

from __future__ import annotations

from pathlib import Path

from mambaops.core.errors import UsageError

MODULE = "mambaops.payload.train.fetch_model"
NEEDED = ("huggingface_hub",)


def is_model(folder: Path) -> bool:
    """A model, or one that is being fetched (the hub's client notes that in a folder of its own)."""
    return any((folder / name).exists() for name in ("config.json", ".cache/huggingface"))


def wanted_model(model: str, profile: str) -> str:
    """The model asked for, else the first that the profile trains with.

    Raises:
        UsageError: neither names one.
    """
    if model:
        return model
    if profile:
        from mambaops.profiles.load import load_profile

        models = load_profile(profile).models
        if models:
            return models[0]
    raise UsageError(
        "which model? No --model was given"
        + (f" and profile {profile} lists none" if profile else ""),
        hint="e.g. `mambaops fetch-model --model state-spaces/mamba-130m-hf -o models/mamba-130m-hf`",
    )

"""Checkpoints that survive a kill or a full disk, load without running code, and fit or say why not."""

from __future__ import annotations

import os
from typing import Any, Dict

import torch
from torch import Tensor, nn

from mambaops.payload.train.errors import TrainError
from mambaops.payload.train.sharding import like, whole


def save_atomically(value: Dict[str, Any], path: str) -> None:
    """`torch.save` beside `path`, then `os.replace`: a kill or a full disk leaves the old file.

    Raises:
        TrainError: the file could not be written; the file that was there before is untouched.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(temporary, "wb") as file:
            torch.save(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (
        OSError,
        RuntimeError,
    ) as error:  # torch's zip writer raises RuntimeError on a full disk
        if os.path.exists(temporary):
            os.remove(temporary)
        kept = " The file that was there is untouched." if os.path.exists(path) else ""
        raise TrainError(
            f"could not save {path}: {_reason(error)}.{kept}",
            hint="free some space or give another --output_dir; then continue with --resume auto",
        ) from error


def _reason(error: BaseException) -> str:
    cause = error if isinstance(error, OSError) else error.__context__
    return (cause.strerror if isinstance(cause, OSError) else "") or str(error).splitlines()[0]


def load_checkpoint(path: str) -> Dict[str, Any]:
    """A checkpoint of ours or of the older programs' layout, loaded with `weights_only=True` on the CPU.

    Raises:
        TrainError: not there, cut off, or holding pickled code.
    """
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise TrainError(f"checkpoint {path} is not there") from None
    except Exception as error:  # torch raises many kinds for damaged files
        raise TrainError(
            f"checkpoint {path} cannot be read: {str(error).splitlines()[0]}",
            hint="it is cut off, or it is no file of this program; use an earlier one",
        ) from error
    return value if "model_state_dict" in value else {"model_state_dict": value}


_OF_8_BITS = (".SCB", ".weight_format")  # scales of frozen 8-bit weights


def trainable_state(model: nn.Module) -> Dict[str, Tensor]:
    """Trainable parameters and every buffer, whole, on the CPU (every rank must ask)."""
    frozen = {
        name for name, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad
    }
    return {
        name: whole(value.detach()).cpu()
        for name, value in model.state_dict().items()
        if name not in frozen and not name.endswith(_OF_8_BITS)
    }


def load_weights(model: nn.Module, weights: Dict[str, Tensor], path: str) -> None:
    """Load `weights` into the model; what is trainable must be there, in its shape.

    Raises:
        TrainError: names every missing, unknown or differently shaped tensor (first five).
    """
    own = model.state_dict()
    wrong = [
        f"{name}: {tuple(value.shape)} there, {tuple(own[name].shape)} here"
        for name, value in weights.items()
        if name in own and own[name].shape != value.shape
    ]
    wrong += [f"{name}: unknown here" for name in weights if name not in own]
    wrong += [f"{name}: missing there" for name in trainable_state(model) if name not in weights]
    if wrong:
        raise TrainError(
            f"checkpoint {path} does not fit this model ({len(wrong)} tensors): "
            + "; ".join(wrong[:5]),
            hint="use the flags and the language model that it was trained with "
            "(stage2_config.json beside it), or start anew with --from_scratch",
        )
    model.load_state_dict(
        {name: like(value, own[name]) for name, value in weights.items()}, strict=False
    )

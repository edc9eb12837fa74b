"""Which weights a run starts from, and the files that it leaves.

Order: `--resume`, then `--vision_checkpoint`, then stage 1's best, then stage 1's last; `--from_scratch`
none of them. What was taken is printed. A file is `{"step", "epoch", "model_state_dict", "val_loss",
"config"}` and loads with `weights_only=True`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any, Dict, Tuple

from torch import Tensor

from mambaops.payload.train import engine
from mambaops.payload.train.captioner import Captioner, spread
from mambaops.payload.train.errors import InputError, TrainError
from mambaops.payload.train.lm import LanguageModel
from mambaops.payload.train.options import Settings

STAGE1 = ("vision_bridge_best_val.pt", "vision_bridge_final.pt")
COLLAPSED = 1e-3  # relative spread of visual tokens between pictures; healthy ones are above 0.05


def final_name(stage: int) -> str:
    return "vision_bridge_final.pt" if stage == 1 else "vision_bridge_vlm_final.pt"


def best_name(stage: int) -> str:
    return "vision_bridge_best_val.pt" if stage == 1 else "vision_bridge_vlm_best_val.pt"


def step_name(step: int) -> str:
    return f"vision_bridge_vlm_step{step}.pt"


def start_file(settings: Settings) -> Tuple[str, str]:
    """(file, why) that a new run takes vision and bridge from; ("", why) for a random start."""
    if settings.from_scratch:
        return "", "--from_scratch"
    if settings.vision_checkpoint:
        if not os.path.exists(settings.vision_checkpoint):
            raise InputError(f"--vision_checkpoint {settings.vision_checkpoint} is not there")
        return settings.vision_checkpoint, "--vision_checkpoint"
    if settings.stage == 2:
        for name in STAGE1:
            if os.path.exists(settings.file(name)):
                return settings.file(name), "stage 1 left it here"
    return "", "no stage-1 file in " + settings.output_dir


def start_weights(model: Captioner, settings: Settings, images: Tensor) -> str:
    """Load the start file into the model; a line that says what was taken.

    A stage-1 file whose visual tokens are the same for every picture has collapsed: one that was
    found is left aside (said), one that was asked for is an error.

    Raises:
        TrainError: it does not fit the model. InputError: it has collapsed.
    """
    path, why = start_file(settings)
    if not path:
        return f"vision and bridge start at random ({why})"
    before = {name: value.clone() for name, value in model.state_dict().items() if _is_front(name)}
    weights = engine.load_checkpoint(path)["model_state_dict"]
    load_front(model, weights, path)
    measured = spread(model, images.to(model.bridge.pos_embed.device))
    if measured >= COLLAPSED:
        return f"vision and bridge start from {path} ({why}; tokens differ by {measured:.3f} between pictures)"
    text = f"{path} has collapsed: its visual tokens are the same for every picture (spread {measured:.1e})"
    if settings.vision_checkpoint:
        raise InputError(text, hint="train with --from_scratch, or repeat stage 1")
    model.load_state_dict(before, strict=False)
    return f"warning: {text}; starting at random instead, as --from_scratch would"


def _is_front(name: str) -> bool:
    return name.startswith(("vision.", "bridge."))


def load_front(model: Captioner, weights: Dict[str, Tensor], path: str) -> None:
    """Load vision and bridge; the language model's tensors too where the file has them."""
    if not any(_is_front(name) for name in weights):
        raise TrainError(
            f"{path} holds no tensor named vision.* or bridge.*",
            hint="it is not a file of this program",
        )
    own = model.state_dict()
    needed = {name for name in engine.trainable_state(model) if _is_front(name)}
    rest = {name: own[name] for name in engine.trainable_state(model) if name not in weights}
    filled = {**{name: value for name, value in rest.items() if name not in needed}, **weights}
    engine.load_weights(model, filled, path)


def snapshot(
    model: Captioner, step: int, epoch: int, loss: float, config: Dict[str, Any]
) -> Dict[str, Any]:
    """What a weights file holds."""
    return {
        "step": step,
        "epoch": epoch,
        "val_loss": loss,
        "model_state_dict": engine.trainable_state(model),
        "config": config,
    }


def model_config(
    settings: Settings, model: Captioner, image_size: int, channels: int, language: LanguageModel
) -> Dict[str, Any]:
    """The plain values that rebuild the model, kept in every file and in stage2_config.json."""
    config = asdict(settings)
    rate, bridge_rate = settings.rates(language.mode, language.is_random)
    config.update(
        image_size=image_size,
        image_channels=channels,
        train_llm=language.mode,
        lr=rate,
        bridge_lr=bridge_rate,
        visual_grid=list(model.bridge.grid),
        lm_hidden_size=int(model.lm.config.hidden_size),
    )
    return config


def write_json(path: str, value: Dict[str, Any]) -> None:
    """Raises:
    TrainError: it could not be written; the file that was there before is untouched.
    """
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path + ".tmp", "w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, indent=2)
        os.replace(path + ".tmp", path)
    except OSError as error:
        raise TrainError(f"could not write {path}: {error.strerror}") from error


def write_safetensors(value: Dict[str, Any], path: str) -> None:
    """The tensors of a weights file beside it, for programs that read no `.pt`."""
    from safetensors.torch import save_file

    tensors = {
        name: tensor.clone().contiguous() for name, tensor in value["model_state_dict"].items()
    }
    save_file(tensors, path + ".tmp")
    os.replace(path + ".tmp", path)

"""Image encoders: a small convolutional one that needs no download, or one of transformers'."""

from __future__ import annotations

import json
import math
from typing import Any, Sequence, Tuple

import torch
from torch import Tensor, nn

from mambaops.payload.train.errors import InputError
from mambaops.payload.train.hub import explain_missing, is_offline

SIGLIP = "google/siglip-base-patch16-224"


class ConvEncoder(nn.Module):
    """Strided convolutions, each stage halving the picture: [B, C, S, S] to [B, S/2^n, S/2^n, F]."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        stages = []
        for before, width in zip([channels, *widths[:-1]], widths):
            stages.append(nn.Conv2d(before, width, 3, stride=2, padding=1))
            stages.append(_Residual(width))
        self.stages = nn.Sequential(*stages)
        self.width, self.stages_count = widths[-1], len(widths)

    def grid(self, image_size: int) -> Tuple[int, int]:
        side = math.ceil(image_size / 2**self.stages_count)
        return side, side

    def forward(self, images: Tensor) -> Tensor:
        return self.stages(images).permute(0, 2, 3, 1)  # type: ignore[no-any-return]


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        # one group: the ratio between channels, which holds the colour, must survive
        self.norm = nn.GroupNorm(1, width)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.silu(self.norm(x))
        return x + nn.functional.silu(self.conv(x))


class PretrainedEncoder(nn.Module):
    """The vision tower of a transformers model (SigLIP, SigLIP 2, CLIP, DINOv2, ViT), patches only."""

    def __init__(
        self, tower: nn.Module, config: Any, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.tower = tower
        for name, values in (("mean", mean), ("std", std)):
            value = torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)
            self.register_buffer(name, value, persistent=False)
        self.width, self.patch = int(config.hidden_size), int(config.patch_size)
        self.image_size, self.channels = int(config.image_size), int(config.num_channels)

    def grid(self, image_size: int) -> Tuple[int, int]:
        return image_size // self.patch, image_size // self.patch

    def forward(self, images: Tensor) -> Tensor:
        rows, columns = self.grid(images.shape[-1])
        # from [-1, 1] to what the tower was trained with
        pixels = ((images + 1) / 2 - self.mean) / self.std
        tokens = self.tower(pixel_values=pixels).last_hidden_state
        patches = tokens[:, tokens.shape[1] - rows * columns :]  # class and register tokens lead
        return patches.reshape(len(images), rows, columns, -1)  # type: ignore[no-any-return]


def load_tower(name: str, *, empty: bool = False) -> PretrainedEncoder:
    """A vision tower from a folder, the cache or the hub, in float32; `empty`: of its configuration alone.

    Raises:
        InputError: not to be had (offline, unknown), or a model without patches.
    """
    from transformers import AutoConfig, AutoModel

    name = SIGLIP if name == "siglip" else name
    try:
        config = AutoConfig.from_pretrained(name, local_files_only=is_offline())
        model = (
            AutoModel.from_config(config, dtype=torch.float32)
            if empty
            else AutoModel.from_pretrained(name, dtype=torch.float32, local_files_only=is_offline())
        )
    except (OSError, ValueError) as error:
        raise explain_missing(name, "--vision", error) from error
    model = getattr(model, "vision_model", model)
    config = getattr(config, "vision_config", config)
    if not hasattr(config, "patch_size") or not hasattr(config, "image_size"):
        raise InputError(f"--vision {name} is a {config.model_type}: it has no image patches")
    return PretrainedEncoder(model, config, *statistics(name, config.model_type))


# model_type -> mean and standard deviation of its pixels, where the model's folder does not say
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_USUAL = {"clip_vision_model": _CLIP, "dinov2": _IMAGENET, "dinov2_with_registers": _IMAGENET}


def statistics(name: str, model_type: str) -> Tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation per channel (of pixels in [0, 1]) that a tower was trained with.

    From its preprocessor_config.json; where there is none, what its kind of model uses (said).
    """
    from transformers.utils import cached_file

    path = cached_file(
        name,
        "preprocessor_config.json",
        local_files_only=is_offline(),
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    values = {}
    if path:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
    if "image_mean" in values and "image_std" in values:
        return values["image_mean"], values["image_std"]
    mean, std = _USUAL.get(model_type, _HALF)
    print(f"--vision {name} says no mean and deviation of its pixels; taking {mean} and {std}")
    return mean, std

"""The language model in 8 bits (`--llm_8bit`): bitsandbytes' layers, adapted by peft. Both are optional.

Only `in_proj`, two thirds of a Mamba layer, is kept in 8 bits: transformers and the fused kernels read the other
weights themselves, past the layer. For the same reason peft adapts only it, and our own LoRA the others.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any, Dict, List

import torch

from mambaops.payload.train.errors import InputError

QUANTISED = "in_proj"
_WHOLE = ["x_proj", "dt_proj", "out_proj", "lm_head"]
_PACKAGES = ("bitsandbytes", "accelerate", "peft")


def arguments(mode: str, device: torch.device) -> Dict[str, Any]:
    """What `from_pretrained` is given.

    Raises:
        InputError: a package is missing, or the model is to learn as a whole.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"--llm_8bit needs {', '.join(missing)}, which {sys.executable} does not have",
            hint=f"`{sys.executable} -m pip install {' '.join(missing)}`, or leave --llm_8bit out",
        )
    if mode == "full":
        raise InputError(
            "--llm_8bit excludes --train_llm full: 8-bit weights cannot learn",
            hint="--train_llm lora",
        )
    from transformers import BitsAndBytesConfig

    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_8bit=True, llm_int8_skip_modules=list(_WHOLE)
        ),
        "device_map": {"": str(device)},
        "dtype": torch.bfloat16 if device.type == "cuda" else torch.float32,
    }


def layers(model: Any) -> List[str]:
    """Names of the layers that are held in 8 bits."""
    return [name for name, layer in model.named_modules() if type(layer).__name__ == "Linear8bitLt"]


def add_lora(model: Any, rank: int) -> None:
    """peft's low-rank additions to the 8-bit layers."""
    from peft import LoraConfig, inject_adapter_in_model

    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=[QUANTISED]), model)

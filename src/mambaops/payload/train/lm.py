"""The language model: any Mamba, Mamba-2 or Falcon-Mamba of transformers, frozen, adapted or trained."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from mambaops.payload.train import eight_bit
from mambaops.payload.train.errors import InputError
from mambaops.payload.train.hub import explain_missing, is_offline, quiet_loading
from mambaops.payload.train.memory import free_memory
from mambaops.payload.train.options import USUAL_LORA, Lora

MODES = ("none", "lora", "full", "auto")
LARGE = 100_000_000  # parameters from which activations are recomputed unless told otherwise
TINY = 50_000_000  # parameters under which `auto` trains a pretrained model as a whole
_WEIGHTS = (".safetensors", ".bin", ".safetensors.index.json")


@dataclass
class LanguageModel:
    """A causal model, its tokenizer, and how much of it is trained."""

    model: Any
    tokenizer: Any
    mode: str
    is_random: bool
    name: str

    @property
    def width(self) -> int:
        return int(self.model.config.hidden_size)

    @property
    def embedding_scale(self) -> float:
        """Root mean square of the word embeddings: the scale that visual tokens start at."""
        weight = self.model.get_input_embeddings().weight
        return float(weight.detach().float().pow(2).mean().sqrt())


def has_weights(folder: str) -> bool:
    return any(name.endswith(_WEIGHTS) for name in os.listdir(folder))


def load(
    name: str,
    mode: str,
    device: torch.device,
    *,
    lora: Lora = USUAL_LORA,
    leave_on_cpu: bool = False,
    in_8_bit: bool = False,
) -> LanguageModel:
    """Load model and tokenizer by folder, cache or hub, and freeze or adapt it.

    A folder with a configuration and no weights gives a randomly initialised model. `auto` trains a
    random or a tiny model as a whole, and a pretrained one by LoRA where that fits into memory (else it stays
    frozen, said). A frozen model is kept in BF16 on a GPU; what is trained is kept in FP32 (BF16 parameters lose small updates).

    Raises:
        InputError: not to be had, no Mamba-like embedding interface, no end-of-sequence token.
    """
    quiet_loading()
    model, is_random = _load_model(name, eight_bit.arguments(mode, device) if in_8_bit else {})
    # on a CPU the weights are there already when room is asked for
    free = free_memory(device)
    mode = adapt(model, name, mode, is_random, device, free, lora)
    if not leave_on_cpu and not in_8_bit:  # what is in 8 bits was put there when it was loaded
        model = model.to(device=device)
    return LanguageModel(model, load_tokenizer(name, model), mode, is_random, name)


def shape_of(name: str, dtype: torch.dtype = torch.float32) -> Tuple[Any, bool]:
    """(the model from its configuration alone, would a run begin at random?); for --estimate.

    Raises:
        InputError: not to be had.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(name, local_files_only=is_offline())
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    except (OSError, ValueError) as error:
        raise explain_missing(name, "--mamba_model", error) from error
    return model, os.path.isdir(name) and not has_weights(name)


def adapt(
    model: Any, name: str, mode: str, is_random: bool, device: torch.device, free: float, lora: Lora
) -> str:
    """Freeze the model, or what of it does not learn; the mode that `auto` came to."""
    if mode == "auto":
        mode = auto_mode(model, size_of(model), is_random, device, free, lora)
    quantised = eight_bit.layers(model)
    if device.type == "cuda" and mode != "full" and model.dtype != torch.bfloat16 and not quantised:
        model.to(torch.bfloat16)
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(mode == "full")
    if mode == "lora":
        _add_lora(model, name, lora, quantised=bool(quantised))
    return mode


def _add_lora(model: Any, name: str, lora: Lora, *, quantised: bool) -> None:
    by_peft = quantised and eight_bit.QUANTISED in lora.layers
    if by_peft:
        eight_bit.add_lora(model, lora.rank)
    if not add_lora(model, lora) and not by_peft:
        raise InputError(
            f"{name} has no layers named {', '.join(lora.layers)}: --train_llm lora cannot be used"
        )


def size_of(model: Any) -> int:
    """Parameters."""
    return sum(p.numel() for p in model.parameters())


def auto_mode(
    model: Any,
    count: int,
    is_random: bool,
    device: torch.device,
    free: float,
    lora: Lora = USUAL_LORA,
) -> str:
    """full for a random or a tiny model; else lora where `free` bytes suffice and there is what to adapt.

    The room beside the weights that a step needs is taken as a third of them and 2 GiB.
    """
    if (is_random or count < TINY) and not eight_bit.layers(model):
        return "full"
    if not any(name.rpartition(".")[2] in lora.layers for name, _layer in model.named_modules()):
        print("--train_llm auto: the model stays frozen (it has no layers that LoRA adapts)")
        return "none"
    # on a CPU the weights are there already
    weights = count * (2 if device.type == "cuda" else 0)
    needed = weights + count * 4 / 3 + 2 * 2**30
    if free < needed:
        print(
            f"--train_llm auto: the model stays frozen (LoRA wants about {needed / 2**30:.1f} GiB, "
            f"{free / 2**30:.1f} GiB are free)"
        )
        return "none"
    return "lora"


def _load_model(name: str, how: Dict[str, Any]) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        there = os.path.isdir(name) and os.path.exists(f"{name}/config.json")
        if there and not has_weights(name) and not how:
            return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(name)), True
        model = AutoModelForCausalLM.from_pretrained(
            name, **{"dtype": torch.float32, **how}, local_files_only=is_offline()
        )
    except (OSError, ValueError) as error:
        raise explain_missing(name, "--mamba_model", error) from error
    return model, False


def load_tokenizer(name: str, model: Any = None) -> Any:
    """The tokenizer, with the end mark that an answer needs to stop, and no more tokens than `model` has rows."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=is_offline())
    except (OSError, ValueError) as error:
        raise explain_missing(name, "--mamba_model", error) from error
    if tokenizer.eos_token_id is None:
        raise InputError(f"the tokenizer of {name} has no eos_token: an answer could never end")
    rows = len(tokenizer) if model is None else model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise InputError(f"the tokenizer of {name} knows {len(tokenizer)} tokens, the model {rows}")
    return tokenizer


class _LowRank(nn.Module):
    """weight + up @ down. A parametrization, because fused kernels read the weight, not the layer."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        like = {"device": weight.device, "dtype": torch.float32}
        self.down = nn.Parameter(torch.empty(rank, weight.shape[1], **like))
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank, **like))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down).to(weight.dtype)


def add_lora(model: nn.Module, lora: Lora) -> List[str]:
    """Low-rank trainable additions to the mixers' projections; returns the adapted layers."""
    named = [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear)
        and name.rpartition(".")[2] in lora.layers
        and layer.weight.is_floating_point()
    ]
    for _name, layer in named:
        parametrize.register_parametrization(
            layer,
            "weight",
            _LowRank(layer.weight, min(lora.rank, *layer.weight.shape)),
            unsafe=False,
        )
        layer.parametrizations.weight.original.requires_grad_(False)  # type: ignore[union-attr,operator]
    return [name for name, _layer in named]


def adapted_layers(model: nn.Module) -> Dict[str, Any]:
    """The layers that `add_lora` adapted, by name."""
    return {
        name: layer
        for name, layer in model.named_modules()
        if parametrize.is_parametrized(layer, "weight")
    }


def checkpointed(model: Any, wanted: Optional[bool]) -> bool:
    """Recompute activations where that is wanted; None: where the model is large."""
    if wanted is None:
        wanted = size_of(model) > LARGE
    if wanted:
        enable_checkpointing(model)
    return wanted


def enable_checkpointing(model: Any) -> None:
    """Recompute activations in backward (needs `.train()`, or transformers silently does not)."""
    if hasattr(model, "activation_checkpointing_enable"):
        model.activation_checkpointing_enable()
    else:
        model.gradient_checkpointing_enable({"use_reentrant": False})

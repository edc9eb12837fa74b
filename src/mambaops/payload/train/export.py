"""`python -m mambaops.payload.train.export`: a trained captioner for other programs.

Merged: `language-model/` as transformers reads it, LoRA added to the weights, and `vision_bridge_vlm_final.pt` for
`generate` and `evaluate`. `--adapter`: LoRA alone, as peft names it (`adapter_config.json`,
`adapter_model.safetensors`).
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Dict, Sequence

from mambaops.payload.train.errors import InputError, guarded
from mambaops.payload.train.hub import obey_offline

MERGED = "language-model"
# what peft (0.21, tuners/tuners_utils.py) refuses to adapt in a Mamba: fused kernels read that weight past its layer
PEFT_REFUSES = "out_proj"


def main(argv: Sequence[str]) -> Dict[str, Any]:
    """Write the folder; what is in it.

    Raises:
        InputError: the folder is there already, or the model has nothing to export so.
    """
    parser = argparse.ArgumentParser(prog="export", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, help="vision_bridge_vlm_final.pt")
    parser.add_argument("--output", required=True, help="folder to write; must not be there")
    parser.add_argument("--adapter", action="store_true", help="LoRA alone, for peft")
    parser.add_argument(
        "--mamba_model", default="", help="folder of the language model, if it moved"
    )
    flags = parser.parse_args(argv)
    if os.path.exists(flags.output):
        raise InputError(f"--output {flags.output} is there already", hint="name another folder")
    from mambaops.payload.train.restore import restore

    writer = restore(flags.checkpoint, mamba_model=flags.mamba_model, device="cpu")
    if writer.config.get("llm_8bit"):
        raise InputError(
            f"{flags.checkpoint} was trained on 8-bit weights: they cannot be exported",
            hint="`generate` and `evaluate` use it as it is",
        )
    os.makedirs(flags.output)
    (_adapter if flags.adapter else _merged)(writer, flags.output)
    names = sorted(os.listdir(flags.output))
    print(f"wrote {flags.output}: {', '.join(names)}")
    return {"folder": flags.output, "files": names}


def _merged(writer: Any, folder: str) -> None:
    from torch.nn.utils import parametrize

    from mambaops.payload.train import engine, lm
    from mambaops.payload.train.checkpoints import save_atomically

    model = writer.model
    for layer in lm.adapted_layers(model.lm).values():
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    where = os.path.join(folder, MERGED)
    model.lm.save_pretrained(where)
    writer.tokenizer.save_pretrained(where)
    for parameter in model.lm.parameters():
        parameter.requires_grad_(False)
    config = {**writer.config, "train_llm": "none", "mamba_model": MERGED}
    state = {"step": 0, "model_state_dict": engine.trainable_state(model), "config": config}
    save_atomically(state, os.path.join(folder, "vision_bridge_vlm_final.pt"))


def _adapter(writer: Any, folder: str) -> None:
    from safetensors.torch import save_file

    from mambaops.payload.train import lm
    from mambaops.payload.train.weights import write_json

    layers = lm.adapted_layers(writer.model.lm)
    if not layers:
        raise InputError(
            "nothing was trained by LoRA: there is no adapter", hint="leave --adapter out"
        )
    tensors, ranks = {}, {}
    for name, layer in layers.items():
        low = layer.parametrizations.weight[0]
        for side, value in (("lora_A", low.down), ("lora_B", low.up)):
            key = f"base_model.model.{name}.{side}.weight"
            tensors[key] = value.detach().float().cpu().contiguous()
        ranks[name] = int(low.down.shape[0])
    save_file(tensors, os.path.join(folder, "adapter_model.safetensors"))
    if any(name.endswith(f".{PEFT_REFUSES}") for name in ranks):
        print(
            f"this adapter has {PEFT_REFUSES}, which peft refuses in a Mamba: for peft, train with "
            "--lora_layers in_proj,x_proj; without peft, leave --adapter out: merged, everything reads it"
        )
    most = max(ranks.values())
    # peft scales by alpha / rank: the same number is 1, which is what was trained
    other = {name: rank for name, rank in ranks.items() if rank != most}
    write_json(
        os.path.join(folder, "adapter_config.json"),
        {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": writer.config["mamba_model"],
            "r": most,
            "lora_alpha": most,
            "rank_pattern": other,
            "alpha_pattern": other,
            "target_modules": sorted(ranks),
            "lora_dropout": 0.0,
            "bias": "none",
        },
    )


if __name__ == "__main__":
    obey_offline()
    sys.exit(guarded(lambda: main(sys.argv[1:])))

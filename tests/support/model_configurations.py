"""Tiny models of every family of transformers that the scan serves."""

from __future__ import annotations

from typing import Any

import torch

COMMON: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ATTENTION: dict[str, Any] = {
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}
MAMBA1: dict[str, Any] = {"state_size": 4}
JAMBA: dict[str, Any] = {"mamba_d_state": 4, "mamba_dt_rank": 4}
EXPERTS: dict[str, Any] = {"num_experts": 2, "num_experts_per_tok": 1}
MAMBA2: dict[str, Any] = {
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_d_state": 8,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 4,
}
DELTA: dict[str, Any] = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "head_dim": 16,
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "mamba": MAMBA1,
    "falcon_mamba": MAMBA1,
    "jamba": {**ATTENTION, **JAMBA, **EXPERTS, "attn_layer_period": 2, "attn_layer_offset": 1},
    "zamba": {**ATTENTION, **JAMBA, "n_mamba_heads": 2, "attention_head_dim": 32,
              "attn_layer_period": 2, "attn_layer_offset": 1, "num_hidden_layers": 5},
    "mamba2": {"num_heads": 4, "head_dim": 16, "state_size": 8, "n_groups": 1, "chunk_size": 4},
    "bamba": {**ATTENTION, **MAMBA2, "attn_layer_indices": [1]},
    "falcon_h1": {**ATTENTION, **MAMBA2, "mamba_d_ssm": 64, "head_dim": 16},
    "granitemoehybrid": {**ATTENTION, **MAMBA2, "layer_types": ["mamba", "attention"],
                         "num_local_experts": 2, "num_experts_per_tok": 1,
                         "shared_intermediate_size": 32},
    "nemotron_h": {**ATTENTION, "layer_types": ["mamba", "attention"], "mamba_num_heads": 4,
                   "mamba_head_dim": 16, "ssm_state_size": 8, "n_groups": 1, "chunk_size": 4},
    "zamba2": {**ATTENTION, "n_mamba_heads": 4, "mamba_headdim": 16, "mamba_d_state": 8,
               "mamba_ngroups": 1, "chunk_size": 4, "hybrid_layer_ids": [1], "num_mem_blocks": 1,
               "layer_types": ["mamba", "hybrid"]},
    "qwen3_next": {**ATTENTION, **DELTA, "layer_types": ["linear_attention", "full_attention"],
                   "num_experts": 0, "moe_intermediate_size": 16},
    "qwen3_5": {**ATTENTION, **DELTA, "layer_types": ["linear_attention", "full_attention"]},
    "olmo_hybrid": {**ATTENTION, **DELTA, "layer_types": ["linear_attention", "full_attention"]},
}  # fmt: skip
NAMES = {"falcon_mamba": "FalconMamba", "falcon_h1": "FalconH1", "granitemoehybrid": "GraniteMoeHybrid",
         "nemotron_h": "NemotronH", "qwen3_next": "Qwen3Next", "qwen3_5": "Qwen3_5Text",
         "olmo_hybrid": "OlmoHybrid"}  # fmt: skip


def tiny(family: str) -> Any:
    """A random model of the family."""
    import transformers

    name = NAMES.get(family, family.capitalize())
    config = getattr(transformers, f"{name}Config")(**{**COMMON, **CONFIGURATIONS[family]})
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config)


def numbers(model: Any, ids: torch.Tensor) -> list[torch.Tensor]:
    """Loss, gradients, and what is written."""
    model.train()
    loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    parameters = [p for p in model.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    model.eval()
    written = model.generate(ids[:, :9], max_new_tokens=6, do_sample=False)
    return [loss.detach(), *(g for g in found if g is not None), written]

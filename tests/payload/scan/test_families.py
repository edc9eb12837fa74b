"""Every family of transformers that the scan serves: the numbers are transformers' own, forwards and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from mambaops.payload.scan import ScanPolicyError, dispatch
from mambaops.payload.scan.names import FAMILIES, family_of

transformers = pytest.importorskip("transformers", minversion="5.15")

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


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    dispatch.uninstall()  # a training test in the same process may have left ours there
    yield
    dispatch.uninstall()


@pytest.mark.parametrize("family", CONFIGURATIONS)
def test_installed_functions_give_transformers_numbers(family: str) -> None:
    model = tiny(family)
    assert family_of(model.config.model_type) == family
    ids = torch.randint(3, 40, (2, 13), generator=torch.Generator().manual_seed(0))
    before = numbers(model, ids)
    dispatch.install("reference", families=[family], say=lambda line: None)
    for ours, wanted in zip(numbers(model, ids), before, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=2e-3, atol=2e-5)


def test_an_unknown_family_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ScanPolicyError, match="no family mamba9; there are bamba, falcon_h1"):
        dispatch.install("reference", families=["mamba9"])


def test_every_family_of_this_transformers_is_served_by_default() -> None:
    dispatch.install("reference", say=lambda line: None)
    served = {module.rpartition("modeling_")[2] for module, _name in dispatch._ORIGINALS}
    assert served == set(FAMILIES)


def test_packed_rows_are_refused_where_no_form_keeps_them_apart() -> None:
    """transformers' PyTorch form of the delta rule ignores `cu_seqlens`: it would mix the rows."""
    from transformers.models.qwen3_next import modeling_qwen3_next as modeling

    dispatch.install("reference", families=["qwen3_next"], say=lambda line: None)
    rows = [torch.rand(1, 6, 2, 4) for _ in range(3)] + [-torch.rand(1, 6, 2), torch.rand(1, 6, 2)]
    with pytest.raises(ValueError, match="packed rows need seq_idx"):
        modeling.torch_chunk_gated_delta_rule(*rows, cu_seqlens=torch.tensor([0, 2, 6]))

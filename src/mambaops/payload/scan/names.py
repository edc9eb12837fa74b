"""The kernels' names: where their functions live, and where transformers keeps a global for each."""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

# Starts every line that the probing process writes for us; libraries print too.
MARK = "@mambaops-probe "


class Kernel(NamedTuple):
    """One function of a kernel package.

    Attributes:
        home: the module that it is imported from.
        packages: what must be installed for it.
        extension: the compiled module that it calls, which a stand-in may replace; "" for Triton's.
    """

    home: str
    packages: Tuple[str, ...]
    extension: str = ""


_CONV = ("causal_conv1d",)
_MAMBA = ("mamba_ssm",)
_DELTA_RULE = ("fla",)
_INTERFACE = "mamba_ssm.ops.selective_scan_interface"
_COMBINED = "mamba_ssm.ops.triton.ssd_combined"

KERNELS: Dict[str, Kernel] = {
    "causal_conv1d_fn": Kernel("causal_conv1d", _CONV, "causal_conv1d_cuda"),
    "causal_conv1d_update": Kernel("causal_conv1d", _CONV, "causal_conv1d_cuda"),
    "selective_scan_fn": Kernel(_INTERFACE, _MAMBA, "selective_scan_cuda"),
    # needs causal-conv1d too, and dies of an assertion without it
    "mamba_inner_fn": Kernel(_INTERFACE, _MAMBA + _CONV, "selective_scan_cuda"),
    "selective_state_update": Kernel("mamba_ssm.ops.triton.selective_state_update", _MAMBA),
    "mamba_chunk_scan_combined": Kernel(_COMBINED, _MAMBA),
    "mamba_split_conv1d_scan_combined": Kernel(_COMBINED, _MAMBA + _CONV, "causal_conv1d_cuda"),
    "chunk_gated_delta_rule": Kernel("fla.ops.gated_delta_rule", _DELTA_RULE),
    "fused_recurrent_gated_delta_rule": Kernel("fla.ops.gated_delta_rule", _DELTA_RULE),
    "triton_scan": Kernel("", ("triton",)),
}

_MAMBA_1 = {
    "causal_conv1d_fn": "causal_conv1d_fn",
    "causal_conv1d_update": "causal_conv1d_update",
    "mamba_inner_fn": "mamba_inner_fn",
    "mamba_selective_scan": "selective_scan_fn",
    "mamba_selective_state_update": "selective_state_update",
}
_MAMBA_2 = {
    "causal_conv1d_fn": "causal_conv1d_fn",
    "causal_conv1d_update": "causal_conv1d_update",
    "mamba2_split_conv1d_scan_combined": "mamba_split_conv1d_scan_combined",
    "mamba2_chunk_scan": "mamba_chunk_scan_combined",
    "mamba2_selective_state_update": "selective_state_update",
}

_DELTA = {
    "causal_conv1d_fn": "causal_conv1d_fn",
    "causal_conv1d_update": "causal_conv1d_update",
    "torch_chunk_gated_delta_rule": "chunk_gated_delta_rule",
    "torch_recurrent_gated_delta_rule": "fused_recurrent_gated_delta_rule",
}

# transformers >= 5.15: model family -> global of its modeling file -> our name for it
FAMILIES: Dict[str, Dict[str, str]] = {
    **dict.fromkeys(("mamba", "falcon_mamba", "jamba"), _MAMBA_1),
    "zamba": {name: ours for name, ours in _MAMBA_1.items() if name != "mamba_inner_fn"},
    **dict.fromkeys(
        ("mamba2", "bamba", "falcon_h1", "granitemoehybrid", "nemotron_h", "zamba2"), _MAMBA_2
    ),
    **dict.fromkeys(("qwen3_next", "qwen3_5", "qwen3_5_moe", "qwen4_exp", "olmo_hybrid"), _DELTA),
}


def family_of(model_type: str) -> str:
    """The family that serves a configuration's `model_type`; "" where none does."""
    family = model_type[: -len("_text")] if model_type.endswith("_text") else model_type
    return family if family in FAMILIES else ""

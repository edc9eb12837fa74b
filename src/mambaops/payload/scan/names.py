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

# transformers >= 5.15: model family -> global of its modeling file -> our name for it
FAMILIES: Dict[str, Dict[str, str]] = {
    "mamba": _MAMBA_1,
    "falcon_mamba": _MAMBA_1,
    "mamba2": _MAMBA_2,
}

"""The scan of Mamba without compiled kernels, and the choice between it and the kernels.

The folder depends on PyTorch alone and imports only its own siblings, so that it can be copied as it
is into any environment (`mambaops install-fallback` does).
"""

from __future__ import annotations

from .choices import Report
from .conv import causal_conv1d_fn, causal_conv1d_update
from .dispatch import ScanPolicyError, install, uninstall
from .reference import selective_scan, selective_scan_loop
from .ssd import chunk_scan_combined
from .state_update import selective_state_update

__all__ = [
    "Report",
    "ScanPolicyError",
    "causal_conv1d_fn",
    "causal_conv1d_update",
    "chunk_scan_combined",
    "install",
    "selective_scan",
    "selective_scan_loop",
    "selective_state_update",
    "uninstall",
]

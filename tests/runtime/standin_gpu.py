"""torch as it is with a GPU, as far as the kernels' modules ask: CPU tensors count as the GPU's, stream 0x77."""

import os

import torch
from mambaops_kernels import checks, conv, scan  # noqa: F401

torch._C._cuda_getCurrentRawStream = lambda device: 0x70 + 7 + device
torch.cuda.get_device_capability = lambda device=None: tuple(
    int(one) for one in os.environ.get("STANDIN_CAPABILITY", "8.0").split(".")
)
torch.cuda.is_current_stream_capturing = lambda: bool(os.environ.get("STANDIN_CAPTURING"))
torch.Tensor.get_device = lambda tensor: int(os.environ.get("STANDIN_DEVICE", "0"))
checks.KIND = "cpu"

"""Kernels executed without a GPU: an interpreter of PTX, the text that NVRTC and nvcc compile kernels to.

    memory = Memory()
    address = memory.register(array)
    run(ptx_text, kernel_name, grid, block, shared_bytes, params, memory)

All threads of a batch of blocks run side by side in numpy. Nothing that is unknown is passed over: an instruction, a
modifier or a directive that is not supported is an error, as is an access out of bounds, a misaligned one, a read of
memory that nobody wrote and a barrier that not everybody reaches. Needs numpy (from 1.21 on) and Python 3.8, nothing
else, so that the interpreter of any environment can run it by path.
"""

from .errors import (
    EmulatorError,
    ExecutionError,
    LaunchError,
    MemoryFault,
    PtxError,
    StepLimit,
    SynchronisationError,
)
from .launch import run
from .memory import Memory
from .text.parser import parse

__all__ = [
    "EmulatorError",
    "ExecutionError",
    "LaunchError",
    "Memory",
    "MemoryFault",
    "PtxError",
    "StepLimit",
    "SynchronisationError",
    "parse",
    "run",
]

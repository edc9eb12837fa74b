"""What can go wrong between a call and a running kernel; every message says what was found, what was wanted and what to do."""

from __future__ import annotations


class KernelError(RuntimeError):
    """A kernel could not be had or launched. A RuntimeError, as a compiled extension raises."""


class CompileError(KernelError):
    """NVRTC refused a program; the message holds its log."""


class DriverError(KernelError):
    """The CUDA driver returned an error.

    Attributes:
        code: the driver's number, e.g. 700.
        name: e.g. CUDA_ERROR_ILLEGAL_ADDRESS.
    """

    def __init__(self, message: str, code: int = 0, name: str = "") -> None:
        super().__init__(message)
        self.code, self.name = code, name

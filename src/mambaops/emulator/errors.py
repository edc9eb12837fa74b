"""What can go wrong: text that is not understood, a launch that a driver would refuse, an execution that is faulty."""

from __future__ import annotations


class EmulatorError(Exception):
    """The class of every error of this package."""


class PtxError(EmulatorError):
    """PTX that is not understood or not supported; nothing unknown is ever passed over."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__("line {}: {}".format(line, message) if line else message)
        self.line = line


class LaunchError(EmulatorError):
    """A launch that a driver refuses: too many threads, too little room for parameters, no such kernel."""


class AccessError(Exception):
    """Inner: a memory access that is not allowed, and which of the lanes asked for it."""

    def __init__(self, message: str, lane: int = 0) -> None:
        super().__init__(message)
        self.lane = lane


class ExecutionError(EmulatorError):
    """A fault while a kernel runs: says kernel, instruction, line of the PTX, block and thread."""


class MemoryFault(ExecutionError):
    """Out of bounds, misaligned, read before it was written, or written where only reading is allowed."""


class SynchronisationError(ExecutionError):
    """A barrier or an exchange between lanes that not all of its threads reach."""


class StepLimit(ExecutionError):
    """More instructions than the launch was allowed: most likely a loop without an end."""

"""One launch: checks what a driver checks, lays out variables and parameters, and runs the blocks in batches."""

from __future__ import annotations

from functools import lru_cache
from typing import Sequence, Union

import numpy as np

from . import instructions as _instructions  # registers them
from .binder import Binder
from .errors import LaunchError
from .layout import Layout
from .machine import Grid, Machine, Step, Three
from .memory import Memory
from .spaces import Arena, Spaces
from .text.parser import parse
from .text.syntax import Kernel, Module

_LANES = 1024  # threads side by side: more cost memory and win nothing
SHARED_WITHOUT_ASKING = (
    48 * 1024
)  # bytes of shared memory that a launch gets without having asked for more
Size = Union[int, Sequence[int]]


@lru_cache(maxsize=8)
def read(text: str) -> Module:
    """The module of a PTX text, kept for the next launch."""
    return parse(text)


def run(
    ptx_text: str,
    kernel_name: str,
    grid: Size,
    block: Size,
    shared_bytes: int,
    params: bytes,
    memory: Memory,
    shared_limit: int = SHARED_WITHOUT_ASKING,
    step_limit: int = 100_000_000,
) -> int:
    """Executes a kernel as a GPU would, to its end.

    Args:
        ptx_text: what NVRTC, nvcc or a fatbin gives.
        kernel_name: as the PTX names it (mangled).
        grid: blocks in x, y and z; one number stands for x.
        block: threads in x, y and z.
        shared_bytes: dynamic shared memory per block.
        params: all parameters one after the other, each at a multiple of its alignment; pointers are addresses of
            `memory`.
        memory: what pointers lead to. Arrays are written in place.
        shared_limit: static and dynamic shared memory together may have so many bytes: 48 KiB unless the launch's
            `cudaFuncAttributeMaxDynamicSharedMemorySize` was raised.
        step_limit: instructions for one batch of blocks, against loops without an end.

    Returns:
        How many instructions were executed (one for all threads that stand side by side).

    Raises:
        PtxError: text that is not understood, an instruction, modifier or directive that is not supported.
        LaunchError: what a driver refuses.
        ExecutionError: a fault while running: MemoryFault, SynchronisationError, StepLimit.
    """
    module = read(ptx_text)
    if kernel_name not in module.kernels:
        known = ", ".join(sorted(module.kernels)) or "none"
        raise LaunchError("no kernel {!r} in this PTX; it has: {}".format(kernel_name, known))
    kernel = module.kernels[kernel_name]
    launch = Launch(module, kernel, three(grid, "grid"), three(block, "block"), memory)
    launch.check(shared_bytes, params, shared_limit)
    return launch.run(shared_bytes, params, step_limit)


def three(size: Size, name: str) -> Three:
    """Raises LaunchError for a size below 1 or in more than three directions."""
    numbers = [size] if isinstance(size, int) else list(size)
    whole = (numbers + [1, 1, 1])[:3]
    if len(numbers) > 3 or min(whole) < 1:
        raise LaunchError("{} {} is not possible".format(name, tuple(numbers)))
    return whole[0], whole[1], whole[2]


class Launch:
    """A kernel with its grid."""

    def __init__(
        self, module: Module, kernel: Kernel, grid: Three, block: Three, memory: Memory
    ) -> None:
        self.kernel = kernel
        self.grid, self.block, self.memory = grid, block, memory
        self.layout = Layout(module, kernel)

    def check(self, shared_bytes: int, params: bytes, shared_limit: int) -> None:
        """Raises LaunchError for what a driver refuses."""
        threads = self.block[0] * self.block[1] * self.block[2]
        bound, wanted = self.kernel.max_threads, self.kernel.required_threads
        most = bound[0] * bound[1] * bound[2] if bound else 1024
        if threads > most:
            raise LaunchError("{} threads in a block; the kernel allows {}".format(threads, most))
        if wanted and wanted != self.block:
            raise LaunchError("block {}; the kernel wants {}".format(self.block, wanted))
        if max(self.grid[1:]) > 65535:
            raise LaunchError("grid {}: more than 65535 in y or z".format(self.grid))
        if len(params) != self.layout.sizes["param"]:
            raise LaunchError(
                "{} bytes of parameters; the kernel takes {}".format(
                    len(params), self.layout.sizes["param"]
                )
            )
        total = self.layout.sizes["shared"] + shared_bytes
        if shared_bytes < 0 or total > shared_limit:
            raise LaunchError(
                "{} bytes of shared memory; allowed are {}".format(total, shared_limit)
            )

    def run(self, shared_bytes: int, params: bytes, step_limit: int) -> int:
        """Runs all blocks; returns the number of instructions."""
        threads = self.block[0] * self.block[1] * self.block[2]
        blocks = np.arange(self.grid[0] * self.grid[1] * self.grid[2])
        each, steps = max(1, _LANES // threads), 0
        made = self.layout.register(self.memory)
        try:
            for start in range(0, len(blocks), each):
                batch = Grid(self.grid, self.block, blocks[start : start + each])
                machine = Machine(
                    self.kernel, batch, self._spaces(batch, shared_bytes, params), self._bind
                )
                machine.run(step_limit)
                steps += machine.steps
        finally:
            for address in made:
                self.memory.release(address)
        return steps

    def _spaces(self, batch: Grid, shared_bytes: int, params: bytes) -> Spaces:
        lanes, units = batch.lanes, int(batch.unit[-1]) + 1
        whole = self.layout.sizes["shared"] + shared_bytes
        return Spaces(
            self.memory,
            Arena("shared", units, whole, batch.unit),
            Arena("local", lanes, self.layout.sizes["local"], np.arange(lanes)),
            Arena(
                "param", 1, len(params), np.zeros(lanes, np.int64), np.frombuffer(params, np.uint8)
            ),
        )

    def _bind(self, machine: Machine, place: int) -> Step:
        return Binder(machine, self.kernel.instructions[place], self.layout.symbols).bind()


__all__ = ["Launch", "_instructions", "run"]

"""The emulator in the place of the CUDA driver: what loads machine code loads PTX here, and a launch runs it."""

from __future__ import annotations

import ctypes
import os
from contextlib import nullcontext
from typing import Any, Callable, ContextManager, List, NamedTuple, Sequence, Tuple

from .errors import LaunchError
from .launch import SHARED_WITHOUT_ASKING, read, run
from .layout import Layout
from .memory import Memory


class Loaded(NamedTuple):
    """A kernel that was loaded; `shared_limit` is what it was allowed."""

    text: str
    name: str
    shared_limit: int


class Launched(NamedTuple):
    """One launch, as it came: the kernel, its grid, threads and shared memory of a block, and all its parameters."""

    kernel: Loaded
    grid: Tuple[int, ...]
    threads: int
    shared: int
    params: bytes

    def run(self, memory: Memory) -> int:
        """Executes it; see `launch.run`."""
        text, name, limit = self.kernel
        return run(
            text,
            name,
            self.grid,
            self.threads,
            self.shared,
            self.params,
            memory,
            shared_limit=limit,
        )


class Driver:
    """The functions of `mambaops_kernels.driver.Driver`, without a GPU. Streams are taken as one; launches are waited for.

    Attributes:
        memory: what pointers lead to.
        launched: every launch so far, and `steps`, the number of instructions of each.
        process: the one that it was made in.
    """

    def __init__(self, memory: Memory, prepare: Callable[[], None] = lambda: None) -> None:
        """`prepare` is called before each launch: to register what has been allocated since."""
        self.memory = memory
        self.launched: List[Launched] = []
        self.steps: List[int] = []
        self.process = os.getpid()
        self._prepare = prepare
        self._loaded: List[Loaded] = []

    def version(self) -> int:
        """Newer than every CUDA: the text itself says what it needs."""
        return 99000

    def context(self, device: int) -> int:
        return 1

    def is_current(self, context: int) -> bool:
        return True

    def made_current(self, context: int) -> ContextManager[None]:
        return nullcontext()

    def load(self, context: int, code: bytes, name: str, shared: int, large: int) -> int:
        """Takes PTX; returns the function.

        Raises:
            PtxError: text that is not understood.
            LaunchError: no such kernel, or machine code, which is not executed here.
        """
        if code[:4] == b"\x7fELF":
            raise LaunchError("machine code (a cubin) is not executed; compile to PTX (compute_90)")
        text = code.rstrip(b"\0").decode("utf-8")
        if name not in read(text).kernels:
            raise LaunchError("no kernel {!r} in this PTX".format(name))
        limit = shared if shared >= large else SHARED_WITHOUT_ASKING
        self._loaded.append(Loaded(text, name, limit))
        return len(self._loaded)

    def launch(
        self,
        function: int,
        grid: Sequence[int],
        threads: int,
        shared: int,
        stream: int,
        parameters: int,
    ) -> None:
        """Runs a kernel to its end.

        Args:
            parameters: address of an array of addresses, one per parameter.
        """
        one = self._loaded[function - 1]
        self._prepare()
        given = _parameters(one, parameters)
        launched = Launched(one, tuple(grid), threads, shared, given)
        self.launched.append(launched)
        self.steps.append(self.execute(launched))

    def execute(self, launched: Launched) -> int:
        """Runs a launch in this driver's memory; returns the number of instructions."""
        return launched.run(self.memory)


def _parameters(one: Loaded, address: int) -> bytes:
    """Copies every parameter to its place among all."""
    module = read(one.text)
    kernel = module.kernels[one.name]
    layout = Layout(module, kernel)
    found = bytearray(layout.sizes["param"])
    pointers: Any = (ctypes.c_void_p * len(kernel.params)).from_address(address)
    for pointer, param in zip(pointers, kernel.params):
        start = layout.symbols[param.name][1]
        found[start : start + param.size] = ctypes.string_at(pointer, param.size)
    return bytes(found)

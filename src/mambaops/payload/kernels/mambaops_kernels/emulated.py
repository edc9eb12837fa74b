"""Kernels executed without a GPU: their PTX in an interpreter, with the structs and launch rules of a real launch.

For tests, and for `verify` where there is no GPU. It shows that launches, structs and kernels give right numbers; the
machine code that the assembler makes of the PTX is not run.
"""

from __future__ import annotations

import os
from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from . import checks, compiler, launch, places, store
from .architectures import Target
from .rules import LARGE_SHARED, Instance
from .sources import installed


class Emulated:
    """In place of `launch.Cuda`: CPU tensors count as the GPU's.

    Attributes:
        launches: (instance, grid, executed instructions) of every launch so far.
    """

    def __init__(self, emulator: Any, target: Target) -> None:
        self._emulator, self._target = emulator, target
        self.launches: List[Tuple[Instance, launch.Grid, int]] = []

    def stream(self, device: int) -> int:
        """There is one."""
        return 0

    def check(self, ready: Any) -> None:
        """Every process has its own."""

    def load(self, device: int, instance: Instance, names: Sequence[str]) -> "_Kernel":
        """Compile to PTX, or take it from the cache."""
        sources, toolchain = installed(), launch.toolchain()
        name = compiler.key(sources, instance, toolchain, self._target) + ".kernel"
        stored = store.load_or_make(
            os.path.join(places.cache_folder(), name),
            lambda: compiler.compile_kernel(sources, instance, toolchain, self._target),
        )
        return _Kernel(self, self._emulator, instance, stored, names)


class _Kernel:
    def __init__(
        self, owner: Emulated, emulator: Any, instance: Instance, stored: Any, names: Sequence[str]
    ) -> None:
        layout = compiler.layout_of(installed(), instance, stored)
        self.threads, self.shared, self.extra = layout.threads, layout.shared, layout.extra
        self._owner, self._emulator, self._instance = owner, emulator, instance
        self._packing = launch.Packing(layout, names)
        self._text, self._name = stored.code.decode(), stored.head["name"]

    def launch(
        self,
        values: Tuple[Any, ...],
        grid: launch.Grid,
        stream: int,
        tensors: Sequence[Optional[Tensor]],
    ) -> None:
        """Run it to its end. Memory that no tensor of `tensors` holds is out of bounds."""
        parameters = bytearray(self._packing.size)
        self._packing.into(parameters, values)
        memory = self._emulator.Memory()
        for start, array in _storages(tensors):
            memory.register(array, address=start)
        raised = {"shared_limit": self.shared} if self.shared >= LARGE_SHARED else {}
        steps = self._emulator.run(
            self._text,
            self._name,
            grid,
            self.threads,
            self.shared,
            bytes(parameters),
            memory,
            **raised,
        )
        self._owner.launches.append((self._instance, grid, steps))


def _storages(tensors: Sequence[Optional[Tensor]]) -> List[Tuple[int, Any]]:
    """(address, bytes) of every storage that the tensors lie in, once."""
    found = {}
    for tensor in tensors:
        if tensor is not None and tensor.numel():
            storage = tensor.untyped_storage()
            whole = torch.empty(0, dtype=torch.uint8).set_(storage)
            found[storage.data_ptr()] = whole.numpy()
    return sorted(found.items())


def use(emulator: Any, arch: Tuple[int, int] = (8, 0)) -> Emulated:
    """From now on, kernels of this process are emulated, for CPU tensors.

    Args:
        emulator: the module `mambaops.emulator`, imported from wherever it lies.
        arch: the architecture that the PTX is made for.
    """
    backend = Emulated(emulator, Target("ptx", arch))
    launch.BACKENDS.append(backend)
    launch.forget()
    checks.KIND = "cpu"
    return backend

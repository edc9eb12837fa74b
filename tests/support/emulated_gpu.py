"""The runtime of the kernels on a machine without a GPU: CPU tensors count as the GPU's, and the emulator as the driver.

Everything else is as on a GPU: NVRTC compiles upstream's files (to PTX), upstream's launch rules choose the instance,
and the struct is packed by the code that is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kernel_sources
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mambaops.emulator import Memory
from mambaops.emulator.driver import Driver, Launched
from mambaops.runtime.wheel import files_of, write_tree


class Allocations(TorchDispatchMode):
    """Every storage that torch makes or that a test brings, registered for the next launch."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.memory = memory
        self.kept: dict[int, torch.Tensor] = {}
        self._fresh: dict[int, bool] = {}
        self._registered: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        found = function(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            if isinstance(one, torch.Tensor):
                self.add(
                    one, fresh="empty" in function.__name__, written=function._schema.is_mutable
                )
        return found

    def add(self, tensor: torch.Tensor, *, fresh: bool = False, written: bool = False) -> None:
        """`fresh`: it is new and nobody has written to it yet; `written`: it has just been written."""
        address = tensor.untyped_storage().data_ptr()
        if address not in self.kept:
            self.kept[address] = tensor
            self._fresh[address] = fresh
        elif written and self._fresh[address]:
            self._fresh[address] = False
            if address in self._registered:
                self.memory.written(address)

    def register(self) -> None:
        for address in set(self.kept) - self._registered:
            size = self.kept[address].untyped_storage().nbytes()
            if size:
                shape = tuple(self.kept[address].shape)
                self.memory.register_bytes(
                    address, size, f"tensor {shape}", not self._fresh[address]
                )
                self._registered.add(address)

    def unwritten(self, tensor: torch.Tensor) -> int:
        """Bytes of a tensor's storage that no kernel wrote."""
        return int(self.memory.unwritten(tensor.untyped_storage().data_ptr()).sum())


class Keeping(Driver):
    """Keeps a copy of the memory before each launch: to run it again with something changed."""

    def execute(self, launched: Launched) -> int:
        self.before.append(self.memory.copy())
        return super().execute(launched)

    def __init__(self, memory: Memory, prepare: Callable[[], None]) -> None:
        super().__init__(memory, prepare)
        self.before: list[Memory] = []


class Gpu:
    """The runtime's modules, and what they launched."""

    def __init__(self, modules: Any) -> None:
        self.modules = modules
        self.driver: Keeping | None = None

    @contextmanager
    def holding(self, *tensors: torch.Tensor | None) -> Iterator[Allocations]:
        """Runs what is called within on the emulator; the tensors are its memory."""
        memory = Memory()
        allocations = Allocations(memory)
        for one in tensors:
            if one is not None:
                allocations.add(one)
        self.driver = Keeping(memory, allocations.register)
        self.modules.driver._DRIVERS[:] = [self.driver]
        self.modules.launch.forget()
        with torch.no_grad(), allocations:
            yield allocations


class Modules:
    def __init__(self) -> None:
        from mambaops_kernels import (
            architectures,
            checks,
            compiler,
            conv,
            conv_update,
            driver,
            launch,
            repairs,
            rules,
            scan,
            scan_struct,
            sources,
        )

        self.architectures, self.checks, self.compiler = architectures, checks, compiler
        self.conv, self.conv_update, self.driver = conv, conv_update, driver
        self.launch, self.sources = launch, sources
        self.repairs, self.rules = repairs, rules
        self.scan, self.scan_struct = scan, scan_struct


@contextmanager
def gpu(folder: Path, cuda: str = "12.8", capability: tuple[int, int] = (9, 0)) -> Iterator[Gpu]:
    """Installs the runtime into `folder` and stands in for its GPU."""
    site = write_tree(files_of(kernel_sources.newest(), kernel_sources.cccl()), folder)
    cache = kernel_sources.FOLDER / "compiled"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("MAMBAOPS_CACHE", str(cache))
        patch.setenv("MAMBAOPS_NVRTC", str(kernel_sources.nvrtc(cuda)))
        patch.setattr(torch.version, "cuda", cuda)
        patch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        patch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
        modules = Modules()
        target = modules.architectures.Target
        patch.setattr(modules.checks, "KIND", "cpu")
        patch.setattr(modules.launch, "stream_of", lambda device: 0)
        patch.setattr(modules.compiler, "target", lambda arch, _: target("ptx", arch))
        yield Gpu(modules)
    for name in [one for one in sys.modules if one.split(".")[0] == "mambaops_kernels"]:
        del sys.modules[name]

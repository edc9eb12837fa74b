"""A kernel made ready once per device, and launched: parameters packed, context and stream of the calling thread."""

from __future__ import annotations

import ctypes
import struct
import threading
from typing import Any, Dict, Optional, Sequence, Tuple

import torch

from . import compiler
from .driver import Driver, driver
from .errors import KernelError
from .locate import Toolchain, find
from .rules import LARGE_SHARED, Instance
from .sources import Sources, installed


class Ready:
    """A loaded kernel of one device.

    Attributes:
        threads: of a block; set by `extra` too: the numbers that the grid needs, by name.
    """

    def __init__(
        self, driver_: Driver, context: int, function: int, layout: Any, names: Sequence[str]
    ) -> None:
        self._driver, self._context, self._function = driver_, context, function
        self.threads, self.shared = layout.threads, layout.shared
        self.extra: Dict[str, int] = layout.extra
        self._packer = struct.Struct(layout.format())
        order = [name for name, _, _ in layout.fields]
        self._order = None if order == list(names) else [_place(names, name) for name in order]
        self._absent = [i for i, name in enumerate(names) if name not in order]
        self._names = names
        self._local = threading.local()

    def launch(self, values: Tuple[Any, ...], grid: Tuple[int, int, int], stream: int) -> None:
        """Start it with a struct of these values, in the order of the names that it was made with.

        Raises:
            DriverError: the driver refuses the launch.
            KernelError: a value that the struct's field cannot hold.
        """
        try:
            buffer, pointers = self._local.parameters
        except AttributeError:
            buffer, pointers = self._local.parameters = self._buffers()
        try:
            self._packer.pack_into(
                buffer, 0, *(values if self._order is None else self._put(values))
            )
        except struct.error as error:
            raise KernelError(
                f"a size or stride is too large for the kernel's struct: {error}"
            ) from error
        if self._driver.is_current(self._context):
            self._driver.launch(self._function, grid, self.threads, self.shared, stream, pointers)
            return
        with self._driver.made_current(self._context):
            self._driver.launch(self._function, grid, self.threads, self.shared, stream, pointers)

    def _buffers(self) -> Tuple[Any, Any]:
        buffer = ctypes.create_string_buffer(max(self._packer.size, 1))
        # one parameter: the struct; the array of its addresses lives as long as the thread does
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(buffer))
        self._local.kept = pointers
        return buffer, ctypes.addressof(pointers)

    def _put(self, values: Tuple[Any, ...]) -> Tuple[Any, ...]:
        """Values in the struct's own order; one that an older struct lacks must not be needed."""
        for index in self._absent:
            if values[index]:
                raise KernelError(
                    f"the installed kernels are of a release that has no {self._names[index]}; install newer ones"
                )
        assert self._order is not None
        return tuple(0 if place is None else values[place] for place in self._order)


def _place(names: Sequence[str], name: str) -> Optional[int]:
    return names.index(name) if name in names else None


_READY: Dict[Tuple[int, Any], Ready] = {}
_LOCK = threading.Lock()
_TOOLCHAIN: Dict[str, Toolchain] = {}


def ready(
    device: int,
    family: str,
    values: Tuple[object, ...],
    names: Sequence[str],
    sources: Optional[Sources] = None,
) -> Ready:
    """The kernel of an instance on a device; compiled and loaded when it is first asked for.

    Args:
        names: of the values that `launch` will be given, in their order.

    Raises:
        KernelError: it cannot be compiled or loaded, or a graph is being captured and nothing is loaded yet.
    """
    found = _READY.get((device, (family, values)))
    if found is not None and found._driver is driver():
        return found
    with _LOCK:
        found = _READY.get((device, (family, values)))
        if found is None:
            _refuse_capture(Instance(family, values))
            found = _load(device, Instance(family, values), names, sources or installed())
            _READY[device, (family, values)] = found
    return found


def _refuse_capture(instance: Instance) -> None:
    if torch.cuda.is_current_stream_capturing():
        raise KernelError(
            f"{instance.family} is not loaded yet and a CUDA graph is being captured, during which nothing can be "
            "compiled or loaded: run the model once with these shapes before the capture (a warm-up)"
        )


def _load(device: int, instance: Instance, names: Sequence[str], sources: Sources) -> Ready:
    found = driver()
    capability = torch.cuda.get_device_capability(device)
    stored = compiler.packed(sources, instance, capability)
    if stored is None:
        stored = compiler.obtain(sources, instance, toolchain(), capability)
    made = stored.head.get("cuda", [0, 0])
    if stored.head["kind"] == "cubin" and made[0] > found.version() // 1000:
        raise KernelError(
            f"the kernel is of CUDA {made[0]}.{made[1]}, and the driver knows CUDA "
            f"{found.version() // 1000}.{found.version() % 1000 // 10} at most: update the driver, or install a "
            "PyTorch of the driver's CUDA"
        )
    layout = compiler.layout_of(sources, instance, stored)
    context = found.context(device)
    function = found.load(context, stored.code, stored.head["name"], layout.shared, LARGE_SHARED)
    return Ready(found, context, function, layout, names)


def toolchain() -> Toolchain:
    """The NVRTC that this process compiles with; found once."""
    cuda = torch.version.cuda or ""
    if cuda not in _TOOLCHAIN:
        _TOOLCHAIN[cuda] = find(cuda)
    return _TOOLCHAIN[cuda]


def stream_of(device: int) -> int:
    """The handle of the calling thread's current stream on a device."""
    return torch._C._cuda_getCurrentRawStream(device)

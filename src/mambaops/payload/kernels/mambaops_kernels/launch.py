"""A kernel made ready once per device, and launched: parameters packed, context and stream of the calling thread."""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from . import compiler
from .driver import Driver, driver
from .errors import KernelError
from .facts import Layout
from .locate import Toolchain, find
from .rules import LARGE_SHARED, Instance
from .sources import installed
from .store import Stored

Grid = Tuple[int, int, int]


class Packing:
    """Values into the bytes of a struct.

    Attributes:
        size: of the struct in bytes.
    """

    def __init__(self, layout: Layout, names: Sequence[str]) -> None:
        """`names`: of the values that will come, in their order."""
        self._packer = struct.Struct(layout.format())
        order = [name for name, _, _ in layout.fields]
        places = {name: place for place, name in enumerate(names)}
        self._order = None if order == list(names) else [places.get(name) for name in order]
        self._absent = [name for name in names if name not in order]
        self._places = places
        self._offsets = {name: offset for name, offset, _ in layout.fields}
        self.size = self._packer.size

    def into(self, buffer: Any, values: Tuple[Any, ...]) -> None:
        """Raises KernelError for a value that its field cannot hold, or that an older struct has no field for."""
        try:
            self._packer.pack_into(
                buffer, 0, *(values if self._order is None else self._put(values))
            )
        except struct.error as error:
            raise KernelError(
                f"a size or stride is too large for the kernel's struct: {error}"
            ) from error

    def addresses(self, names: Sequence[str]) -> Tuple[int, Callable[..., None]]:
        """Where the addresses begin, and what packs these into a buffer from there; those between them become zero.

        Raises:
            ValueError: something else stands between them.
        """
        places = sorted(self._offsets[name] for name in names)
        between = [
            one
            for one, offset in self._offsets.items()
            if places[0] < offset < places[-1] and not one.endswith(("_ptr", "_seqlens"))
        ]
        if between or places != [self._offsets[name] for name in names]:
            raise ValueError(f"{between} between the addresses of the struct")
        format_, position = "<", places[0]
        for place in places:
            format_, position = f"{format_}{place - position}xQ", place + 8
        return places[0], struct.Struct(format_).pack_into

    def _put(self, values: Tuple[Any, ...]) -> Tuple[Any, ...]:
        for name in self._absent:
            if values[self._places[name]]:
                raise KernelError(
                    f"the installed kernels are of a release that has no {name}; install newer ones"
                )
        assert self._order is not None
        return tuple(0 if place is None else values[place] for place in self._order)


class Ready:
    """A loaded kernel of one device.

    Attributes:
        threads: of a block.
        extra: the numbers that the grid needs, by name.
        process: the one that it was loaded in.
        function: the driver's handle. packing: of its struct.
    """

    def __init__(
        self, driver_: Driver, context: int, function: int, layout: Layout, names: Sequence[str]
    ) -> None:
        self._driver, self._context, self.function = driver_, context, function
        self.threads, self.shared, self.extra = layout.threads, layout.shared, layout.extra
        self.process = driver_.process
        self.packing = Packing(layout, names)
        self._local = threading.local()

    def launch(
        self, values: Tuple[Any, ...], grid: Grid, stream: int, tensors: Sequence[Optional[Tensor]]
    ) -> None:
        """Start it with a struct of these values, in the order of the names that it was made with.

        Args:
            tensors: what the values point to; they stay alive until the kernel is in its stream.

        Raises:
            DriverError: the driver refuses the launch.
            KernelError: a value that the struct's field cannot hold.
        """
        try:
            buffer, pointers = self._local.parameters
        except AttributeError:
            buffer, pointers = self._local.parameters = self._buffers()
        self.packing.into(buffer, values)
        if self._driver.is_current(self._context):
            self._start(grid, stream, pointers)
            return
        with self._driver.made_current(self._context):
            self._start(grid, stream, pointers)

    def start(self, frame: Any) -> None:
        """Start it with the driver's arguments, ready in memory: `quick.py`.

        Raises:
            DriverError: the driver refuses the launch.
        """
        driver_ = self._driver
        if not driver_.get_current(frame.asked) and frame.context.value == self._context:
            driver_.launch_as(frame.arguments)
            return
        with driver_.made_current(self._context):
            driver_.launch_as(frame.arguments)

    def _start(self, grid: Grid, stream: int, pointers: int) -> None:
        self._driver.launch(self.function, grid, self.threads, self.shared, stream, pointers)

    def _buffers(self) -> Tuple[Any, int]:
        buffer = ctypes.create_string_buffer(max(self.packing.size, 1))
        # one parameter: the struct; the array of its addresses lives as long as the thread does
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(buffer))
        self._local.kept = pointers
        return buffer, ctypes.addressof(pointers)


class Plan(NamedTuple):
    """A launch, but for its addresses: of all calls whose tensors are alike in type, sizes, strides and device.

    Attributes:
        head, tail: the struct's values before and after the addresses.
    """

    kernel: Any
    device: int
    grid: Grid
    head: Tuple[Any, ...]
    tail: Tuple[Any, ...]

    def launch(self, pointers: Tuple[int, ...], tensors: Sequence[Optional[Tensor]]) -> None:
        """As `Ready.launch`."""
        BACKENDS[-1].check(self.kernel)
        values = self.head + pointers + self.tail
        self.kernel.launch(values, self.grid, stream_of(self.device), tensors)


class Cuda:
    """The GPUs of this machine, as torch sees them."""

    def stream(self, device: int) -> int:
        """The handle of the calling thread's current stream on a device."""
        return torch._C._cuda_getCurrentRawStream(device)

    def check(self, ready_: Ready) -> None:
        """Raises DriverError in a process that was forked after the GPU was used."""
        if ready_.process != os.getpid():
            driver()
            raise KernelError("the kernel was loaded in another process")

    def load(self, device: int, instance: Instance, names: Sequence[str]) -> Ready:
        """Compile a kernel if need be, and load it.

        Raises:
            KernelError: a graph is being captured, the driver is too old, or it cannot be had.
        """
        if torch.cuda.is_current_stream_capturing():
            raise KernelError(
                f"{instance.family} is not loaded yet and a CUDA graph is being captured, during which nothing can "
                "be compiled or loaded: run the model once with these shapes before the capture (a warm-up)"
            )
        found, sources = driver(), installed()
        capability = torch.cuda.get_device_capability(device)
        known = found.version()
        stored = compiler.packed(sources, instance, capability, (known // 1000, known % 1000 // 10))
        if stored is None:
            stored = compiler.obtain(sources, instance, toolchain(), capability)
        _check_driver(known, stored)
        layout = compiler.layout_of(sources, instance, stored)
        context = found.context(device)
        name, shared = stored.head["name"], layout.shared
        function = found.load(context, stored.code, name, shared, LARGE_SHARED)
        return Ready(found, context, function, layout, names)


def _check_driver(known: int, stored: Stored) -> None:
    made = stored.head.get("cuda", [0, 0])
    if stored.head["kind"] == "cubin" and made[0] > known // 1000:
        raise KernelError(
            f"the kernel is of CUDA {made[0]}.{made[1]}, and the driver knows CUDA {known // 1000}."
            f"{known % 1000 // 10} at most: update the driver, or install a PyTorch of the driver's CUDA"
        )


# what kernels run on: the GPUs, or an emulator in their place (`emulated.use`)
BACKENDS: List[Any] = [Cuda()]
_READY: Dict[Tuple[int, str, Tuple[object, ...]], Ready] = {}
# by the call's function, flags and tensors
PLANS: Dict[Tuple[Any, ...], Plan] = {}
_MOST_PLANS = 4096
# (a flag, what is launched again for arguments with it): `quick.py`
RECORDS: List[Tuple[Any, Any]] = []
_LOCK = threading.Lock()
_TOOLCHAINS: Dict[str, Toolchain] = {}


def ready(device: int, family: str, values: Tuple[object, ...], names: Sequence[str]) -> Ready:
    """The kernel of an instance on a device; compiled and loaded when it is first asked for.

    Args:
        names: of the values that `launch` will be given, in their order.

    Raises:
        KernelError: it cannot be compiled or loaded, or a graph is being captured and nothing is loaded yet.
    """
    found = _READY.get((device, family, values))
    if found is not None:
        BACKENDS[-1].check(found)
        return found
    with _LOCK:
        found = _READY.get((device, family, values))
        if found is None:
            found = BACKENDS[-1].load(device, Instance(family, values), names)
            _READY[device, family, values] = found
    return found


def keep(seen: Tuple[Any, ...], plan: Plan) -> Plan:
    """Remember a plan; sizes that never come again must not fill the memory."""
    if len(PLANS) >= _MOST_PLANS:
        PLANS.clear()
    PLANS[seen] = plan
    return plan


def forget() -> None:
    """Load every kernel anew."""
    _READY.clear()
    PLANS.clear()
    RECORDS.clear()


def toolchain() -> Toolchain:
    """The NVRTC that this process compiles with; found once."""
    cuda = torch.version.cuda or ""
    if cuda not in _TOOLCHAINS:
        _TOOLCHAINS[cuda] = find(cuda)
    return _TOOLCHAINS[cuda]


def stream_of(device: int) -> int:
    """The handle of the calling thread's current stream on a device."""
    return BACKENDS[-1].stream(device)

"""The CUDA driver by ctypes: contexts, machine code, launches. Imports neither torch nor anything of its.

Functions and their meaning: the CUDA driver API (https://docs.nvidia.com/cuda/cuda-driver-api/).
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from typing import Any, Dict, List, Tuple

from .errors import DriverError

_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8  # CU_FUNC_ATTRIBUTE_…
_HINTS = {
    "CUDA_ERROR_NO_BINARY_FOR_GPU": "the machine code is for another GPU: reinstall mambaops-kernels on this machine",
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION": "the driver is older than the compiler: update the driver, "
    "or compile with an NVRTC of the driver's CUDA",
    "CUDA_ERROR_INVALID_SOURCE": "the machine code is damaged or of a newer CUDA than the driver's",
    "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED": "run the model once before the graph capture (a warm-up)",
    "CUDA_ERROR_ILLEGAL_ADDRESS": "an earlier kernel failed; CUDA_LAUNCH_BLOCKING=1 shows which",
    "CUDA_ERROR_OUT_OF_MEMORY": "the GPU's memory is full",
}


class Driver:
    """libcuda (nvcuda.dll on Windows), initialised.

    Raises:
        DriverError: there is no driver, or it cannot be initialised.
    """

    def __init__(self) -> None:
        name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
        try:
            self.library = ctypes.CDLL(name)
        except OSError as error:
            raise DriverError(f"the CUDA driver could not be loaded: {error}") from error
        self._launch = self.library.cuLaunchKernel
        self._launch.argtypes = [
            ctypes.c_void_p, *[ctypes.c_uint] * 7, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        # the same without a conversion of arguments, for those that are converted already
        self._launch_as = self.library["cuLaunchKernel"]
        self.get_current = self.library.cuCtxGetCurrent
        # asked before every launch: each thread has its place for the answer
        self._now = threading.local()
        self._contexts: Dict[int, int] = {}
        self.process = os.getpid()
        self.call("cuInit", 0)

    def call(self, function: str, *arguments: Any) -> None:
        """Call one function of the driver.

        Raises:
            DriverError: it did not return CUDA_SUCCESS.
        """
        code = getattr(self.library, function)(*arguments)
        if code:
            raise self.error(function, code)

    def error(self, what: str, code: int) -> DriverError:
        """The error of a returned number, by name and in the driver's words."""
        name, words = ctypes.c_char_p(), ctypes.c_char_p()
        self.library.cuGetErrorName(code, ctypes.byref(name))
        self.library.cuGetErrorString(code, ctypes.byref(words))
        named = (name.value or b"").decode() or f"CUDA error {code}"
        said = (words.value or b"").decode()
        hint = _HINTS.get(named)
        text = f"{what}: {named}" + (f" ({said})" if said else "") + (f"; {hint}" if hint else "")
        return DriverError(text, code, named)

    def version(self) -> int:
        """The newest CUDA that the driver knows, 13000."""
        value = ctypes.c_int()
        self.call("cuDriverGetVersion", ctypes.byref(value))
        return value.value

    def context(self, device: int) -> int:
        """The primary context of a device, torch's too; retained once."""
        found = self._contexts.get(device)
        if found is None:
            handle, context = ctypes.c_int(), ctypes.c_void_p()
            self.call("cuDeviceGet", ctypes.byref(handle), device)
            self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), handle)
            found = self._contexts.setdefault(device, context.value or 0)
        return found

    def is_current(self, context: int) -> bool:
        """Whether a context is the calling thread's."""
        try:
            now, reference = self._now.pair
        except AttributeError:
            now = ctypes.c_void_p()
            reference = ctypes.byref(now)
            self._now.pair = now, reference
        code = self.get_current(reference)
        if code:
            raise self.error("cuCtxGetCurrent", code)
        return now.value == context

    def load(self, context: int, code: bytes, name: str, shared: int, large: int) -> int:
        """Load machine code into a context; returns the function, allowed its shared memory.

        Args:
            large: from this many bytes on, shared memory has to be asked for.
        """
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        with self.made_current(context):
            self.call("cuModuleLoadData", ctypes.byref(module), code)
            self.call("cuModuleGetFunction", ctypes.byref(function), module, name.encode())
            if shared >= large:
                attribute = _MAX_DYNAMIC_SHARED_SIZE_BYTES
                self.call("cuFuncSetAttribute", function, attribute, shared)
        return function.value or 0

    def made_current(self, context: int) -> "_Current":
        """For a `with` block: the context is the calling thread's, and what was is again afterwards."""
        return _Current(self, context)

    def launch(
        self, function: int, grid: Any, threads: int, shared: int, stream: int, parameters: int
    ) -> None:
        """Start a kernel; the calling thread's context must be its.

        Args:
            parameters: address of an array of addresses, one per parameter.
        """
        code = self._launch(
            function, grid[0], grid[1], grid[2], threads, 1, 1, shared, stream, parameters, None
        )
        if code:
            raise self.error("cuLaunchKernel", code)

    def launch_as(self, arguments: Tuple[Any, ...]) -> None:
        """Start a kernel by arguments that are the driver's own types already."""
        code = self._launch_as(*arguments)
        if code:
            raise self.error("cuLaunchKernel", code)


class _Current:
    def __init__(self, driver: Driver, context: int) -> None:
        self._driver, self._context, self._pushed = driver, context, False

    def __enter__(self) -> None:
        if not self._driver.is_current(self._context):
            self._driver.call("cuCtxPushCurrent_v2", ctypes.c_void_p(self._context))
            self._pushed = True

    def __exit__(self, *_: object) -> None:
        if self._pushed:
            self._driver.call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))


_LOCK = threading.Lock()
_DRIVERS: List[Driver] = []


def driver() -> Driver:
    """The one of this process.

    Raises:
        DriverError: there is none; or this process was forked from one that used the GPU, which CUDA does not allow.
    """
    if not _DRIVERS:
        with _LOCK:
            if not _DRIVERS:
                _DRIVERS.append(Driver())
    found = _DRIVERS[0]
    if found.process != os.getpid():
        raise DriverError(
            f"process {os.getpid()} was forked from process {found.process}, which had used the GPU: CUDA does not "
            "work in it. Start workers by 'spawn': torch.multiprocessing.set_start_method('spawn')"
        )
    return found

"""NVRTC by ctypes, run as a program: a job in (JSON on stdin), machine code out (a JSON line, then the bytes).

A process of its own, never torch's: a second libnvrtc there would take the place of torch's. Imports the
standard library only, and nothing of this package, so that it starts in 20 ms.

The job: ``{"library": libnvrtc's path, "builtins": libnvrtc-builtins' path or "", "program": text, "kernel": a
kernel's name with its template arguments, "options": […], "kind": "cubin" or "ptx"}``. The answer:
``{"error": "" or what failed, "log": the compiler's words, "name": the kernel's symbol, "version": [13, 0],
"size": bytes that follow}``. Functions and their meaning: the NVRTC manual
(https://docs.nvidia.com/cuda/nvrtc/).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any, Dict, List, Tuple


class NvrtcError(Exception):
    """NVRTC refused; the second argument is the compiler's log."""


class Nvrtc:
    """The library, loaded from its full path."""

    def __init__(self, library: str, builtins: str = "") -> None:
        """Load it, and before it the builtins that it would otherwise look for by name.

        Raises:
            OSError: it cannot be loaded; the loader's words say why.
        """
        if hasattr(os, "add_dll_directory"):
            os.add_dll_directory(os.path.dirname(library))
        if builtins:
            ctypes.CDLL(builtins, mode=getattr(ctypes, "RTLD_GLOBAL", 0))
        self._library = ctypes.CDLL(library)
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def version(self) -> Tuple[int, int]:
        """(13, 0)"""
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        return major.value, minor.value

    def architectures(self) -> List[int]:
        """What it has code generators for, [75, 80, …, 120]; empty before CUDA 11.2, which cannot say."""
        if not hasattr(self._library, "nvrtcGetSupportedArchs"):
            return []
        count = ctypes.c_int()
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        found = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", found)
        return sorted(found)

    def compile(
        self, program: str, kernel: str, options: List[str], kind: str = "cubin"
    ) -> Tuple[bytes, str, str]:
        """(machine code or PTX, the kernel's symbol, the log).

        Raises:
            NvrtcError: the program does not compile, or NVRTC does not know an option.
        """
        handle = ctypes.c_void_p()
        text = program.encode("utf-8")
        self._call("nvrtcCreateProgram", ctypes.byref(handle), text, b"mambaops.cu", 0, None, None)
        try:
            self._call("nvrtcAddNameExpression", handle, kernel.encode())
            given = (ctypes.c_char_p * len(options))(*[one.encode() for one in options])
            code = self._library.nvrtcCompileProgram(handle, len(options), given)
            log = self._text(handle, "nvrtcGetProgramLog").decode("utf-8", "replace")
            if code:
                raise NvrtcError(self._words(code), log)
            name = ctypes.c_char_p()
            self._call("nvrtcGetLoweredName", handle, kernel.encode(), ctypes.byref(name))
            symbol = (name.value or b"").decode()
            return self._text(handle, "nvrtcGet" + kind.upper()), symbol, log
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(handle))

    def _text(self, handle: Any, function: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(function + "Size", handle, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(function, handle, text)
        # texts end with a zero byte, cubins may hold any
        return text.raw.rstrip(b"\0") if not function.endswith("CUBIN") else text.raw

    def _words(self, code: int) -> str:
        return (self._library.nvrtcGetErrorString(code) or b"?").decode()

    def _call(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, function)(*arguments)
        if code:
            raise NvrtcError(f"{function}: {self._words(code)}", "")


def answer(job: Dict[str, Any]) -> Tuple[Dict[str, Any], bytes]:
    """Do one job; what fails is said in the answer and never raised."""
    said: Dict[str, Any] = {"error": "", "log": "", "name": "", "version": [0, 0]}
    code = b""
    try:
        nvrtc = Nvrtc(job["library"], job.get("builtins", ""))
        said["version"] = list(nvrtc.version())
        if job["kind"] == "architectures":
            said["architectures"] = nvrtc.architectures()
        else:
            code, said["name"], said["log"] = nvrtc.compile(
                job["program"], job["kernel"], job["options"], job["kind"]
            )
    except NvrtcError as error:
        said["error"], said["log"] = error.args
    except (OSError, AttributeError) as error:
        said["error"] = str(error)
    said["size"] = len(code)
    return said, code


def main() -> None:
    """One job from stdin, one answer to stdout; whatever the library prints goes to stderr."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    said, code = answer(json.load(sys.stdin))
    out.write(json.dumps(said).encode() + b"\n" + code)
    out.close()


if __name__ == "__main__":
    main()

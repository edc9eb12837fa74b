"""PTX text to a module. Every directive and every form that is not known is an error that names it."""

from __future__ import annotations

from typing import List, Tuple

from .declarations import SPACES, variable, variables
from .reader import Reader
from .statements import Body
from .syntax import Kernel, Module, Variable
from .tokens import Source

LINKING = (".visible", ".extern", ".weak", ".common")
# how many registers and blocks a kernel would like: nothing that its results depend on
_TUNING = (".minnctapersm", ".maxnreg", ".maxnctapersm")


def parse(text: str) -> Module:
    """Reads a PTX text.

    Raises:
        PtxError: what is not understood or not supported, with its line.
    """
    return _ModuleParser(Reader(Source(text))).parse()


class _ModuleParser:
    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.module = Module()

    def parse(self) -> Module:
        while not self.reader.done:
            self._statement()
        return self.module

    def _statement(self) -> None:
        reader = self.reader
        word = reader.take()
        if word == ".version":
            major, minor = reader.take().split(".")
            self.module.version = (int(major), int(minor))
        elif word == ".target":
            self.module.target = tuple(reader.list())
        elif word == ".address_size":
            if reader.take() != "64":
                raise reader.error("only .address_size 64 is supported")
        elif word in LINKING or word in SPACES or word in (".entry", ".func"):
            reader.back()
            self._declaration()
        elif word == ".pragma":
            reader.until(";")
        else:
            raise reader.error("{!r} is not supported here".format(word))

    def _declaration(self) -> None:
        reader, linking = self.reader, []
        while reader.peek() in LINKING:
            linking.append(reader.take())
        word = reader.take()
        if word == ".entry":
            kernel = self._kernel()
            self.module.kernels[kernel.name] = kernel
        elif word in SPACES:
            for variable in variables(reader, word, ".extern" in linking):
                self.module.variables[variable.name] = variable
        else:
            raise reader.error("{!r} is not supported".format(word))

    def _kernel(self) -> Kernel:
        reader = self.reader
        kernel = Kernel(reader.take())
        if reader.accept("("):
            kernel.params = self._params()
        while reader.peek() != "{":
            self._performance(kernel)
        Body(reader, kernel, self.module).parse()
        return kernel

    def _params(self) -> List[Variable]:
        reader, found = self.reader, []
        while not reader.accept(")"):
            reader.expect(".param")
            found.append(variable(reader, ".param"))
            reader.accept(",")
        return found

    def _performance(self, kernel: Kernel) -> None:
        word = self.reader.take()
        if word == ".maxntid":
            kernel.max_threads = self._three()
        elif word == ".reqntid":
            kernel.required_threads = self._three()
        elif word in _TUNING:
            self.reader.take()
        elif word == ".pragma":
            self.reader.until(";")
        else:
            raise self.reader.error("{!r} is not supported on a kernel".format(word))

    def _three(self) -> Tuple[int, int, int]:
        numbers = [int(one) for one in self.reader.list()] + [1, 1]
        return numbers[0], numbers[1], numbers[2]

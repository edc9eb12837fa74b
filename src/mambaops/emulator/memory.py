"""Global memory: arrays of the caller's under addresses, with bounds."""

from __future__ import annotations

import bisect
import ctypes
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from .errors import AccessError
from .types import UNSIGNED

_FIRST = 0x7F00_0000_0000  # where real GPUs put their allocations, too
_GUARD = 1 << 20  # between two allocations: a step too far meets no neighbour
_ALIGN = 256  # cudaMalloc's


class Bytes:
    """Bytes that are read and written as numbers of any size; `written` marks each that somebody wrote, None: all were."""

    def __init__(self, data: Any, written: Any) -> None:
        self.data = data
        self.written = written
        self._views: Dict[int, Any] = {}

    def view(self, size: int) -> Any:
        """The bytes as unsigned numbers of `size` bytes."""
        if size not in self._views:
            self._views[size] = byte_view(self.data, size)
        return self._views[size]

    def marks(self, size: int) -> Any:
        """Like `view`, of what was written: all ones where every byte was."""
        if -size not in self._views:
            self._views[-size] = byte_view(self.written, size)
        return self._views[-size]


class Allocation(Bytes):
    """One array under an address."""

    def __init__(self, name: str, address: int, data: Any, writable: bool, written: bool) -> None:
        self.name = name
        self.address = address
        self.size = int(data.size)
        self.writable = writable
        super().__init__(data, None if written else np.zeros(self.size, np.uint8))

    def __str__(self) -> str:
        return "{} ({} bytes at {:#x})".format(self.name, self.size, self.address)


def byte_view(data: Any, size: int) -> Any:
    return data[: len(data) // size * size].view(UNSIGNED[8 * size])


class Memory:
    """What kernels can reach by pointers: arrays, each registered under an address of its own.

    Kernels write into the arrays themselves. Addresses are those of a GPU, not of this process, unless one is given.
    """

    def __init__(self) -> None:
        self._allocations: List[Allocation] = []
        self._bases: Any = np.zeros(0, np.uint64)
        self._next = _FIRST

    def register(
        self,
        array: Any,
        name: str = "",
        address: Optional[int] = None,
        written: bool = True,
        writable: bool = True,
    ) -> int:
        """Makes an array reachable and returns its address.

        Args:
            array: of any dtype and shape, in one piece (C-contiguous); a tensor through its `numpy()`.
            name: for messages.
            address: its own (`tensor.data_ptr()`), a multiple of 16; chosen where None, with room around it that
                belongs to nobody, so that an access beyond the end is noticed.
            written: False for memory that nobody has written yet, as `empty` gives it: reading it is an error.
            writable: False where a kernel may only read; arrays that numpy calls read-only are.

        Raises:
            ValueError: an array in pieces, an address that is taken or not a multiple of 16.
        """
        if not array.flags.c_contiguous:
            raise ValueError(
                "an array in one piece is wanted; register the whole storage, or a copy"
            )
        data = array.reshape(-1).view(np.uint8)
        if address is None:
            address = self._next
            self._next += -(-(data.size + _GUARD) // _ALIGN) * _ALIGN
        self._check(address, data.size)
        name = name or "allocation {}".format(len(self._allocations))
        made = Allocation(name, address, data, writable and array.flags.writeable, written)
        bisect_at = bisect.bisect([one.address for one in self._allocations], address)
        self._allocations.insert(bisect_at, made)
        self._bases = np.array([one.address for one in self._allocations], np.uint64)
        return address

    def register_bytes(self, address: int, size: int, name: str = "", written: bool = True) -> None:
        """Makes memory of this process reachable under its own address, a multiple of 16: a tensor's storage.

        It must stay alive as long as it is registered.
        """
        data: Any = (ctypes.c_uint8 * size).from_address(address)
        self.register(np.frombuffer(data, np.uint8), name, address, written)

    def written(self, address: int) -> None:
        """Says that all bytes of an allocation were written, by somebody else than a kernel."""
        next(one for one in self._allocations if one.address == address).written = None

    def _check(self, address: int, size: int) -> None:
        if address % 16:
            raise ValueError("address {:#x} is no multiple of 16".format(address))
        for one in self._allocations:
            if address < one.address + one.size and one.address < address + size:
                raise ValueError("address {:#x} is taken by {}".format(address, one))

    def release(self, address: int) -> None:
        """Forgets an allocation: reaching for it is an error from now on."""
        self._allocations = [one for one in self._allocations if one.address != address]
        self._bases = np.array([one.address for one in self._allocations], np.uint64)

    def copy(self) -> Memory:
        """The same allocations under the same addresses, in arrays of their own."""
        made = Memory()
        for one in self._allocations:
            made.register(one.data.copy(), one.name, one.address, one.written is None, one.writable)
            if one.written is not None:
                made._allocations[-1].written = one.written.copy()
        return made

    def content(self, address: int) -> Any:
        """The bytes of an allocation."""
        return next(one for one in self._allocations if one.address == address).data

    def unwritten(self, address: int) -> Any:
        """For an allocation registered with `written=False`: a byte for each of its bytes, True where none came."""
        found = next(one for one in self._allocations if one.address == address)
        return np.zeros(found.size, np.bool_) if found.written is None else found.written == 0

    def locate(self, addresses: Any, size: int, hint: Optional[Allocation]) -> Optional[Allocation]:
        """The allocation that all addresses lie in with `size` bytes each; None where they lie in several."""
        if hint is not None and hint.size >= size:
            furthest = int((addresses - np.uint64(hint.address)).max())
            if furthest <= hint.size - size:
                return hint
        owners = np.searchsorted(self._bases, addresses, "right") - 1
        first = int(owners[0])
        if (owners != first).any():
            return None
        return self.owner(first, addresses, size)

    def groups(self, addresses: Any, size: int) -> List[Tuple[Allocation, Any]]:
        """The allocations that addresses lie in, each with the places of its addresses."""
        owners = np.searchsorted(self._bases, addresses, "right") - 1
        found = []
        for owner in np.unique(owners):
            places = np.flatnonzero(owners == owner)
            try:
                found.append((self.owner(int(owner), addresses[places], size), places))
            except AccessError as error:
                raise AccessError(str(error), int(places[error.lane])) from None
        return found

    def owner(self, number: int, addresses: Any, size: int) -> Allocation:
        """Allocation `number`, when all the addresses lie within.

        Raises:
            AccessError: for the first one that does not.
        """
        if number < 0:
            raise AccessError("address {:#x} belongs to no allocation".format(int(addresses[0])), 0)
        one = self._allocations[number]
        ends = addresses - np.uint64(one.address) + np.uint64(size)
        bad = np.flatnonzero(ends > one.size)
        if not bad.size:
            return one
        lane = int(bad[0])
        raise AccessError(
            "out of bounds: {} bytes at {:#x} end {} bytes after the end of {}".format(
                size, int(addresses[lane]), int(ends[lane]) - one.size, one
            ),
            lane,
        )

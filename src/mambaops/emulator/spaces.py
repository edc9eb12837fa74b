"""Where an address leads: windows of the generic address space, and the memory of blocks and threads."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from .errors import AccessError
from .memory import Allocation, Bytes, Memory


class Window(NamedTuple):
    """The part of the generic addresses that belongs to a space of its own."""

    base: int

    def holds(self, addresses: Any) -> Any:
        return (addresses - np.uint64(self.base)) < np.uint64(1 << 32)


WINDOWS: Dict[str, Window] = {
    "shared": Window(0x7E00_0000_0000),
    "local": Window(0x7D00_0000_0000),
    "param": Window(0x7C00_0000_0000),
}


def window_of(addresses: Any) -> Any:
    """Names: "" for global memory."""
    found = np.full(addresses.shape, "", dtype="<U6")
    for name, window in WINDOWS.items():
        found[window.holds(addresses)] = name
    return found


class Arena(Bytes):
    """Memory that each unit (a block for shared, a thread for local memory) has a piece of its own of.

    Addresses begin at 0 in each. What nobody has written is known byte by byte.
    """

    def __init__(
        self, name: str, units: int, size: int, unit_of_lane: Any, written: Any = None
    ) -> None:
        self.name = name
        self.size = size
        self.stride = -(-max(size, 1) // 16) * 16
        data = np.zeros(units * self.stride, np.uint8)
        if written is not None:
            data.reshape(units, -1)[:, :size] = written
        self.bases = unit_of_lane.astype(np.int64) * self.stride
        self.writable = written is None
        super().__init__(data, np.zeros_like(data) if written is None else None)

    def offsets(self, addresses: Any, lanes: Any, total: int) -> Any:
        """Addresses of lanes (numbers; None for all) to places in `data`.

        Raises:
            AccessError: out of bounds.
        """
        if int(addresses.max()) > self.size - total:
            lane = (
                int(np.flatnonzero(addresses > np.uint64(max(self.size - total, 0)))[0])
                if self.size >= total
                else 0
            )
            start = int(addresses[lane])
            raise AccessError(
                "out of bounds: bytes {}…{} of {} memory, which has {}".format(
                    start, start + total - 1, self.name, self.size
                ),
                lane,
            )
        bases = self.bases if lanes is None else self.bases[lanes]
        return addresses.view(np.int64) + bases

    def __str__(self) -> str:
        return "{} memory ({} bytes)".format(self.name, self.size)


Owner = Union[Allocation, Arena]
# what owns the bytes, the places in it, and which of the lanes that asked (None: all, in order)
Piece = Tuple[Owner, Any, Any]


def aligned(addresses: Any, total: int) -> None:
    """Raises AccessError for the first address that is no multiple of `total`."""
    if total > 1 and (addresses & np.uint64(total - 1)).any():
        lane = int(np.flatnonzero(addresses & np.uint64(total - 1))[0])
        raise AccessError(
            "misaligned: {:#x} is no multiple of {}".format(int(addresses[lane]), total), lane
        )


class Spaces:
    """All memory that one batch of blocks can reach."""

    def __init__(self, memory: Memory, shared: Arena, local: Arena, param: Arena) -> None:
        self.memory = memory
        self.arenas = {"shared": shared, "local": local, "param": param}
        self.hint: Optional[Allocation] = None

    def pieces(self, space: str, addresses: Any, lanes: Any, total: int) -> List[Piece]:
        """Where the bytes of an access lie.

        Args:
            space: as in the instruction; "" for a generic address.
            addresses: uint64, one for each of `lanes`.
            total: bytes for each lane.

        Raises:
            AccessError: misaligned or out of bounds, with its place among `lanes`.
        """
        aligned(addresses, total)
        if space in self.arenas:
            arena = self.arenas[space]
            return [(arena, arena.offsets(addresses, lanes, total), None)]
        if space in ("global", "const"):
            return self._global(addresses, total)
        return self._generic(addresses, lanes, total)

    def _global(self, addresses: Any, total: int) -> List[Piece]:
        found = self.memory.locate(addresses, total, self.hint)
        if found is not None:
            self.hint = found
            return [(found, (addresses - np.uint64(found.address)).view(np.int64), None)]
        return [
            (one, (addresses[places] - np.uint64(one.address)).view(np.int64), places)
            for one, places in self.memory.groups(addresses, total)
        ]

    def _generic(self, addresses: Any, lanes: Any, total: int) -> List[Piece]:
        windows = window_of(addresses)
        found: List[Piece] = []
        for name in np.unique(windows):
            places = np.flatnonzero(windows == name)
            try:
                found += self._window(str(name), addresses[places], lanes, places, total)
            except AccessError as error:
                raise AccessError(str(error), int(places[error.lane])) from None
        return found

    def _window(
        self, name: str, addresses: Any, lanes: Any, places: Any, total: int
    ) -> List[Piece]:
        if not name:
            inner = self._global(addresses, total)
            return [
                (one, offsets, places if of is None else places[of]) for one, offsets, of in inner
            ]
        arena = self.arenas[name]
        own = places if lanes is None else lanes[places]
        offsets = arena.offsets(addresses - np.uint64(WINDOWS[name].base), own, total)
        return [(arena, offsets, places)]


def load(pieces: List[Piece], count: int, size: int, width: int) -> Any:
    """Reads `width` numbers of `size` bytes for each of `count` lanes: unsigned, of shape (count, width).

    Raises:
        AccessError: what was never written.
    """
    if len(pieces) == 1 and pieces[0][2] is None:
        return _load(pieces[0][0], pieces[0][1], size, width)
    found = None
    for owner, offsets, places in pieces:
        try:
            part = _load(owner, offsets, size, width)
        except AccessError as error:
            raise AccessError(str(error), int(places[error.lane])) from None
        found = np.empty((count, width), part.dtype) if found is None else found
        found[places] = part
    return found


def _rows(view: Any, size: int, width: int) -> Any:
    return view[: len(view) // width * width].reshape(-1, width)


def _load(owner: Owner, offsets: Any, size: int, width: int) -> Any:
    rows = offsets >> np.int64((size * width).bit_length() - 1)
    if owner.written is not None:
        marks = _rows(owner.marks(size), size, width)[rows]
        full = marks == ~marks.dtype.type(0)
        if not full.all():
            lane = int(np.flatnonzero(~full.all(axis=1))[0])
            raise AccessError(
                "uninitialised: nobody wrote byte {} of {}".format(
                    _first(owner, offsets, lane, size * width), owner
                ),
                lane,
            )
    return _rows(owner.view(size), size, width)[rows]


def _first(owner: Owner, offsets: Any, lane: int, total: int) -> int:
    """The first byte of a lane's that nobody wrote, counted from the start of its unit."""
    assert owner.written is not None
    start = int(offsets[lane])
    place = start + int(np.flatnonzero(owner.written[start : start + total] == 0)[0])
    return place % owner.stride if isinstance(owner, Arena) else place


def store(pieces: List[Piece], values: Any, size: int) -> None:
    """Writes `values`, unsigned and of shape (lanes, width). Of lanes that write one place, the last one wins.

    Raises:
        AccessError: memory that is only to be read.
    """
    width = values.shape[1]
    for owner, offsets, places in pieces:
        writable(owner, places)
        rows = offsets >> np.int64((size * width).bit_length() - 1)
        _rows(owner.view(size), size, width)[rows] = values if places is None else values[places]
        if owner.written is not None:
            marks = owner.marks(size)
            _rows(marks, size, width)[rows] = ~marks.dtype.type(0)


def writable(owner: Owner, places: Any) -> None:
    if not owner.writable:
        raise AccessError(
            "{} is only to be read".format(owner), 0 if places is None else int(places[0])
        )

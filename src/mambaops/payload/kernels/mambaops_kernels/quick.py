"""Launches again what was launched before, for tensors that are alike: nothing is checked twice while a model decodes.

PyTorch's own guard, which compiled models run before every call, says whether tensors have the types, sizes, strides
and devices of those that a record was made for. Where this PyTorch has no such guard, or it does not see what it must,
there are no records, and every call goes the long way.
"""

from __future__ import annotations

import ctypes
import operator
import os
from typing import Any, Callable, List, Sequence, Tuple

import torch
from torch import Tensor

from . import launch

# records that are tried: a model's layers are alike, or of two or three kinds
_MOST = 4
_address = Tensor.data_ptr


def _guard(tensors: Sequence[Tensor]) -> Callable[..., bool]:
    """Whether tensors are like these, asked in one call.

    Raises:
        ImportError, AttributeError, TypeError: this PyTorch has none, or another one.
    """
    from torch._C._dynamo.guards import TensorGuards  # type: ignore

    made = TensorGuards(*tensors, dynamic_dims_sizes=None, dynamic_dims_strides=None)
    check: Callable[..., bool] = made.check
    return check


def _trusted() -> bool:
    """The guard tells apart what a launch depends on."""
    plain = torch.zeros(2, 3, 4)
    others = (
        plain.half(),
        plain[:1],
        plain[..., :3],
        plain.transpose(0, 1).contiguous().transpose(0, 1),
        plain[0],
    )
    try:
        check = _guard((plain,))
        return bool(check(torch.ones(2, 3, 4))) and not any(check(one) for one in others)
    except Exception:  # whatever it is, the long way is right
        return False


_GUARDS = _trusted()


class _Frame:
    """A launch's arguments in memory: taken by one thread at a time."""

    def __init__(self, kernel: launch.Ready, grid: launch.Grid, values: Tuple[Any, ...]) -> None:
        self.buffer = ctypes.create_string_buffer(max(kernel.packing.size, 1))
        kernel.packing.into(self.buffer, values)
        self._array = (ctypes.c_void_p * 1)(ctypes.addressof(self.buffer))
        # where the driver says the thread's context
        self.context = ctypes.c_void_p(0)
        self.asked = ctypes.byref(self.context)
        self.stream = ctypes.c_void_p(0)
        self.arguments = (
            ctypes.c_void_p(kernel.function),
            *[ctypes.c_uint(one) for one in (*grid, kernel.threads, 1, 1, kernel.shared)],
            self.stream,
            ctypes.c_void_p(ctypes.addressof(self._array)),
            ctypes.c_void_p(0),
        )


class Record:
    """A launch that is made again.

    Attributes:
        pick: the tensors out of the arguments, in the struct's order. absent: places where none was given.
        check: whether tensors are like those of the record.
        pack, offset: their addresses into the struct.
    """

    def __init__(
        self, plan: launch.Plan, args: Sequence[Any], order: Sequence[Tuple[int, str]]
    ) -> None:
        given = [(at, name) for at, name in order if args[at] is not None]
        self.pick = operator.itemgetter(*[at for at, _ in given])
        self.absent = tuple(at for at, _ in order if args[at] is None)
        self.check = _guard(self.pick(args))
        self.kernel, self.device, self._grid = plan.kernel, plan.device, plan.grid
        self.offset, self.pack = self.kernel.packing.addresses([name for _, name in given])
        self._frames: List[_Frame] = []
        pointers = tuple(0 if args[at] is None else args[at].data_ptr() for at, _ in order)
        self._values = plan.head + pointers + plan.tail

    def take(self, args: Sequence[Any]) -> bool:
        """Start it with these arguments; False where they are not like those of the record.

        Raises:
            As `launch.Ready.launch`.
        """
        for at in self.absent:
            if args[at] is not None:
                return False
        tensors = self.pick(args)
        try:
            if not self.check(*tensors):
                return False
        except Exception:  # something that is no tensor: the long way says what is wrong
            return False
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = _Frame(self.kernel, self._grid, self._values)
        self.pack(frame.buffer, self.offset, *map(_address, tensors))
        frame.stream.value = torch._C._cuda_getCurrentRawStream(self.device)
        self.kernel.start(frame)
        self._frames.append(frame)
        return True


def again(flag: int, args: Sequence[Any]) -> bool:
    """Launch what was launched before with arguments like these; False where there was none.

    Args:
        flag: place of the argument that is no tensor.
    """
    for known, record in launch.RECORDS:  # noqa: SIM110 - a generator costs more than all of it
        if known is args[flag] and record.take(args):
            return True
    return False


def remember(
    plan: launch.Plan, flag: int, args: Sequence[Any], order: Sequence[Tuple[int, str]]
) -> None:
    """From now on a call like this one is launched at once.

    Args:
        order: (place among the arguments, field of its address), in the order of the plan's addresses.
    """
    if not _GUARDS or not isinstance(plan.kernel, launch.Ready) or type(args[flag]) is not bool:
        return
    try:
        record = Record(plan, args, order)
    except Exception:  # a guard or a struct that is none of the known ones
        return
    launch.RECORDS.insert(0, (args[flag], record))
    del launch.RECORDS[_MOST:]


# the GPU is of no use to a forked process: the long way says so
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=launch.RECORDS.clear)

"""What upstream's kernels get wrong, put right where they are launched: numbers stay the kernels', and right.

docs/runtime.md lists the faults. Upstream crashes, writes beyond its memory or gives wrong gradients there, so these are
the only launches that are not upstream's to the byte.
"""

from __future__ import annotations

import functools
import operator
import sys
from typing import Any, Iterable, List, Optional, Set, Tuple

import torch.nn.functional as F
from torch import Tensor

# kernels read and write rows in vectors of so many bytes
VECTOR_BYTES = 16
# threads of a block of the convolution's kernels for rows
_ROW_THREADS = 128
# bytes of channels that one block of the channel-last kernels holds
_CHANNEL_BYTES = 128
# the scan's backward counts the groups of dB and dC in complex numbers, where they are floats (its source tells)
COMPLEX_GROUPS = "complex groups"
_SAID: Set[str] = set()


def aligned(
    strides: Iterable[int], addresses: Iterable[int], size: int, elements: int = VECTOR_BYTES
) -> bool:
    """Whether rows of these strides (in elements of `size` bytes) all begin at a whole vector.

    Args:
        elements: that a thread reads at most; a vector is no longer than that.
    """
    bits = functools.reduce(operator.or_, strides, 0) * size
    bits |= functools.reduce(operator.or_, addresses, 0)
    return bits % min(VECTOR_BYTES, size * elements) == 0


def all_aligned(*tensors: Optional[Tensor]) -> bool:
    """The same for whole tensors that are read channel by channel: their last two axes have any order."""
    for tensor in tensors:
        if tensor is not None:
            strides = [stride for stride in tensor.stride() if stride != 1]
            if not aligned(strides, (tensor.data_ptr(),), tensor.element_size()):
                return False
    return True


def missing_steps(length: int, size: int) -> int:
    """How many steps a row lacks for a last chunk that the convolution's backward with SiLU does not forget.

    Where that chunk has fewer steps than a vector, the steps before it are taken for zeros.
    """
    vector = VECTOR_BYTES // size
    last = length % (_ROW_THREADS * vector)
    return vector - last if length > last and 0 < last < vector else 0


def longer(length: int, steps: int, *rows: Tensor) -> List[Tensor]:
    """Copies with so many steps of zeros behind them: their gradients are zeros, and add nothing to the weights'."""
    say(
        f"upstream's backward of the convolution forgets steps of rows of {length}: copies with {steps} more are "
        "made each time"
    )
    return [F.pad(row, (0, steps)) for row in rows]


def copied(name: str, *tensors: Optional[Tensor]) -> List[Any]:
    """Copies of channel-last tensors, in memory of their own."""
    say(
        f"{name} was given channels that do not begin at multiples of {VECTOR_BYTES} bytes, which upstream's kernels "
        "cannot read: copies are made each time"
    )
    return [None if one is None else channel_last(one) for one in tensors]


def write(*pairs: Tuple[Optional[Tensor], Optional[Tensor]]) -> None:
    """Results to where they were asked for, (target, result)."""
    for target, value in pairs:
        if target is not None and value is not None:
            target.copy_(value)


def with_room(states: Tensor) -> Tensor:
    """A copy (batch, dim, steps), channels next to each other, whose rows end where a block of channels does.

    With fewer steps than states the channel-last backward reads every channel of its block, also those that are not.
    """
    block = _CHANNEL_BYTES // states.element_size()
    return channel_last(F.pad(states, (0, 0, 0, -states.size(1) % block)))[:, : states.size(1)]


def channel_last(tensor: Tensor) -> Tensor:
    """A copy in memory of its own, channels next to each other."""
    batch, dim, length = tensor.shape
    return tensor.new_empty((batch, length, dim)).transpose(1, 2).copy_(tensor)


def say(text: str) -> None:
    """A line on stderr, once per process."""
    if text not in _SAID:
        _SAID.add(text)
        print(f"mambaops: {text}", file=sys.stderr, flush=True)

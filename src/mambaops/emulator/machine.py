"""A batch of blocks that runs: its registers, where each thread is, and who runs next.

All threads of all blocks of the batch stand side by side in arrays, one element ("lane") each. An instruction is
executed for all lanes that are at it. Where lanes part, those at the smallest instruction run first, so that they
meet again behind a branch; a barrier waits until nobody else can run.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from .errors import (
    AccessError,
    ExecutionError,
    MemoryFault,
    PtxError,
    StepLimit,
    SynchronisationError,
)
from .spaces import Spaces
from .text.syntax import Kernel
from .types import UNSIGNED

WARP = 32
RUNNING, WAITING, DONE = 0, 1, 2
RESCHEDULE = -1
# returns None to go on with the next instruction, the number of one to jump to, or RESCHEDULE
Step = Callable[[], Optional[int]]
Three = Tuple[int, int, int]


class Grid:
    """Which thread of which block each lane is. `blocks` are the numbers of the batch's blocks in the launch."""

    def __init__(self, grid: Three, block: Three, blocks: Any) -> None:
        self.grid, self.block = grid, block
        self.threads = block[0] * block[1] * block[2]
        self.lanes = len(blocks) * self.threads
        thread = np.tile(np.arange(self.threads, dtype=np.uint32), len(blocks))
        number = np.repeat(blocks.astype(np.uint32), self.threads)
        self.tid = _split(thread, block)
        self.ctaid = _split(number, grid)
        self.unit = np.repeat(
            np.arange(len(blocks)), self.threads
        )  # the block's place in the batch
        self.laneid = thread % np.uint32(WARP)
        self.warpid = thread // np.uint32(WARP)
        warps = -(-self.threads // WARP)
        self.slot = (
            self.unit * warps + self.warpid
        ) * WARP + self.laneid  # place with every warp full
        self.slots = len(blocks) * warps * WARP

    def name(self, lane: int) -> str:
        """For messages."""
        block, thread = ([int(axis[lane]) for axis in axes] for axes in (self.ctaid, self.tid))
        return "block ({}, {}, {}) thread ({}, {}, {})".format(*block, *thread)


def _split(numbers: Any, sizes: Three) -> Tuple[Any, Any, Any]:
    x, y = np.uint32(sizes[0]), np.uint32(sizes[1])
    return numbers % x, numbers // x % y, numbers // (x * y)


class Machine:
    """Runs the blocks of one batch to their end."""

    def __init__(
        self, kernel: Kernel, grid: Grid, spaces: Spaces, bind: Callable[[Machine, int], Step]
    ) -> None:
        self.kernel, self.grid, self.spaces = kernel, grid, spaces
        self.rows: Dict[int, Any] = {
            bits: np.zeros((count, grid.lanes), np.bool_ if bits == 1 else UNSIGNED[bits])
            for bits, count in kernel.registers.items()
        }
        self.carry = np.zeros(grid.lanes, np.bool_)
        self.mask: Any = None  # which lanes run; None for all
        self.state = np.zeros(grid.lanes, np.int8)
        self.pc = np.zeros(grid.lanes, np.int64)
        self.barrier = np.zeros(grid.lanes, np.int64)
        self.here = 0
        self.steps = 0
        self._bind = bind
        self._code: List[Optional[Step]] = [None] * len(kernel.instructions)

    @property
    def active(self) -> Any:
        """Which lanes run, as booleans."""
        return np.ones(self.grid.lanes, np.bool_) if self.mask is None else self.mask

    def run(self, limit: int) -> None:
        """Until every thread has come to its end.

        Raises:
            ExecutionError: a fault, with kernel, instruction, block and thread.
        """
        with np.errstate(all="ignore"):
            while self._schedule():
                if self.steps > limit:
                    raise self.fault(
                        StepLimit,
                        "more than {} instructions: a loop without an end?".format(limit),
                        0,
                    )

    def _schedule(self) -> bool:
        running = self.state == RUNNING
        if not running.any():
            return not (self.state == DONE).all() and self._release()
        places = self.pc[running]
        first = int(places.min())
        chosen = running & (self.pc == first)
        self.mask = None if chosen.all() else chosen
        others = places[places > first]
        self._straight(first, int(others.min()) if others.size else 1 << 60)
        return True

    def _straight(self, place: int, meeting: int) -> None:
        """Runs the chosen lanes until they part, wait, or come to where others are."""
        code, steps = self._code, 0
        try:
            while place < meeting:
                step = code[place]
                if step is None:
                    step = code[place] = self._bind(self, place)
                self.here = place
                steps += 1
                goal = step()
                if goal is None:
                    place += 1
                elif goal == RESCHEDULE:
                    return
                elif goal <= place and steps > 100_000:
                    place = goal
                    break  # so that the limit is looked at
                else:
                    place = goal
            self.pc[self.active] = place
        except AccessError as error:
            raise self._memory_fault(error) from None
        except IndexError:
            if place < len(code):
                raise
            raise PtxError("kernel {} runs past its end: no ret".format(self.kernel.name)) from None
        finally:
            self.steps += steps

    def part(self, where: Any, goal: int) -> int:
        """Sends the running lanes in `where` to `goal`, the others on."""
        active = self.active
        self.pc[active] = self.here + 1
        self.pc[active & where] = goal
        return RESCHEDULE

    def stop(self, where: Any) -> int:
        """Ends the running lanes in `where`."""
        self.part(where, self.here)
        self.state[self.active & where] = DONE
        return RESCHEDULE

    def wait(self, barrier: int) -> Optional[int]:
        """Makes the running lanes wait until the whole of their block does."""
        if self.mask is None:
            return None  # everybody is here
        self.pc[self.mask] = self.here + 1
        self.barrier[self.mask] = barrier
        self.state[self.mask] = WAITING
        return RESCHEDULE

    def _release(self) -> bool:
        """Nobody can run: the barrier of each block is whole, or something is wrong."""
        waiting = self.state == WAITING
        units = self.grid.unit
        for unit in np.unique(units[waiting]):
            lanes = np.flatnonzero(units == unit)
            self._check_barrier(
                lanes[self.state[lanes] == WAITING], lanes[self.state[lanes] == DONE]
            )
        self.state[waiting] = RUNNING
        return True

    def _check_barrier(self, waiting: Any, gone: Any) -> None:
        self.here = int(self.pc[waiting[0]]) - 1
        if gone.size:
            message = "waits at a barrier that {} threads of its block never reach: {} came to its end".format(
                gone.size, self.grid.name(int(gone[0]))
            )
            raise self.fault(SynchronisationError, message, int(waiting[0]))
        if (self.barrier[waiting] != self.barrier[waiting[0]]).any():
            raise self.fault(
                SynchronisationError,
                "threads of one block wait at different barriers",
                int(waiting[0]),
            )
        warps = self.grid.warpid[waiting]
        order = np.argsort(warps, kind="stable")
        same = warps[order][1:] == warps[order][:-1]
        apart = same & (self.pc[waiting][order][1:] != self.pc[waiting][order][:-1])
        if apart.any():
            lane = int(waiting[order[int(np.flatnonzero(apart)[0])]])
            raise self.fault(
                SynchronisationError, "threads of one warp wait at different bar instructions", lane
            )

    def lanes(self) -> Any:
        """Numbers of the running lanes; None for all."""
        return None if self.mask is None else np.flatnonzero(self.mask)

    def fault(self, kind: type, message: str, lane: int) -> ExecutionError:
        """An error at the current instruction, for a lane."""
        one = self.kernel.instructions[min(self.here, len(self.kernel.instructions) - 1)]
        text = "{}, {}: {!r} (line {}) of kernel {}".format(
            message, self.grid.name(lane), one.text, one.line, self.kernel.name
        )
        found = kind(text)
        assert isinstance(found, ExecutionError)
        return found

    def _memory_fault(self, error: AccessError) -> ExecutionError:
        lanes = self.lanes()
        return self.fault(
            MemoryFault, str(error), error.lane if lanes is None else int(lanes[error.lane])
        )

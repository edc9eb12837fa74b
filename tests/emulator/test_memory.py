"""Faults are found where they happen, and their messages say who did what where."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from ptx_lanes import ADDRESS, HEAD, SHARED, launch

from mambaops.emulator import (
    LaunchError,
    Memory,
    MemoryFault,
    PtxError,
    StepLimit,
    SynchronisationError,
    run,
)


def test_out_of_bounds_names_kernel_instruction_thread_and_allocation() -> None:
    with pytest.raises(MemoryFault) as caught:
        launch(ADDRESS + "ld.global.u32 %r0, [%x0];", np.zeros(3, np.uint32))
    message = str(caught.value)
    assert (
        "out of bounds: 4 bytes at 0x7f000000000c end 4 bytes after the end of array 0" in message
    )
    assert "block (0, 0, 0) thread (3, 0, 0)" in message
    assert "'ld.global.u32 %r0, [%x0];' (line 14) of kernel k" in message


def test_before_an_allocation_is_out_of_bounds() -> None:
    with pytest.raises(MemoryFault, match="belongs to no allocation"):
        launch("st.global.u32 [%a0+-4], %t;", np.zeros(3, np.uint32))


def test_a_neighbour_is_not_reached() -> None:
    with pytest.raises(MemoryFault, match=r"bytes after the end of array 0"):
        launch("ld.global.u32 %r0, [%a0+512];", np.zeros(4, np.uint32), np.zeros(4000, np.uint32))


def test_lanes_in_different_allocations() -> None:
    first, second = np.arange(4, dtype=np.uint32), np.arange(10, 14, dtype=np.uint32)
    out = np.zeros(4, np.uint32)
    launch(
        "and.b32 %r1, %t, 1;\nsetp.eq.u32 %p0, %r1, 0;\nselp.u64 %x1, %a0, %a1, %p0;\n"
        "mad.wide.u32 %x1, %t, 4, %x1;\nld.global.u32 %r0, [%x1];\n"
        "mad.wide.u32 %x2, %t, 4, %a2;\nst.global.u32 [%x2], %r0;",
        first,
        second,
        out,
    )
    assert out.tolist() == [0, 11, 2, 13]


@pytest.mark.parametrize("width", ["v2", "v4"])
def test_a_vector_is_aligned_to_its_whole_size(width: str) -> None:
    registers = {"v2": "{%r0, %r1}", "v4": "{%r0, %r1, %r2, %r3}"}[width]
    with pytest.raises(MemoryFault, match="misaligned: 0x7f0000000004 is no multiple of"):
        launch(f"ld.global.{width}.u32 {registers}, [%a0+4];", np.zeros(99, np.uint32))


@pytest.mark.parametrize(
    "line",
    ["st.global.u32 [%a0+2], %t;", "ld.global.u16 %h, [%a0+1];", "ld.shared.u64 %x1, [room+4];"],
)
def test_single_numbers_are_aligned_to_their_size(line: str) -> None:
    with pytest.raises(MemoryFault, match="misaligned: "):
        launch(f".reg .b16 %h;\n{line}", np.zeros(9, np.uint32), before=SHARED)


def test_vectors_come_in_order() -> None:
    array = np.arange(16, dtype=np.uint32)
    launch(
        "mad.wide.u32 %x0, %t, 16, %a0;\nld.global.nc.v4.u32 {%r0, %r1, _, %r3}, [%x0];\n"
        "add.u32 %r1, %r1, 100;\nst.global.v4.b32 [%x0], {%r3, %r1, 7, %r0};",
        array,
    )
    assert array.reshape(4, 4).tolist() == [
        [4 * row + 3, 4 * row + 101, 7, 4 * row] for row in range(4)
    ]


def test_shared_memory_that_nobody_wrote() -> None:
    with pytest.raises(MemoryFault, match=r"uninitialised: nobody wrote byte 4 of shared memory"):
        launch(
            "shl.b32 %r1, %t, 2;\nmov.u32 %r2, room;\nadd.u32 %r1, %r1, %r2;\n"
            "setp.eq.u32 %p0, %t, 0;\n@%p0 st.shared.u32 [%r1], %t;\nbar.sync 0;\n"
            "ld.shared.u32 %r3, [%r1];",
            before=SHARED,
        )


def test_half_written_is_not_written() -> None:
    with pytest.raises(MemoryFault, match="nobody wrote byte 2"):
        launch("st.shared.u16 [room], %t;\nld.shared.u32 %r3, [room];", before=SHARED)


def test_the_end_of_shared_memory() -> None:
    extern = ".extern .shared .align 16 .b8 dyn[];"
    body = (
        "shl.b32 %r1, %t, 2;\nmov.u32 %r2, dyn;\nadd.u32 %r1, %r1, %r2;\nst.shared.u32 [%r1], %t;"
    )
    launch(body, before=extern, shared=16)
    with pytest.raises(
        MemoryFault, match=r"out of bounds: bytes 12…15 of shared memory, which has 12"
    ):
        launch(body, before=extern, shared=12)


def test_static_and_dynamic_shared_memory_lie_side_by_side() -> None:
    out = np.zeros(2, np.uint32)
    launch(
        "mov.u32 %r1, room;\nmov.u32 %r2, dyn;\nsub.u32 %r3, %r2, %r1;\nst.global.u32 [%a0], %r3;\n"
        "mov.u32 %r4, %dynamic_smem_size;\nst.global.u32 [%a0+4], %r4;",
        out,
        before=SHARED + "\n.extern .shared .align 16 .b8 dyn[];",
        shared=32,
    )
    assert out.tolist() == [64, 32]


def test_local_memory_belongs_to_its_thread() -> None:
    out = np.zeros(4, np.uint32)
    launch(
        ".local .align 8 .b8 depot[16];\nmov.u64 %x1, depot;\ncvta.local.u64 %x2, %x1;\n"
        "st.u32 [%x2+4], %t;\nld.local.u32 %r1, [%x1+4];\n" + ADDRESS + "st.global.u32 [%x0], %r1;",
        out,
    )
    assert out.tolist() == [0, 1, 2, 3]
    with pytest.raises(MemoryFault, match="nobody wrote byte 8 of local memory"):
        launch(".local .align 8 .b8 depot[16];\nld.local.u32 %r1, [depot+8];")


def test_memory_that_may_only_be_read_or_was_never_written() -> None:
    memory = Memory()
    fixed = memory.register(np.zeros(4, np.uint32), "fixed", writable=False)
    with pytest.raises(MemoryFault, match=r"fixed .* is only to be read"):
        launch("st.global.u32 [%a0], %t;", fixed, memory=memory)
    fresh = memory.register(np.zeros(4, np.uint32), "fresh", written=False)
    with pytest.raises(MemoryFault, match="nobody wrote byte 8 of fresh"):
        launch(
            "st.global.v2.u32 [%a0], {%t, 1};\nld.global.v4.u32 {%r0,%r1,%r2,%r3}, [%a0];",
            fresh,
            memory=memory,
        )
    assert memory.unwritten(fresh).tolist() == [False] * 8 + [True] * 8


def test_an_own_address_must_be_free_and_even() -> None:
    memory, array = Memory(), np.zeros(8, np.uint32)
    assert memory.register(array, address=0x1000) == 0x1000
    with pytest.raises(ValueError, match="is taken by"):
        memory.register(array, address=0x1010)
    with pytest.raises(ValueError, match="no multiple of 16"):
        memory.register(array, address=0x2008)
    with pytest.raises(ValueError, match="in one piece"):
        memory.register(np.zeros((4, 4))[:, 1])


def test_generic_addresses_find_their_space() -> None:
    out = np.zeros(4, np.uint32)
    launch(
        "mov.u64 %x1, room;\ncvta.shared.u64 %x1, %x1;\nmad.wide.u32 %x1, %t, 4, %x1;\n"
        "add.u32 %r1, %t, 40;\nst.u32 [%x1], %r1;\n" + ADDRESS + "setp.lt.u32 %p0, %t, 2;\n"
        "st.global.u32 [%x0], 9;\nselp.u64 %x2, %x0, %x1, %p0;\nld.u32 %r2, [%x2];\n"
        "isspacep.shared %p1, %x2;\nselp.u32 %r3, 100, 0, %p1;\nadd.u32 %r2, %r2, %r3;\n"
        "st.global.u32 [%x0], %r2;",
        out,
        before=SHARED,
    )
    assert out.tolist() == [9, 9, 142, 143]


def test_parameters_through_a_register() -> None:
    out = np.zeros(4, np.uint32)
    memory = Memory()
    params = struct.pack("<Qhhi", memory.register(out), 7, -3, 11)
    text = (
        HEAD
        + ".entry k(.param .align 8 .b8 all[16]) {\n.reg .b64 %x<5>; .reg .b32 %r<5>; .reg .b16 %h;\n"
        "mov.b64 %x1, all; ld.param.u64 %x2, [%x1]; ld.param.s16 %r1, [%x1+10];\n"
        "ld.param.u16 %h, [all+8]; cvt.u32.u16 %r2, %h; ld.param.u32 %r3, [all+12];\n"
        "st.global.v4.u32 [%x2], {%r1, %r2, %r3, 1}; ret; }"
    )
    run(text, "k", 1, 1, 0, params, memory)
    assert out.view(np.int32).tolist() == [-3, 7, 11, 1]


def test_variables_start_with_their_values() -> None:
    out = np.zeros(4, np.uint32)
    launch(
        "ld.global.u32 %r0, [table+4];\nld.const.f32 %f0, [half];\nmov.b32 %r1, %f0;\n"
        "ld.global.u64 %x1, [there];\nld.u32 %r2, [%x1];\nst.global.v4.u32 [%a0], {%r0, %r1, %r2, 0};",
        out,
        block=1,
        before=".global .align 4 .u32 table[4] = {5, -6};\n.const .align 4 .f32 half = 0.5;\n"
        ".global .align 8 .u64 there = generic(table);",
    )
    assert out.tolist() == [2**32 - 6, 0x3F000000, 5, 0]


def test_constants_are_only_to_be_read() -> None:
    with pytest.raises(MemoryFault, match=r"one .* is only to be read"):
        launch("mov.u64 %x1, one;\nst.u32 [%x1], 1;", before=".const .align 4 .u32 one = 1;")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block": 2000}, "2000 threads in a block; the kernel allows 1024"),
        ({"block": (1, 0, 1)}, r"block \(1, 0, 1\) is not possible"),
        ({"grid": (1, 70000)}, "more than 65535"),
        ({"shared": 49153}, "49153 bytes of shared memory; allowed are 49152"),
    ],
)
def test_launches_that_a_driver_refuses(change: dict[str, Any], message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        launch("", **change)


def test_more_shared_memory_when_it_was_asked_for() -> None:
    assert launch("", shared=60000, shared_limit=60000)


def test_parameters_of_another_size() -> None:
    with pytest.raises(LaunchError, match="3 bytes of parameters; the kernel takes 0"):
        run(HEAD + ".entry k() { ret; }", "k", 1, 1, 0, b"abc", Memory())


def test_a_kernel_that_is_not_there() -> None:
    with pytest.raises(LaunchError, match="no kernel 'other' in this PTX; it has: k"):
        run(HEAD + ".entry k() { ret; }", "other", 1, 1, 0, b"", Memory())


def test_more_threads_than_the_kernel_was_compiled_for() -> None:
    with pytest.raises(LaunchError, match="64 threads in a block; the kernel allows 32"):
        run(HEAD + ".entry k() .maxntid 32, 1, 1 { ret; }", "k", 1, 64, 0, b"", Memory())


def test_a_loop_without_an_end() -> None:
    with pytest.raises(StepLimit, match="more than 1000 instructions"):
        launch("again:\nadd.u32 %r0, %r0, 1;\nbra again;", step_limit=1000)


def test_no_ret() -> None:
    with pytest.raises(PtxError, match="kernel k runs past its end"):
        run(HEAD + ".entry k() { .reg .b32 %r; mov.u32 %r, 1; }", "k", 1, 1, 0, b"", Memory())


def test_a_barrier_after_some_have_left() -> None:
    with pytest.raises(
        SynchronisationError,
        match=r"1 threads of its block never reach: block \(0, 0, 0\) thread \(3, 0, 0\) came to its end",
    ):
        launch("setp.eq.u32 %p0, %t, 3;\n@%p0 ret;\nbar.sync 0;")


def test_threads_of_one_warp_at_two_barriers() -> None:
    with pytest.raises(SynchronisationError, match="at different bar instructions"):
        launch(
            "setp.eq.u32 %p0, %t, 3;\n@%p0 bra other;\nbar.sync 0;\nbra end;\nother:\nbar.sync 0;\nend:"
        )


def test_different_barriers() -> None:
    with pytest.raises(SynchronisationError, match="wait at different barriers"):
        launch(
            "setp.lt.u32 %p0, %t, 32;\n@%p0 bra other;\nbar.sync 0;\nbra end;\nother:\nbar.sync 1;\nend:",
            block=64,
        )

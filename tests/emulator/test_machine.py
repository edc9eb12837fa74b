"""Threads that part and meet, lanes that exchange, blocks side by side, and what is not supported."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from ptx_lanes import ADDRESS, HEAD, SHARED, launch

from mambaops.core.paths import PACKAGE
from mambaops.emulator import ExecutionError, Memory, PtxError, SynchronisationError, parse, run

STORE = ADDRESS + "st.global.u32 [%x0], %r0;"


def words(body: str, block: int = 4, **more: Any) -> list[int]:
    """What each thread leaves in %r0."""
    out = np.zeros(block, np.uint32)
    launch(body + "\n" + STORE, out, block=block, **more)
    return [int(one) for one in out]


def test_threads_part_and_meet_again() -> None:
    body = """
    mov.u32 %r0, 0;
    setp.lt.u32 %p0, %t, 2;
    @%p0 bra small;
    add.u32 %r0, %t, 100;
    bra.uni both;
small:
    add.u32 %r0, %t, 10;
both:
    add.u32 %r0, %r0, 1000;
    activemask.b32 %r1;
    add.u32 %r0, %r0, %r1;"""
    assert words(body) == [1025, 1026, 1117, 1118]


def test_loops_of_different_length() -> None:
    body = """
    mov.u32 %r0, 0;
    mov.u32 %r1, 0;
again:
    setp.ge.u32 %p0, %r1, %t;
    @%p0 bra done;
    add.u32 %r1, %r1, 1;
    mad.lo.u32 %r0, %r1, %r1, %r0;
    bra again;
done:"""
    assert words(body, 6) == [0, 1, 5, 14, 30, 55]


def test_a_guard_holds_back_single_instructions() -> None:
    body = (
        "mov.u32 %r0, 5;\nsetp.eq.u32 %p0, %t, 1;\n@%p0 mov.u32 %r0, 6;\n@!%p0 add.u32 %r0, %r0, 2;"
    )
    assert words(body) == [7, 6, 7, 7]


def test_some_leave_early() -> None:
    out = np.zeros(4, np.uint32)
    launch("setp.gt.u32 %p0, %t, 1;\n@%p0 ret;\nadd.u32 %r0, %t, 1;\n" + STORE, out)
    assert out.tolist() == [1, 2, 0, 0]


def test_blocks_side_by_side_have_their_own_shared_memory() -> None:
    """Each block turns its words around; more blocks than fit into one batch."""
    out = np.arange(300 * 16, dtype=np.uint32)
    body = """
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %nctaid.x;
    mov.u32 %r3, %ctaid.y;
    mad.lo.u32 %r1, %r3, %r2, %r1;
    mov.u32 %r4, %ntid.x;
    mad.lo.u32 %r1, %r1, %r4, %t;
    mad.wide.u32 %x0, %r1, 4, %a0;
    ld.global.u32 %r0, [%x0];
    mov.u32 %r5, room;
    mad.lo.u32 %r6, %t, 4, %r5;
    st.shared.u32 [%r6], %r0;
    bar.sync 0;
    sub.u32 %r7, 15, %t;
    mad.lo.u32 %r6, %r7, 4, %r5;
    ld.shared.u32 %r0, [%r6];
    st.global.u32 [%x0], %r0;"""
    launch(body, out, grid=(3, 100), block=16, before=SHARED)
    assert np.array_equal(out.reshape(300, 16), np.arange(4800).reshape(300, 16)[:, ::-1])


def test_a_barrier_within_divergence_of_whole_warps() -> None:
    """Two warps come to one barrier by two instructions; what was written before is seen after."""
    body = """
    mov.u32 %r1, room;
    shr.u32 %r2, %t, 5;
    mad.lo.u32 %r3, %r2, 4, %r1;
    setp.eq.u32 %p0, %r2, 0;
    @%p0 bra first;
    st.shared.u32 [%r3], 7;
    barrier.sync.aligned 0;
    bra.uni after;
first:
    st.shared.u32 [%r3], 5;
    bar.cta.sync 0;
after:
    ld.shared.v2.u32 {%r4, %r5}, [room];
    mad.lo.u32 %r0, %r4, 10, %r5;"""
    assert words(body, 64, before=SHARED) == [57] * 64


@pytest.mark.parametrize(
    ("mode", "b", "c", "wanted"),
    [
        ("up", 1, 0, [0, *range(31)]),
        ("up", 2, 0x1C00, [0, 1, 0, 1, 4, 5, 4, 5]),
        ("down", 1, 0x1F, [*range(1, 32), 31]),
        ("down", 1, 0x181F & ~0x1F | 7, [1, 2, 3, 4, 5, 6, 7, 7, 9]),
        ("down", 1, 0x181F, [1, 2, 3, 4, 5, 6, 7, 7, 9]),
        ("down", 4, 5, [4, 5, 2, 3, 4, 5, 6, 7]),
        ("bfly", 1, 0x1F, [1, 0, 3, 2]),
        ("bfly", 16, 0x0F, [0, 1, 2, 3]),
        ("idx", 3, 0x1F, [3] * 32),
        ("idx", 9, 0x181F, [1] * 8 + [9] * 8),
        ("idx", 20, 5, [*range(32)]),
        ("idx", 33, 0x1F, [1] * 32),
    ],
)
def test_shuffle(mode: str, b: int, c: int, wanted: list[int]) -> None:
    body = f"shfl.sync.{mode}.b32 %r0, %t, {b}, {c}, -1;"
    assert words(body, 32)[: len(wanted)] == wanted


def test_shuffle_tells_whether_the_lane_was_in_range() -> None:
    body = "shfl.sync.up.b32 %r1|%p0, %t, 4, 0, 0xffffffff;\nselp.u32 %r0, 1, 0, %p0;"
    assert words(body, 32) == [0] * 4 + [1] * 28


def test_an_inclusive_sum_as_cub_writes_it() -> None:
    """A block within a block, with registers of its own, on one line."""
    step = (
        "{{ .reg .u32 r0; .reg .pred p; shfl.sync.up.b32 r0|p, %r0, {}, 0, -1;"
        " @p add.u32 r0, r0, %r0; mov.u32 %r0, r0; }}"
    )
    fixed = step.replace("mov.u32 %r0, r0;", "@p mov.u32 %r0, r0;")
    body = "add.u32 %r0, %t, 1;\n" + "\n".join(fixed.format(2**power) for power in range(5))
    assert words(body, 32) == [n * (n + 1) // 2 for n in range(1, 33)]


@pytest.mark.parametrize(
    ("vote", "wanted"),
    [
        ("all.pred %p1", [0] * 4),
        ("any.pred %p1", [1] * 4),
        ("uni.pred %p1", [0] * 4),
    ],
)
def test_vote(vote: str, wanted: list[int]) -> None:
    body = f"setp.lt.u32 %p0, %t, 3;\nvote.sync.{vote}, %p0, 15;\nselp.u32 %r0, 1, 0, %p1;"
    assert words(body) == wanted


def test_ballot_of_those_that_run() -> None:
    body = """
    mov.u32 %r0, 0;
    and.b32 %r1, %t, 1;
    setp.eq.u32 %p0, %r1, 0;
    @%p0 bra even;
    bra.uni end;
even:
    setp.lt.u32 %p1, %t, 3;
    vote.sync.ballot.b32 %r0, !%p1, 0x55;
end:"""
    assert words(body, 8) == [0x50, 0, 0x50, 0, 0x50, 0, 0x50, 0]


def test_a_member_mask_that_names_lanes_elsewhere() -> None:
    body = "setp.eq.u32 %p0, %t, 2;\n@%p0 bra end;\nshfl.sync.idx.b32 %r0, %t, 0, 31, 15;\nend:"
    with pytest.raises(
        SynchronisationError, match=r"names lanes that are elsewhere \(0x00000004\)"
    ):
        words(body)


def test_a_lane_outside_of_its_own_mask() -> None:
    with pytest.raises(SynchronisationError, match="is not in its own member mask"):
        words("bar.warp.sync 7;")


def test_reading_from_a_lane_that_is_not_there() -> None:
    with pytest.raises(SynchronisationError, match="a lane that does not take part"):
        words("shfl.sync.down.b32 %r0, %t, 1, 31, -1;")


@pytest.mark.parametrize(
    ("operation", "start", "wanted"),
    [
        ("add.u32 [%a0], 3", 5, 17),
        ("min.s32 [%a0], -3", 5, 2**32 - 3),
        ("max.u32 [%a0], %t", 1, 3),
        ("and.b32 [%a0], 12", 7, 4),
        ("or.b32 [%a0], %t", 8, 11),
        ("xor.b32 [%a0], 1", 1, 1),
        ("inc.u32 [%a0], 2", 0, 1),
        ("dec.u32 [%a0], 2", 1, 0),
        ("add.f32 [%a0], 0f3F000000", 0x3F800000, 0x40400000),
        ("add.f32 [%a0], 0f00000001", 0, 0),
        ("add.noftz.f16x2 [%a0], 0x3c004000", 0x3C003C00, 0x45004880),
        ("add.noftz.bf16x2 [%a0], 0x3f803f80", 0x3F800000, 0x40A04080),
    ],
)
def test_atomics(operation: str, start: int, wanted: int) -> None:
    out = np.array([start], np.uint32)
    launch(f"red.global.{operation};", out)
    assert hex(out[0]) == hex(wanted)
    out[0] = start
    launch(f"atom.global.relaxed.gpu.{operation.replace('[', '%r0, [', 1)};", out)
    assert hex(out[0]) == hex(wanted)


def test_an_atomic_gives_what_was_there() -> None:
    out = np.zeros(9, np.uint32)
    launch("add.u64 %a1, %a0, 32;\natom.global.add.u32 %r0, [%a1], 10;\n" + STORE, out)
    assert out.tolist()[:4] == [0, 10, 20, 30]
    assert out[8] == 40


def test_compare_and_swap_and_exchange() -> None:
    out = np.array([2, 0, 0, 0, 0], np.uint32)
    launch(
        "atom.global.cas.b32 %r0, [%a0], %t, 50;\nadd.u64 %x1, %a0, 4;\nmad.wide.u32 %x0, %t, 4, %x1;\nst.global.u32 [%x0], %r0;",
        out,
    )
    assert out.tolist() == [50, 2, 2, 2, 50]
    body = "st.shared.u32 [room], 8;\nbar.sync 0;\natom.shared.exch.b32 %r0, [room], %t;"
    assert words(body, before=SHARED) == [8, 0, 1, 2]


def test_shared_addition_keeps_subnormals() -> None:
    body = "st.shared.u32 [room], 0;\nbar.sync 0;\nred.shared.add.f32 [room], 0f00000001;\nbar.sync 0;\nld.shared.u32 %r0, [room];"
    assert words(body, before=SHARED) == [4] * 4


def test_a_block_in_three_directions() -> None:
    out = np.zeros(24, np.uint32)
    body = """
    mov.u32 %r1, %tid.y;
    mov.u32 %r2, %tid.z;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %ntid.y;
    mad.lo.u32 %r5, %r2, %r4, %r1;
    mad.lo.u32 %r6, %r5, %r3, %t;
    mad.lo.u32 %r0, %r1, 10, %t;
    mad.lo.u32 %r0, %r2, 100, %r0;
    mad.wide.u32 %x0, %r6, 4, %a0;
    st.global.u32 [%x0], %r0;"""
    launch(body, out, block=(2, 3, 4))
    assert out.tolist() == [
        z * 100 + y * 10 + x for z in range(4) for y in range(3) for x in range(2)
    ]


def test_trap() -> None:
    with pytest.raises(ExecutionError, match=r"trap, block \(0, 0, 0\) thread \(2, 0, 0\)"):
        launch("setp.lt.u32 %p0, %t, 2;\n@%p0 ret;\ntrap;")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "wmma.load.a.sync.aligned.m16n16k16.f16 {%r0}, [%a0];",
            "instruction 'wmma' is not supported",
        ),
        ("call foo, ();", "is no|not supported|expected"),
        ("add.foo.s32 %r0, %t, 1;", "modifier '.foo' is not supported"),
        ("add.rz.f64 %x1, %x2, %x3;", "rounding .rz of f64 is not supported"),
        ("ld.global.v8.u32 {%r0,%r1}, [%a0];", "modifier '.v8' is not supported"),
        ("ld.shared::cluster.u32 %r0, [%a0];", "modifier '.shared::cluster' is not supported"),
        ("cvt.s32.f32 %r0, %f0;", "needs .rni, .rzi, .rmi or .rpi"),
        ("cvt.f16.f32 %r0, %f0;", "needs .rn, .rz, .rm or .rp"),
        ("cvt.rn.f64.f32 %x0, %f0;", "rounding .rn is not for this conversion"),
        ("mul.wide.u64 %x0, %x1, %x2;", "does not exist"),
        ("add.s32 %r0, %x1, 1;", "%x1 has 64 bits, not 32"),
        ("add.s32 %r0, %t, 1, 2;", "4 operands"),
        ("mov.u32 %r0, %clock;", "no register '%clock' is declared"),
        ("mov.u32 %r0, nowhere;", "'nowhere' is declared nowhere"),
        ("bra nowhere;", "no label 'nowhere'"),
        ("setp.lt.b32 %p0, %t, 1;", "comparison .lt of b32 does not exist"),
        ("bar.red.popc.u32 %r0, 0, %p0;", "needs one of .sync"),
        ("bar.sync 0, 32;", "for a part of the block"),
        ("st.param.u32 [p0], 1;", "only to be read"),
        ("shfl.up.b32 %r0, %t, 1, 0;", "needs one of .sync"),
        ("mov.u32 %r0, 1 ?;", "no token begins with '\\?;'"),
        (".reg .f128 %q;", "no registers of type '.f128'"),
        (".noreturn;", "'.noreturn' is no instruction"),
        ("sqrt.rz.f64 %x0, %x1;", "only sqrt.rn.f64 is supported"),
    ],
)
def test_what_is_not_supported_is_an_error_that_names_it(line: str, message: str) -> None:
    with pytest.raises(PtxError, match=message) as caught:
        launch(line, np.zeros(4, np.uint32))
    assert "line " in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".address_size 32", "only .address_size 64"),
        (".func foo() { ret; }", "'.func' is not supported"),
        (".alias a, b;", "'.alias' is not supported"),
        (".entry k() .noreturn { ret; }", "'.noreturn' is not supported on a kernel"),
        (".global .surfref s;", "'.surfref' is not supported in a declaration"),
        (".global .u32 a = 1", "expected ';'"),
        (".global .u32 a[1] = {1, 2};", "a has 2 initial values for 1"),
        (".entry k() { ret;", "ends in the middle"),
        (".entry k() { mov.u32 }", "is no operand|expected"),
    ],
)
def test_text_that_is_not_understood(text: str, message: str) -> None:
    with pytest.raises(PtxError, match=message):
        parse(HEAD + text)


def test_what_a_module_holds() -> None:
    module = parse(
        HEAD
        + "// a comment ; {\n.visible .entry first(.param .u64 .ptr .global .align 8 p, .param .f32 q)\n"
        '.maxntid 64, 1, 1\n.minnctapersm 2\n{ .reg .pred %p<3>; .pragma "nounroll"; /* ; */ ret; }\n'
        '.file 1 "a.cu"\n.weak .entry second() .reqntid 32 {\n .loc 1 2 3\n exit; }\n'
        ".visible .global .align 8 .f64 g[2] = {0d3FF0000000000000, 2.0};"
    )
    assert module.version == (8, 0)
    assert module.target == ("sm_90",)
    assert {
        name: [one.name for one in kernel.params] for name, kernel in module.kernels.items()
    } == {
        "first": ["p", "q"],
        "second": [],
    }
    assert module.kernels["first"].max_threads == (64, 1, 1)
    assert module.kernels["second"].required_threads == (32, 1, 1)
    assert module.variables["g"].size == 16


def test_it_runs_by_path_in_another_interpreter() -> None:
    """Without mambaops installed: the folder alone, as the target environment's Python loads it."""
    program = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('emulator', sys.argv[1] + '/__init__.py',\n"
        "    submodule_search_locations=[sys.argv[1]])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['emulator'] = module\n"
        "spec.loader.exec_module(module)\n"
        "text = '.version 8.0\\n.target sm_90\\n.entry k() { ret; }'\n"
        "print(module.run(text, 'k', 1, 32, 0, b'', module.Memory()))\n"
        "print([name for name in sys.modules if name.startswith('mambaops')])\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", program, str(PACKAGE / "emulator")],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=True,
    )
    assert made.stdout.split("\n")[0] == "1"
    assert "mambaops.emulator" not in made.stdout


def test_a_kernel_of_arithmetic_that_numpy_checks() -> None:
    """Thousands of random patterns through add, mul and fma, with every special number among them."""
    rng = np.random.default_rng(1)
    special = np.array(
        [0, 0x80000000, 1, 0x007FFFFF, 0x00800000, 0x7F800000, 0xFF800000, 0x7FC00000]
    )
    patterns = rng.integers(0, 2**32, (3, 1024), dtype=np.uint32)
    patterns[:, :8], patterns[1, 8:16], patterns[2, 16:24] = special, special, special
    a, b, c = (np.ascontiguousarray(row).view(np.float32) for row in patterns)
    out = np.zeros((2, 1024), np.float32)
    body = "mov.u32 %r1, %ctaid.x;\nmad.lo.u32 %r0, %r1, 256, %t;\n" + "".join(
        f"mad.wide.u32 %x{n}, %r0, 4, %a{n};\n" for n in range(4)
    )
    body += "ld.global.f32 %f0, [%x1];\nld.global.f32 %f1, [%x2];\nld.global.f32 %f2, [%x3];\n"
    body += "mul.f32 %f3, %f0, %f1;\nst.global.f32 [%x0], %f3;\nadd.f32 %f3, %f0, %f2;\nst.global.f32 [%x0+4096], %f3;"
    launch(body, out, a, b, c, block=256, grid=4)
    with np.errstate(all="ignore"):
        assert np.array_equal(out[0], a * b, equal_nan=True)
        assert np.array_equal(out[1], a + c, equal_nan=True)


def test_one_rounding_of_a_product_and_a_sum_is_exact() -> None:
    """Against fractions, on operands whose sum lies close to the middle of two float32."""
    from fractions import Fraction

    rng = np.random.default_rng(2)
    a = (1 + rng.integers(0, 2**23, 512) * 2.0**-23).astype(np.float32)
    b = (1 + rng.integers(0, 2**12, 512) * 2.0**-23).astype(np.float32)
    c = (rng.choice([-1, 1], 512) * 2.0 ** rng.integers(-60, 30, 512)).astype(np.float32)
    out = np.zeros(512, np.float32)
    body = "".join(f"mad.wide.u32 %x{n}, %t, 4, %a{n};\n" for n in range(4))
    body += "ld.global.f32 %f0, [%x1];\nld.global.f32 %f1, [%x2];\nld.global.f32 %f2, [%x3];\n"
    launch(
        body + "fma.rn.f32 %f3, %f0, %f1, %f2;\nst.global.f32 [%x0], %f3;", out, a, b, c, block=512
    )
    for found, x, y, z in zip(out, a, b, c, strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        near = [np.nextafter(found, np.float32(way)) for way in (-np.inf, np.inf)]
        error = abs(Fraction(float(found)) - exact)
        assert all(error <= abs(Fraction(float(one)) - exact) for one in near)


def test_memory_is_the_callers_own() -> None:
    """A kernel writes into the array that was registered, under an address of the caller's choice."""
    memory, out = Memory(), np.zeros(4, np.uint32)
    address = memory.register(out, address=out.ctypes.data // 16 * 16)
    launch(ADDRESS + "st.global.u32 [%x0], 8;", address, memory=memory)
    assert out.tolist() == [8, 8, 8, 8]
    memory.release(address)
    with pytest.raises(ExecutionError, match="belongs to no allocation"):
        launch(ADDRESS + "st.global.u32 [%x0], 8;", address, memory=memory)


def test_a_module_is_read_once() -> None:
    text = HEAD + ".entry k() { ret; }"
    assert run(text, "k", 1, 64, 0, b"", Memory()) == 1
    assert run(text, "k", 100, 64, 0, b"", Memory()) == 7  # batches of 1024 threads

"""Small PTX kernels: one instruction for a few threads, and a body with arrays for its parameters."""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np

from mambaops.emulator import Memory, run

HEAD = ".version 8.0\n.target sm_90\n.address_size 64\n"
# the address of the thread's own word of the first array
ADDRESS = "mad.wide.u32 %x0, %t, 4, %a0;\n"
SHARED = ".shared .align 16 .b8 room[64];"
_NUMBERS = {"f16": np.float16, "f32": np.float32, "f64": np.float64}


def bits_of(kind: str) -> int:
    """Bits of a type's register in memory; a predicate is kept as 32."""
    if kind == "pred":
        return 32
    return 32 if kind.endswith("x2") else int(re.sub(r"\D", "", kind))


def pattern(text: str, kind: str) -> int:
    """A value as the bits of a type: `1.5`, `-inf`, `0x7f800001`, `-3`, `true`, `1.0|-2` for the two halves (high first)."""
    if kind.endswith("x2") and "|" in text:
        high, low = (pattern(half, kind[:-2]) for half in text.split("|"))
        return high << 16 | low
    if text in ("true", "false"):
        return int(text == "true")
    if text.startswith("0x"):
        return int(text, 16)
    if kind == "bf16":
        return pattern(text, "f32") >> 16
    if kind in _NUMBERS:
        value = float.fromhex(text) if "0x" in text else float(text)
        return int.from_bytes(_NUMBERS[kind](value).tobytes(), "little")
    return int(text) & (2 ** bits_of(kind) - 1)


def execute(
    instruction: str, types: list[str], sources: list[list[int]], before: str = ""
) -> list[int]:
    """Runs an instruction, a thread per row of patterns.

    Args:
        instruction: with {d} for the result and {a}, {b}, {c}, {e} for the sources.
        types: of the result and of each source.
        sources: a list per thread, with the pattern of each source.
        before: more instructions in front of it.

    Returns:
        The pattern of the result in each thread.
    """
    memory, count = Memory(), len(sources)
    held = [np.zeros(count, f"u{bits_of(kind) // 8}") for kind in types]
    for place, array in enumerate(held[1:]):
        array[:] = [row[place] for row in sources]
    pointers = [memory.register(array) for array in held]
    text = HEAD + _kernel(instruction, types, before)
    run(text, "k", 1, count, 0, struct.pack(f"<{len(pointers)}Q", *pointers), memory)
    return [int(one) for one in held[0]]


def _kernel(instruction: str, types: list[str], before: str) -> str:
    names = ["d", "a", "b", "c", "e"][: len(types)]
    lines = [".reg .b64 %at<9>;", ".reg .b32 %thread, %word<9>;", "mov.u32 %thread, %tid.x;"]
    for place, (name, kind) in enumerate(zip(names, types, strict=True)):
        lines.append(_declared(name, kind))
        lines += [
            f"ld.param.u64 %at{place}, [p{place}];",
            f"mad.wide.u32 %at{place}, %thread, {bits_of(kind) // 8}, %at{place};",
        ]
        if name != "d":
            lines += _loaded(name, kind, place)
    lines += [before, instruction.format(**{name: f"%{name}" for name in names}) + ";"]
    lines += _stored(types[0])
    params = ", ".join(f".param .u64 p{place}" for place in range(len(types)))
    return f".visible .entry k({params}) {{\n" + "\n".join(lines) + "\nret;\n}\n"


def _declared(name: str, kind: str) -> str:
    return f".reg .{'pred' if kind == 'pred' else f'b{max(bits_of(kind), 16)}'} %{name};"


def _loaded(name: str, kind: str, place: int) -> list[str]:
    if kind == "pred":
        return [
            f"ld.global.u32 %word{place}, [%at{place}];",
            f"setp.ne.u32 %{name}, %word{place}, 0;",
        ]
    sign = "s" if kind == "s8" else "u"
    return [f"ld.global.{sign}{bits_of(kind)} %{name}, [%at{place}];"]


def _stored(kind: str) -> list[str]:
    if kind == "pred":
        return ["selp.u32 %word0, 1, 0, %d;", "st.global.u32 [%at0], %word0;"]
    return [f"st.global.b{bits_of(kind)} [%at0], %d;"]


def is_nan(bits: int, kind: str) -> bool:
    """Whether a pattern is not a number, of a type that has such."""
    if kind == "bf16":
        return bits & 0x7FFF > 0x7F80
    if kind not in _NUMBERS:
        return False
    value: Any = np.frombuffer(bits.to_bytes(bits_of(kind) // 8, "little"), _NUMBERS[kind])[0]
    return bool(np.isnan(value))


def launch(
    body: str,
    *arrays: Any,
    block: Any = 4,
    grid: Any = 1,
    shared: int = 0,
    before: str = "",
    memory: Memory | None = None,
    **more: Any,
) -> int:
    """Runs a kernel whose 64-bit parameters p0, p1, … point to the arrays; %t is the thread."""
    memory = memory or Memory()
    pointers = [
        memory.register(one, f"array {place}") if not isinstance(one, int) else one
        for place, one in enumerate(arrays)
    ]
    params = ", ".join(f".param .u64 p{place}" for place in range(len(arrays)))
    loads = "".join(f"ld.param.u64 %a{place}, [p{place}];\n" for place in range(len(arrays)))
    text = (
        f"{HEAD}{before}\n.visible .entry k({params})\n{{\n.reg .b64 %a<9>, %x<9>;\n"
        ".reg .b32 %t, %r<9>;\n.reg .f32 %f<9>;\n.reg .pred %p<9>;\nmov.u32 %t, %tid.x;\n"
        f"{loads}{body}\nret;\n}}\n"
    )
    raw = struct.pack(f"<{len(pointers)}Q", *pointers)
    return run(text, "k", grid, block, shared, raw, memory, **more)

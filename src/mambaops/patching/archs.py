"""GPU architectures as people write them (`8.0;9.0+PTX`), and the nvcc flags that ask for exactly them.

The grammar is that of `TORCH_CUDA_ARCH_LIST`: numbers with an optional `a` or `f`, an optional `+PTX`,
separated by semicolons, commas or spaces, or the family names that torch knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mambaops.core.errors import UsageError
from mambaops.knowledge.cuda import targets, variant_since
from mambaops.knowledge.gpus import capability_of
from mambaops.knowledge.packages import Architectures

# what any toolkit of the table compiles for
KNOWN = frozenset(targets())
# What torch.utils.cpp_extension makes of the family names.
FAMILIES = {
    "maxwell": "5.0;5.2+PTX",
    "pascal": "6.0;6.1+PTX",
    "volta": "7.0+PTX",
    "turing": "7.5+PTX",
    "ampere": "8.0;8.6+PTX",
    "ada": "8.9+PTX",
    "hopper": "9.0+PTX",
    "blackwell": "10.0;10.3;12.0;12.1+PTX",
}
# e.g. "8.0", "9.0a", "12.0f+PTX"
_ARCH = re.compile(r"(?P<major>\d+)\.(?P<minor>\d)(?P<kind>[af]?)(?P<ptx>\+PTX)?", re.IGNORECASE)
_EXAMPLE = 'write for example "9.0" or "8.0;9.0+PTX"'


def parse_archs(text: str) -> tuple[str, ...]:
    """`"8.0;9.0+PTX"` -> `("8.0", "9.0+PTX")`: checked, without repeats, in ascending order.

    Raises:
        UsageError: anything that is no list of compute capabilities, with the offending word.
    """
    words = _words(text)
    merged: dict[str, bool] = {}
    for word in words:
        for item in FAMILIES.get(word.lower(), word).split(";"):
            base, ptx = _parse_one(item, text)
            merged[base] = merged.get(base, False) or ptx
    return tuple(base + ("+PTX" if merged[base] else "") for base in sorted(merged, key=_order))


def _words(text: str) -> list[str]:
    pieces = [piece.split() for piece in re.split(r"[;,]", text)]
    if not text.strip():
        raise UsageError("no GPU architecture given", hint=_EXAMPLE)
    if not all(pieces):
        raise UsageError(f"an empty entry in the architecture list {text!r}", hint=_EXAMPLE)
    return [word for piece in pieces for word in piece]


def _parse_one(word: str, whole: str) -> tuple[str, bool]:
    found = _ARCH.fullmatch(word)
    if not found:
        raise UsageError(f"{word!r} in {whole!r} is no compute capability", hint=_hint(word))
    number = f"{int(found['major'])}.{found['minor']}"
    if number not in KNOWN:
        raise UsageError(
            f"no CUDA toolkit compiles for {number} (in {whole!r})",
            hint="there are: " + ", ".join(sorted(KNOWN, key=_order)),
        )
    kind = found["kind"].lower()
    if kind and variant_since(number + kind) is None:
        raise UsageError(
            f"there is no architecture {number}{kind} (in {whole!r})",
            hint="`a` exists from 9.0 on, `f` from 10.0 on",
        )
    return number + kind, bool(found["ptx"])


def _hint(word: str) -> str:
    meant = _meant(word)
    if meant:
        return f'write it as a compute capability: "{meant}"'
    if word.lower() in {"native", "all", "auto", "common"}:
        return "name the architectures; `mambaops facts` shows this machine's GPUs"
    return _EXAMPLE


def _meant(word: str) -> str:
    """The architecture that a person will have meant by `12`, `sm_90`, `120f` or `h100`; "" where nobody knows."""
    number = re.fullmatch(r"(?:sm_?|compute_?)?(\d+)([af]?)(\+PTX)?", word, re.IGNORECASE)
    if number is None:
        return "" if word.isdigit() else capability_of(word) or ""
    digits, rest = number[1], number[2].lower() + (number[3] or "").upper()
    # "12" is 12.0 and not 1.2: the reading that a toolkit compiles for
    readings = [f"{digits[:-1]}.{digits[-1]}", f"{digits}.0"]
    return next((one + rest for one in readings if one in KNOWN), "")


def _order(arch: str) -> tuple[int, int, str]:
    major, _, rest = arch.removesuffix("+PTX").partition(".")
    return int(major), int(rest[0]), rest[1:]


def digits(arch: str) -> str:
    """`"9.0a+PTX"` -> `"90a"`, as nvcc writes it."""
    return arch.removesuffix("+PTX").replace(".", "")


def lowest(archs: Sequence[str]) -> tuple[int, int]:
    """The lowest of the architectures as `(major, minor)`."""
    major, minor, _ = min(_order(arch) for arch in archs)
    return major, minor


def variables(told: Architectures, archs: Sequence[str]) -> dict[str, str]:
    """The variables that tell a setup.py its architectures; none where its flags are rewritten.

    Raises:
        UsageError: PTX, and the package's own variable has no word for it.
    """
    if told.route == "flags" or not archs:
        return {}
    if told.route == "environment":
        return {"TORCH_CUDA_ARCH_LIST": ";".join(archs)}
    if ptx := [arch for arch in archs if arch.endswith("+PTX")]:
        raise UsageError(
            f"`{ptx[0]}`: {told.variable} cannot ask for PTX", hint="name the architectures alone"
        )
    words = [told.form.format(major=digits(one)[:-1], minor=digits(one)[-1]) for one in archs]
    return {told.variable: told.separator.join(words)}


def nvcc_flags(archs: Sequence[str], *, one_ptx: bool = False) -> list[str]:
    """The flags that make nvcc compile exactly these architectures.

    Args:
        archs: as `parse_archs` returns them.
        one_ptx: compile the source once, for the lowest architecture, and make all machine codes from
            that PTX: much faster for many architectures, slightly slower code on the newer ones.

    Raises:
        UsageError: `one_ptx` with an architecture that cannot come from a lower one's PTX, or with PTX
            asked for another than the lowest.
    """
    if one_ptx and len(archs) > 1:
        return _from_one_ptx(archs)
    flags: list[str] = []
    for arch in archs:
        name = digits(arch)
        flags += ["-gencode", f"arch=compute_{name},code=sm_{name}"]
        if arch.endswith("+PTX"):
            flags += ["-gencode", f"arch=compute_{name},code=compute_{name}"]
    return flags


def _from_one_ptx(archs: Sequence[str]) -> list[str]:
    first, *others = sorted(archs, key=_order)
    specific = [arch for arch in archs if digits(arch)[-1] in "af"]
    if specific:
        raise UsageError(f"{specific[0]} runs only code compiled for itself: it cannot share PTX")
    if any(arch.endswith("+PTX") for arch in others):
        raise UsageError(
            "with one PTX for all, only the lowest architecture's PTX is there to embed",
            hint=f'write "+PTX" behind {first.removesuffix("+PTX")}, or compile each by itself',
        )
    codes = [f"sm_{digits(arch)}" for arch in (first, *others)]
    if first.endswith("+PTX"):
        codes.append(f"compute_{digits(first)}")
    return ["-gencode", f"arch=compute_{digits(first)},code=[{','.join(codes)}]"]

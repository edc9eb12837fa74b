"""A codemod of upstream's kernel files: the host's launchers and the explicit instantiations are cut, nothing else.

NVRTC compiles device code only, and ``kernel<<<…>>>`` does not parse there. What is kept is kept to the byte. A file
that is not built as expected is refused: nothing is guessed. `tests/runtime` runs it over every release with sources.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from mambaops.runtime.tokens import Item, UnknownShape, items, tokens

# what our headers, libcu++, CUB and the CUDA headers give; "hip…" stands under USE_ROCM only
_INCLUDES = re.compile(
    r"c10/util/(BFloat16|Half|complex)\.h|c10/cuda/CUDAException\.h|ATen/cuda/Atomic\.cuh"
    r"|cub/[\w/]+\.cuh|cuda/std/\w+|cuda_(bf16|fp16)\.h|hip(cub)?/[\w.]+"
)
_HOST_ONLY = ("<<<", "cudaStream_t", "dim3", "cerr")


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """A file after the cut.

    Attributes:
        text: what is left; every cut item is one comment line.
        removed: the heads of what was cut, in order.
        launchers: digest of the cut launchers' code, comments and spaces aside ("" where there are none): the
            launch rules are known for it or not.
        instances: the instantiated functions, ``("selective_scan_fwd_cuda<float, float>", …)``.
    """

    text: str
    removed: tuple[str, ...]
    launchers: str
    instances: tuple[str, ...]


def cut(text: str, local: tuple[str, ...]) -> Cut:
    """Cut one `.cu`, `.cuh` or `.h` file.

    Args:
        local: the names of the files that may be included beside it.

    Raises:
        UnknownShape: an include that nothing provides, host code that is no launcher, unmatched brackets.
    """
    launchers: list[Item] = []
    instances: list[Item] = []
    for item in items(text):
        if item.directive:
            _check_include(item, local)
        elif _is_instance(item):
            instances.append(item)
        elif _is_launcher(item):
            launchers.append(item)
        else:
            _check_kept(item)
    return Cut(
        text=_without(text, [*launchers, *instances]),
        removed=tuple(_name(item) for item in sorted([*launchers, *instances], key=_start)),
        launchers=_digest(launchers),
        instances=tuple(_instance(item) for item in instances),
    )


def _start(item: Item) -> int:
    return item.start


def _is_instance(item: Item) -> bool:
    return item.code[:1] == ["template"] and item.code[1:2] != ["<"]


def _is_launcher(item: Item) -> bool:
    """A host function with a stream among its parameters, or its declaration."""
    return "cudaStream_t" in item.head and not _for_the_device(item)


def _for_the_device(item: Item) -> bool:
    return "__global__" in item.code or "__device__" in item.code


def _check_include(item: Item, local: tuple[str, ...]) -> None:
    directive = item.tokens[0].text
    match = re.match(r"\s*#\s*include\s*(?:\"([^\"]+)\"|<([^>]+)>)", directive)
    if match is None:
        return
    if match[1] in local if match[1] else _INCLUDES.fullmatch(match[2]):
        return
    raise UnknownShape(
        f"`{directive.strip()}`: nothing provides that header without a compiler",
        hint="these sources are newer or other than what mambaops knows; build them with `--obtain source`",
    )


def _check_kept(item: Item) -> None:
    code = item.code
    found = [word for word in _HOST_ONLY if word in code]
    found += [word for word in code if word.startswith(("C10_CUDA", "TORCH_CHECK", "cudaFunc"))]
    if found:
        raise UnknownShape(
            f"`{_name(item)}` holds host code ({found[0]}) and is no launcher of a known kind",
            hint="build these sources with `--obtain source`",
        )


def _without(text: str, cuts: list[Item]) -> str:
    parts, position = [], 0
    for item in sorted(cuts, key=_start):
        parts += [text[position : item.start], f"// cut by mambaops: {_name(item)}"]
        position = item.end
    return "".join([*parts, text[position:]])


def _name(item: Item) -> str:
    """`selective_scan_fwd_launch` of its definition, for people."""
    head = item.head
    before = head[: head.index("(")] if "(" in head else head
    if _is_instance(item) and "<" in before:
        before = before[: before.index("<")]
    words = [word for word in before if re.fullmatch(r"[A-Za-z_]\w*", word)]
    return words[-1] if words else " ".join(head[:6])


def _instance(item: Item) -> str:
    code = item.code
    return "".join(code[2 : code.index("(")]).replace(",", ", ")


def _digest(launchers: list[Item]) -> str:
    if not launchers:
        return ""
    code = "\n".join(" ".join(item.code) for item in launchers)
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def digest_of(text: str) -> str:
    """Of the code of a file, comments and spaces aside.

    Raises:
        UnknownShape: no C++ that we know.
    """
    kept = [token.text for token in tokens(text) if token.kind not in ("comment", "space")]
    return hashlib.sha256(" ".join(kept).encode()).hexdigest()[:16]

"""`compiler-bounds`: rows of torch's tables of the host compilers that each CUDA release takes.

`torch/utils/cpp_extension.py` holds `CUDA_GCC_VERSIONS` and `CUDA_CLANG_VERSIONS`. A missing row (11.8, in
every torch) is only a warning; a bound that is too low stops the build although nvcc takes the compiler.
nvcc checks for itself (`crt/host_config.h`), so a row here can only let more through to that check.

Up to torch 1.13 the upper bound is inclusive with three numbers, `(11, 5, 0)`; later it is exclusive, `(12, 0)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst

from mambaops.core.errors import UsageError
from mambaops.patching.literals import dotted, text_of
from mambaops.patching.source import MARK, Changes, Source

ID = "compiler-bounds"
GCC, CLANG = "CUDA_GCC_VERSIONS", "CUDA_CLANG_VERSIONS"
# The first major versions of gcc and clang that are too new, for releases whose row an old torch may lack.
# 11.8 takes at least what 11.7 takes. Source: torch 2.14.1's own tables; https://gist.github.com/ax3l/9489132
TOO_NEW: dict[str, dict[str, int]] = {
    GCC: {
        "11.8": 12,
        "12.0": 13,
        "12.1": 13,
        "12.2": 13,
        "12.3": 14,
        "12.4": 14,
        "12.5": 14,
        "12.6": 14,
    }
    | {"12.7": 14, "12.8": 15, "12.9": 15, "13.0": 16},
    CLANG: {
        "11.8": 14,
        "12.0": 15,
        "12.1": 15,
        "12.2": 16,
        "12.3": 16,
        "12.4": 17,
        "12.5": 18,
        "12.6": 18,
    }
    | {"12.7": 19, "12.8": 19, "12.9": 19, "13.0": 21},
}


def compiler_bounds(changes: Changes, cuda: str, *, gcc_max: int | None = None) -> None:
    """Add the row of a CUDA release to both tables; let gcc up to `gcc_max` through.

    Args:
        cuda: the release, e.g. "11.8".
        gcc_max: the newest major version of gcc to accept; a bound is raised, never lowered.

    Raises:
        UsageError: not a release, or the file has no such tables.
    """
    if not re.fullmatch(r"\d{1,2}\.\d{1,2}", cuda):
        raise UsageError(f"{cuda!r} is no CUDA release", hint='e.g. "11.8"')
    exclusive = _is_exclusive(changes.source)
    for name in (GCC, CLANG):
        table = _table(changes.source, name)
        newest = gcc_max if name == GCC else None
        _ensure_row(changes, name, table, cuda, newest, exclusive)


def _is_exclusive(source: Source) -> bool:
    return any(node.value == "max_excl_compiler_version" for node in source.all(cst.Name))


def _table(source: Source, name: str) -> cst.Dict:
    for node in source.nodes:
        if isinstance(node, cst.AnnAssign):
            target = node.target
        elif isinstance(node, cst.Assign):
            target = node.targets[0].target
        else:
            continue
        if dotted(target) == name and isinstance(node.value, cst.Dict) and node.value.elements:
            return node.value
    raise UsageError(
        f"not torch's cpp_extension.py: no table {name}",
        hint="give torch/utils/cpp_extension.py of torch 1.13 or newer, or --python",
    )


def _ensure_row(
    changes: Changes,
    name: str,
    table: cst.Dict,
    cuda: str,
    newest: int | None,
    exclusive: bool,
) -> None:
    rows = [element for element in table.elements if isinstance(element, cst.DictElement)]
    present = next((row for row in rows if text_of(row.key) == cuda), None)
    if present is None:
        major = max(_first_too_new(name, rows, cuda, exclusive), (newest or 0) + 1)
        _add_row(changes, table, rows, cuda, major, exclusive)
    elif newest is not None and _upper(present)[0] < newest + exclusive:
        row = _row(changes, present, cuda, newest + 1, exclusive)
        elements = [row if element is present else element for element in table.elements]
        _replace(changes, table, elements, row, changes.source.code(present).rstrip(", "))
    else:
        changes.note(ID, f"{name} has a row for CUDA {cuda}: {changes.source.code(present.value)}")


def _first_too_new(name: str, rows: Sequence[cst.DictElement], cuda: str, exclusive: bool) -> int:
    """The first major version of the compiler that the new row refuses."""
    if cuda in TOO_NEW[name]:
        return TOO_NEW[name][cuda]
    # a release takes at least the compilers that the one before it of its major took
    known = {text_of(row.key) or "": _upper(row)[0] + (not exclusive) for row in rows}
    before = [
        release
        for release in known | TOO_NEW[name]
        if _number(release)[:1] == _number(cuda)[:1] and _number(release) < _number(cuda)
    ]
    if not before:
        raise UsageError(
            f"which compilers CUDA {cuda} takes is not known here",
            hint="known: " + ", ".join(TOO_NEW[name]),
        )
    newest = max(before, key=_number)
    return TOO_NEW[name].get(newest) or known[newest]


def _older(rows: Sequence[cst.DictElement], cuda: str) -> cst.DictElement | None:
    before = [row for row in rows if _number(text_of(row.key) or "") < _number(cuda)]
    return before[-1] if before else None


def _add_row(
    changes: Changes,
    table: cst.Dict,
    rows: list[cst.DictElement],
    cuda: str,
    major: int,
    exclusive: bool,
) -> None:
    older = _older(rows, cuda)
    place = 0 if older is None else list(table.elements).index(older) + 1
    row = _row(changes, older or rows[0], cuda, major, exclusive)
    commas = [element.comma for element in table.elements]
    commas.insert(
        0, commas[0]
    )  # between two rows the separator is the first one's, at the end it stays
    elements = list(table.elements)
    elements.insert(place, row)
    spaced = [element.with_changes(comma=comma) for element, comma in zip(elements, commas)]
    _replace(changes, table, spaced, spaced[place], "")


def _replace(
    changes: Changes,
    table: cst.Dict,
    elements: Sequence[cst.BaseDictElement],
    row: cst.BaseDictElement,
    before: str,
) -> None:
    """Give the table these rows, with our mark behind `row` where it stands on a line of its own."""
    shown = (before, changes.source.code(row).rstrip(", "))
    if row is elements[-1]:
        space = _marked(table.rbrace.whitespace_before)
        rbrace = table.rbrace.with_changes(whitespace_before=space)
        new = table.with_changes(elements=elements, rbrace=rbrace)
    else:
        comma = cst.ensure_type(row.comma, cst.Comma)
        comma = comma.with_changes(whitespace_after=_marked(comma.whitespace_after))
        marked = row.with_changes(comma=comma)
        new = table.with_changes(elements=[marked if each is row else each for each in elements])
    changes.replace(ID, table, new, shown=shown)


def _row(
    changes: Changes, model: cst.DictElement, cuda: str, major: int, exclusive: bool
) -> cst.DictElement:
    """A row like `model`, for another release, that refuses gcc or clang from `major` on."""
    lower = changes.source.code(cst.ensure_type(model.value, cst.Tuple).elements[0].value)
    upper = f"({major}, 0)" if exclusive else f"({major - 1}, 99, 0)"
    quote = "'" if changes.source.code(model.key).startswith("'") else '"'
    return model.with_changes(
        key=cst.SimpleString(f"{quote}{cuda}{quote}"),
        value=cst.parse_expression(f"({lower}, {upper})"),
    )


def _marked(space: cst.BaseParenthesizableWhitespace) -> cst.BaseParenthesizableWhitespace:
    if not isinstance(space, cst.ParenthesizedWhitespace) or space.first_line.comment:
        return space
    line = space.first_line.with_changes(
        whitespace=cst.SimpleWhitespace("  "), comment=cst.Comment(MARK + ID)
    )
    return space.with_changes(first_line=line)


def _upper(row: cst.DictElement) -> tuple[int, ...]:
    """The upper bound of a row, e.g. (12, 0)."""
    elements = cst.ensure_type(row.value, cst.Tuple).elements
    bound = cst.ensure_type(elements[1].value, cst.Tuple)
    return tuple(int(cst.ensure_type(item.value, cst.Integer).value) for item in bound.elements)


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release))

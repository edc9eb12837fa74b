"""The fields of upstream's parameter structs, by name; their places are read from the compiled kernel, never counted. Pure."""

from __future__ import annotations

import re

from mambaops.runtime.tokens import Item, UnknownShape, items

_TYPES = ("int", "bool", "index_t", "void", "int32_t", "float")


def fields(text: str) -> dict[str, list[str]]:
    """Struct -> its fields in order, those that it inherits first.

    Raises:
        UnknownShape: a member that is no plain number or pointer.
    """
    found: dict[str, list[str]] = {}
    for item in items(text):
        if item.code[:1] == ["struct"] and "{" in item.code:
            name, base = item.code[1], item.head[-1]
            inherited = found.get(base, []) if ":" in item.head else []
            found[name] = [*inherited, *_members(item)]
    return found


def _members(item: Item) -> list[str]:
    code = item.code
    body = code[code.index("{") + 1 : len(code) - 1 - code[::-1].index("}")]
    found: list[str] = []
    for member in " ".join(body).split(";"):
        words = member.split()
        if not words or words[0] == "using":
            continue
        if words[0] not in _TYPES:
            raise UnknownShape(
                f"`{item.code[1]}` has a member `{member.strip()}` of a kind not known"
            )
        names = " ".join(words[1:]).replace("*", " ").replace("__restrict__", " ")
        found += [name.strip() for name in names.split(",")]
    if not all(re.fullmatch(r"\w+", name) for name in found):
        raise UnknownShape(f"`{item.code[1]}` has a member that is not understood: {found}")
    return found

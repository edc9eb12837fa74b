"""One row of the table of launch rules (`rules.py`). No torch."""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple


class Rule(NamedTuple):
    """One kernel template.

    Attributes:
        file: upstream's file that defines it.
        struct: the struct that it takes, its only parameter.
        values: what its instances differ in, in this order: names of `Instance.values`.
        traits: the traits class, with the values' names in braces.
        kernel: release era -> the kernel's template arguments, "" for one that has not this kernel.
        shared: expression of the shared memory in bytes.
        extra: further numbers that the launch needs: (name, expression).
        before: lines of the program that stand before the file.
    """

    file: str
    struct: str
    values: Tuple[str, ...]
    traits: str
    kernel: Dict[str, str]
    shared: str
    extra: Tuple[Tuple[str, str], ...] = ()
    before: str = ""

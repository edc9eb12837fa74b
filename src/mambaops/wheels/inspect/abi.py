"""Which torch and which C++11 ABI an extension was built for, from its undefined symbols.

torch promises no stable C++ interface, so each change leaves a trace in the mangled names that an
extension asks for. `knowledge/torch_symbols.toml` holds those traces; where two disagree, the extension
was linked from objects of different torches, and that is said.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import msgspec

from mambaops.knowledge.tables import read

# only names that torch's libraries define: an extension's own strings say nothing about torch's
_TORCH = re.compile(r"_ZN?[KVO]?N?(3c10|2at|5torch|6caffe2|8pybind11)")
_CXX11 = re.compile(r"__cxx11|B5cxx11")


class SymbolRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the table: symbols that torch has from `since` on and before `before`."""

    pattern: str
    what: str
    since: str | None = None
    before: str | None = None
    header: str = ""
    report: str = ""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    symbol: list[SymbolRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchEra:
    """The torch minors that define every symbol the extension asks for.

    Attributes:
        since/before: bounds of the minors, None where the symbols set none.
        evidence: the symbols (with what they are) that set the bounds.
        contradiction: no torch has them all.
    """

    since: str | None = None
    before: str | None = None
    evidence: tuple[str, ...] = ()
    contradiction: bool = False

    @property
    def specifier(self) -> str | None:
        """ ">=2.3,<2.8" as packaging reads it; None where nothing is known."""
        bounds = [f">={self.since}"] if self.since else []
        bounds += [f"<{self.before}"] if self.before else []
        return ",".join(bounds) or None

    def has(self, torch: str) -> bool:
        """Does a torch version ("2.14.1+cu130") lie inside?"""
        minor = minor_key(torch)
        return (self.since is None or minor >= minor_key(self.since)) and (
            self.before is None or minor < minor_key(self.before)
        )


def minor_key(version: str) -> tuple[int, int]:
    """(2, 14) of "2.14.1+cu130", of "2.14.0.dev20260101" and of "2.14".

    Raises:
        ValueError: no two numbers at its start.
    """
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None:
        raise ValueError(f"`{version}` is no version of torch")
    return int(match[1]), int(match[2])


@functools.cache
def symbol_rows() -> tuple[tuple[re.Pattern[str], SymbolRow], ...]:
    """The table, compiled.

    Raises:
        msgspec.ValidationError: the table is not of the expected shape.
    """
    rows = read("torch_symbols", _Table).symbol
    return tuple((re.compile(row.pattern), row) for row in rows)


def torch_era(undefined: Collection[str]) -> TorchEra:
    """The torch that an extension with these undefined symbols was built for."""
    marks = list(_marks(undefined))
    since = max((row.since for _, row in marks if row.since), key=minor_key, default=None)
    before = min((row.before for _, row in marks if row.before), key=minor_key, default=None)
    evidence = [
        f"{symbol} ({row.what})"
        for symbol, row in marks
        if (row.since and row.since == since) or (row.before and row.before == before)
    ]
    clash = bool(since and before and minor_key(since) >= minor_key(before))
    return TorchEra(since=since, before=before, evidence=tuple(evidence), contradiction=clash)


def missing_from(torch: str, undefined: Collection[str]) -> tuple[str, ...]:
    """The symbols that this torch version does not define, each with what it is."""
    found = []
    for symbol, row in _marks(undefined):
        if not TorchEra(since=row.since, before=row.before).has(torch):
            found.append(f"{symbol} ({row.what})")
    return tuple(found)


def _marks(undefined: Collection[str]) -> Iterator[tuple[str, SymbolRow]]:
    for symbol in sorted(undefined):
        for pattern, row in symbol_rows():
            if pattern.match(symbol):
                yield symbol, row


def cxx11_abi(undefined: Collection[str]) -> bool | None:
    """Does it call torch with the new `std::string` (True), the old (False), or with none (None)?

    The new string is `std::__cxx11::basic_string` in a mangled name, the old one the abbreviation `Ss`
    (Itanium C++ ABI, 5.1.8). Both at once cannot load beside any torch; the new one is reported then.
    """
    torch_symbols = [symbol for symbol in undefined if _TORCH.match(symbol)]
    if any(_CXX11.search(symbol) for symbol in torch_symbols):
        return True
    if any("Ss" in _grammar(symbol) for symbol in torch_symbols):
        return False
    return None


# substitutions (S2_, T_) and literals (Lb1E) hold digits that are no lengths
_TOKEN = re.compile(r"S[0-9A-Z]*_|T\d*_|L[a-z]n?\d+E|([1-9]\d*)|.", re.DOTALL)


def _grammar(symbol: str) -> str:
    """A mangled name without its identifiers, so that one like `ProcessSs` is no string."""
    pieces, position = [], 0
    while token := _TOKEN.match(symbol, position):
        # e.g. "9SetDevice": a length and as many letters
        position = token.end() + int(token[1] or 0)
        pieces.append("#" if token[1] else token[0])
    return " ".join(pieces).replace("S s", "Ss")

"""What a codemod says that it did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One place that was changed.

    Attributes:
        codemod: its id in `patches/catalogue.yaml`.
        line: 1-based line in the text that was handed in.
        before, after: the source at that place; `before` is empty for an insertion, `after` for a removal.
    """

    codemod: str
    line: int
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Why a codemod had nothing to change, said aloud instead of skipped in silence."""

    codemod: str
    reason: str

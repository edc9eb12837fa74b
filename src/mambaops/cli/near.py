"""What was meant by a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word that is most like it; "" where none is."""
    import difflib

    # of two spellings of one name the first counts
    plain = {one.lower().replace("_", "-"): one for one in [*known][::-1]}
    found = difflib.get_close_matches(word.lower().replace("_", "-"), plain, n=1, cutoff=cutoff)
    return plain[found[0]] if found else ""

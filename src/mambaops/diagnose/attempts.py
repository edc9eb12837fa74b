"""Transfers that were begun again: what git said of a try does not count when another one at the same place followed."""

from __future__ import annotations

import re

from mambaops.diagnose.text import bare

START = "Cloning into '"
_TARGET = re.compile(r"Cloning into '(?P<target>[^'\n]{1,400})'\.\.\.")
_OWN = re.compile(r"(?:error|fatal|fetch-pack|remote|warning|curl): ")
MOST = 1000  # tries that are kept: a log that is full of them stays cheap


class Attempts:
    """The tries of a log so far."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}
        self._column = 0

    def __bool__(self) -> bool:
        return bool(self._begun)

    def first(self, line: str, number: int) -> int:
        """The number of the line with which the first try at the same place began; 0 for a first one."""
        plain = bare(line)
        match = _TARGET.search(plain)
        if match is None or len(self._begun) > MOST:
            return 0
        self._column = match.start()
        begun = self._begun.setdefault(match["target"], number)
        return begun if begun < number else 0

    def is_gits(self, line: str) -> bool:
        """Whether git said this itself; what a runner puts before it is as long as before the beginning."""
        return bool(_OWN.match(line) or _OWN.match(line, self._column))

"""What the README tells a newcomer to install and to run, read from its text. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLOCK = re.compile(r"```(?:sh|bash|console)\n(.*?)```", re.DOTALL)
# e.g. "`sudo apt-get install python3-venv g++ git`"
_PACKAGES = re.compile(r"apt-get install ([^`]+)`")


@dataclass(frozen=True)
class Told:
    """The packages of the system, and the two commands in order."""

    packages: tuple[str, ...]
    first: str
    second: str


class NotTold(Exception):
    """The README does not say what a newcomer needs to know."""


def told(text: str) -> Told:
    """The prerequisites and both commands.

    Raises:
        NotTold: one of them is not there.
    """
    lines = [
        line.strip().removeprefix("$ ")
        for block in _BLOCK.findall(text)
        for line in block.splitlines()
    ]
    first = [line for line in lines if "build-mamba" in line and "venv" in line]
    second = [line for line in lines if re.search(r"\bnox -s tests\b", line)]
    packages = _PACKAGES.search(text)
    if not (first and second and packages):
        raise NotTold(
            "the README has no apt-get line, no line with build-mamba, or none with nox -s tests"
        )
    return Told(tuple(packages[1].split()), first[0], second[0])

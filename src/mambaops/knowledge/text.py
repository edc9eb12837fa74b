"""What a text of a profile or package file may hold, since such texts become words of commands and scripts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# line ends and escapes: a comment of a script would end there, a terminal would obey
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# a requirement beyond doubt: a name, or one with a version; the library that judges the others is slow to import
_PLAIN = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*((==|>=|<=|<|>)\d+(\.\d+)*)?")


def wrong_line(path: str, text: str) -> Iterator[str]:
    """A text of one line holds neither line ends nor escapes."""
    if found := _CONTROL.search(text):
        yield f"{path}: holds the control character {found[0]!r}; it is to be one plain line"


def wrong_variables(path: str, variables: Mapping[str, str]) -> Iterator[str]:
    """Names of variables, which shells take without quotes."""
    for name in variables:
        if not VARIABLE.fullmatch(name):
            yield f"{path}: `{name}` is no name of a variable (letters, digits and _, no digit first)"


def wrong_requirements(path: str, texts: Iterable[str]) -> Iterator[str]:
    """What pip is given as requirements: an option among them would be obeyed."""
    for text in texts:
        if _PLAIN.fullmatch(text):
            continue
        from packaging.requirements import InvalidRequirement, Requirement

        try:
            Requirement(text)
        except InvalidRequirement as error:
            yield f"{path}: `{text}` is no requirement: {str(error).splitlines()[0]}"


def wrong_words(path: str, texts: Iterable[str]) -> Iterator[str]:
    """Words of a command line: one that begins with a dash would be an option."""
    for text in texts:
        if text.startswith("-"):
            yield f"{path}: `{text}` begins with a dash"


def wrong_source(path: str, tag: str, subdirectory: str, repository: str = "") -> Iterator[str]:
    """What git is asked for, and a folder inside what it brings."""
    yield from wrong_words(f"{path}.tag", [tag])
    yield from wrong_words(f"{path}.repository", [repository])
    parts = subdirectory.replace("\\", "/").split("/")
    if ".." in parts or subdirectory.startswith(("/", "-")):
        yield f"{path}.subdirectory: `{subdirectory}` leads out of the source"

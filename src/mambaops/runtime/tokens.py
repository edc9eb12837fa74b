"""C++ and CUDA text as tokens, and a file as its top-level items. Pure; no parser: what it cannot tell apart it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from mambaops.core.errors import MambaopsError

_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<directive>\#(?:[^\n\\]|\\.)*)   # with its continued lines
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<word>[A-Za-z_]\w*)
  | (?P<number>\.?\d(?:[\w.]|[eEpP][+-])*)
  | (?P<launch><<<|>>>)
  | (?P<mark>::|->|&&|\|\||[-+*/%&|^!~<>=?:;,.(){}\[\]])
  | (?P<space>\s+)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_OPENING, _CLOSING = {"(": ")", "{": "}", "[": "]"}, {")", "}", "]"}


class UnknownShape(MambaopsError):
    """A source file that is not built as every known release's."""


class Token(msgspec.Struct, frozen=True):
    kind: str  # name of the pattern's group
    text: str
    start: int
    end: int

    @property
    def code(self) -> bool:
        return self.kind not in ("comment", "space", "directive")


class Item(msgspec.Struct, frozen=True):
    """A declaration or definition at the top of a file, or a directive there; `tokens` without its spaces."""

    tokens: tuple[Token, ...]

    @property
    def start(self) -> int:
        return self.tokens[0].start

    @property
    def end(self) -> int:
        return self.tokens[-1].end

    @property
    def code(self) -> list[str]:
        """The words of the code, without comments and directives."""
        return [token.text for token in self.tokens if token.code]

    @property
    def head(self) -> list[str]:
        """The code before its body."""
        code = self.code
        return code[: code.index("{")] if "{" in code else code

    @property
    def directive(self) -> bool:
        return self.tokens[0].kind == "directive"


def tokens(text: str) -> Iterator[Token]:
    """The text in pieces that together are the whole text.

    Raises:
        UnknownShape: a character that begins none of them.
    """
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            line = text.count("\n", 0, position) + 1
            raise UnknownShape(
                f"line {line}: {text[position : position + 20]!r} is not C++ we know"
            )
        position = match.end()
        yield Token(match.lastgroup or "", match[0], match.start(), position)


def items(text: str) -> list[Item]:
    """The top-level items of a file, in order; comments between them belong to none.

    Raises:
        UnknownShape: brackets that do not match, or an item that does not end.
    """
    found: list[Item] = []
    pending: list[Token] = []
    expected: list[str] = []
    stream = [token for token in tokens(text) if token.kind != "space"]
    for token, after in zip(stream, [*stream[1:], None]):
        if not pending and token.kind == "comment":
            continue
        pending.append(token)
        if token.kind == "directive":
            if len(pending) == 1:
                found.append(Item(tuple(pending)))
                pending = []
            continue
        _match(token, expected)
        if not expected and _ends(token, after):
            found.append(Item(tuple(pending)))
            pending = []
    if pending or expected:
        raise UnknownShape(
            f"the file ends within {' '.join(t.text for t in pending[:8])!r}: brackets do not match"
        )
    return found


def _match(token: Token, expected: list[str]) -> None:
    if token.kind != "mark":
        return
    if token.text in _OPENING:
        expected.append(_OPENING[token.text])
    elif token.text in _CLOSING and (not expected or expected.pop() != token.text):
        raise UnknownShape(f"a {token.text!r} that nothing opened, at character {token.start}")


def _ends(token: Token, after: Token | None) -> bool:
    if token.text == ";":
        return True
    return token.text == "}" and (after is None or after.text != ";")

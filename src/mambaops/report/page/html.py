"""HTML that cannot be broken by what is put into it: every text is escaped unless this module has made it."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar

# escape sequences of terminals, e.g. "\x1b[31m"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
# what no page may hold, and what turns the direction of a line around
_FORBIDDEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
_VOID = ("meta",)


Change = Callable[[str], str]
_commands: ContextVar[Change] = ContextVar("commands", default=str)
_texts: ContextVar[Change] = ContextVar("texts", default=str)


@contextlib.contextmanager
def changing(*, commands: Change = str, texts: Change = str) -> Iterator[None]:
    """What becomes of texts on their way into a page, before they are escaped.

    Args:
        commands: of texts with commands between backticks, e.g. made pasteable.
        texts: of every text, e.g. private data masked.
    """
    tokens = _commands.set(commands), _texts.set(texts)
    try:
        yield
    finally:
        _commands.reset(tokens[0])
        _texts.reset(tokens[1])


class Markup(str):
    """Text that is HTML already. Only `tag` and `joined` make it."""

    __slots__ = ()


def text_of(value: object) -> Markup:
    """A value as text of a page."""
    if isinstance(value, Markup):
        return value
    plain = _FORBIDDEN.sub("\ufffd", _ANSI.sub("", _texts.get()(str(value))))
    return Markup(html.escape(plain))


def tag(element: str, /, *children: object, **attributes: object) -> Markup:
    """An element: `tag("p", "a < b", class_="note")`; an attribute that is None or "" is left out."""
    words = [
        f' {key.rstrip("_").replace("_", "-")}="{text_of(value)}"'
        for key, value in attributes.items()
        if value not in (None, "")
    ]
    start = f"<{element}{''.join(words)}>"
    return Markup(start if element in _VOID else f"{start}{joined(children)}</{element}>")


def joined(children: object) -> Markup:
    """Values one after another, each as `text_of` gives it."""
    listed = children if isinstance(children, list | tuple) else [children]
    return Markup(
        "".join(joined(one) if isinstance(one, list | tuple) else text_of(one) for one in listed)
    )


def with_code(text: str) -> Markup:
    """A text whose `commands` between backticks stand out, to be copied whole."""
    parts = re.split(r"`([^`\n]+)`", _commands.get()(text))
    return joined([tag("code", part) if place % 2 else part for place, part in enumerate(parts)])

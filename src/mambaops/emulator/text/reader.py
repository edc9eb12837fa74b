"""A place in a text's tokens, and the small pieces that everything else is made of."""

from __future__ import annotations

from typing import List, Optional, Tuple

from ..errors import PtxError
from .syntax import Number
from .tokens import Source, number, tokenize


class Reader:
    """Steps through the tokens of a source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        words, self.starts = tokenize(source)
        self.count = len(words)
        self.words = [*words, "", ""]  # nothing follows: no word is empty
        self.place = 0

    @property
    def done(self) -> bool:
        return self.place >= self.count

    def peek(self, ahead: int = 0) -> str:
        """The next token; "" at the end."""
        return self.words[self.place + ahead]

    def take(self) -> str:
        word = self.words[self.place]
        if not word:
            raise PtxError("the text ends in the middle of a statement", self.line)
        self.place += 1
        return word

    def back(self) -> None:
        self.place -= 1

    def accept(self, text: str) -> bool:
        """Takes the next token where it is this one."""
        if self.words[self.place] != text:
            return False
        self.place += 1
        return True

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.error("expected {!r}, found {!r}".format(text, self.peek()), back=False)

    def until(self, text: str) -> None:
        while self.take() != text:
            pass

    def list(self) -> List[str]:
        """`a, b, c`."""
        found = [self.take()]
        while self.accept(","):
            found.append(self.take())
        return found

    def constant(self) -> Optional[Number]:
        """A number with its sign, where one stands here."""
        first = self.words[self.place][:1]
        if not first.isdigit() and first != "-":
            return None
        negative = first == "-" and self._is_number(1)
        if first == "-" and not negative:
            return None
        self.place += negative
        found = number(self.take(), self.line)
        if not negative:
            return found
        if found.bits and isinstance(found.value, int):
            return Number(found.value ^ (1 << (found.bits - 1)), found.bits)
        return Number(-found.value)

    def _is_number(self, ahead: int) -> bool:
        return self.words[self.place + ahead][:1].isdigit()

    def offset(self) -> int:
        """`+4` or `-4` or `+-4`; 0 where neither stands here."""
        plus = self.accept("+")
        if not plus and self.peek() != "-":
            return 0
        found = self.constant()
        if found is None or not isinstance(found.value, int):
            raise self.error("expected a whole number, found {!r}".format(self.peek()), back=False)
        return found.value

    @property
    def line(self) -> int:
        place = min(self.place, self.count - 1)
        return self.source.line(self.starts[place]) if self.starts else 1

    def span(self, first: int) -> Tuple[int, str]:
        """Line and text of the tokens from number `first` to here."""
        last = self.place - 1
        start, end = self.starts[first], self.starts[last] + len(self.words[last])
        return self.source.line(start), " ".join(self.source.text[start:end].split())

    def error(self, message: str, back: bool = True) -> PtxError:
        """At the token that was taken last, or, without `back`, at the next one."""
        if back:
            self.back()
        return PtxError(message, self.line)

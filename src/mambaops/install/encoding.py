"""Text files of people's editors: by their mark, their `coding:` comment, UTF-8, UTF-16 or GB 18030."""

from __future__ import annotations

import codecs
import re

from mambaops.core.errors import UsageError

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# e.g. "# -*- coding: gbk -*-" in one of the first two lines (PEP 263)
CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)")


def decode(data: bytes, name: str) -> tuple[str, str]:
    """Text and its encoding: by its mark, by its `coding:` comment, UTF-8, else GB 18030 (GBK).

    Raises:
        UsageError: none of them fits.
    """
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding, name), encoding
    for line in data.split(b"\n")[:2]:
        if match := CODING.match(line):
            encoding = match[1].decode("ascii")
            return _decoded(data, encoding, name), encoding.lower()
    if b"\0" in data:
        # PowerShell without a mark; every second byte of ASCII text is zero
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
        return _decoded(data, encoding, name), encoding
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return _decoded(data, "gb18030", name), "gb18030"


def _decoded(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise UsageError(
            f"`{name}` is no text in {encoding}: {error}", hint="save it as UTF-8"
        ) from error

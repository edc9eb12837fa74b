"""One large CUDA file as several, so that a machine with many cores compiles it at once. Pure.

A package's file names those that are worth it (`build.split`): minutes on one core, and nothing in them but
templates and explicit instantiations at the end, one after the other. Each part is the whole file with its
share of the instantiations; together they define exactly what the one file defined.
"""

from __future__ import annotations

import re

from mambaops.core.errors import UsageError

ID = "split-instantiations"
# e.g. "template void conv_bwd_cuda<at::Half, float>(ConvParamsBwd &params, cudaStream_t stream);"
_INSTANTIATION = re.compile(r"^template void \w+<[^;{]*>\([^;{]*\);[ \t]*$", re.MULTILINE)
_PART = re.compile(r"_mops\d+of\d+(?=\.\w+$)")


def part_name(source: str, number: int, parts: int) -> str:
    """`csrc/x.cu` -> `csrc/x_mops1of4.cu`."""
    stem, _, ending = source.rpartition(".")
    return f"{stem}_mops{number}of{parts}.{ending}"


def whole_name(part: str) -> str:
    """The file that a part was made of; other names come back as they are."""
    return _PART.sub("", part)


def part_count(name: str) -> int:
    """How many parts the file of this part has; 1 for a whole file."""
    match = re.search(r"_mops\d+of(\d+)\.\w+$", name)
    return int(match[1]) if match else 1


def split_source(text: str, parts: int) -> list[str]:
    """The texts of the parts; a single one where there is too little to share out."""
    found = list(_INSTANTIATION.finditer(text))
    parts = min(parts, len(found))
    if parts < 2:
        return [text]
    return [_without(text, found, keep=number, parts=parts) for number in range(parts)]


def _without(text: str, found: list[re.Match[str]], *, keep: int, parts: int) -> str:
    """The text with every instantiation blanked that is not this part's share (lines keep their numbers)."""
    pieces, position = [], 0
    for index, match in enumerate(found):
        pieces.append(text[position : match.start()])
        pieces.append(match.group() if index % parts == keep else "")
        position = match.end()
    return "".join([*pieces, text[position:]])


def with_parts(setup_text: str, source: str, names: list[str]) -> str:
    """`setup.py` with the one source replaced by its parts.

    Raises:
        UsageError: the source does not stand in it exactly once.
    """
    quoted = re.findall(rf"(['\"]){re.escape(source)}\1", setup_text)
    if len(quoted) != 1:
        raise UsageError(
            f"`{source}` stands {len(quoted)} times in setup.py; once was expected",
            hint="this release is not split: `--jobs 2` builds it as it is",
        )
    quote = quoted[0]
    parts = ", ".join(f"{quote}{name}{quote}" for name in names)
    return setup_text.replace(f"{quote}{source}{quote}", parts)

"""The programs' own spelling of flags: `--data_dir` for `--data-dir`, `--override KEY VALUE` for `KEY=VALUE`."""

from __future__ import annotations

from collections.abc import Sequence

PAIRED = ("--override",)  # flags that are also written as two words


def spelled(argv: Sequence[str]) -> list[str]:
    """The command line as Invoke understands it; words after `--` stay as they are. Pure."""
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    ours, rest = words[:end], words[end:]
    return _joined([_dashed(word) for word in ours]) + rest


def _dashed(word: str) -> str:
    """`--batch_size=2` → `--batch-size=2`; values and short flags stay."""
    if not word.startswith("--") or len(word) == 2:
        return word
    flag, equals, value = word.partition("=")
    return flag.replace("_", "-") + equals + value


def _joined(words: list[str]) -> list[str]:
    """`--override a 1 b 2` → `--override a=1 --override b=2`; `--override a=1` stays."""
    out: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word not in PAIRED:
            out.append(word)
            continue
        values: list[str] = []
        while left and not left[0].startswith("--"):
            values.append(left.pop(0))
        for pair in _pairs(values):
            out += [word, pair]
    return out


def _pairs(values: list[str]) -> list[str]:
    found: list[str] = []
    left = list(values)
    while left:
        value = left.pop(0)
        found.append(value if "=" in value or not left else f"{value}={left.pop(0)}")
    return found

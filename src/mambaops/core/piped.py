"""A program of ours for the standard input of another machine's Python: `ssh HOST python3 -`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def piped(file: Path, words: Sequence[str]) -> str:
    """The file's program with these words as its arguments.

    They are part of the text: no shell, whichever the other machine has, takes them apart.
    """
    argv = [file.name, *words]
    source = file.read_text(encoding="utf-8")
    run = f"exec(compile({source!a}, {file.name!a}, 'exec'), {{'__name__': '__main__'}})"
    return f"import sys\nsys.argv = {argv!a}\n{run}\n"

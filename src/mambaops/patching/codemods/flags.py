"""`cxx-standard` and `nvcc-threads`: compiler flags that stand as literals in a setup.py."""

from __future__ import annotations

import re

import libcst as cst

from mambaops.core.errors import UsageError
from mambaops.patching.literals import text_of
from mambaops.patching.source import Changes

CXX_STANDARD = "cxx-standard"
NVCC_THREADS = "nvcc-threads"
# e.g. "-std=c++17", "--std=gnu++14", "/std:c++17"
_STANDARD = re.compile(r"(?P<flag>--?std=|/std:)(?P<dialect>c|gnu)\+\+(?P<number>\d[\da-z])\b")
_UNREAD = re.compile(r"(--?std=|/std:)((c|gnu)(\+\+(?!latest).*)?)?")
# Drafts and names of standards, in the order in which they came.
_AGE = {"98": 98, "03": 103, "0x": 111, "11": 111, "1y": 114, "14": 114, "1z": 117, "17": 117}
_AGE |= {"2a": 120, "20": 120, "2b": 123, "23": 123, "2c": 126, "26": 126}


def cxx_standard(changes: Changes, standard: int) -> None:
    """Raise every `-std=` that is older than `standard`; never lower one, never add one.

    Args:
        standard: two digits, e.g. 20. torch's own headers refuse less than C++20 from torch 2.13 on.

    Raises:
        UsageError: no such standard, or a flag whose value cannot be read (`-std=c++{x}`).
    """
    if str(standard) not in _AGE:
        raise UsageError(f"cxx-standard: c++{standard} is no C++ standard", hint="e.g. 20")
    seen = 0
    for node in changes.source.nodes:
        if isinstance(node, cst.SimpleString | cst.FormattedStringText):
            seen += len(_STANDARD.findall(node.value))
            _refuse_unread(changes, node)
            value = _STANDARD.sub(lambda found: _raised(found, standard), node.value)
            changes.replace(CXX_STANDARD, node, node.with_changes(value=value))
    if not seen:
        changes.note(CXX_STANDARD, "no -std flag: torch's own default decides")


def _refuse_unread(changes: Changes, node: cst.SimpleString | cst.FormattedStringText) -> None:
    text = node.value.strip("rbfu'\"")
    # e.g. "-std=c++{x}", "-std={x}"; but "-std=c11" is C's, and "/std:c++latest" new enough
    if _UNREAD.fullmatch(text) and not _STANDARD.match(text):
        raise UsageError(
            f"cxx-standard: line {changes.source.line(node)}: cannot read the standard in {text!r}",
            hint='looked for "-std=c++17" and the like as one literal',
        )


def _raised(found: re.Match[str], standard: int) -> str:
    if _AGE.get(found["number"], 0) >= _AGE[str(standard)]:
        return found[0]
    return f"{found['flag']}{found['dialect']}++{standard}"


def nvcc_threads(changes: Changes, count: int) -> None:
    """How many architectures nvcc compiles at once inside one file (`--threads N`).

    Raises:
        UsageError: no `--threads` in the file and more than one wanted, or a count that is none.
    """
    if count < 0:
        raise UsageError(f"nvcc-threads: {count} is no number of threads", hint="0 means all cores")
    places = [place for node in changes.source.all(cst.List) for place in _thread_counts(node)]
    if not places and count == 1:
        changes.note(NVCC_THREADS, "no `--threads`: nvcc's own default is one")
    elif not places:
        raise UsageError(
            "nvcc-threads: this setup.py passes no `--threads` to nvcc",
            hint='looked for "--threads", "4" in a list; leave the number of threads out',
        )
    for place, value in places:
        literal = f'"{value.format(count)}"'
        changes.replace(NVCC_THREADS, place, place.with_changes(value=literal))


def _thread_counts(node: cst.List) -> list[tuple[cst.SimpleString, str]]:
    """The literals that hold a number of threads, each with the form that its new value takes."""
    values = [element.value for element in node.elements]
    found = []
    for before, value in zip([None, *values], values):
        text = text_of(value)
        if text is None or not isinstance(value, cst.SimpleString):
            continue
        if before is not None and text_of(before) in {"--threads", "-t"} and text.isdigit():
            found.append((value, "{}"))
        elif re.fullmatch(r"--threads=\d+", text):
            found.append((value, "--threads={}"))
    return found

"""The first line of a log that reports a real error, known or not; wrappers and warnings are passed over."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from mambaops.diagnose.dress import messages
from mambaops.diagnose.error_words import start_words
from mambaops.diagnose.rules import GuardedRegex
from mambaops.diagnose.text import bare

# cheap substrings that every error line holds one of, so that other lines cost nothing
MARKS = (
    "rror",
    "ERROR",
    "atal",
    "xception",
    "ailed",
    "illed",
    "fault",
    "not found",
    "undefined reference",
    "cannot find",
    ": *** ",
    "错误",
    "錯誤",
    "エラー",
    "오류",
    "rreur",
    "ehler",
    "FEHLER",
    "шибка",
    "rrore",
    "Exit",
    "Timeout",
    "Fault",
    "Failure",
    "Interrupt",
    "ZipFile",
    "NotFound",
    "E: ",
    "core dumped",
    "ERR!",
    "can't open file",
    "No module named",
    "Watchdog caught",
    "exited on signal",
    "Permission denied",
    "Illegal instruction",
    "Bus error",
    "Floating point",
    "Aborted",
    "terminate called",
    "panicked at",
    "CRITICAL",
    "non-zero",
    "build stopped",
    "xit code",
    "exited with",
    "o available output",
)

# what compilers call an error in the languages that gcc speaks
_ERROR_WORDS = "(?:fatal |internal compiler )?error|致命错误|错误|致命的エラー|エラー|오류|錯誤|erreur(?: fatale)?|(?:[Ss]chwerwiegender )?Fehler|error fatal|errore(?: irreversibile)?|erro(?: fatal)?|(?:фатальная )?ошибка|catastrophic error"

_REAL = tuple(
    re.compile(text)
    for text in (
        # e.g. `csrc/x.cpp:12:3: fatal error: a.h: No such file or directory`
        rf"^\S[^:\n]{{0,400}}:\d+(?::\d+)?: ?(?:{_ERROR_WORDS})\s?[:：]",
        # e.g. `<built-in>: fatal error: when writing output to x.ii: No space left on device`
        rf"^<[\w -]{{1,40}}>: (?:{_ERROR_WORDS})\s?:",
        # e.g. `x.cu(33): error: identifier "y" is undefined`, `x.cuh(3): error #20: …`, `x.h(9): error C2975:`
        rf"^\S[^\n]{{0,400}}\(\d+\)\s?: (?:{_ERROR_WORDS})\b",
        # e.g. `nvcc fatal   : Unsupported gpu architecture`, `ptxas fatal : …`, `nvcc error   : 'cicc' died`
        r"^(?:nvcc|ptxas|fatbinary|nvlink|cicc|cudafe\+\+)\s+(?:fatal|error)\s*:",
        # e.g. `gcc: fatal error: …`, `g++: error: x.o: No such file`, `cc1plus: error: …`, `ninja: error: …`
        rf"^(?:\S*/)?(?:gcc|g\+\+|c\+\+|cc|cc1|cc1plus|cl|clang|clang\+\+|ninja|make|x86_64-\S{{1,60}}|cmake|collect2|as)(?:-\d+)?\s?: (?:{_ERROR_WORDS})",
        r"^(?:\S*/)?ld(?:\.\w+)?: (?!warning)\S",
        r"undefined reference to ",
        r"^LINK : fatal error",
        # e.g. `ImportError: …`, `torch.OutOfMemoryError: …`, `zipfile.BadZipFile: …`
        r"^(?:[A-Za-z_]\w*\.){0,8}[A-Z_]\w*(?:Error|Exception|Exit|Timeout|Fault|Failure|Interrupt|ZipFile|NotFound)(?:: \S|$)",
        # as `raise Exception(…)` shows it
        r"^Exception: \S",
        # e.g. `ERROR: No matching distribution found for x`, `Error: x`, `error: command 'g++' failed`
        r"^(?:ERROR|Error|error|FATAL|fatal|FEHLER|E)\s?: ?\S",
        r"^E\d{4} ",
        # e.g. `[ERROR] x`, `ERROR    | x`, `CRITICAL - x`
        r"^\[?(?:ERROR|FATAL|CRITICAL)\]?[\s|:-]+\S",
        r"^make(?:\[\d+\])?: \*\*\* ",
        r"^CMake Error",
        # e.g. `./x.sh: line 2: foo: command not found`, `sh: 1: nvcc: not found`
        r"^\S{1,200}: (?:line )?\d+: .{1,200}: (?:command )?not found",
        # e.g. `bash: foo: command not found`
        r"^(?:\S{1,200}: ){1,2}command not found",
        # e.g. `./x.sh: line 9:  4711 Segmentation fault      ./a.out`
        r"(?:^|\s)Segmentation fault",
        # as a shell says it, alone in its line
        r"^(?:\S{1,200}: line \d+: +\d+ )?(?:Illegal instruction|Bus error|Floating point exception|Aborted)(?:\s|$)",
        r"\(core dumped\)",
        r"^terminate called (?:after|without)",
        r"^thread '.{1,80}' panicked at",
        r"^npm (?:ERR!|error) \S",
        # e.g. `python: can't open file 'x.py': …`, `/usr/bin/python3: No module named x`
        r"^\S{0,200}python[\d.]*: (?:can't open file|No module named) ",
        r"Watchdog caught collective operation timeout",
        r"exited on signal \d",
        r"Assertion [`'].{1,300} failed",
        r"(?:^|\s)Killed(?:$|\s)",
        r"^LLVM ERROR",
        r"^(?:bash|sh|curl|wget|git|tar|conda|docker|patch): .{0,300}(?:error|fatal|rror:|cannot|[Ff]ailed|No such file|Permission denied)",
        r"^(?:PackagesNotFoundError|UnsatisfiableError|CondaError|ResolutionImpossible)",
    )
)

_WRAPPERS = tuple(
    re.compile(text)
    for text in (
        r"subprocess-exited-with-error",
        r"metadata-generation-failed",
        r"failed-wheel-build-for-install",
        r"legacy-install-failure",
        r"returned non-zero exit status",
        r"Error compiling objects for extension",
        r"Failed building (?:wheel|editable)",
        r"Failed to build\b",
        r"Could not build wheels",
        r"ubprocess exited with",
        r"build stopped: subcommand failed",
        r"Encountered error while (?:generating package metadata|trying to install)",
        r"This error originates from a subprocess",
        r"command '\S+' failed with exit (?:code|status)",
        r"(?:gcc|nvcc|g\+\+|cl\.exe|ninja)\S* failed with exit (?:code|status)",
        r"Command errored out with exit status",
        r"The above exception was the direct cause",
        r"During handling of the above exception",
        r"compilation terminated\.$",
        r"No available output",
        r"pip's dependency resolver does not currently take into account",
        r"^(?:Fatal )?Python runtime state",
        r"[Pp]rocess (?:completed|finished) with exit code [1-9]",
        r"exited with (?:exit )?(?:code|status):? [1-9]",
        r"returned a non-zero code",
        r"a non-zero exit code",
        r"failed to solve: process",
        r"Error 1 \(ignored\)",
        r"Call to `\S{1,100}` failed \(exit status",
        r"^SystemExit: ?0?$",
    )
)

# wrappers that also stand where nothing has failed
_ASIDES = re.compile(
    "|".join(
        (
            "pip's dependency resolver does not currently take into account",
            "The above exception was the direct cause|During handling of the above exception",
            r"Error \d+ \(ignored\)",
            r"^SystemExit: ?0?$",
            "This error originates from a subprocess",
        )
    )
)

# each begins with plain text, which is found fast; in small letters
_WARNINGS = (
    ("warning", re.compile(r"warning(?:: |(?<!\wwarning)\s?[:：])|(?<!.)warning\b", re.DOTALL)),
    ("note: ", re.compile(r"note: (?<!\wnote: )")),
    ("警告", re.compile("警告")),
    ("deprecation", re.compile(r"(?<!.)deprecation\b", re.DOTALL)),
    ("hint: ", re.compile(r"(?<!.)hint: ", re.DOTALL)),
)
TRACEBACK = "Traceback (most recent call last)"

Kind = Literal["error", "wrapper", ""]

# one expression each: every line that holds a mark is put to them
_REAL_START = re.compile(
    "|".join(f"(?:{real.pattern})" for real in _REAL if real.pattern[0] == "^")
)
_REAL_INSIDE = GuardedRegex([real.pattern for real in _REAL if real.pattern[0] != "^"])
_WRAPPER = GuardedRegex([wrapper.pattern for wrapper in _WRAPPERS])
# a line without any of these is no wrapper, reports nothing by its beginning, and nothing elsewhere
WRAPPER_WORDS, START_WORDS, INSIDE_WORDS = _WRAPPER.words, start_words(), _REAL_INSIDE.words


def is_wrapper(line: str) -> bool:
    """The line only says that something above it failed."""
    return _WRAPPER.matches(line)


def kind_of(
    line: str,
    neighbours: Callable[[], Sequence[str]] = tuple,
    *,
    wraps: bool = True,
    inside: bool = True,
) -> Kind:
    """What a line reports, as it stands in the log: an error, that something else failed, or neither.

    Args:
        neighbours: gives the lines before and after it, whose common start is taken for a runner's prefix.
        wraps: one of `WRAPPER_WORDS` stands in it; `inside`: one of `INSIDE_WORDS`.
    """
    if wraps and is_wrapper(line):
        return "" if _ASIDES.search(bare(line)) else "wrapper"
    if _only_warns(bare(line)):
        return ""
    told = (message for message in messages(line, neighbours()) if _reports(message, inside))
    return "error" if any(told) else ""


def reports_at_start(message: str) -> bool:
    """Whether a message begins as those of errors do."""
    return bool(_REAL_START.match(message))


def _reports(message: str, inside: bool) -> bool:
    if not (_REAL_START.match(message) or (inside and _REAL_INSIDE.matches(message))):
        return False
    return not _only_warns(message)


def _only_warns(line: str) -> bool:
    small = line.lower()
    begins = [
        match.start()
        for word, regex in _WARNINGS
        if word in small and (match := regex.search(small))
    ]
    # `error: x.h: warning: …` reports an error; `x.c:3: warning: error …` does not
    return bool(begins) and not _says_error(line[: min(begins)])


def _says_error(text: str) -> bool:
    return "error" in text or "Error" in text or "ERROR" in text or "fatal" in text

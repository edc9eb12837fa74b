"""Words of which one stands in every line that reports an error by its beginning: what a search for lines starts with.

The expressions are in `first_error`. Most lines with an error's words (`error rate 0.3`, `0 failed`) hold none of
these, and are not put to an expression at all. `tests/diagnose/test_error_words.py` holds one against the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

# what may stand before a colon, as compilers write it in French too
_SPACES = ("", " ", "\t", "\u00a0", "\u202f")
# how the names of errors end, and how they begin, in the languages that gcc speaks
_LAST = [
    "error",
    "错误",
    "エラー",
    "오류",
    "錯誤",
    "erreur",
    "fatale",
    "Fehler",
    "fatal",
    "errore",
    "irreversibile",
    "erro",
    "ошибка",
]
_FIRST = [
    "erro",
    "fatal",
    "internal",
    "致命",
    "错误",
    "エラー",
    "오류",
    "錯誤",
    "erreur",
    "schwer",
    "Schwer",
    "Fehler",
    "фатальная",
    "ошибка",
    "catastrophic",
]
_EXCEPTIONS = [
    "Error",
    "Exception",
    "Exit",
    "Timeout",
    "Fault",
    "Failure",
    "Interrupt",
    "ZipFile",
    "NotFound",
]
_LEVELS = ("ERROR", "FATAL", "CRITICAL")
_TOOLS = [
    "gcc",
    "g++",
    "c++",
    "cc",
    "cc1",
    "cc1plus",
    "cl",
    "clang",
    "clang++",
    "ninja",
    "make",
    "cmake",
    "collect2",
    "as",
    "cpp",
    "ar",
    "nm",
    "strip",
    "ranlib",
    "objcopy",
    "gfortran",
]
_PLAIN = (
    *("ld: ", "ld.gold: ", "ld.bfd: ", "ld.lld: ", "ld.mold: "),
    "LINK : ",
    ": *** ",
    "CMake Error",
    ": not found",
    "command not found",
    "Illegal instruction",
    "Bus error",
    "Floating point exception",
    "Aborted",
    "terminate called",
    "panicked at",
    "npm ",
    ": can't open file",
    ": No module named ",
    "LLVM ERROR",
    "PackagesNotFoundError",
    "UnsatisfiableError",
    "CondaError",
    "ResolutionImpossible",
    # of nvcc and its tools, which put more blanks before the colon
    "fatal  ",
    "error  ",
    # a compiler with its version, e.g. g++-12
    *(f"-{version}{before}: " for version in range(3, 30) for before in ("", " ")),
    *(f"E{digit}" for digit in range(10)),
    *("sh: ", "curl: ", "wget: ", "git: ", "tar: ", "conda: ", "docker: ", "patch: "),
)


def _joined(*parts: Iterable[str]) -> Iterator[str]:
    return map("".join, product(*parts))


def start_words() -> frozenset[str]:
    """The words; a line ends with its line end."""
    ends = ("\n", "\r", " \n", " \r", "  ", "\t")
    return frozenset(
        (
            *_PLAIN,
            *_joined((*_LAST, "ERROR", "Error", "FATAL", "FEHLER", "E"), _SPACES, ":："),
            *_joined((")",), _SPACES, (": ",), _FIRST),
            *_joined(_EXCEPTIONS, (": ", *ends)),
            *_joined(_LEVELS, ("]", "|", ":", "-", *_SPACES[1:])),
            *_joined(_TOOLS, _SPACES, (": ",), _FIRST),
        )
    )

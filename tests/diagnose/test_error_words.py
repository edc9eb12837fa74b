"""Every line that reports an error by its beginning holds one of the words that the search for lines looks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mambaops.diagnose import first_error
from mambaops.diagnose.dress import messages
from mambaops.diagnose.match import examine

HERE = Path(__file__).resolve().parent
# one for every expression of `first_error`, and what is spelt in other ways
LINES = [
    "csrc/x.cpp:12:3: fatal error: a.h: No such file or directory",
    "csrc/x.cpp:12:3: 致命错误：a.h：没有那个文件或目录",
    "x.cpp:1:1: erreur\u00a0: a.h : Aucun fichier ou dossier de ce type",
    "x.cpp:1: schwerwiegender Fehler: a.h: Datei oder Verzeichnis nicht gefunden",
    "<built-in>: fatal error: when writing output to x.ii: No space left on device",
    'x.cu(33): error: identifier "y" is undefined',
    'x.cuh(3) : error #20: identifier "y" is undefined',
    "x.h(9): error C2975: invalid template argument",
    "x.cu(1): catastrophic error: cannot open source file",
    "nvcc fatal   : Unsupported gpu architecture 'compute_120'",
    "nvcc error   : 'cicc' died due to signal 9",
    "g++: error: x.o: No such file or directory",
    "g++-12: fatal error: Killed signal terminated program cc1plus",
    "x86_64-conda-linux-gnu-c++: error: x.o: No such file",
    "/usr/bin/ld: cannot find -lcuda: No such file or directory",
    "LINK : fatal error LNK1181: cannot open input file 'x.lib'",
    "ImportError: no such thing",
    "torch.OutOfMemoryError: CUDA out of memory.",
    "AssertionError",
    "AssertionError  ",
    "zipfile.BadZipFile: File is not a zip file",
    "Exception: it failed",
    "ERROR: No matching distribution found for x",
    "error : command 'g++' failed",
    "FEHLER: nichts",
    "E: Unable to locate package x",
    "E0303 11:40:42.533000 713 site-packages/x.py:533] error",
    "[ERROR] something",
    "ERROR    | something",
    "CRITICAL - something",
    "make[1]: *** [all] Error 2",
    "CMake Error at CMakeLists.txt:2 (project):",
    "./x.sh: line 2: nvcc: command not found",
    "sh: 1: nvcc: not found",
    "bash: nvcc: command not found",
    "Illegal instruction (core dumped)",
    "Aborted",
    "terminate called after throwing an instance of 'c10::Error'",
    "thread 'main' panicked at src/main.rs:1:1:",
    "npm ERR! code E404",
    "npm error code E404",
    "python: can't open file 'x.py': [Errno 2]",
    "/usr/bin/python3: No module named pip",
    "LLVM ERROR: Cannot select",
    "curl: (22) The requested URL returned error: 404",
    "docker: failed to register layer: no space left on device",
    "CondaError: x",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_each_kind_is_the_first_error(line: str) -> None:
    assert first_error.kind_of(line) == "error"
    assert examine([f"loading\n{line}\n"]).first_error_line_number == 2
    # without a line end, and behind what a runner puts before it
    assert examine([f"loading\n[rank0]: {line}"]).first_error_line_number == 2


def test_each_line_of_all_logs_that_reports_an_error_holds_one() -> None:
    files = [*HERE.glob("logs/*.log"), *HERE.glob("cases/*.yaml"), *HERE.glob("reports/*.yaml")]
    lines = {line for path in files for line in path.read_text(encoding="utf-8").splitlines()}
    by_their_beginning = [
        line
        for line in lines
        if any(first_error.reports_at_start(message) for message in messages(line))
    ]
    assert len(by_their_beginning) > 300
    silent = [
        line
        for line in by_their_beginning
        if not any(word in f"{line}\n" for word in first_error.START_WORDS)
    ]
    assert silent == []


@pytest.mark.parametrize("line", ["error rate 0.3 after 4 failed steps", "0 errors, undefined"])
def test_what_only_speaks_of_errors_holds_none(line: str) -> None:
    assert not any(word in f"{line}\n" for word in first_error.START_WORDS)

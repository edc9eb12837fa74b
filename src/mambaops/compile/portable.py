"""Linking so that the result runs on older systems than it was built on.

The one symbol above glibc 2.14 in these extensions is `__libc_single_threaded` (GLIBC_2.32): libstdc++'s
headers ask it since GCC 11 whether reference counts need atomic operations. A hidden definition inside the
extension (0: "there may be several threads", always safe) takes the need away; measured on both packages,
accepted by the loader of glibc 2.31.
"""

from __future__ import annotations

from pathlib import Path

from mambaops.core import process

SYMBOL = "__libc_single_threaded"
SOURCE = f'__attribute__((visibility("hidden"))) char {SYMBOL} = 0;\n'


def portable_object(folder: Path, compiler: str, log: Path) -> Path:
    """Compile the definition into `folder` and return the object, for the linker's command line.

    Args:
        compiler: a C or C++ compiler.

    Raises:
        CommandFailed: the compiler does not work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source, made = folder / "single_threaded.c", folder / "single_threaded.o"
    source.write_text(SOURCE, encoding="utf-8")
    # -x c: g++ would mangle nothing here, but would warn of the missing extern "C"
    process.run([compiler, "-x", "c", "-fPIC", "-O2", "-c", source, "-o", made], log=log)
    return made

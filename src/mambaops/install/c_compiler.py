"""A C compiler and Python.h inside of an environment, for Triton, without root.

Triton compiles the launcher of each kernel with `CC`, gcc or clang at its first call: mamba_ssm's layer norm,
Mamba-2 and decoding need that. Where the machine has none, `ziglang` of the package index is one (clang and a C
library, in one wheel). Triton calls a single program: a script in the environment's `bin` that knows the headers.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from mambaops.core import interpreters, process
from mambaops.core.errors import MachineError
from mambaops.core.files import write_text
from mambaops.core.json_lines import json_lines
from mambaops.core.paths import payload_file
from mambaops.facts.model import Facts
from mambaops.install.headers import install_headers
from mambaops.install.installers import installer_environment, pip_command

NAME = "mambaops-cc"  # `mambaops_kernels.c_compiler` looks for it
PACKAGE = "ziglang"


class CCompiler(msgspec.Struct, frozen=True, kw_only=True):
    """What Triton is to call. `action` is present (nothing had to be done) or installed."""

    action: str
    path: str
    brought: list[str] = []


def install_c_compiler(
    target: Facts, env: Path, *, log: Path, say: Callable[[str], None]
) -> CCompiler:
    """Give the environment what it lacks, and prove it: a module is compiled as Triton does, and imported.

    Args:
        target: of the machine and of the environment's Python.

    Raises:
        MachineError: headers that cannot be had, or a compiler that does not work here.
        CommandFailed: the package could not be installed.
    """
    python, own = interpreters.of_environment(env), env / "bin" / NAME
    if not (found := tried(python, [], log))["reason"]:
        return CCompiler(action="present", path=found["value"])
    compiler, brought = _compiler(target, python, log=log, say=say)
    headers = target.python.headers
    if headers is None:
        headers = str(install_headers(target, env, log=log, say=say))
        brought.append(f"Python.h in {headers}")
    write_text(own, _script([*compiler, f"-I{headers}"], env), mode=0o755)
    if reason := tried(python, [str(own)], log)["reason"]:
        raise MachineError(f"{own} does not work: {reason}", hint=f"all of it is in {log}")
    return CCompiler(action="installed", path=str(own), brought=brought)


def _compiler(
    target: Facts, python: Path, *, log: Path, say: Callable[[str], None]
) -> tuple[list[str], list[str]]:
    """The words that call it, and what was installed for that."""
    for one in target.compilers:
        if one.name in ("gcc", "clang") and one.works:
            return [one.path], []
    say(f"no C compiler here: {PACKAGE} from the package index (about 100 MB)")
    pip = pip_command(python)
    if pip is None:
        raise MachineError(f"there is no pip for {python}", hint="`python -m ensurepip` brings it")
    process.run([*pip, "install", PACKAGE], env=installer_environment(), log=log, timeout=1800)
    return [str(python), "-m", PACKAGE, "cc"], [PACKAGE]


def _script(words: list[str], env: Path) -> str:
    # zig keeps what it translated once; a home that cannot be written to must not matter
    cache = shlex.quote(str(env / "zig-cache"))
    lines = [
        "#!/bin/sh",
        "# written by `mambaops install-cc`: the C compiler that Triton calls",
        f": ${{ZIG_GLOBAL_CACHE_DIR:={cache}}} ${{ZIG_LOCAL_CACHE_DIR:=$ZIG_GLOBAL_CACHE_DIR}}",
        "export ZIG_GLOBAL_CACHE_DIR ZIG_LOCAL_CACHE_DIR",
        f'exec {shlex.join(words)} "$@"',
    ]
    return "\n".join(lines) + "\n"


def tried(
    python: Path,
    words: Sequence[str],
    log: Path | None,
    env: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Whether a C compiler makes a module that `python` imports: `reason` why not, else empty; `value` the compiler.

    Args:
        words: the compiler; empty for the one that Triton would take.
    """
    argv: list[str | Path] = [python, payload_file("c_check.py"), *words]
    done = process.run(argv, env=env, log=log, timeout=600, check=False)
    # a start-up file of the interpreter may print beside it
    found = next((one for one in json_lines(done.stdout) if done.ok and "reason" in one), None)
    return found or {"reason": f"the check ended with {done.returncode}", "value": ""}

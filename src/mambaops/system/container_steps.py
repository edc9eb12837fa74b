"""The container route from beginning to end: write the files, then build and run what was asked for."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mambaops.core.errors import MachineError
from mambaops.core.outputs import file_to_write, folder_to_write
from mambaops.core.process import which
from mambaops.profiles.load import is_file, load_profile
from mambaops.system import container


def carry_out(
    profile_name: str,
    output: str,
    *,
    arch: str,
    runtime: str,
    build: bool,
    run: bool,
    words: Sequence[str] = (),
    say: Callable[[str], None],
    relay: Callable[[str], None],
    force: bool = False,
) -> None:
    """Write Dockerfile and context into `output`; build the image, or become the one that runs it.

    Raises:
        UsageError, MachineError, CommandFailed: see the functions of `container`.
    """
    profile, folder = load_profile(profile_name), Path(output)
    file_to_write(folder / "Dockerfile", force=force, ours=container.is_ours)
    folder_to_write(folder / container.CONTEXT, force=force, ours=container.is_context)
    folder.mkdir(parents=True, exist_ok=True)
    own = Path(profile_name) if is_file(profile_name) else None
    print(container.write_context(profile, folder, arch=arch, file=own))
    if not (build or run):
        engine = runtime or "docker"
        told = [container.build_command(profile, engine, folder)]
        told += container.copy_commands(profile, engine, folder)
        told.append(container.run_command(profile, engine, folder, words, terminal=True))
        say("to build, copy the wheels out and run:")
        say("\n".join(f"  {shlex.join(command)}" for command in told))
        return
    engine = container.chosen_runtime(runtime)
    if build:
        for wheel in container.build(profile, engine, folder, say=say, relay=relay):
            print(wheel)
    if run:
        terminal = sys.stdin.isatty()
        _become(container.run_command(profile, engine, folder, words, terminal=terminal))


def _become(command: Sequence[str]) -> None:
    """The container gets our terminal and our signals, and its status is ours."""
    program = which(command[0])
    if program is None:
        raise MachineError(f"{command[0]} is not on PATH")
    sys.stdout.flush()
    os.execv(program, list(command))

"""Every error that a user may see, one class per exit code.

An error says what was found and what was wanted; its hint says what to do. Only `mambaops.cli` prints
them and turns them into an exit status.
"""

from __future__ import annotations


class MambaopsError(Exception):
    """A step or a check failed (exit 1).

    Args:
        message: what was found, what was wanted, where it was looked for.
        hint: what the person can do; a command where there is one.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MambaopsError):
    """A profile, flag or input that cannot be understood (exit 2)."""

    exit_code = 2


class MachineError(MambaopsError):
    """This machine cannot satisfy the profile (exit 4)."""

    exit_code = 4


class StepDidNotTake(MambaopsError):
    """A command exited 0 and changed nothing (exit 1)."""


class CommandFailed(MambaopsError):
    """A process ended badly; `output` holds its last lines, `returncode` its status (exit 1)."""

    def __init__(self, message: str, *, returncode: int, output: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.returncode = returncode
        self.output = output


class Interrupted(MambaopsError):
    """The person, or the system, stopped it by signal `number` (exit 128 + number: 130 for Ctrl-C)."""

    def __init__(self, message: str, *, hint: str = "", number: int = 2) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 128 + number

"""The command that does one step alone, with the flags of the plan. Pure."""

from __future__ import annotations

import shlex

from mambaops.decide.case import Case
from mambaops.decide.situation import Flags
from mambaops.steps.step import Instance


def command_of(case: Case, instance: Instance) -> str:
    """What a person pastes to do one step (a check: to have it explained)."""
    words = ["mambaops", "doctor", "--profile", case.flags.profile or case.profile.name]
    if instance.step.act is None:
        return shlex.join(words)
    words[1] = instance.step.id
    words += ["--package", instance.package] if instance.package else []
    return shlex.join([*words, *flag_words(case.flags)])


def flag_words(flags: Flags) -> list[str]:
    """The flags as words of a command line; what was not asked for is left out."""
    words: list[str] = []
    for flag, value in (
        ("--arch", flags.arch),
        ("--torch", flags.torch),
        ("--python", flags.python),
    ):
        words += [flag, value] if value else []
    for package, path in flags.source.items():
        words += ["--source", f"{package}={path}"]
    for name, file in flags.add.items():
        words += ["--add", file or name]
    words += ["--cross"] if flags.cross else []
    words += ["--sudo"] if flags.sudo else []
    words += ["--obtain", ",".join(flags.obtain)] if flags.obtain else []
    return words

"""The `mambaops` command: words in, one command run, its exit status out."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from mambaops.cli import output
from mambaops.cli.faults import of_the_system
from mambaops.core.errors import MambaopsError, UsageError

HELP = ("-h", "--help", "help")
LIST = ("-l", "--list", "list")
COMMON = ("--json", "-q", "--quiet", "-v", "--verbose")
DRY = "--dry"  # as with Invoke: show what would be done
VERSION = ("-V", "--version", "version")


def run(argv: Sequence[str]) -> int:
    """Run the command that the words name; the exit status.

    Raises:
        OSError, KeyboardInterrupt, BrokenPipeError: as `faults.guarded` takes them.
    """
    words, dry = _without_dry(list(argv[1:]))
    words = _behind(words)
    output.begin("", json="--json" in _ours(words))
    try:
        return _run(words, dry=dry)
    except MambaopsError as error:
        output.say_error(error)
        return error.exit_code
    except OSError as error:
        if error.errno in (errno.EPIPE, errno.ENOSPC, errno.EIO):
            raise  # a stream of ours: nothing more can be said there
        output.say_error(MambaopsError(of_the_system(error)))
        return 1


def _without_dry(words: list[str]) -> tuple[list[str], bool]:
    """The words without `--dry`, wherever it stands among ours; and whether it did."""
    ours = _ours(words)
    return [word for word in ours if word != DRY] + words[len(ours) :], DRY in ours


def _behind(words: list[str]) -> list[str]:
    """`--json plan` -> `plan --json`: what every command takes may also stand before it."""
    count = next((n for n, word in enumerate(words) if word not in COMMON), len(words))
    name = words[count : count + 1]
    if count and not name:
        return ["--list", *words]
    return name + words[:count] + words[count + 1 :]


def _ours(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _run(words: list[str], *, dry: bool) -> int:
    first = words[0] if words else "--help"
    if first == "__complete":
        from mambaops.cli.completion import candidates

        output.put("".join(f"{one}\n" for one in candidates(words[1:])), end="")
        return 0
    if first in VERSION:
        return _version()
    if first in (*HELP, *LIST) and not [word for word in words[1:] if not word.startswith("-")]:
        return _list()
    if first in HELP:
        return _help(words[1:])
    if first.startswith("-"):
        raise _misplaced(words)
    return _command(words, dry=dry)


def _version() -> int:
    from mambaops import __version__

    if output.WANTED.json:
        output.emit_json({"schema": "mambaops/version/1", "version": __version__})
    else:
        output.put(f"mambaops {__version__}")
    return 0


def _list() -> int:
    if output.WANTED.json:
        from mambaops.cli.listing import ROWS

        rows = [row.as_json() for row in ROWS]
        output.emit_json({"schema": "mambaops/commands/1", "commands": rows})
    else:
        from mambaops.cli.help_text import listing

        output.put(listing())
    return 0


def _help(words: list[str]) -> int:
    from mambaops.cli.find import find, nouns
    from mambaops.cli.help_text import command_help, noun_help

    named = [word for word in words if not word.startswith("-")]
    if len(named) == 1 and named[0] in nouns():
        output.put(noun_help(named[0]))
    else:
        command, _ = find(named)
        output.put(command_help(command))
    return 0


def _misplaced(words: list[str]) -> UsageError:
    """A flag before the command: flags stand behind it."""
    name = next((word for word in words if not word.startswith("-")), "")
    moved = f"mambaops {name} {words[0]}" if name else "mambaops COMMAND --flag"
    return UsageError(
        f"`{words[0]}` stands before the command", hint=f"flags stand behind it: `{moved}`"
    )


def _command(words: list[str], *, dry: bool) -> int:
    from mambaops.cli.aliases import spelled
    from mambaops.cli.carry_out import carry_out
    from mambaops.cli.command import Words
    from mambaops.cli.find import find
    from mambaops.cli.parse import parsed

    if set(words[1:2]) & {"-h", "--help"}:
        return _help(words[:1])
    command, left = find(words)
    found = parsed(command, spelled(left))
    output.begin(command.name, json=found.json, quiet=found.quiet, verbose=found.verbose)
    if found.help:
        return _help([command.name])
    _there()
    status = carry_out(command, Words(found.rest), found.values, dry=dry)
    if found.json and not output.WANTED.told:
        done = {"command": command.name, "exit_code": status}
        output.emit_json({"schema": "mambaops/done/1", **done})
    return status


def _there() -> None:
    """Raises:
    UsageError: the working folder was deleted.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UsageError(
            "the working folder is gone: somebody deleted it", hint="go to another one: `cd ~`"
        ) from None

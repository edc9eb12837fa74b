"""The list of commands, and the help of one."""

from __future__ import annotations

import os
import re

from mambaops.cli.command import GROUPS, REQUIRED, Command, Option
from mambaops.cli.listing import ROWS, Row
from mambaops.cli.output import coloured
from mambaops.core.invocation import program

COMMON = (
    ("-h, --help", "this text"),
    ("--json", "one JSON document on stdout, errors included"),
    ("-q, --quiet", "say nothing but errors"),
    ("-v, --verbose", "also say which programs are run"),
)
HOW_TO_GO_ON = (
    "`mambaops COMMAND --help` explains one and has examples; `mambaops completion` lets the shell "
    "complete them. Start with:"
)
WIDEST = 110


def listing() -> str:
    """Every command in its group, one line each, and how to go on."""
    column = max(len(row.words) for row in ROWS)
    parts = [
        f"{_bold('mambaops')}: CUDA packages like mamba-ssm, working on this machine, and proven\n",
        f"{_bold('Usage:')} mambaops COMMAND [WORDS] [--flags]",
    ]
    for group, title in GROUPS.items():
        rows = [row for row in ROWS if row.group == group]
        if rows:
            parts += ["", _bold(f"{title}:"), *(_line(row, column) for row in rows)]
    first = [f"  {_started(one)}" for one in ("mambaops doctor", "mambaops build-mamba")]
    parts += ["", *_lines(HOW_TO_GO_ON, width()), *first]
    return "\n".join(parts)


def _line(row: Row, column: int) -> str:
    return _wrapped(f"  {row.words:{column}}  ", row.summary, first_only=True)


def noun_help(noun: str) -> str:
    """The verbs of a noun."""
    rows = [row for row in ROWS if row.words.startswith(f"{noun} ")]
    width = max(len(row.words) for row in rows)
    lines = [_line(row, width) for row in rows]
    usage = f"{_bold('Usage:')} mambaops {noun} VERB [WORDS] [--flags]"
    return "\n".join([usage, "", *lines, "", f"`mambaops {noun} VERB --help` explains one."])


def command_help(command: Command) -> str:
    """What a command does, its words and flags, and two examples."""
    parts = [command.summary]
    if command.details:
        parts += ["", command.details]
    parts += ["", f"{_bold('Usage:')} {usage(command)}"]
    if command.examples:
        parts += ["", _bold("Examples:"), *(f"  {_started(one)}" for one in command.examples)]
    parts += ["", _bold("Flags:"), *_flags(command)]
    former = [one for one in (command.name, *command.aliases) if one != command.words]
    if former:
        parts += ["", f"Also as: {', '.join(f'mambaops {one}' for one in former)}"]
    if note := _with_invoke(command):
        parts += ["", note]
    return "\n".join(parts)


def _started(example: str) -> str:
    """An example with the words that start mambaops here, so that it works when pasted."""
    return re.sub(r"(^|[|&(] ?)mambaops ", lambda found: f"{found[1]}{program()} ", example)


def usage(command: Command) -> str:
    """`mambaops diagnose [LOG] [--flags]`."""
    words = ["mambaops", command.words]
    if option := command.option(command.operand.replace("_", "-")):
        words.append(_operand(option, several=bool(command.further)))
    words.append("[--flags]")
    if command.rest:
        words.append("[-- WORDS OF THE PROGRAM]")
    return " ".join(words)


def _operand(option: Option, *, several: bool) -> str:
    name = option.name.upper() + (" ..." if option.kind is list or several else "")
    return name if option.default is REQUIRED else f"[{name}]"


def _flags(command: Command) -> list[str]:
    rows = [(_spelled(one), _told(one)) for one in command.options if one.name != "json"]
    rows += COMMON
    width = min(max(len(name) for name, _ in rows), 26)
    return [_wrapped(f"  {name:{width}}  ", text) for name, text in rows]


def _spelled(one: Option) -> str:
    letter = f"-{one.letter}, " if one.letter else ""
    if one.kind is bool:
        return f"{letter}--{'[no-]' if one.default is True else ''}{one.name}"
    value = {int: "N", float: "SECONDS"}.get(one.kind, "VALUE")
    return f"{letter}--{one.name} {value}"


def _told(one: Option) -> str:
    shown = one.default not in (REQUIRED, None, "", False, True, 0) and "default" not in one.help
    return one.help + (f" (default: {one.default})" if shown else "")


def _with_invoke(command: Command) -> str:
    """What is said otherwise to `invoke`, whose own parser reads the words there."""
    parts = []
    if command.verb:
        parts.append(f"`invoke {command.name}` is the command's name")
    if command.operand and command.operand not in command.positional:
        parts.append(f"`--{command.operand.replace('_', '-')}` stands before its value")
    if not parts:
        return ""
    return f"In a checkout: `invoke {command.name}`; there " + ", and ".join(parts) + "."


def _wrapped(head: str, text: str, *, first_only: bool = False) -> str:
    """`head text`, the lines after the first below the text; or the first alone, with an ellipsis."""
    room = max(width() - len(head), 24)
    lines = _lines(text, room)
    if first_only and len(lines) > 1:
        lines = [_shortened(text, room)]
    return ("\n" + " " * len(head)).join([head + lines[0], *lines[1:]]) if lines else head.rstrip()


def _shortened(text: str, room: int) -> str:
    """The sentence up to its first colon or semicolon, else as much as there is room for."""
    for mark in (": ", "; ", " ("):
        if len(head := text.partition(mark)[0]) <= room and len(head) > room // 4:
            return head
    return _lines(text, room - 2)[0] + " …"


def _lines(text: str, room: int) -> list[str]:
    """`text` in lines of `room` characters, broken at spaces."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and len(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def width() -> int:
    """Columns of the terminal, or of COLUMNS; 80 where there is none."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return min(int(given), WIDEST)
    try:
        return min(os.get_terminal_size(1).columns or 80, WIDEST)
    except OSError:
        return 80


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if coloured() else text

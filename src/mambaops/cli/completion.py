"""What may follow the words that stand there: for the shells' completion. Imports one command's module at most."""

from __future__ import annotations

from collections.abc import Sequence

from mambaops.cli.command import Command, Option
from mambaops.cli.listing import ROWS
from mambaops.core.errors import UsageError
from mambaops.core.paths import PACKAGE, data_dir

WORD = "__complete"  # `mambaops __complete WORDS...` prints them, one a line
SCRIPTS = {
    "bash": """_mambaops() {
  local IFS=$'\\n'
  COMPREPLY=($(mambaops __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _mambaops mambaops
""",
    "zsh": """#compdef mambaops
_mambaops() {
  local -a found
  found=(${(f)"$(mambaops __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
  compadd -a found || _files
}
compdef _mambaops mambaops
""",
    "fish": """complete -c mambaops -a '(mambaops __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
""",
}
SHELLS = ("bash", "zsh", "fish", "powershell", "cmd")


def candidates(words: Sequence[str]) -> list[str]:
    """What the last word can become; [] where a file is wanted, which the shell knows better."""
    *before, last = words or [""]
    return sorted(one for one in {*_all(before)} if one.startswith(last))


def _all(before: list[str]) -> list[str]:
    from mambaops.cli.find import find

    if len(before) < 2 and (verbs := _verbs(before)):
        return verbs
    try:
        command, words = find(before)
    except UsageError:
        return []
    return _of_command(command, words)


def _verbs(before: list[str]) -> list[str]:
    """Commands for the first word, verbs after a noun."""
    if not before:
        return [row.words.split()[0] for row in ROWS] + ["help"]
    if before == ["help"]:
        return [row.name for row in ROWS]
    return [row.words.split()[1] for row in ROWS if row.words.startswith(f"{before[0]} ")]


def _of_command(command: Command, words: list[str]) -> list[str]:
    from mambaops.cli.parse import known_flags

    option = _awaiting(command, words[-1]) if words else None
    if option is not None:
        return values(option.name)
    operand = command.option(command.operand.replace("_", "-")) if command.operand else None
    return known_flags(command) + (values(operand.name) if operand else [])


def _awaiting(command: Command, word: str) -> Option | None:
    """The option whose value comes next."""
    for one in command.options:
        if one.kind is not bool and word in (f"--{one.name}", f"-{one.letter}"):
            return one
    return None


def values(name: str) -> list[str]:
    """What an option can be, where that is known."""
    if name in ("profile", "explain"):
        return [path.stem for path in data_dir("env_profiles").glob("*.yaml")]
    if name in ("package", "add", "target"):
        return [path.stem for path in (PACKAGE / "knowledge" / "packages").glob("*.toml")]
    return list(SHELLS) if name == "shell" else []

"""Commands in texts for people: found between backticks, and pasted into the program's own parser and a shell."""

from __future__ import annotations

import ast
import functools
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from mambaops.cli.aliases import spelled
from mambaops.cli.find import by_name, find
from mambaops.cli.parse import parsed
from mambaops.core.errors import UsageError
from mambaops.core.paths import PACKAGE

# a program -> what may follow it; None: anything
FORMS: dict[str, tuple[str, ...] | None] = {
    "apt-get": ("update", "install", "remove", "purge"),
    "conda": ("install", "create"),
    "dnf": ("install",),
    "export": None,
    "hwclock": ("--hctosys",),
    "mambaops": None,
    "nox": ("-s",),
    "nvidia-smi": None,
    "pip": (
        "install",
        "uninstall",
        "config",
        "freeze",
        "list",
        "--timeout",
        "debug",
        "download",
        "index",
        "show",
    ),
    "python": ("-c", "-m"),
    "rm": ("-rf",),
    "scl": ("enable",),
    "sed": ("-i",),
    "sh": None,
    "tar": None,
    "timedatectl": ("set-ntp",),
    "uv": ("pip", "python"),
    "wsl": ("--shutdown", "--list", "--set-version"),
}
NOTATION = {"x", "COMMAND", "VERB", "STEP"}
PLACEHOLDER = re.compile(
    r"<[a-zA-Z]|…|\b(NAME|FILE|PATH|DIR|PROFILE|ARCH|URL|VERSION|PACKAGE)\b(?!=)"
)
_ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")


def commands_in(text: str) -> list[str]:
    """What stands between backticks and begins with a program that we know (after `sudo`, after `VAR=x`)."""
    return [
        one for one in re.findall(r"`([^`\n]+)`", text) if _program(one) in FORMS and " " in one
    ]


def _program(command: str) -> str:
    words = [word for word in command.split() if not _ASSIGNMENT.fullmatch(word)]
    if words[:1] == ["export"] or not words:
        return "export"
    words = words[1:] if words[0] == "sudo" else words
    return re.split(r"[/\\]", words[0])[-1] if words else ""


def complaint(command: str, *, shell: bool = True) -> str:
    """Why a printed command would not work when pasted; "" where it would.

    Args:
        shell: ask a shell too; False where all of them were asked about at once.
    """
    shown = re.sub(r"\$\w+|--\w+=\S*", "", command)
    if PLACEHOLDER.search(shown.removeprefix("export ")):
        return "a placeholder is left in it"
    if shell and not is_shell([command]):
        return "no shell takes it"
    return _ours(command) if "mambaops " in command else _form(command)


def is_shell(commands: Iterable[str]) -> bool:
    """Whether bash can read them all."""
    script = "\n".join(commands)
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    return done.returncode == 0


def _form(command: str) -> str:
    words = [word for word in shlex.split(command) if not _ASSIGNMENT.fullmatch(word)]
    words = words[1:] if words[:1] == ["sudo"] else words
    if not words or words[0] == "export":
        return ""
    allowed = FORMS.get(Path(words[0]).name, ())
    if allowed is not None and (len(words) < 2 or words[1] not in allowed):
        return f"`{' '.join(words[:2])}` is no form of that program"
    return ""


def _ours(command: str) -> str:
    """Whether the program's own parser takes it."""
    start = command.index("mambaops ")
    words = shlex.split(re.split(r" (?:[|>&]|&&|2>)|\)", command[start:])[0])
    if words[1] in ("--help", "--list") and not NOTATION & set(words[2:3]):
        known = words[1] == "--list" or by_name(words[2]) is not None
        return "" if known else "there is no such command"
    words = [word for word in words if word != "--dry"]
    if NOTATION & set(words[1:3]):
        return ""  # the code puts the name of a command in, or a help text speaks of any
    try:
        command, left = find(words[1:])
        parsed(command, spelled(left))
    except UsageError as error:
        return error.message
    return ""


def bare(text: str) -> list[str]:
    """Commands of ours that stand outside of backticks, where nothing makes them pasteable."""
    outside = re.sub(r"`[^`\n]*`", "", text)
    return [
        one for one in re.findall(r"\bmambaops ([a-z][a-z-]+)", outside) if by_name(one) is not None
    ]


def texts_of_the_code() -> Iterator[tuple[str, str]]:
    """(place, text) of every text in the package that is no documentation; `x` for what is put in."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, text in _literals(tree):
            yield f"{path.relative_to(PACKAGE)}:{line}", text


def _literals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    skipped = {id(node) for owner in ast.walk(tree) for node in _documentation(owner)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(inner) for inner in ast.walk(node)}
            yield node.lineno, functools.reduce(_filled, node.values, "")
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in skipped
        ):
            yield node.lineno, node.value


def _filled(text: str, part: ast.expr) -> str:
    """An f-string's text with one more part: `x` for a word that is put in, nothing for what is put behind one."""
    if isinstance(part, ast.Constant):
        return text + str(part.value)
    return text + ("" if text[-1:].isalnum() else "x")


def _documentation(owner: ast.AST) -> list[ast.AST]:
    body = getattr(owner, "body", None)
    first = body[0] if isinstance(body, list) and body else None
    return [first.value] if isinstance(first, ast.Expr) else []

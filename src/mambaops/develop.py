"""A developer's own set-up: environment, tools, git hook. Safe to repeat; nothing foreign is overwritten."""

from __future__ import annotations

import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from mambaops.core import process
from mambaops.core.errors import MambaopsError, UsageError
from mambaops.core.paths import CHECKOUT

MARK = "# written by `invoke bootstrap`"
HOOK = f"""#!/bin/sh
{MARK}
set -e
"{{python}}" -m ruff check .
"{{python}}" -m ruff format --check .
"{{python}}" -m mypy
"""
GROUPS = ("test", "target", "lint")


def bootstrap(say: Callable[[str], None]) -> None:
    """Set up the checkout that this mambaops runs from.

    Raises:
        UsageError: mambaops is not installed from a checkout.
        MambaopsError: pip failed.
    """
    if not (CHECKOUT / "pyproject.toml").is_file():
        raise UsageError(
            "bootstrap works in a checkout, and this mambaops is installed as a package",
            hint="clone the repository, then `pip install -e .` in it",
        )
    python = _environment(say)
    _tools(python, say)
    _hook(python, say)
    say("ready. Next:")
    say("  .venv/bin/nox -s tests          the tests")
    say("  .venv/bin/nox -s lint typecheck")
    say("  .venv/bin/invoke doctor         what this machine lacks for a build")


def _environment(say: Callable[[str], None]) -> Path:
    python = CHECKOUT / ".venv" / "bin" / "python"
    if python.exists():
        say(f"{python.parent.parent}: there already")
        return python
    process.run([sys.executable, "-m", "virtualenv", "--quiet", CHECKOUT / ".venv"], timeout=300)
    say(f"{python.parent.parent}: made")
    return python


def _tools(python: Path, say: Callable[[str], None]) -> None:
    """mambaops itself, editable, and the groups of pyproject.toml."""
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet"]
    process.run([*pip, "--upgrade", "pip>=25.1"], timeout=600)
    words = [word for group in GROUPS for word in ("--group", group)]
    try:
        process.run([*pip, "--editable", CHECKOUT, *words], cwd=CHECKOUT, timeout=3600)
    except MambaopsError as error:
        raise MambaopsError(
            f"the tools could not be installed: {error.message}", hint="is there a network?"
        ) from error
    say("mambaops (editable) and the groups " + ", ".join(GROUPS) + ": installed")


def _hook(python: Path, say: Callable[[str], None]) -> None:
    """A pre-commit hook; one that is there already and not ours stays."""
    if shutil.which("git") is None or not (CHECKOUT / ".git").exists():
        say("no git checkout: no hook")
        return
    found = process.run(["git", "rev-parse", "--git-path", "hooks"], cwd=CHECKOUT).stdout.strip()
    hook = (CHECKOUT / found / "pre-commit").resolve()
    if hook.exists() and MARK not in hook.read_text(encoding="utf-8", errors="replace"):
        say(f"{hook}: somebody else's, left as it is")
        return
    hook.parent.mkdir(parents=True, exist_ok=True)
    aside = hook.with_name("pre-commit.tmp")
    aside.write_text(HOOK.format(python=python), encoding="utf-8")
    aside.chmod(aside.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP)
    aside.replace(hook)
    say(f"{hook}: checks style and types before a commit")

"""`invoke NAME` in a checkout: the tasks of the command `mambaops`, and `bootstrap` for who develops it.

`python3 tasks.py`, with any Python from 3.7 on and nothing installed, makes the environment that has `invoke`.
"""

from __future__ import annotations

import runpy
import shutil
import stat
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent
if __name__ == "__main__":  # before anything is imported that is not there yet
    runpy.run_path(str(CHECKOUT / "src/mambaops/payload/first_line.py"), run_name="__main__")

from mambaops.cli import collection
from mambaops.cli.faults import guarded_at_exit
from mambaops.cli.invoke_tasks import as_task
from mambaops.cli.task import Context, say, task
from mambaops.core import process
from mambaops.core.errors import MambaopsError

MARK = "# written by `invoke bootstrap`"
HOOK = f"""#!/bin/sh
{MARK}
set -e
"{{python}}" -m ruff check .
"{{python}}" -m ruff format --check .
"{{python}}" -m mypy
"""
GROUPS = ("test", "target", "lint")


@task(name="bootstrap")
def bootstrap(c: Context) -> None:
    """Set up a developer's checkout: environment, tools, git hook; safe to repeat."""
    python = _environment()
    _tools(python)
    _hook(python)
    say("ready. Next:")
    say("  .venv/bin/nox -s tests          the tests")
    say("  .venv/bin/nox -s lint typecheck")
    say("  .venv/bin/invoke doctor         what this machine lacks for a build")


def _environment() -> Path:
    python = CHECKOUT / ".venv" / "bin" / "python"
    if python.exists():
        say(f"{python.parent.parent}: there already")
        return python
    process.run([sys.executable, "-m", "virtualenv", "--quiet", CHECKOUT / ".venv"], timeout=300)
    say(f"{python.parent.parent}: made")
    return python


def _tools(python: Path) -> None:
    """mambaops itself, editable, with nox, and the groups of pyproject.toml."""
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet"]
    process.run([*pip, "--upgrade", "pip>=25.1"], timeout=600)  # the first that knows --group
    words = [word for group in GROUPS for word in ("--group", group)]
    try:
        process.run([*pip, "--editable", f"{CHECKOUT}[nox]", *words], cwd=CHECKOUT, timeout=3600)
    except MambaopsError as error:
        raise MambaopsError(
            f"the tools could not be installed: {error.message}", hint="is there a network?"
        ) from error
    say("mambaops (editable), nox and the groups " + ", ".join(GROUPS) + ": installed")


def _hook(python: Path) -> None:
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


guarded_at_exit()
ns = collection()
ns.add_task(as_task(bootstrap))

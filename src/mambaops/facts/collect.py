"""Facts of this machine and of one interpreter: runs the probe, reads its JSON, fills in what tables know."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mambaops.core import interpreters, process
from mambaops.core.errors import MambaopsError, UsageError
from mambaops.core.paths import payload_file
from mambaops.core.piped import piped
from mambaops.facts import tool_versions
from mambaops.facts.complete import complete
from mambaops.facts.model import Facts, decode, load
from mambaops.knowledge.packages import Package, packages
from mambaops.knowledge.tables import minor_of, version_key

TOO_OLD = 3  # the probe's exit status on a Python that is too old for it
OLDEST = (3, 8)  # of a target environment: the probe itself also runs under 3.7, on another machine


def collect(
    python: Path | None = None,
    *,
    paths: Iterable[Path] = (),
    timeout: float = 3.0,
    more: Iterable[Package] = (),
) -> Facts:
    """Look at this machine with `python` (default: the interpreter that runs mambaops).

    Args:
        python: interpreter of the target environment, or the environment's folder: torch, packages and
            headers are its own.
        paths: places whose free space matters too.
        timeout: seconds that each command of the probe may take.
        more: packages to look for beside those that come with mambaops.

    Raises:
        UsageError: no such interpreter, or one below Python 3.8.
        MambaopsError: it broke, or printed something that is no facts.
    """
    executable = interpreters.named(python) if python else interpreters.ours()
    started, versions = time.time(), tool_versions.told_before()
    wanted = {
        "timeout": timeout,
        "path": [str(path) for path in paths],
        "packages": known_modules(more),
        "versions": versions,
    }
    argv: list[str | Path] = [executable, payload_file("cached_probe.py"), json.dumps(wanted)]
    done = process.run(argv, timeout=10 * timeout + 20, check=False)
    _check(done, executable)
    facts = _decoded(done, executable)
    if version_key(minor_of(facts.python.version)) < OLDEST:
        raise _too_old(executable, f"this is Python {facts.python.version}")
    tool_versions.remember(facts, versions, started)
    return complete(facts)


def known_modules(more: Iterable[Package] = ()) -> dict[str, dict[str, object]]:
    """What the probe looks for of each package: the module that `import` takes, and the compiled ones."""
    return {
        one.name: {
            "module": one.modules.imports[-1],
            "compiled": [*one.modules.kernels, *one.modules.host],
        }
        for one in [*packages().values(), *more]
    }


def piped_probe(timeout: float = 3.0) -> str:
    """The probe as a program for the standard input of another machine's Python: `ssh HOST python3 -`.

    Args:
        timeout: seconds that each command of the probe may take.
    """
    words = ["--timeout", str(timeout), "--packages", json.dumps(known_modules())]
    return piped(payload_file("probe.py"), words)


def facts_for(file: str, python: str = "") -> Facts:
    """Facts from a file, or of this machine with the interpreter whose environment is to be changed.

    Raises:
        UsageError: there is no such file or interpreter. MambaopsError: as in `collect`.
    """
    return load(Path(file)) if file else collect(interpreters.to_change(python))


def _check(done: process.Completed, python: Path) -> None:
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    last = said[-1] if said else ""
    hint = "name the interpreter of an environment: `--python /path/to/env/bin/python`"
    if done.ok:
        return
    if done.returncode == 127 and not done.stdout:
        raise UsageError(f"there is no interpreter `{python}`: {last}", hint=hint)
    if done.returncode == TOO_OLD or "SyntaxError" in done.stderr:
        raise _too_old(python, last.removeprefix("mambaops: "))
    reason = "gave no answer in time" if done.timed_out else f"exited {done.returncode}"
    raise MambaopsError(
        f"the probe {reason} under `{python}`: {last or 'it said nothing'}",
        hint=f"run it by hand to see more: `{done.command}`",
    )


def _too_old(python: Path, told: str) -> UsageError:
    return UsageError(
        f"`{python}` is too old: {told}",
        hint="Python 3.8 or newer is needed in the target environment",
    )


def answer(stdout: str) -> str:
    """The probe's JSON: the last line, since a start-up file or a wrapper may print before it."""
    return stdout.strip().rpartition("\n")[2]


def _decoded(done: process.Completed, python: Path) -> Facts:
    text = answer(done.stdout)
    try:
        return decode(text)
    except msgspec.MsgspecError as error:
        raise MambaopsError(
            f"`{python}` did not print facts ({error}), but: {text[:200] or 'nothing'}",
            hint=f"is it a Python interpreter? try `{done.command}`",
        ) from error

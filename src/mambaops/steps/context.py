"""What every step acts with: the profile, the flags, the places, the log of the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from mambaops.core import process
from mambaops.decide.situation import Flags
from mambaops.install.uv_for_pip import uv_for_pip
from mambaops.profiles.model import Profile
from mambaops.state.evidence import RunLog, read_notes, write_notes
from mambaops.state.places import Places


class Context(Struct, frozen=True, kw_only=True):
    """Passed to every step; `say` takes a line for the person."""

    profile: Profile
    flags: Flags
    where: Places
    run: RunLog
    say: Callable[[str], None]
    jobs: int  # compilers at once; 0: as the profile or the machine says

    def pip(
        self,
        step: str,
        words: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 3600,
    ) -> process.Completed:
        """pip of the target environment, with the user's own configuration; output to the step's log."""
        argv: list[str | Path] = [self.where.python, "-m", "pip", *words]
        env = {**_clean(), **(env or {})}
        return process.run(argv, env=env, log=self.run.log(step), timeout=timeout)

    def install(self, step: str, words: Sequence[str | Path]) -> None:
        """`pip install WORDS` in the target environment, by uv where it does the same and is quicker.

        Raises:
            CommandFailed: pip could not do it either.
        """
        if quick := uv_for_pip(self.where.python, words, _clean()):
            # no log yet: what fails in the end is explained by pip's words alone
            tried = self.run.folder / f"{step}-uv.txt"
            done = process.run(quick.argv, env=quick.env, log=tried, timeout=3600, check=False)
            if done.ok:
                _append(tried, self.run.log(step))
                return
            said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
            self.say(f"  uv could not ({said.strip()}; {tried}); trying pip")
        self.pip(step, ["install", *words])

    def note(self, **facts: object) -> None:
        """Remember small facts that cannot be read back from the environment."""
        write_notes(self.where.notes, {**read_notes(self.where.notes), **facts})


def _append(file: Path, log: Path) -> None:
    """A try that succeeded is part of the step's log, which may hold what was tried before it."""
    with log.open("ab") as whole:
        whole.write(file.read_bytes())
    file.unlink()


def _clean() -> dict[str, str]:
    """Our environment, without what would show an installer other packages than the target's."""
    base = {**os.environ, "LC_ALL": "C", "PYTHONNOUSERSITE": "1", "PIP_NO_INPUT": "1"}
    base.pop("PYTHONPATH", None)
    return base

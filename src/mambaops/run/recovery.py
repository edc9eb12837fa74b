"""Remedies that are safe to apply by ourselves after a failed step, each once: in the build tree and our caches.

Never drivers, `/etc`, other people's processes or anything of the user's: what needs a person is printed by
the diagnosis and left to them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mambaops.run.runner import Run
from mambaops.state.remedies import Result

Say = Callable[[str], None]
MORE_ROOM = 1 << 30  # bytes by which another disk must be the roomier one


@dataclass(frozen=True, slots=True)
class Remedy:
    """What may be done about a failure without root and without the network.

    Attributes:
        shows: what would be done, a line each; nothing where there is nothing to do.
        act: does it and says so; True where something was changed, so that a retry makes sense.
    """

    name: str
    shows: Callable[[Run], list[str]]
    act: Callable[[Run, Say], bool]


def _would_build_alone(run: Run) -> list[str]:
    return [] if run.jobs == 1 else ["compile one file at a time (`--jobs 1`)"]


def fewer_jobs(run: Run, say: Say) -> bool:
    """The compiler was killed for memory: one at a time."""
    if run.jobs == 1:
        return False
    run.jobs = 1
    say("remedy: the compiler ran out of memory; again with one at a time")
    return True


def _trees(run: Run) -> list[Path]:
    return [path for path in run.where.build.glob("*/*/build") if path.is_dir()]


def clean_trees(run: Run, say: Say) -> bool:
    """Objects that do not belong together: compile the profile's trees anew."""
    found = _trees(run)
    for path in found:
        shutil.rmtree(path)
        say(f"remedy: removed the stale objects in {path}")
    return bool(found)


def clean_caches(run: Run, say: Say) -> bool:
    """A damaged or outdated file came out of a cache: take these packages out of pip's and uv's."""
    from mambaops.patching.caches import purge

    removed = [name for one in purge() for name in one.removed]
    say(f"remedy: took {', '.join(removed) or 'nothing'} out of the caches of pip and uv")
    return bool(removed)


def without(variable: str) -> Remedy:
    """Run again without a variable; the person's shell keeps it."""

    def shows(run: Run) -> list[str]:
        value = os.environ.get(variable)
        return [f"run without {variable} (now {value}); for your shell: `unset {variable}`"] * bool(
            value
        )

    def act(run: Run, say: Say) -> bool:
        if os.environ.pop(variable, None) is None:
            return False
        say(f"remedy: {variable} is not set for this run; your shell keeps it")
        return True

    return Remedy(f"without-{variable}", shows, act)


def with_own_folder(variable: str, name: str, instead: Callable[[], str] | None = None) -> Remedy:
    """Run again with a variable that names a folder among our own.

    Args:
        instead: the folder that is used now; ours must have more room then.
    """

    def shows(run: Run) -> list[str]:
        folder = run.where.root / name
        there = os.environ.get(variable) == str(folder)
        if there or (instead and _free(folder) < _free(Path(instead())) + MORE_ROOM):
            return []
        return [f"run with {variable}={folder}"]

    def act(run: Run, say: Say) -> bool:
        if not shows(run):
            return False
        folder = run.where.root / name
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[variable] = str(folder)
        say(f"remedy: {variable}={folder} for this run")
        return True

    return Remedy(f"own-{variable}", shows, act)


def _free(folder: Path) -> int:
    """Bytes that are free where a folder lies or will lie."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


FEWER_JOBS = Remedy("fewer-jobs", _would_build_alone, fewer_jobs)
CLEAN_TREES = Remedy(
    "clean-trees",
    lambda run: [f"remove the objects in {path}" for path in _trees(run)],
    clean_trees,
)
CLEAN_CACHES = Remedy(
    "clean-caches",
    lambda run: ["take these packages out of the caches of pip and uv (`mambaops purge-cache`)"],
    clean_caches,
)
# rule of the failure catalogue -> what we may do about it
REMEDIES: dict[str, Remedy] = {
    "compiler-oom-killed": FEWER_JOBS,
    "objects-missing-at-link": CLEAN_TREES,
    "stale-build-tree": CLEAN_TREES,
    "pip-hash-mismatch": CLEAN_CACHES,
    "wheel-truncated": CLEAN_CACHES,
    "pip-cache-stale-abi": CLEAN_CACHES,
}
# likewise, but only when a person has agreed: it overrides what they have set
AGREED: dict[str, Remedy] = {
    **REMEDIES,
    "nvjitlink-shadowed": without("LD_LIBRARY_PATH"),
    "nvidia-library-shadowed": without("LD_LIBRARY_PATH"),
    "glibcxx-too-old": without("LD_LIBRARY_PATH"),
    "cuda-home-list": without("CUDA_HOME"),
    "cuda-home-has-no-nvcc": without("CUDA_HOME"),
    "triton-cache-unwritable": with_own_folder("TRITON_CACHE_DIR", "triton"),
    "disk-full": with_own_folder("TMPDIR", "tmp", tempfile.gettempdir),
}


def apply(run: Run, rules: Iterable[str], say: Say) -> list[str]:
    """Apply the remedies for these findings; the rules for which something was changed, so that a retry makes sense."""
    known = [rule for rule in dict.fromkeys(rules) if rule in REMEDIES]
    return [rule for rule in known if REMEDIES[rule].act(run, say)]


def explain_failure(run: Run, say: Say) -> list[str]:
    """Name the cause of a failed step from its logs; the rules that were recognised."""
    from mambaops.diagnose.explain import explain_log

    logs, rules = run.logs_of_failure(), list[str]()
    for log in logs:
        explanation = explain_log(log, run.machine, here=True)
        if explanation.diagnosis.failed:
            say(explanation.text())
        rules += [one.rule for one in explanation.diagnosis.findings if not one.benign]
    if logs:
        say(f"full log: {logs[-1]}")
    return rules


def result_of(rule: str, rules: list[str]) -> Result:
    """What a remedy for `rule` came to where the second try failed with these."""
    return "did not help" if rule in rules or not rules else "another failure came after it"

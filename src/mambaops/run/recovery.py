"""Remedies that are safe to apply by ourselves after a failed step, each once: in the build tree and our caches.

Never drivers, `/etc`, other people's processes or anything of the user's: what needs a person is printed by
the diagnosis and left to them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable

from mambaops.run.runner import Run

Say = Callable[[str], None]


def fewer_jobs(run: Run, say: Say) -> bool:
    """The compiler was killed for memory: one at a time."""
    if run.jobs == 1:
        return False
    run.jobs = 1
    say("remedy: the compiler ran out of memory; again with one at a time")
    return True


def clean_trees(run: Run, say: Say) -> bool:
    """Objects that do not belong together: compile the profile's trees anew."""
    found = [path for path in run.where.build.glob("*/*/build") if path.is_dir()]
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


# rule of the failure catalogue -> what we may do about it
REMEDIES: dict[str, Callable[[Run, Say], bool]] = {
    "compiler-oom-killed": fewer_jobs,
    "objects-missing-at-link": clean_trees,
    "stale-build-tree": clean_trees,
    "pip-hash-mismatch": clean_caches,
    "wheel-truncated": clean_caches,
    "pip-cache-stale-abi": clean_caches,
}


def apply(run: Run, rules: Iterable[str], say: Say) -> bool:
    """Apply the remedies for these findings; True where something was changed, so that a retry makes sense."""
    changed = False
    for rule in dict.fromkeys(rules):
        remedy = REMEDIES.get(rule)
        if remedy is not None:
            changed |= remedy(run, say)
    return changed

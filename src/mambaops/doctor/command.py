"""What `mambaops doctor` does: facts, checks, repairs, and the block to paste."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mambaops.doctor import live, render
from mambaops.doctor.examine import examine
from mambaops.doctor.model import Check
from mambaops.facts.model import Facts
from mambaops.profiles.model import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The flags of the command; empty texts were not given."""

    profile: str = ""
    facts: str = ""
    python: str = ""
    network: bool = False


def check(request: Request) -> list[Check]:
    """Everything that was asked for, in the order of the areas."""
    profile, facts = _subject(request)
    checks = examine(facts, profile)
    if not request.facts:
        checks = live.refined(checks, live.look(facts, profile, Path.cwd()))
    if request.network:
        from mambaops.doctor.network import ask

        checks += ask(facts, target_python(request, profile))
    return checks


def _subject(request: Request) -> tuple[Profile | None, Facts]:
    profile = None
    if request.profile:
        from mambaops.profiles.load import load_profile

        profile = load_profile(request.profile)
    if request.facts:
        from mambaops.facts.complete import complete
        from mambaops.facts.model import load

        return profile, complete(load(Path(request.facts)))
    from mambaops.facts.collect import collect

    return profile, collect(target_python(request, profile))


def target_python(request: Request, profile: Profile | None) -> Path:
    """The interpreter that things are installed for: named, the profile's, the active one, `local`'s, ours."""
    from mambaops.core import interpreters
    from mambaops.state.places import places

    own = places(profile.name if profile else "local").python
    active = interpreters.active()
    if profile is None and active and active.parent != interpreters.ours().parent:
        # an environment of the person's own is active: it is what they ask about
        return interpreters.to_look_at(request.python)
    return interpreters.to_look_at(request.python, own=own)


def repaired(
    request: Request, checks: list[Check], *, sudo: bool, tell: Callable[[str], None]
) -> list[Check]:
    """Repair what is safe and examine once more (once: what did not help then will not help again)."""
    from mambaops.core.errors import UsageError
    from mambaops.doctor.repair import repair

    if request.facts:
        raise UsageError("--fix repairs this machine, and --facts describes another")
    _, facts = _subject(request)
    made = repair(checks, facts, Path.cwd(), sudo=sudo, tell=tell)
    tell(f"{made} repairs were made" if made else "nothing could be repaired here")
    return check(request) if made else checks


def masked_report(checks: list[Check]) -> str:
    """A block to paste into a question, without names, homes and secrets."""
    from importlib.metadata import version

    from mambaops.diagnose.redaction import mask

    versions = (
        f"mambaops {version('mambaops')}, Python {platform.python_version()}, {platform.platform()}"
    )
    return mask(render.pasteable(checks, versions))

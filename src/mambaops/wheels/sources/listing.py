"""Every candidate for a package on a machine: the sources read, one after the other, failures said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mambaops.core.errors import MambaopsError
from mambaops.facts.model import Facts
from mambaops.knowledge.addresses import astral_index
from mambaops.wheels.candidates import Candidate, Source
from mambaops.wheels.sources.folder import StoreFolder
from mambaops.wheels.sources.index import Index, PublishersPage, find_links
from mambaops.wheels.sources.planned import AstralIndexPlan, OtherInstallers, UpstreamPlan
from mambaops.wheels.sources.seen import remember

Say = Callable[[str], None]


def usual_sources(
    facts: Facts,
    *,
    places: Sequence[str] = (),
    store: Path | None = None,
    online: bool = False,
) -> list[Source]:
    """The sources in their usual order.

    Args:
        places: values of --find-links. store: root of the store; None: the user's.
        online: read Astral's index itself instead of its plan, and the pages of other publishers.
    """
    index = astral_index(facts.torch.cuda) if facts.torch and facts.torch.cuda else None
    astral: Source = Index(index, name="astral") if online and index else AstralIndexPlan()
    return [
        StoreFolder(store),
        *(find_links(place) for place in places),
        *([PublishersPage()] if online else []),
        UpstreamPlan(),
        astral,
        OtherInstallers(),
    ]


def list_candidates(
    package: str,
    facts: Facts,
    read: Iterable[Source],
    *,
    say: Say = lambda text: None,
    plan_instead: bool = True,
) -> list[Candidate]:
    """All candidates; a source that cannot be read is said and left out.

    Args:
        plan_instead: take the plan of Astral's index where that does not answer; it names no files.
    """
    found: list[Candidate] = []
    for source in read:
        try:
            listed = list(source.candidates(package, facts))
            _keep(source, package, listed)
            found += listed
        except MambaopsError as error:
            say(f"{source.name}: left out: {error.message}")
            if source.name == "astral" and plan_instead:
                found += AstralIndexPlan().candidates(package, facts)
                say("astral: its plan is used instead (unverified)")
    return found


def _keep(source: Source, package: str, listed: Sequence[Candidate]) -> None:
    """What Astral's index itself listed counts from now on instead of its plan."""
    if source.name == "astral" and isinstance(source, Index) and listed:
        files = {one.name: one.url for one in listed if not one.unusable}
        remember(source.address_of(package), files)


def exists(url: str) -> bool:
    """Does an address answer? Asked with a ranged GET, because release files redirect HEAD badly.

    Raises:
        MambaopsError: no answer that decides it (no network, a refused login, …).
    """
    from mambaops.download.http import Again, Patience, Refused, get, open_session

    try:
        get(open_session(), url, {"Range": "bytes=0-0"}, Patience()).close()
    except Again as error:
        raise MambaopsError(str(error), hint=error.hint) from error
    except Refused as error:
        if error.is_missing:
            return False
        raise
    return True

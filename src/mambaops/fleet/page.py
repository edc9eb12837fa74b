"""A fleet as one page: machines × what works and since when, each machine's findings below; from what is kept here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mambaops.doctor.model import Check as Finding
from mambaops.fleet import kept
from mambaops.fleet.doctor import Examined, examined
from mambaops.fleet.gather import Seen
from mambaops.fleet.kept import Proof
from mambaops.fleet.model import Host
from mambaops.fleet.plan import Planned, plans
from mambaops.profiles.model import Profile
from mambaops.report.page.html import Markup, tag, with_code
from mambaops.report.page.write import document
from mambaops.state.observe import packs

# the first bytes of such a page: only one of these is written over
HEAD = "<!doctype html>\n<!-- a fleet of mambaops -->\n"
TITLES = ("machine", "GPU", "driver", "what fits", "proof", "since", "findings", "seen")


def page(hosts: Mapping[str, Host], profiles: Mapping[str, Profile], now: str) -> str:
    """The page as HTML; no machine is asked. Errors as `plans`."""
    seen = kept.kept(hosts)
    rows = plans(seen, hosts, profiles, packs=packs({}))
    doctored = examined(seen, hosts, profiles)
    proofs = {name: kept.proof_for(name, host) for name, host in hosts.items()}
    lines = [
        _line(one, row, exam, proofs[row.host])
        for one, row, exam in zip(seen, rows, doctored, strict=True)
    ]
    cards = [_card(row, exam, proofs[row.host]) for row, exam in zip(rows, doctored, strict=True)]
    body = [_header(rows, proofs, now), tag("main", _table(lines), *cards)]
    return document(HEAD, f"fleet: {len(rows)} machines", body, f"written {now}")


def _header(rows: Sequence[Planned], proofs: Mapping[str, Proof | None], now: str) -> Markup:
    proven = sum(bool(one and one.proof.passed) for one in proofs.values())
    blocked = sum(bool(row.in_the_way) for row in rows)
    unseen = sum(row.plan is None and not row.in_the_way for row in rows)
    told = f"{proven} of {len(rows)} proven · {blocked} with something in the way · {unseen} not seen · {now}"
    brand = tag("div", "mambaops fleet", class_="brand")
    return tag("header", brand, tag("h1", f"{len(rows)} machines"), tag("p", told, class_="soft"))


def _table(lines: Sequence[Markup]) -> Markup:
    head = tag("tr", *(tag("th", one) for one in TITLES))
    table = tag("table", tag("thead", head), tag("tbody", *lines), class_="fleet")
    return tag("section", table, class_="card wide")


def _line(seen: Seen, row: Planned, exam: Examined, proof: Proof | None) -> Markup:
    clock = seen.facts.clock if seen.facts else None
    bad = sum(one.state in ("failed", "warning") for one in exam.checks)
    cells = [
        tag("a", row.host, href=f"#host-{row.host}"),
        row.gpu,
        row.driver,
        row.fits or (_chip("blocked", "nothing") if row.in_the_way else ""),
        _proof_chip(proof),
        proof.since if proof else "",
        str(bad) if seen.facts else "",
        clock.now if clock else "never",
    ]
    return tag("tr", *(tag("td", one) for one in cells))


def _proof_chip(proof: Proof | None) -> Markup:
    if proof is None:
        return _chip("idle", "none yet")
    return _chip("ok", "passed") if proof.proof.passed else _chip("failed", "not passed")


def _chip(kind: str, text: str) -> Markup:
    return tag("span", text, class_=f"chip {kind}")


def _card(row: Planned, exam: Examined, proof: Proof | None) -> Markup:
    parts: list[Markup] = []
    if row.outcome != "ok":
        parts.append(tag("p", with_code(f"{row.reason}; {row.hint}"), class_="soft"))
    parts += _listed("in the way", [with_code(one) for one in row.in_the_way])
    parts += _listed("it would take", [tag("span", ", ".join(row.takes))] if row.takes else [])
    bad = [one for one in exam.checks if one.state in ("failed", "warning")]
    parts += _listed("findings", [_finding(one) for one in bad])
    checks = proof.proof.checks if proof else []
    wrong = [one for one in checks if one.outcome != "ok"]
    parts += _listed(
        "of the proof", [with_code(f"{one.id}: {one.outcome}: {one.reason}") for one in wrong]
    )
    title = tag("h2", row.host, " ", _proof_chip(proof), id=f"host-{row.host}")
    nothing = tag("p", "nothing is wrong and nothing is left to do", class_="soft")
    return tag("section", title, *(parts or [nothing]), class_="card")


def _listed(title: str, lines: Sequence[Markup]) -> list[Markup]:
    if not lines:
        return []
    return [tag("h3", title), tag("ul", *(tag("li", one) for one in lines))]


def _finding(one: Finding) -> Markup:
    text = ": ".join(part for part in (one.what, one.cause) if part)
    remedy = f" {one.remedy}" if one.remedy else ""
    return tag(
        "span",
        _chip("failed" if one.state == "failed" else "needed", one.state),
        " ",
        with_code(text + remedy),
    )

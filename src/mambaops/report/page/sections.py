"""The sections of a run's page, each from the evidence alone; "" where a run has nothing to say."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mambaops.core.amounts import duration
from mambaops.facts.model import Facts
from mambaops.facts.summary import render
from mambaops.report.page.evidence import Evidence, Record, number, record, records, tail
from mambaops.report.page.findings import findings
from mambaops.report.page.html import Markup, tag, with_code
from mambaops.report.page.timeline import timeline

NOTHING = Markup("")


def sections(found: Evidence) -> list[Markup]:
    """Every section of the page, what matters first."""
    return [
        failure(found),
        machine(found),
        _card("Timeline", timeline(found), _before(found)),
        built(found),
        verdicts(found),
        plan(found),
        installed(found),
        logs(found),
        facts(found),
        broken(found),
    ]


def _card(title: str, *content: object, class_: str = "") -> Markup:
    return tag("section", tag("h2", title), *content, class_=f"card {class_}".strip())


def _details(summary: str, *content: object) -> Markup:
    return tag("details", tag("summary", summary), *content)


def failure(found: Evidence) -> Markup:
    """What failed, with the finding and its remedy."""
    failed = [step for step in found.steps if step.get("outcome") == "failed"]
    if not failed:
        return NOTHING
    said = [
        tag("p", tag("strong", step.get("step")), ": ", with_code(_reason(step))) for step in failed
    ]
    return _card(
        "What failed", *said, *findings(found, str(failed[-1].get("step"))), class_="failed"
    )


def _reason(step: Record) -> str:
    return str(step.get("reason") or "no reason was recorded")


def machine(found: Evidence) -> Markup:
    """What was chosen, for which machine."""
    tiles = [
        tag("div", tag("dt", name), tag("dd", value)) for name, value in _tiles(found) if value
    ]
    reasons = record(record(found.plan.get("choice")).get("reasons"))
    why = [
        tag("li", tag("strong", name), ": ", with_code(str(text))) for name, text in reasons.items()
    ]
    return _card(
        "Machine and choice",
        tag("dl", *tiles, class_="tiles"),
        _details("why", tag("ul", *why)) if why else "",
    )


def _tiles(found: Evidence) -> Iterator[tuple[str, object]]:
    choice, seen = (
        record(found.plan.get("choice")),
        record((found.before or found.after).get("facts")),
    )
    host, driver = record(seen.get("host")), record(seen.get("driver"))
    gpus = [str(gpu.get("name")) for gpu in records(seen.get("gpus"))]
    yield "GPU", ", ".join(dict.fromkeys(gpus)) or "none"
    yield "driver", driver.get("version") or driver.get("state")
    yield "system", record(host.get("distribution")).get("name") or host.get("system")
    yield "glibc", host.get("glibc")
    yield "cores", host.get("cores")
    yield "Python", choice.get("python")
    cuda = choice.get("torch_cuda")
    yield "torch", f"{choice.get('torch')} ({f'CUDA {cuda}' if cuda else 'CPU'})" if choice else ""
    archs = choice.get("archs")
    yield (
        "kernels for",
        (", ".join(map(str, archs)) if isinstance(archs, list) and archs else "none")
        if choice
        else "",
    )


def _before(found: Evidence) -> Markup:
    names = [str(one.get("step")) for one in found.steps if one.get("outcome") == "done before"]
    return tag("p", f"Done before: {', '.join(names)}.", class_="soft") if names else NOTHING


def built(found: Evidence) -> Markup:
    """The wheels that were compiled, what is in them, and what was changed in their sources."""
    rows = [_wheel(name, one) for name, one in found.manifests.items()]
    return _card("Built", *rows) if rows else NOTHING


def _wheel(package: str, manifest: Record) -> Markup:
    archs = manifest.get("architectures")
    facts = {
        "machine code for": ", ".join(map(str, archs)) if isinstance(archs, list) else "",
        "took": duration(number(manifest.get("seconds"))),
        "compilers at once": manifest.get("jobs"),
        "files": len(record(manifest.get("seconds_per_file"))) or "",
        "nvcc": record(manifest.get("nvcc")).get("version"),
        "g++": record(manifest.get("compiler")).get("version"),
    }
    tiles = [
        tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items() if value
    ]
    diff = str(manifest.get("diff") or "")
    return tag(
        "div",
        tag("h3", f"{package} {manifest.get('version', '')}"),
        tag("p", tag("code", manifest.get("wheel", ""))),
        tag("dl", *tiles, class_="tiles"),
        _details("what was changed in its setup.py", tag("pre", diff)) if diff else "",
    )


def verdicts(found: Evidence) -> Markup:
    """What `verify` has looked at."""
    checks = records(found.verification.get("checks"))
    if not checks:
        return NOTHING
    rows = [
        _row(
            str(one.get("outcome", "?")),
            str(one.get("id")),
            with_code(str(one.get("reason") or "")),
        )
        for one in sorted(checks, key=lambda one: one.get("outcome") == "ok")
    ]
    counts = [
        f"{sum(c.get('outcome') == kind for c in checks)} {kind}"
        for kind in ("ok", "failed", "skipped", "emulated")
    ]
    shown = _details("every check", *rows) if len(rows) > 12 else rows
    return _card("Proof", tag("p", ", ".join(one for one in counts if one[0] != "0")), shown)


def _row(status: str, name: str, *text: object) -> Markup:
    known = status if status.isalpha() else ""
    return tag(
        "div",
        tag("span", tag("span", status, class_=f"chip {known}".strip())),
        tag("span", tag("span", name, class_="name"), " ", tag("span", *text, class_="soft")),
        class_="step",
    )


def plan(found: Evidence) -> Markup:
    """Every step with its status as it was planned, and why."""
    rows = [
        _row(
            str(step.get("status", "?")),
            str(step.get("id")),
            with_code(str(step.get("reason") or "")),
            tag("div", "→ ", with_code(str(step["hint"]))) if step.get("hint") else "",
        )
        for step in records(found.plan.get("steps"))
    ]
    return _card("Plan", *rows) if rows else NOTHING


def installed(found: Evidence) -> Markup:
    """What the environment holds now, and what this run has brought."""
    old, new = (_distributions(one) for one in (found.before, found.after))
    if not new:
        return NOTHING
    changes = [f"{name} {new[name]}" for name in sorted(new) if old.get(name) != new[name]]
    gone = [f"{name} {old[name]}" for name in sorted(old) if name not in new]
    return _card(
        "Installed",
        tag("p", f"{len(changes)} new or exchanged, {len(gone)} removed, {len(new)} in all."),
        _names(changes) if len(changes) <= 24 else _details("new or exchanged", _names(changes)),
        _details("removed", _names(gone)) if gone else "",
        _details("everything", _names([f"{name} {new[name]}" for name in sorted(new)])),
    )


def _distributions(situation: Record) -> dict[str, str]:
    listed = record(record(situation.get("target")).get("distributions"))
    return {str(name): str(version) for name, version in listed.items()}


def _names(names: list[str]) -> Markup:
    return tag("ul", *(tag("li", name) for name in names), class_="names") if names else NOTHING


def logs(found: Evidence) -> Markup:
    """The end of every log."""
    rows = [_details(log.name, tag("pre", tail(log) or "(empty)")) for log in found.logs]
    return (
        _card(
            "Logs",
            tag(
                "p",
                "The last lines of each; the whole files lie beside this run's plan.",
                class_="soft",
            ),
            *rows,
        )
        if rows
        else NOTHING
    )


def facts(found: Evidence) -> Markup:
    """What `mambaops facts` has seen when the run began."""
    seen = record((found.before or found.after).get("facts"))
    if not seen:
        return NOTHING
    try:
        text = render(msgspec.convert(seen, Facts))
    except (msgspec.ValidationError, AttributeError, TypeError, ValueError) as error:
        text = f"facts of another version: {error}"
    return _card("Facts", tag("pre", text))


def broken(found: Evidence) -> Markup:
    """What could not be read."""
    return (
        _card("Not readable", tag("ul", *(tag("li", one) for one in found.broken)))
        if found.broken
        else NOTHING
    )

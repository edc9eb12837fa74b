"""The steps of a run and the files that they compiled, as bars on one axis of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mambaops.core.amounts import duration
from mambaops.report.page.evidence import Evidence, number, record
from mambaops.report.page.html import Markup, joined, tag

MOST_FILES = 200
TICKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row. Times in seconds after the run's beginning; `file`: of a step's own rows."""

    name: str
    begin: float
    seconds: float
    file: bool = False
    failed: bool = False


def bars(found: Evidence) -> list[Bar]:
    """The steps that did something, one after the other, each followed by the files that it compiled."""
    rows: list[Bar] = []
    now = 0.0
    for step in found.steps:
        seconds, outcome = number(step.get("seconds")), step.get("outcome")
        name = str(step.get("step", "?"))
        together = _manifest(found, name)
        if outcome == "done before" and not together:
            continue
        # packages are built side by side: the second one's step finds its wheel made
        begin = now if outcome != "done before" else max(0.0, now - number(together.get("seconds")))
        length = seconds or number(together.get("seconds"))
        rows.append(Bar(name=name, begin=begin, seconds=length, failed=outcome == "failed"))
        rows += _files(together, begin)
        now += seconds
    return rows


def _manifest(found: Evidence, step: str) -> dict[str, object]:
    name, _, package = step.partition(":")
    return found.manifests.get(package, {}) if name == "build-wheel" else {}


def _files(manifest: dict[str, object], begin: float) -> list[Bar]:
    took, began = record(manifest.get("seconds_per_file")), record(manifest.get("began_per_file"))
    rows = [
        Bar(
            name=str(name),
            begin=begin + number(began.get(name)),
            seconds=number(seconds),
            file=True,
        )
        for name, seconds in took.items()
    ]
    rows.sort(key=lambda bar: (bar.begin, -bar.seconds))
    return rows[:MOST_FILES]


def timeline(found: Evidence) -> Markup:
    """The rows with their axis; a sentence where nothing took any time."""
    rows = bars(found)
    total = max((bar.begin + bar.seconds for bar in rows), default=0.0)
    if not rows or not total:
        return tag("p", "No step has taken any time.", class_="soft")
    lanes = [_lane(bar, total) for bar in rows]
    return joined([*lanes, tag("div", tag("div", *_ticks(total)), class_="axis")])


def _lane(bar: Bar, total: float) -> Markup:
    left, width = 100 * bar.begin / total, 100 * bar.seconds / total
    mark = tag(
        "i", class_="failed" if bar.failed else None, style=f"left:{left:.3f}%;width:{width:.3f}%"
    )
    return tag(
        "div",
        tag("span", bar.name, class_="name"),
        tag("span", mark, class_="track"),
        tag("span", duration(bar.seconds), class_="amount"),
        class_="lane file" if bar.file else "lane",
    )


def _ticks(total: float) -> Iterator[Markup]:
    for place in range(TICKS + 1):
        yield tag("span", duration(total * place / TICKS))

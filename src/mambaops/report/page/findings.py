"""What the catalogue of failures says of a failed step's logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mambaops.core.errors import MambaopsError
from mambaops.diagnose.explain import explain_log
from mambaops.diagnose.match import Finding
from mambaops.report.page.evidence import Evidence, tail
from mambaops.report.page.html import Markup, tag, with_code


def findings(found: Evidence, step: str) -> Iterator[Markup]:
    """The causes that are known, with their remedies; else the end of the log."""
    for log in _logs(found, step):
        try:
            diagnosis = explain_log(log).diagnosis
        except MambaopsError:
            continue
        causes = [one for one in diagnosis.findings if not one.benign]
        yield from map(_finding, causes)
        if not causes and diagnosis.first_error:
            yield tag("h3", f"not recognised; the first error of {log.name}")
            yield tag("pre", diagnosis.first_error)
            yield tag("pre", tail(log))


def _logs(found: Evidence, step: str) -> list[Path]:
    name, _, package = step.partition(":")
    own = [log for log in found.logs if log.name.startswith(name)]
    return [log for log in own if package and package in log.name] or own


def _finding(one: Finding) -> Markup:
    return tag(
        "div",
        tag("h3", f"cause: {one.title}"),
        tag("pre", f"line {one.line_number}: {one.line}"),
        tag("p", with_code(one.cause)),
        tag("ul", *(tag("li", with_code(text)) for text in one.fixes)),
        *(
            tag("p", "does not help: ", with_code(text), class_="soft")
            for text in one.does_not_help
        ),
    )

"""Checks for a terminal, and a block to paste into a question."""

from __future__ import annotations

from collections.abc import Iterator

from mambaops.doctor.model import AREAS, Check

_SIGNS = {"ok": "[ok]", "warning": "[! ]", "failed": "[X ]", "skipped": "[- ]"}
_ORDER = ("failed", "warning", "ok", "skipped")


def text(checks: list[Check]) -> str:
    """One line of state per area; below it cause and remedy of what is not well."""
    width = max(len(area) for area in AREAS)
    lines = [line for area in AREAS for line in _area(area, checks, width)]
    return "\n".join([*lines, "", summary(checks)])


def _area(area: str, checks: list[Check], width: int) -> Iterator[str]:
    mine = [check for check in checks if check.area == area]
    trouble = sorted(
        (check for check in mine if check.state in ("failed", "warning")),
        key=lambda check: _ORDER.index(check.state),
    )
    fine = [check for check in mine if check not in trouble]
    state = next((s for s in _ORDER if any(check.state == s for check in mine)), "skipped")
    head = [check.what for check in fine or trouble[:1]] or ["not looked at"]
    yield f"{_SIGNS[state]} {area:{width}}  {'; '.join(head)}"
    for check in trouble:
        mark = "X" if check.state == "failed" else "!"
        # a trouble that is the area's own line is not said twice
        said = [check.cause] if not fine and check is trouble[0] else [check.what, check.cause]
        yield f"     {mark} {': '.join(filter(None, said))}"
        if check.remedy:
            yield f"       -> {check.remedy}"


def summary(checks: list[Check]) -> str:
    """The last line: how many of what."""
    failed = sum(check.state == "failed" for check in checks)
    warned = sum(check.state == "warning" for check in checks)
    if not failed and not warned:
        return "nothing is wrong"
    parts = [f"{failed} to repair" if failed else "", f"{warned} to look at" if warned else ""]
    return ", ".join(part for part in parts if part)


def pasteable(checks: list[Check], versions: str) -> str:
    """A block for an issue or a chat, with private data masked by the caller."""
    return f"```text\n{versions}\n\n{text(checks)}\n```"

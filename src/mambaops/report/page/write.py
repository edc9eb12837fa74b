"""The page of a run, put together and written."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from mambaops import __version__
from mambaops.core.amounts import duration
from mambaops.core.errors import MambaopsError, UsageError
from mambaops.core.files import write_text
from mambaops.report.page.evidence import Evidence, number
from mambaops.report.page.html import Markup, tag
from mambaops.report.page.sections import sections

# the first bytes of a page of ours: only such a file is written over
HEAD = "<!doctype html>\n<!-- a run of mambaops -->\n"
# nothing is fetched and nothing runs, whatever stands on the page
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STATUS = {"done": "done", "failed": "failed", "unfinished": "not finished"}


def page(found: Evidence) -> str:
    """The page of a run as HTML; `changing` says what becomes of the texts."""
    name = f"{found.plan.get('profile') or found.folder.name}"
    body = [_header(found, name), tag("main", *sections(found))]
    return document(HEAD, f"{name}: {STATUS[found.status]}", body, f"evidence: {found.folder}")


def document(head: str, title: str, body: Sequence[Markup], footer: str) -> str:
    """One file that fetches nothing and runs nothing.

    Args:
        head: its first bytes, by which `put` knows it again.
    """
    heads = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", _style()),
    ]
    parts = [*body, tag("footer", f"mambaops {__version__}; {footer}")]
    return f'{head}<html lang="en">{tag("head", *heads)}{tag("body", *parts)}</html>\n'


def _style() -> Markup:
    text = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return Markup(re.sub(r"\s*\n\s*", "\n", text))


def _header(found: Evidence, name: str) -> Markup:
    seconds = sum(number(step.get("seconds")) for step in found.steps)
    words = [found.when, f"{duration(seconds)} of work" if seconds else "", found.folder.name]
    return tag(
        "header",
        tag("div", "mambaops run", class_="brand"),
        tag("h1", name, tag("span", STATUS[found.status], class_=f"chip {found.status}")),
        tag("p", " · ".join(word for word in words if word), class_="soft"),
    )


def write(found: Evidence, target: Path) -> Path:
    """Write the page aside and put it in its place. Errors as `put`."""
    return put(HEAD, lambda: page(found), target)


def put(head: str, page: Callable[[], str], target: Path) -> Path:
    """Write a page that begins with `head` over another one of that kind, and over nothing else.

    Raises:
        UsageError: a file is there that is no page of ours. MambaopsError: the place cannot be written to.
    """
    if (target.exists() or target.is_symlink()) and not _is_ours(target, head):
        raise UsageError(
            f"`{target}` is there and is no such page of ours: left as it is",
            hint="name another file behind --output",
        )
    try:
        return write_text(target, page())
    except OSError as error:
        raise MambaopsError(
            f"`{target}` cannot be written: {error.strerror or error}",
            hint="name another place behind --output",
        ) from error


def _is_ours(path: Path, head: str) -> bool:
    if not path.is_file() or path.is_symlink():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(head)) == head.encode()
    except OSError:
        return False

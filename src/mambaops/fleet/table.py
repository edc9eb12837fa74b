"""A fleet as one table for a person."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mambaops.fleet.ssh import plain
from mambaops.fleet.summary import driver, gpus, torch

if TYPE_CHECKING:
    from mambaops.fleet.diagnose import Explained
    from mambaops.fleet.doctor import Examined
    from mambaops.fleet.gather import Seen
    from mambaops.fleet.job import Job
    from mambaops.fleet.packset import FleetPlan, PackSet
    from mambaops.fleet.plan import Planned
    from mambaops.fleet.verify import Verified

    Row = Seen | Planned | Job | Verified | Examined | Explained

NARROWEST = 100  # columns; a file or a pipe has no width of its own


def facts_text(seen: Sequence[Seen]) -> str:
    """What each machine is; what could not be seen says why."""
    titles = ("host", "GPU", "driver", "torch", "Python", "system")
    return "\n".join([text_table(titles, [_facts_row(one) for one in seen]), *_hints(seen)])


def _facts_row(one: Seen) -> tuple[str, ...]:
    facts = one.facts
    if facts is None:
        return (one.host, f"{one.outcome}: {one.reason}", "", "", "", "")
    system = f"{facts.host.distribution.name or facts.host.system}, {facts.host.cores} cores"
    return (one.host, gpus(facts), driver(facts), torch(facts), facts.python.version, system)


def plan_text(rows: Sequence[Planned]) -> str:
    """Host, GPU, driver, torch, what fits, what is in the way, what it would take."""
    titles = ("host", "GPU", "driver", "torch", "what fits", "in the way", "it would take")
    return "\n".join([text_table(titles, [_plan_row(one) for one in rows]), *_hints(rows)])


def _plan_row(row: Planned) -> tuple[str, ...]:
    unseen = "" if row.outcome == "ok" else f"{row.outcome}: {row.reason}"
    way = "\n".join(row.in_the_way) or unseen
    takes = ", ".join(row.takes) or ("nothing" if row.fits and not row.in_the_way else "")
    return (row.host, row.gpu, row.driver, row.torch, row.fits, way, takes)


def fleet_text(found: FleetPlan) -> str:
    """The table, and the packs below it where they were asked for."""
    lines = [plan_text(found.hosts)]
    return "\n".join([*lines, *_packs(found.packs)]) if found.packs else lines[0]


def _packs(found: PackSet) -> Iterator[str]:
    yield ""
    yield f"packs of kernels: {len(found.packs) or 'none is needed'}"
    for pack in found.packs:
        yield f"  CUDA {pack.cuda}, for {', '.join(pack.archs)}: serves {', '.join(pack.hosts)}"
        yield f"    in the store: {pack.stored}" if pack.stored else f"    `{pack.command}`"
    for host, why in found.without.items():
        yield f"  none for {host}: {plain(why)}"


def jobs_text(rows: Sequence[Job]) -> str:
    """What became of each machine's job."""
    titles = ("host", "outcome", "held by", "")
    cells = [(row.host, row.outcome, row.how, row.reason) for row in rows]
    return "\n".join([text_table(titles, cells), *_hints(rows)])


def proofs_text(rows: Sequence[Verified]) -> str:
    """What was proven of each machine; a skip is no pass."""
    titles = ("host", "proof", "passed", "failed", "skipped", "")
    return "\n".join([text_table(titles, [_proof_row(row) for row in rows]), *_hints(rows)])


def _proof_row(row: Verified) -> tuple[str, ...]:
    if row.passed is None:
        return (row.host, row.outcome, "", "", "", row.reason)
    counts = [
        str(sum(one.outcome == kind for one in row.checks)) for kind in ("ok", "failed", "skipped")
    ]
    bad = [f"{one.id}: {one.reason}" for one in row.checks if one.outcome in ("failed", "skipped")]
    return (row.host, "passed" if row.passed else "NOT PASSED", *counts, "\n".join(bad))


def doctor_text(rows: Sequence[Examined]) -> str:
    """What is wrong with each machine, the remedy behind it."""
    titles = ("host", "state", "what", "remedy")
    cells = [cell for row in rows for cell in _findings(row)]
    return "\n".join([text_table(titles, cells), *_hints(rows)])


def _findings(row: Examined) -> list[tuple[str, ...]]:
    if row.exit_code is None:
        return [(row.host, row.outcome, row.reason, "")]
    bad = [one for one in row.checks if one.state in ("failed", "warning")]
    if not bad:
        return [(row.host, "ok", "nothing is wrong", "")]
    return [(row.host, one.state, one.what, one.remedy) for one in bad]


def diagnosed_text(rows: Sequence[Explained]) -> str:
    """What each machine's log says."""
    parts = [f"== {row.host}\n{row.found.text() if row.found else row.reason}" for row in rows]
    return plain("\n".join([*parts, *_hints(rows)]))


def _hints(rows: Iterable[Row]) -> list[str]:
    return [f"{row.host}: {row.hint}" for row in rows if row.outcome != "ok" and row.hint]


def text_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells in columns, folded where they are too long for the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="")
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*_plain(*row))
    width = max(NARROWEST, shutil.get_terminal_size((160, 24)).columns)
    file = io.StringIO()
    Console(file=file, width=width, color_system=None, emoji=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def _plain(*cells: str) -> list[str]:
    """What machines say can neither move the cursor nor be taken for markup."""
    from rich.markup import escape

    return [escape(plain(cell)) for cell in cells]

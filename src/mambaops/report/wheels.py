"""Selections and contents as text for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mambaops.facts.model import Facts
from mambaops.knowledge.packages import known, publishers_page
from mambaops.wheels.inspect.compatibility import Compatibility
from mambaops.wheels.inspect.contents import WheelContents
from mambaops.wheels.inspect.pack import Pack
from mambaops.wheels.machine import machine_of
from mambaops.wheels.select.ranking import newest_first
from mambaops.wheels.select.verdicts import Pair, Selection, Verdict
from mambaops.wheels.sources.refresh import Difference

ALSO = 5
GROUPS = 8


def selection_text(selection: Selection, facts: Facts, *, everything: bool = False) -> str:
    """The choice and why; then what else fits, why the others do not, and what would have to change."""
    return "\n".join(_selection(selection, facts, everything))


def _selection(selection: Selection, facts: Facts, everything: bool) -> Iterator[str]:
    if selection.chosen is None:
        yield f"nothing fits ({len(selection.candidates)} candidates): {_why_nothing(selection)}"
    else:
        yield from verdict_lines("chosen: ", selection.chosen)
    yield f"for {selection.package} on {machine_line(facts)}"
    yield from filter(None, [selection.newer])
    if selection.chosen is None:
        yield from _elsewhere(selection, facts)
        yield from (line for miss in selection.nearest for line in _miss(miss))
    yield from _others(selection, everything)


def _why_nothing(selection: Selection) -> str:
    return selection.nearest[0].reason if selection.nearest else "nobody is known to offer any"


def _others(selection: Selection, everything: bool) -> Iterator[str]:
    accepted = [v for v in selection.candidates if v.accepted][1:]
    refused = [v for v in selection.candidates if not v.accepted]
    if everything:
        yield from (f"+ {v.name} [{v.source}]: {v.reason}" for v in accepted)
        yield from (f"- {v.name} [{v.source}]: {v.reason}" for v in refused)
        return
    if accepted:
        more = len(accepted) - ALSO
        yield f"also: {', '.join(v.name for v in accepted[:ALSO])}" + f" and {more} more" * (
            more > 0
        )
    yield from _newer_ones(selection, refused)
    if refused:
        yield from _kinds(refused)


# what a person may be able to change without another Python, processor or torch
CHANGEABLE = ("driver", "glibc", "glibcxx", "runs with", "generation")


def _newer_ones(selection: Selection, refused: list[Verdict]) -> Iterator[str]:
    """Newer releases that one change would make fit: a driver, a library."""
    if selection.chosen is None:
        return
    mine = newest_first(selection.chosen.version)
    for rule in CHANGEABLE:
        ones = [v for v in refused if v.rule == rule and newest_first(v.version) < mine]
        if ones:
            best = min(ones, key=lambda v: newest_first(v.version))
            yield f"newer: {best.name}: {best.reason}"


def _kinds(refused: list[Verdict]) -> Iterator[str]:
    """How many of those for this Python and processor were refused for what; one of each as it was said."""
    meant = [v for v in refused if v.rule not in ("system", "python")]
    yield f"refused: {len(refused)}, of which {len(meant)} are for this Python and processor:"
    counted = Counter(v.rule or v.kind for v in meant)
    for rule, count in counted.most_common(GROUPS):
        example = next(v for v in meant if (v.rule or v.kind) == rule)
        yield f"  {count:5d}  {rule}: e.g. {example.reason}"
    yield "  (each with its reason: --all, or --json)"


def _elsewhere(selection: Selection, facts: Facts) -> Iterator[str]:
    """What a person can do where there was no candidate at all."""
    package = known(selection.package)
    if selection.candidates:
        return
    torch = facts.torch
    page = publishers_page(package, torch.version, torch.cuda) if package and torch else ""
    if page:
        yield f"  its publisher lists wheels for this torch, if any, at {page}: --online reads it"
    elif package is None or not package.wheels.published:
        yield "  nobody is known to publish wheels of it"
    yield f"  `mambaops build-wheel --package {selection.package}`"


def differences_text(rows: Sequence[Difference], *, everything: bool = False) -> str:
    """Per address what the table promises and what is there; the names on demand."""
    lines = []
    for row in rows:
        lines.append(f"{row.package} [{row.source}] {row.address} ({row.date})")
        counts = f"{row.promised} promised, {row.listed} listed"
        lines.append(f"  {counts}: {len(row.appeared)} appeared, {len(row.missing)} are not there")
        shown = None if everything else ALSO
        lines += [f"  + {name}" for name in row.appeared[:shown]]
        lines += [f"  - {name}" for name in row.missing[:shown]]
    return "\n".join(lines)


def verdict_lines(prefix: str, verdict: Verdict) -> Iterator[str]:
    """One accepted verdict with all that is to be known."""
    yield f"{prefix}{verdict.name}"
    yield f"  {verdict.reason}"
    yield f"  from {verdict.source}: {verdict.url or 'no address'}"
    yield from (f"  note: {note}" for note in verdict.notes)


def pair_text(pair: Pair, facts: Facts) -> str:
    """Both packages, or why there is no pair."""
    lines = [f"{' and '.join(pair.names)} for {machine_line(facts)}", pair.reason]
    for verdict in (pair.other, pair.first):
        if verdict is not None:
            lines += verdict_lines("chosen: ", verdict)
    return "\n".join(lines)


def machine_line(facts: Facts) -> str:
    """One line: system, Python, torch, GPUs, driver."""
    m = machine_of(facts)
    torch = f"torch {m.torch} (CUDA {m.cuda or 'none'})" if m.torch else "no torch"
    known = [*m.capabilities, *(f"of unknown capability ({name})" for name in m.unread)]
    gpus = f"GPU {', '.join(known)}" if known else "no GPU seen"
    driver = f"driver for CUDA {m.driver_cuda}" if m.driver_cuda else "no driver answering"
    libc = f"glibc {m.glibc}" if m.glibc else "no glibc"
    return f"{m.where} ({m.machine}, {libc}), Python {m.python}, {torch}, {gpus}, {driver}"


def _miss(verdict: Verdict) -> Iterator[str]:
    yield f"nearest: {verdict.name} [{verdict.source}]"
    yield f"  {verdict.reason}"
    yield f"  would fit with: {'; '.join(verdict.change)}"


def contents_text(contents: WheelContents, fit: Compatibility | None) -> str:
    """What is inside, one thing a line."""
    rows = [
        ("package", f"{contents.package} {contents.version}"),
        ("processor", ", ".join(contents.machines) or "any (no compiled module)"),
        ("machine code", ", ".join(contents.cubins) or "none"),
        ("PTX", ", ".join(contents.ptx) or "none"),
        ("CUDA runtime", contents.cuda or "not linked"),
        ("torch", _torch(contents)),
        ("C++11 ABI", {True: "new", False: "old", None: "not used"}[contents.cxx11_abi]),
        (
            "system",
            ", ".join(
                f"{family}_{version}"
                for family in ("GLIBC", "GLIBCXX", "CXXABI")
                if (version := contents.highest(family))
            ),
        ),
        ("libraries", ", ".join(contents.needed) or "none"),
        ("manylinux", contents.manylinux or "-"),
    ]
    if contents.pack is not None:
        rows = [rows[0], *_pack_rows(contents.pack)]
    lines = [contents.file, *(f"  {title:13s} {text}" for title, text in rows)]
    lines += [f"  contradiction {one}" for one in contents.contradictions]
    lines += [f"  note          {note}" for note in contents.notes]
    if fit is not None:
        verdict = "loads" if fit.loads else "does not load"
        runs = {True: "runs", False: "does not run", None: "running not judged"}[fit.runs]
        lines.append(f"  here          {verdict}, {runs}: {fit.reason}")
    return "\n".join(lines)


def _pack_rows(pack: Pack) -> Iterator[tuple[str, str]]:
    """Kernels compiled beforehand: nothing of them depends on a system, a Python or a torch."""
    yield "kernels of", ", ".join(pack.releases)
    yield "runs on", "every system, Python and torch (1.13 or newer)"
    yield "machine code", ", ".join(pack.cubins)
    newest = f" (drivers for CUDA {pack.cuda[-1]} or newer)" if pack.ptx else ""
    yield "PTX", (", ".join(pack.ptx) or "none") + newest
    yield "compiled by", f"NVRTC of CUDA {', '.join(pack.cuda)}"
    yield "inputs", ", ".join(pack.dtypes)
    yield "kernels", ", ".join(f"{count} {family}" for family, count in pack.kernels.items())


def _torch(contents: WheelContents) -> str:
    if contents.era.specifier is None:
        return "not told by its symbols"
    return f"{contents.era.specifier} (by {contents.era.evidence[0]})"

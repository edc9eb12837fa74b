"""Text to findings: the cause first, with what follows from it below; pure.

`match` is the whole of it for callers. The order: rules that another found rule explains become its
consequences; of the rest the earliest line comes first, for whatever failed first made the others fail. Lines
that only report that something failed (pip's, ninja's) never come first while anything else is known.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable

import msgspec

from mambaops.diagnose.lookups import looked_up
from mambaops.diagnose.predicates import Evidence, NamedFile, holds, told_by_file
from mambaops.diagnose.rules import Rule, load
from mambaops.diagnose.scan import Hit, Scan, scan
from mambaops.diagnose.text import chunks
from mambaops.diagnose.verdict import Verdict, judge, network_explains
from mambaops.facts.model import Facts


class Consequence(msgspec.Struct, frozen=True, kw_only=True):
    """A line that the finding explains."""

    rule: str
    line: str
    line_number: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A recognised failure (or a harmless line that is often blamed: `benign`).

    `fix` is for reading; `fixes` are its parts, commands first. `here` is what the file that the line names says
    itself, where it lies on this machine.
    """

    rule: str
    line: str
    line_number: int
    cause: str
    fix: str
    benign: bool
    title: str
    fixes: list[str]
    does_not_help: list[str]
    versions: str
    sources: list[str]
    consequences: list[Consequence]
    here: list[str] = []


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What a log says.

    Attributes:
        verdict: `failed`, `succeeded`, `recovered` (something failed and what counts succeeded after it) or
            `cannot-tell` (neither a failure nor evidence of success).
        findings: causes, the one to repair first comes first; harmless lines last.
        first_error: the first line that reports an error at all, recognised or not.
        evidence: the line that shows the good or bad end, "" where there is none.
        exit_code: what the command ended with, as far as it was told.
        lines: how many lines were read.
        notes: what is odd about the log: empty, cut, binary.
    """

    verdict: Verdict
    findings: list[Finding]
    first_error: str | None
    first_error_line_number: int | None
    evidence: str
    exit_code: int | None
    lines: int
    notes: list[str] = []

    @property
    def failed(self) -> bool:
        """Something in the log went wrong and stayed so, whether it was recognised or not."""
        return self.verdict == "failed"

    @property
    def recognised(self) -> bool:
        return any(not found.benign for found in self.findings)


Look = Callable[[str], NamedFile | None]


def _nobody_looks(_line: str) -> NamedFile | None:
    """For a log of another machine: what it names is not here."""
    return None


def match(text: str, facts: Facts | None = None) -> list[Finding]:
    """The findings in a log, the cause that must be repaired first comes first."""
    return examine(chunks(text), facts).findings


def examine(
    pieces: Iterable[str],
    facts: Facts | None = None,
    *,
    exit_code: int | None = None,
    look: Look = _nobody_looks,
) -> Diagnosis:
    """The same for text that comes in pieces that end at line ends, with the verdict and the first error line.

    Args:
        exit_code: what the command that wrote the log ended with, if somebody knows.
        look: looks at the compiled file that a line names, where the log is of this machine.
    """
    seen, catalogue = scan(pieces), load()
    rules = {rule.id: rule for rule in catalogue.rules}
    hits = _hits_that_count(seen, rules, facts)
    chosen, losers = _ranked([rules[name] for name in hits], hits, seen)
    causes = [hits[rule.id] for rule in chosen if rule.role == "cause"]
    verdict = judge(seen, causes, exit_code)
    evidence = Evidence(facts=facts, signals=frozenset(seen.hits))
    found = [
        _finding(rule, hits, losers.get(rule.id, []), _at(evidence, rule, hits[rule.id], look))
        for rule in chosen
    ]
    harmless = [] if verdict == "succeeded" else _harmless(rules, hits)
    found += [
        _finding(rule, hits, [], _at(evidence, rule, hits[rule.id], _nobody_looks))
        for rule in harmless
    ]
    return Diagnosis(
        verdict=verdict,
        findings=found,
        first_error=seen.first_error,
        first_error_line_number=seen.first_error_number,
        evidence=seen.end.line,
        exit_code=exit_code,
        lines=seen.lines,
    )


def _hits_that_count(seen: Scan, rules: dict[str, Rule], facts: Facts | None) -> dict[str, Hit]:
    """The first hit of every rule whose condition holds; of tries that were repeated only where they explain."""
    found = {name: hits for name, hits in seen.hits.items() if name in rules}
    if network_explains(seen, {name for name in found if rules[name].role == "cause"}):
        found = {**seen.retries, **found}
    signals = frozenset([*seen.hits, *found])
    # the patterns of a rule are searched one after the other: the first hit need not be the earliest
    first = {name: _first(rules[name], hits) for name, hits in found.items()}
    return {
        name: hit
        for name, hit in first.items()
        if hit is not None
        and _applies(rules[name], Evidence(facts=facts, signals=signals, groups=hit.groups))
    }


def _first(rule: Rule, hits: list[Hit]) -> Hit | None:
    """The first hit of which the rule's table, if it has one, knows something."""
    for hit in sorted(hits, key=lambda hit: hit.number):
        groups = looked_up(rule.table, hit.groups)
        if groups is not None:
            return Hit(hit.name, hit.line, hit.number, groups)
    return None


def _harmless(rules: dict[str, Rule], hits: dict[str, Hit]) -> list[Rule]:
    benign = [rules[name] for name in hits if rules[name].role == "benign"]
    return sorted(benign, key=lambda rule: hits[rule.id].number)


def _applies(rule: Rule, evidence: Evidence) -> bool:
    return holds(rule.when, evidence) and not (
        rule.unless is not None and holds(rule.unless, evidence)
    )


def _ranked(
    rules: list[Rule], hits: dict[str, Hit], seen: Scan
) -> tuple[list[Rule], dict[str, list[Rule]]]:
    """The rules to report in order, and for each what it explains."""
    causes = sorted((r for r in rules if r.role == "cause"), key=lambda rule: hits[rule.id].number)
    names = {rule.id for rule in causes}
    winners = [rule for rule in causes if not _explained(rule, names)]
    # two rules that explain each other: the earlier one stands
    winners = winners or causes[:1]
    kept = {rule.id for rule in winners}
    wrappers = [rule for rule in rules if rule.role == "wrapper"]
    followers = [rule for rule in causes if rule.id not in kept] + wrappers
    if not winners:
        return _without_causes(rules, hits, seen), {}
    losers: dict[str, list[Rule]] = {}
    for follower in followers:
        owner = next((w for w in winners if w.id in follower.loses_to), winners[0])
        losers.setdefault(owner.id, []).append(follower)
    return winners, losers


def _explained(rule: Rule, names: set[str]) -> bool:
    others = names - {rule.id}
    return bool(others) if "*" in rule.loses_to else bool(others & set(rule.loses_to))


def _without_causes(rules: list[Rule], hits: dict[str, Hit], seen: Scan) -> list[Rule]:
    """A log with only a wrapper or with context: worth a word, unless an unknown error explains it."""
    wrappers = [rule for rule in rules if rule.role == "wrapper"]
    context = [rule for rule in rules if rule.role == "context"]
    known = {hits[rule.id].number for rule in wrappers + context}
    if seen.first_error is not None and seen.first_error_number not in known:
        return []
    return wrappers[:1] or ([] if seen.end.outcome == "good" else context)


def _at(evidence: Evidence, rule: Rule, hit: Hit, look: Look) -> Evidence:
    """The evidence for one rule at the line where it was found."""
    file = look(hit.line) if rule.settled_by else None
    return dataclasses.replace(evidence, groups=hit.groups, file=file)


def _finding(rule: Rule, hits: dict[str, Hit], losers: list[Rule], evidence: Evidence) -> Finding:
    hit = hits[rule.id]
    groups = {**evidence.groups, **told_by_file(evidence)}
    case = next((case for case in load().cases(rule) if holds(case.when, evidence)), None)
    fixes = case.fix if case and case.fix else rule.fix
    fixes = [_filled(text, groups) for text in fixes]
    consequences = [
        Consequence(rule=other.id, line=hits[other.id].line, line_number=hits[other.id].number)
        for other in sorted(losers, key=lambda other: hits[other.id].number)
    ]
    return Finding(
        rule=rule.id,
        line=hit.line,
        line_number=hit.number,
        cause=_filled(case.cause if case else rule.cause, groups),
        fix="\n".join(fixes),
        benign=rule.role == "benign",
        title=_filled(rule.title, groups),
        fixes=fixes,
        does_not_help=rule.does_not_help,
        versions=rule.versions,
        sources=rule.sources,
        consequences=consequences,
    )


def _filled(text: str, groups: dict[str, str]) -> str:
    """`{name}` replaced by what the pattern captured; what it did not capture is said to be unknown."""

    return re.sub(r"\{(\w+)\}", lambda name: groups.get(name.group(1), "(unknown)"), text)

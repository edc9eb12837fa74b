"""The failure catalogue as typed records: `failures.yaml`, validated and compiled on load.

A rule is found by regular expressions. Each of them is guarded by a *needle*, a plain substring that any
match must contain and that is taken from the expression itself: a log of 100 MB is searched for needles
(gigabytes per second), and an expression only ever sees the few hundred characters around one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from ahocorasick_rs import AhoCorasick, Implementation

from mambaops.core.errors import UsageError
from mambaops.diagnose.text import sound
from mambaops.knowledge.packages import Package, packages

CATALOGUE = Path(__file__).with_name("failures.yaml")
SHORTEST_NEEDLE = 4
# one needle for many rules that begin with it: one search for all of them (`gates`)
SHARED_NEEDLES = (
    "undefined symbol",
    "No module named",
    "cannot import name",
    "No such file or directory",
)

Role = Literal["cause", "context", "wrapper", "benign", "silent"]


class Pattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way in which a failure shows.

    Attributes:
        regex: searched in the line (never anchored: pip and docker indent lines).
        span: how many lines the expression sees, the first of them holds the needle.
        near: this must stand close by (`NEAR` characters before or after).
        at_end: the line must be the last that says anything, because silence is the symptom.
    """

    regex: str
    span: int = 1
    near: str | None = None
    at_end: bool = False


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the same text means on a machine for which the predicate `when` holds."""

    when: str
    cause: str
    fix: list[str] = []


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of the catalogue.

    Attributes:
        cause: what is wrong; `{name}` is replaced by the group of that name in the pattern.
        fix: what to do, a command first where there is one.
        does_not_help: what is often recommended and does not help, with the reason.
        role: `cause`; `context` (explains a log that holds no failure of its own); `wrapper` (says only
            that something above failed); `benign` (blamed, harmless); `silent` (leaves no text: the
            row says what finds it).
        loses_to: rules that explain this one when both are found.
        when: a predicate that must hold for the rule to be considered; `unless`: one that must not.
        table: one of `lookups`, whose row for what was captured fills further `{name}`; without a row the rule is silent.
        cases: tried in order; the first that holds replaces cause and fix.
        settled_by: the catalogue's cases of this name, which the file that the line names decides, come before them.
    """

    id: str
    title: str
    cause: str
    fix: list[str]
    patterns: list[Pattern] = []
    examples: list[str] = []
    does_not_help: list[str] = []
    versions: str = ""
    sources: list[str] = []
    role: Role = "cause"
    loses_to: list[str] = []
    when: str | None = None
    unless: str | None = None
    cases: list[Case] = []
    settled_by: Literal["", "torch", "libraries"] = ""
    table: str = ""
    found_by: str = ""


class Signal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Text that is no failure but tells failures apart (`Cuda compilation tools, release …`)."""

    id: str
    regex: str


class Ending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line by which a program says that it is through.

    Attributes:
        covers: of what it tells the end: `all` before it, `packages` (those in the group `names`), `part` (more
            names of a line above), `itself` (of nothing that failed before it), or a `failure`.
    """

    regex: str
    covers: Literal["all", "packages", "part", "itself", "failure"]


class Omission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A failure that people report and that is not matched, with the reason."""

    what: str
    why: str


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rules: list[Rule]
    signals: list[Signal]
    left_out: list[Omission] = []
    endings: list[Ending] = []
    trailing: list[str] = []
    named_failures: list[str] = []
    settled: dict[str, list[Case]] = {}

    def cases(self, rule: Rule) -> list[Case]:
        """The cases of a rule in the order in which they are tried."""
        return [*self.settled.get(rule.settled_by, []), *rule.cases]

    def rule(self, name: str) -> Rule:
        """The rule with this id.

        Raises:
            KeyError: there is none.
        """
        return {rule.id: rule for rule in self.rules}[name]


def read_yaml(text: str) -> Any:
    """YAML by libyaml where PyYAML has it: ten times faster."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, Loader=loader)


@functools.cache
def load(path: Path = CATALOGUE) -> Catalogue:
    """The catalogue, checked; our own together with the failures that the package files tell.

    Raises:
        UsageError: unknown key, wrong type, a repeated id, an expression without a needle, a rule or
            predicate that is named and does not exist.
    """
    try:
        catalogue = msgspec.convert(read_yaml(path.read_text(encoding="utf-8")), Catalogue)
    except msgspec.ValidationError as error:
        raise UsageError(f"`{path.name}`: {error}") from error
    if path == CATALOGUE:
        own = [rule for package in packages().values() for rule in rules_of(package)]
        catalogue = msgspec.structs.replace(catalogue, rules=[*catalogue.rules, *own])
    for complaint in _complaints(catalogue):
        raise UsageError(f"`{path.name}`: {complaint}")
    return catalogue


def rules_of(package: Package) -> list[Rule]:
    """The failures that a package file tells.

    Raises:
        UsageError: one that is no rule, with the key path.
    """
    try:
        return msgspec.convert(package.failures, list[Rule])
    except msgspec.ValidationError as error:
        raise UsageError(f"package file of {package.name}: failures: {error}") from error


def _complaints(catalogue: Catalogue) -> Iterator[str]:
    from mambaops.diagnose.lookups import FIELDS
    from mambaops.diagnose.predicates import PREDICATES

    ids = [rule.id for rule in catalogue.rules]
    known = set(ids)
    yield from (f"rule `{name}` stands twice" for name in known if ids.count(name) > 1)
    for rule in catalogue.rules:
        for name in rule.loses_to:
            if name not in known | {"*"}:
                yield f"rule `{rule.id}` loses to `{name}`, which does not exist"
        for when in [rule.when, rule.unless, *(case.when for case in catalogue.cases(rule))]:
            if when is not None and when not in PREDICATES:
                yield f"rule `{rule.id}` names the predicate `{when}`, which does not exist"
        if rule.table and rule.table not in FIELDS:
            yield f"rule `{rule.id}` names the table `{rule.table}`, which does not exist"
        if rule.role == "silent" and not rule.found_by:
            yield f"rule `{rule.id}` leaves no text and does not say what finds it"
        if rule.role != "silent" and not (rule.patterns and rule.examples and rule.sources):
            yield f"rule `{rule.id}` needs patterns, examples and sources"


class Probe:
    """A compiled pattern with its needle: of a rule, or of a signal (`rule` is None).

    Attributes:
        also: the longest other plain text of the expression, which its line must hold too, "" where there is none.
        leads: the expression begins with the needle as it is and sees one line: a gate can stand for it.
    """

    __slots__ = ("also", "leads", "name", "near", "needle", "pattern", "regex", "rule")

    def __init__(self, name: str, pattern: Pattern, rule: Rule | None) -> None:
        self.name = name
        self.pattern = pattern
        self.rule = rule
        self.regex = re.compile(pattern.regex)
        self.near = re.compile(pattern.near) if pattern.near else None
        self.needle = needle_of(pattern.regex)
        # with a larger span it may stand in another line than the needle
        others = [run for run in _literal_runs(pattern.regex) if run not in self.needle]
        self.also = max(others, key=len, default="") if pattern.span == 1 else ""
        self.leads = pattern.span == 1 and pattern.regex.startswith(self.needle)


@functools.cache
def probes(path: Path = CATALOGUE) -> dict[str, list[Probe]]:
    """Every pattern of the catalogue, compiled, by its needle."""
    catalogue = load(path)
    found = [Probe(rule.id, pattern, rule) for rule in catalogue.rules for pattern in rule.patterns]
    found += [Probe(signal.id, Pattern(signal.regex), None) for signal in catalogue.signals]
    grouped: dict[str, list[Probe]] = {}
    for probe in found:
        grouped.setdefault(probe.needle, []).append(probe)
    return grouped


_GROUP = re.compile(r"\(\?P<\w+>")


@functools.cache
def gates() -> dict[str, re.Pattern[str]]:
    """By needle, where all of its expressions begin with it: one expression that matches where one of them may.

    It is for whole texts: what stands for the end of the text there matches at the end of a line.
    """
    leading = {n: group for n, group in probes().items() if all(probe.leads for probe in group)}
    return {needle: _gate(group) for needle, group in leading.items()}


def _gate(group: list[Probe]) -> re.Pattern[str]:
    if len(group) == 1 and "$" not in group[0].pattern.regex:
        return group[0].regex
    plain = (_GROUP.sub("(?:", probe.pattern.regex) for probe in group)
    return re.compile("|".join(f"(?:{regex})" for regex in plain), re.MULTILINE)


def needle_of(regex: str) -> str:
    """The plain text that every match of the expression contains: a shared needle, or the longest run.

    Raises:
        UsageError: there is no run of at least four characters (or an alternative on the top level).
    """
    runs = _literal_runs(regex)
    for shared in SHARED_NEEDLES:
        if regex.startswith(shared):
            return shared
    best = max(runs, key=len, default="")
    if len(best) < SHORTEST_NEEDLE:
        raise UsageError(f"the expression `{regex}` has no plain text to search for first")
    return best


# what one item of an expression looks like, e.g. `\.`, `[^)]`, `(`, `a`
_ITEM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
_QUANTIFIER = re.compile(r"[*?]\??|\{[\d,]+\}\??|\+\??")


class GuardedRegex:
    """Several expressions as one, searched only where the plain text of one of them stands."""

    def __init__(self, expressions: list[str]) -> None:
        # each match holds one of these
        self.words = frozenset(needle_of(one) for one in expressions)
        self._needles = AhoCorasick(sorted(self.words), implementation=Implementation.DFA)
        self._any = re.compile("|".join(f"(?:{one})" for one in expressions))

    def may_match(self, text: str) -> bool:
        """Whether the plain text of one of them stands there."""
        return bool(self._needles.find_matches_as_indexes(sound(text)))

    def matches(self, text: str) -> bool:
        """Whether one of them matches somewhere."""
        return self.may_match(text) and bool(self._any.search(text))


def _literal_runs(regex: str) -> list[str]:
    runs: list[str] = []
    run, depth, position = "", 0, 0
    while position < len(regex):
        item = _ITEM.match(regex, position)
        assert item is not None
        text, position = item.group(), item.end()
        quantifier = _QUANTIFIER.match(regex, position)
        position = quantifier.end() if quantifier else position
        depth += (text == "(") - (text == ")")
        if text == "|" and depth == 0:
            raise UsageError(f"the expression `{regex}` has alternatives on its top level")
        letter = "" if depth or text == ")" else _plain(text)
        if letter and quantifier is None:
            run += letter
            continue
        # `x+` still holds one x, next to the text before it; `x?` and `x*` may hold none
        runs.append(run + (letter if quantifier and quantifier.group()[0] == "+" else ""))
        run = ""
    return [*runs, run]


def _plain(item: str) -> str:
    if len(item) == 2 and item[0] == "\\":
        return "" if item[1].isalnum() else item[1]
    return "" if len(item) > 1 or item in ".^$()|[]" else item

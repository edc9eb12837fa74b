"""The catalogue: valid, and every example is its own rule's and nobody else's."""

import re
from pathlib import Path

import msgspec
import pytest

from mambaops.core.errors import UsageError
from mambaops.diagnose import catalogue, rules
from mambaops.diagnose.lookups import FIELDS
from mambaops.diagnose.match import match
from mambaops.knowledge.packages import packages

EXAMPLES = [
    pytest.param(rule.id, example, id=f"{rule.id}-{number}")
    for rule in rules.load().rules
    for number, example in enumerate(rule.examples)
]
PATTERNS = [
    pytest.param(rule, number, id=f"{rule.id}-{number}")
    for rule in rules.load().rules
    for number in range(len(rule.patterns))
]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_example_matches_its_own_rule_and_no_other(name: str, example: str) -> None:
    assert [finding.rule for finding in match(example)] == [name]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_example_is_found_in_pips_frame_and_colours(name: str, example: str) -> None:
    lines = ["  │ \x1b[31m" + line + "\x1b[0m\r" for line in example.rstrip("\n").split("\n")]
    # silence is a symptom only where nothing follows
    assert [finding.rule for finding in match("\n".join(lines) + "\n")] == [name]


@pytest.mark.parametrize(("rule", "number"), PATTERNS)
def test_needle_is_part_of_the_expression(rule: rules.Rule, number: int) -> None:
    needle = rules.needle_of(rule.patterns[number].regex)
    assert len(needle) >= rules.SHORTEST_NEEDLE


def test_a_gate_is_open_wherever_one_of_its_expressions_matches() -> None:
    lines = [
        line for rule in rules.load().rules for text in rule.examples for line in text.split("\n")
    ]
    for needle, gate in rules.gates().items():
        for line in lines:
            if any(probe.regex.search(line) for probe in rules.probes()[needle]):
                text = f"before\n{line}\nafter\n"
                places = (match.start() for match in re.finditer(re.escape(needle), text))
                assert any(gate.match(text, place) for place in places), (needle, line)


def test_every_rule_has_a_title_a_cause_and_a_fix() -> None:
    for rule in rules.load().rules:
        assert rule.title and rule.cause and rule.fix, rule.id


def test_placeholders_are_captured_by_some_pattern() -> None:
    for rule in rules.load().rules:
        texts = [
            rule.cause,
            *rule.fix,
            rule.title,
            *(text for case in rule.cases for text in (case.cause, *case.fix)),
        ]
        wanted = {name for text in texts for name in re.findall(r"\{(\w+)\}", text)}
        captured = {
            name for pattern in rule.patterns for name in re.compile(pattern.regex).groupindex
        }
        assert wanted <= captured | FIELDS.get(rule.table, set()), rule.id


@pytest.mark.parametrize(
    ("regex", "needle"),
    [
        (r"a{2,3}ninja is \d+ gone", "ninja is "),
        (r"(?:x|y)cannot find -lcuda(?:\s|$)", "cannot find -lcuda"),
        (r"undefined symbol: _Z(?!foo)\w+Ei", "undefined symbol"),
        (r"C\+\+20 or later", "C++20 or later"),
        (r"colou?r is wrong", "r is wrong"),
        (r"long texte+ x", "long texte"),
        (r"(?:some )group is over", "group is over"),
        (r"a\(b\) c\d", "a(b) c"),
        (r"name\.of\w+", "name.of"),
        (r"[abc]of letters", "of letters"),
        (r"^from here$", "from here"),
        (r"x.long text", "long text"),
        (r"four\d", "four"),
    ],
)
def test_needle(regex: str, needle: str) -> None:
    assert rules.needle_of(regex) == needle


@pytest.mark.parametrize("regex", [r"\d+\s\w+", r"left|right", r"a.b", r"abc\d"])
def test_no_needle_is_an_error(regex: str) -> None:
    with pytest.raises(UsageError):
        rules.needle_of(regex)


UNKNOWN_KEYS = (
    "colour: red",
    "endings: [{regex: x, covers: all, colour: red}]",
    "left_out: [{what: a, why: b, colour: red}]",
    "signals: [{id: a, regex: some text, colour: red}]",
    "rules: [{id: a, title: t, cause: c, fix: [f], patterns: [{regex: some text, colour: red}]}]",
    "rules: [{id: a, title: t, cause: c, fix: [f], cases: [{when: torch_is_cpu, colour: red}]}]",
)


def test_what_a_rule_need_not_say(tmp_path: Path) -> None:
    given = "id: a, title: t, cause: c, fix: [f], examples: [x], sources: [u]"
    file = tmp_path / "failures.yaml"
    file.write_text(f"signals: []\nrules:\n  - {{{given}, patterns: [{{regex: some text}}]}}\n")
    (rule,) = rules.load(file).rules
    assert (rule.role, rule.versions, rule.table, rule.found_by) == ("cause", "", "", "")
    assert (rule.when, rule.unless, rule.cases, rule.loses_to) == (None, None, [], [])
    assert rule.patterns == [rules.Pattern("some text", span=1, near=None, at_end=False)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "  - {id: a, title: t, cause: c, fix: [f], patterns: [{regex: 'some text'}], examples: [x], sources: [u], loses_to: [nobody]}",
            "nobody",
        ),
        (
            "  - {id: a, title: t, cause: c, fix: [f], patterns: [{regex: 'some text'}], examples: [x], sources: [u], when: moon_is_full}",
            "moon_is_full",
        ),
        ("  - {id: a, title: t, cause: c, fix: [f], colour: red}", "colour"),
        *((f"  []\n{more}", "colour") for more in UNKNOWN_KEYS),
        ("  - {id: a, title: t, cause: c, fix: [f]}", "patterns"),
        ("  - {id: a, title: t, cause: c, fix: [f], examples: [x], sources: [u]}", "patterns"),
        (
            "  - {id: a, title: t, cause: c, fix: [f], patterns: [{regex: 'some text'}], sources: [u]}",
            "examples",
        ),
        (
            "  - {id: a, title: t, cause: c, fix: [f], patterns: [{regex: 'some text'}], examples: [x]}",
            "sources",
        ),
        ("  - {id: a, title: t, cause: c, fix: [f], role: silent}", "what finds it"),
        (
            "  - {id: a, title: t, cause: c, fix: [f], role: silent, found_by: x}\n" * 2,
            "rule `a` stands twice",
        ),
    ],
)
def test_a_wrong_catalogue_is_refused(tmp_path: Path, change: str, words: str) -> None:
    file = tmp_path / "failures.yaml"
    file.write_text(f"signals: []\nrules:\n{change}\n")
    with pytest.raises(UsageError, match=words):
        rules.load(file)


def test_the_page_and_the_listing_name_every_rule_with_its_mark() -> None:
    page, listing = catalogue.markdown(), catalogue.listing()
    for rule in rules.load().rules:
        assert f"## {rule.id}" in page
        assert all(text in page for text in (*rule.fix, *rule.does_not_help, *rule.sources))
        (line,) = [line for line in listing.splitlines() if line.split()[0] == rule.id]
        assert rule.title in line
    assert "## gxx-bounds-benign *(harmless)*" in page
    assert "(harmless)" in next(x for x in listing.splitlines() if x.startswith("gxx-bounds"))
    assert "- On a machine where torch is cpu: The torch in use is a CPU build" in page


def test_a_wrong_failure_of_a_package_file_is_refused() -> None:
    package = msgspec.structs.replace(packages()["mamba-ssm"], failures=[{"id": "a"}])
    with pytest.raises(UsageError, match=r"package file of mamba-ssm: failures: .*title"):
        rules.rules_of(package)


def _without_us(fixes: list[str]) -> bool:
    """Whether somebody without mambaops finds something to do among them."""
    return any(
        "`mambaops" not in text or "by hand" in text or text.count("`") > 2 for text in fixes
    )


def test_every_remedy_can_be_done_without_mambaops() -> None:
    for rule in rules.load().rules:
        assert rule.role == "benign" or _without_us(rule.fix), rule.id
        for case in rule.cases:
            assert not case.fix or _without_us(case.fix), (rule.id, case.when)

"""The catalogue for reading: a listing for the terminal, and a page of the documentation."""

from __future__ import annotations

from mambaops.diagnose.rules import Catalogue, Rule, load

_HEAD = """\
# Known failures

{count} ways in which installing, importing and running causal-conv1d, mamba-ssm and their neighbours fails.
`mambaops diagnose --log build.log` finds them in a log; this page is made from the same data
(`src/mambaops/diagnose/failures.yaml`) by `mambaops diagnose --list --markdown`.

Rows marked *harmless* are lines that people blame and that are not at fault. Rows marked *wrapper* only say
that something above failed. Rows marked *context* explain a log that holds no failure. Rows marked *no text*
leave nothing in a log.
"""
_MARKS = {"benign": "harmless", "wrapper": "wrapper", "context": "context", "silent": "no text"}


def listing(catalogue: Catalogue | None = None) -> str:
    """One line per rule."""
    rules = (catalogue or load()).rules
    width = max(len(rule.id) for rule in rules)
    return "\n".join(f"{rule.id:{width}}  {rule.title}{_mark(rule)}" for rule in rules)


def _mark(rule: Rule) -> str:
    return f" ({_MARKS[rule.role]})" if rule.role in _MARKS else ""


def markdown(catalogue: Catalogue | None = None) -> str:
    """The page `failures.md`."""
    catalogue = catalogue or load()
    parts = [_HEAD.format(count=len(catalogue.rules)), *map(_section, catalogue.rules)]
    omitted = "\n".join(f"- {row.what}: {row.why}" for row in catalogue.left_out)
    return "\n".join([*parts, f"## Not matched\n\n{omitted}\n"])


def _section(rule: Rule) -> str:
    mark = f" *({_MARKS[rule.role]})*" if rule.role in _MARKS else ""
    rows = [f"## {rule.id}{mark}\n", f"**{rule.title[0].upper()}{rule.title[1:]}.** {rule.cause}\n"]
    if rule.examples:
        rows.append("```text\n" + "\n\n".join(text.rstrip() for text in rule.examples) + "\n```\n")
    rows += [f"- {text}" for text in rule.fix]
    rows += [f"- On a machine where {_words(case.when)}: {case.cause}" for case in rule.cases]
    rows += [f"- Does not help: {text}" for text in rule.does_not_help]
    rows += [f"- Versions: {rule.versions}"] if rule.versions else []
    rows += [f"- Found by {rule.found_by}"] if rule.found_by else []
    rows.append("- Source: " + ", ".join(f"<{link}>" for link in rule.sources))
    return "\n".join(rows) + "\n"


def _words(predicate: str) -> str:
    return predicate.replace("_", " ")

"""What a finding tells: the rule's own words, filled with what its pattern captured."""

from __future__ import annotations

from mambaops.diagnose.match import match
from mambaops.diagnose.rules import load

OLD_GCC = "RuntimeError: The current installed version of g++ (4.8.5) is less than the minimum required version by CUDA 11.7 (6.0.0).\n"


def test_a_finding_carries_its_rules_words_and_sources() -> None:
    (found,) = match("NameError: name 'bare_metal_version' is not defined\n")
    rule = load().rule("nvcc-not-found-nameerror")
    assert (found.title, found.cause, found.versions) == (rule.title, rule.cause, rule.versions)
    assert (found.fixes, found.does_not_help) == (rule.fix, rule.does_not_help)
    assert (found.sources, found.fix) == (rule.sources, "\n".join(rule.fix))
    assert found.line == "NameError: name 'bare_metal_version' is not defined"


def test_placeholders_are_filled_in_cause_and_fix() -> None:
    (found,) = match(OLD_GCC)
    assert "4.8.5" in found.cause
    assert "{" not in found.cause + found.fix


def test_what_the_pattern_did_not_capture_is_said_to_be_unknown() -> None:
    (found,) = match('mintrin.h(9146): error: identifier "__builtin_ia32\n')
    assert found.rule == "host-compiler-builtins"
    assert "__builtin_ia32_(unknown)" in found.cause


def test_a_case_without_a_fix_of_its_own_keeps_the_rules() -> None:
    (found,) = match("/tmp/tmpw/main.c:5:10: fatal error: Python.h: No such file or directory\n")
    assert found.fixes == load().rule("python-h-missing").fix

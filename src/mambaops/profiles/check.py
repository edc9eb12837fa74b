"""What the types of a profile cannot say: its texts become words of commands, scripts and terminals. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mambaops.knowledge.text import (
    wrong_line,
    wrong_requirements,
    wrong_source,
    wrong_variables,
    wrong_words,
)
from mambaops.profiles.model import Profile


def complaints(profile: Profile) -> Iterator[str]:
    """What is wrong with a profile's texts, each with its key path; nothing for a good one."""
    yield from _lines(profile)
    yield from wrong_variables("runtime_env", profile.runtime_env)
    yield from wrong_variables("build.env", profile.build.env)
    for path, texts in (
        ("requirements", profile.requirements),
        ("constraints", profile.constraints),
        ("build_requirements", profile.build_requirements),
        ("torch.companions", profile.torch.companions),
    ):
        yield from wrong_requirements(path, texts)
    for path, texts in (
        ("target.conda_packages", profile.target.conda_packages),
        ("target.channels", profile.target.channels),
        ("find_links", profile.find_links),
        ("models", profile.models),
    ):
        yield from wrong_words(path, texts)
    for name, spec in profile.packages.items():
        yield from wrong_source(f"packages.{name}", spec.tag, spec.subdirectory)


def _lines(profile: Profile) -> Iterator[str]:
    from mambaops.profiles.explain import values

    for path, value in values(profile):
        for text in _texts(value):
            yield from wrong_line(path, text)
    for path, reason in profile.why.items():
        yield from wrong_line(f"why.{path}", reason.replace("\n", " "))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for text in pair]
    if isinstance(value, list):
        return [text for text in value if isinstance(text, str)]
    return [value] if isinstance(value, str) else []

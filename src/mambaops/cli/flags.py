"""Command line words to the flags that a plan understands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from mambaops.cli.request import Request
from mambaops.core.errors import UsageError
from mambaops.decide.situation import Flags
from mambaops.knowledge.packages import is_file, package
from mambaops.profiles.load import load_profile
from mambaops.profiles.model import Strategy


def flags_of(request: Request) -> Flags:
    """The flags of a request.

    Raises:
        UsageError: a package or a strategy to obtain it that does not exist.
    """
    added = _added(request.add)
    sources = _sources(request.source, lambda name: _own_or_known(name, added, request.profile))
    return Flags(
        profile=request.profile,
        arch=request.arch,
        torch=request.torch,
        python=request.python,
        source=sources,
        source_ids={name: _digest(path) for name, path in sources.items()},
        cross=request.cross,
        sudo=request.sudo,
        obtain=_strategies(request.obtain),
        add=added,
    )


def packages_of(request: Request) -> list[str]:
    """Names of the packages of a run: the profile's, and those that are added.

    Raises:
        UsageError: an added one that nothing describes.
    """
    return [*load_profile(request.profile).packages, *_added(request.add)]


def _own_or_known(name: str, added: Mapping[str, str], profile: str) -> str:
    """A package of this run that only its own file describes, or one that is known.

    Raises:
        UsageError: neither.
    """
    return name if name in added or name in load_profile(profile).packages else check_package(name)


def _sources(words: list[str], named: Callable[[str], str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or not path:
            raise UsageError(
                f"`--source {word}` does not say which package it is",
                hint=f"`--source mamba-ssm={word}`",
            )
        found[named(name)] = path
    return found


def _digest(path: str) -> str:
    """What lies at `path`: a change of the user's own sources is another build."""
    from mambaops.compile.sources import digest_of

    return digest_of(Path(path).expanduser())


def check_package(name: str) -> str:
    """The normalised name of a package that is known, or that a package file describes.

    Raises:
        UsageError: another one.
    """
    return package(name).name


def _added(words: list[str]) -> dict[str, str]:
    """Package -> its own file, "" where it comes with mambaops."""
    return {
        check_package(word): str(Path(word).expanduser().resolve()) if is_file(word) else ""
        for word in words
    }


def _strategies(text: str) -> tuple[str, ...]:
    wanted = tuple(word.strip() for word in text.split(",") if word.strip())
    known = get_args(Strategy)
    for one in wanted:
        if one not in known:
            import difflib

            near = difflib.get_close_matches(one, known, n=1)
            raise UsageError(
                f"`--obtain {one}` is no strategy to get a package; there are: {', '.join(known)}",
                hint=f"did you mean `{near[0]}`?" if near else "",
            )
    return wanted

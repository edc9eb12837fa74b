"""Reads `tests/cases/**/*.yaml`: a profile, a machine, what is there, flags; and what is to come of it.

The notation is explained in `docs/testing.md`. An unknown key is an error, so that no expectation is lost
by a slip of the pen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from machine_files import merged
from recorded import facts_of, varied

from mambaops.decide.case import Case, make_case
from mambaops.decide.runtime import wanted_kernels
from mambaops.decide.situation import Flags, Situation, elsewhere
from mambaops.diagnose.rules import read_yaml
from mambaops.facts.model import Facts
from mambaops.profiles.load import load_profile
from mambaops.profiles.model import Profile

FOLDER = Path(__file__).resolve().parents[1] / "cases"
_SIZE = re.compile(r"(\d+) ([MG])iB")


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No key that is not one."""


class ExpectedStep(Strict):
    """`reason` and `hint` are fragments; an empty hint says that there is none. `lacks`: what no reason says."""

    status: str
    reason: str = ""
    lacks: str = ""
    hint: str | None = None
    command: str | None = None


class ExpectedError(Strict):
    exit: int
    message: str
    hint: str = ""


class Words(Strict):
    """Fragments of a text that must be there, and that must not."""

    has: list[str] = []
    lacks: list[str] = []


class Expected(Strict):
    choice: dict[str, Any] = {}
    reasons: dict[str, str] = {}  # of the choice: fragments
    note: list[str] | None = None  # of the choice: a fragment of each, in order
    plan: list[str] = []  # "id: status", every step in order
    order: list[str] = []  # the same, in that order; there may be others between them
    steps: dict[str, str | ExpectedStep] = {}
    absent: list[str] = []
    key: dict[str, dict[str, Any]] = {}  # package -> fields of its build key
    other_key_than: str = ""  # name of a case whose wheels this one may not take
    nvcc: str | None = None  # of the toolkit that is taken; "" for none
    compiler: str | None = None
    build: list[str] | None = None  # packages that are to be compiled
    script: Words | None = None
    error: ExpectedError | None = None


class TargetOf(Strict):
    """The environment: another recorded machine's, or this one's, with changes."""

    machine: str = ""
    like: dict[str, Any] = {}


class CaseFile(Strict):
    about: str
    profile: str | dict[str, Any]
    machine: str
    expect: Expected
    like: dict[str, Any] = {}  # changes to the machine's facts
    target: str | TargetOf = "of the machine"
    situation: dict[str, Any] = {}
    flags: dict[str, Any] = {}
    only: list[str] = []  # the packages that the run is about


def names() -> list[str]:
    """Every case, as its path below `tests/cases`."""
    return sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.yaml"))


def read(name: str) -> CaseFile:
    """One case by its name."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    return msgspec.convert(read_yaml(text), CaseFile)


@dataclass(frozen=True)
class Prepared:
    """A case with its profile and facts read, before any of the code that it tests has run."""

    file: CaseFile
    profile: Profile
    facts: Facts


@cache
def prepared(name: str) -> Prepared:
    """One case with what it names."""
    file = read(name)
    return Prepared(file, _profile(file.profile), varied(file.machine, _sizes(file.like)))


def inputs(ready: Prepared) -> tuple[Profile, Situation, Flags]:
    """What the public functions take."""
    case, profile, facts = ready.file, ready.profile, ready.facts
    flags = msgspec.convert(case.flags, Flags)
    found = elsewhere(profile.name, facts)
    bare = msgspec.structs.replace(found, target=_target(case, facts, {}))
    if not _marks(case):
        return profile, _filled(bare, case.situation, {}), flags
    words = _words(make_case(profile, bare, flags))
    target = msgspec.structs.replace(bare, target=_target(case, facts, words))
    return profile, _filled(target, case.situation, words), flags


def _marks(case: CaseFile) -> bool:
    text = str(case.situation) + str(case.target)
    return any(mark in text for mark in ("{wanted:", "{patched:", "{kernels}"))


def _words(case: Case) -> dict[str, str]:
    """`{wanted:mamba-ssm}`: the version that our own build of it carries. `{patched:…}`: patched as wanted.

    `{kernels}`: the version of `mambaops-kernels` that the environment is to hold.
    """
    found = {f"{{wanted:{name}}}": case.wanted_version(name) for name in case.packages}
    patched = {f"{{patched:{name}}}": case.setup_options(name).digest() for name in case.packages}
    return {**found, **patched, "{kernels}": wanted_kernels(case)}


def _filled(situation: Situation, changes: dict[str, Any], words: dict[str, str]) -> Situation:
    known = {field.name: field.type for field in msgspec.structs.fields(Situation)}
    filled = _replaced(changes, words)
    values = {name: msgspec.convert(one, known[name]) for name, one in filled.items()}
    return msgspec.structs.replace(situation, **values)


def _replaced(value: Any, words: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(one, words) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, words) for one in value]
    if isinstance(value, str):
        for word, text in words.items():
            value = value.replace(word, text)
    return value


def _target(case: CaseFile, facts: Facts, words: dict[str, str]) -> Facts | None:
    if case.target == "none":
        return None
    if isinstance(case.target, TargetOf):
        changes = _replaced(_sizes(case.target.like), words)
        if case.target.machine:
            return varied(case.target.machine, changes)
        return msgspec.convert(merged(msgspec.to_builtins(facts), changes), Facts)
    if case.target != "of the machine":
        return facts_of(case.target)
    return elsewhere("", facts).target


def _profile(wanted: str | dict[str, Any]) -> Profile:
    if isinstance(wanted, str):
        return _shipped(wanted)
    changes = dict(wanted)
    base = msgspec.json.decode(msgspec.json.encode(_shipped(changes.pop("base"))))
    return msgspec.convert(merged({**base, "why": {}}, changes), Profile)


_shipped = cache(load_profile)


def _sizes(value: Any) -> Any:
    """`6 GiB` as a number."""
    if isinstance(value, dict):
        return {key: _sizes(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_sizes(one) for one in value]
    size = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return int(size[1]) << {"M": 20, "G": 30}[size[2]] if size else value

"""Every value of a profile with the reason for it, and the JSON schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from mambaops.core.strict_yaml import json_schema
from mambaops.profiles.model import Profile


def values(record: msgspec.Struct, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(key path, value) of every leaf of a profile, in the order of the file's fields."""
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        path = f"{prefix}{field.encode_name}"
        if isinstance(value, msgspec.Struct):
            yield from values(value, f"{path}.")
        elif isinstance(value, dict) and value and path != "why":
            for key, one in value.items():
                yield from _entry(f"{path}.{key}", one)
        elif path != "why":
            yield path, value


def _entry(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, msgspec.Struct):
        yield from values(value, f"{path}.")
    else:
        yield path, value


def explain(profile: Profile) -> list[tuple[str, Any, str]]:
    """(key path, value, why) of every value: the profile's own reason, else the field's description."""
    described = descriptions()
    return [(path, value, _reason(profile, path, described)) for path, value in values(profile)]


def _reason(profile: Profile, path: str, described: dict[str, str]) -> str:
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        if reason := profile.why.get(".".join(parts[:length])):
            return reason
    # the entries of a mapping are described by the mapping
    same = ".".join([*parts[:-2], "*", parts[-1]])
    return described.get(path) or described.get(same) or described.get(".".join(parts[:-1]), "")


def schema() -> dict[str, Any]:
    """The JSON schema of a profile, for editors."""
    return json_schema(Profile)


def descriptions() -> dict[str, str]:
    """Key path -> description, "" where it has none, from the schema; `*` stands for the names in a mapping."""
    found: dict[str, str] = {}
    definitions = schema()["$defs"]

    def walk(name: str, prefix: str) -> None:
        for key, field in definitions[name].get("properties", {}).items():
            path = f"{prefix}{key}"
            found[path] = field.get("description", "")
            for choice in [field, *field.get("anyOf", [])]:
                if reference := choice.get("$ref"):
                    walk(reference.rsplit("/", 1)[1], f"{path}.")
            entries = field.get("additionalProperties")
            if reference := isinstance(entries, dict) and entries.get("$ref"):
                walk(reference.rsplit("/", 1)[1], f"{path}.*.")

    walk("Profile", "")
    return found


def meant(key: str, section: str) -> str:
    """The key path that was meant by an unknown key of a section ("target", "" for the top); "" where none is like it."""
    import difflib

    inside = re.sub(r"^packages\..+", "packages.*", section)
    beside: dict[str, str] = {}
    elsewhere: dict[str, str] = {}
    for path in descriptions():
        parent, _, name = path.rpartition(".")
        (beside if parent == inside else elsewhere).setdefault(name, path)
    if key not in elsewhere and (near := difflib.get_close_matches(key, beside, n=1)):
        return f"{section}.{near[0]}".strip(".")
    near = difflib.get_close_matches(key, elsewhere, n=1, cutoff=0.85)
    return elsewhere[near[0]].replace("*", "NAME") if near else ""

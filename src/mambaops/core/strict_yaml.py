"""YAML that a person writes, without silent surprises: a repeated key is an error, and keys are text."""

from __future__ import annotations

import re
from typing import Any

DRAFT = "https://json-schema.org/draft/2020-12/schema"  # of JSON schemas


class NotYaml(Exception):
    """The text is no YAML, or none that is taken; the message goes on from the file's name: "is not YAML: …"."""


def load(text: str) -> Any:
    """Plain values.

    Raises:
        NotYaml: not YAML, a repeated key, a key that is no text, nested without end.
    """
    import yaml

    try:
        # the loader derives from SafeLoader: it builds plain values only
        return yaml.load(text, Loader=_strict(text))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: 2024-99-99, which looks like a date
        raise NotYaml(f"is not YAML: {error}") from error
    except RecursionError:
        raise NotYaml("is nested too deeply to be one of ours") from None


def with_entry(raw: Any, message: str, mapping: str, kind: type[Any]) -> str:
    """msgspec's message about a file, with the name that it leaves out of a mapping's path: `$.hosts[...]`.

    Args:
        raw: the file's values. mapping: key of the mapping. kind: what its entries were to be.
    """
    import msgspec

    if f"`$.{mapping}[...]" not in message:
        return message
    for name, entry in raw[mapping].items():
        try:
            msgspec.convert(entry, kind)
        except msgspec.ValidationError as error:
            whole = str(error) if "`$" in str(error) else f"{error} - at `$`"
            return whole.replace("`$", f"`$.{mapping}.{name}")
    return message


def unknown_key(message: str) -> tuple[str, str] | None:
    """(key, path of the record that does not have it) where msgspec's message is about one."""
    found = re.search(r"unknown field `(.*?)`(?: - at `\$\.?(.*?)`)?$", message)
    return (found[1], found[2] or "") if found else None


def json_schema(kind: type[Any]) -> dict[str, Any]:
    """The JSON schema of a file that holds such a record, for editors."""
    import msgspec

    return {"$schema": DRAFT, **msgspec.json.schema(kind)}


def _strict(text: str) -> Any:
    import yaml

    class Strict(_loader(text)):  # type: ignore[misc]
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        keys = [_key(loader, key) for key, _ in node.value]
        seen: set[str] = set()
        for key in keys:
            if key in seen:
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"key `{key}` stands twice in the mapping at line {line}")
            seen.add(key)
        return dict(loader.construct_pairs(node, deep=True))

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    return Strict


def _loader(text: str) -> Any:
    """libyaml's loader, which is ten times as fast; what is nested deeply would end it with a segmentation fault."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader) if len(text) < 2**14 else yaml.SafeLoader


def _key(loader: Any, node: Any) -> str:
    """A mapping's key; all of ours are text.

    Raises:
        YAMLError: a list, a mapping, a number or a date stands where a key is wanted.
    """
    import yaml

    key = loader.construct_object(node)
    if not isinstance(key, str):
        line = node.start_mark.line + 1
        raise yaml.YAMLError(f"`{node.value}` at line {line} is no key: put it in quotes")
    return key

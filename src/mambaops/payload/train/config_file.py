"""A file of flags: YAML or JSON, a run's own `stage2_config.json` too."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import Any, Dict

from mambaops.payload.train.errors import InputError

# what a run notes beside its flags in stage2_config.json
NOTED = ("visual_grid", "lm_hidden_size", "data", "global_batch")
# what belongs to one run and is not repeated with its settings
_OWN = ("resume", "overwrite", "from_scratch", "estimate")


def read(path: str) -> Dict[str, Any]:
    """The file's values by the flags' names; {} for no path.

    Raises:
        InputError: no such file, no mapping, an unknown name (the nearest is named), a value of another type.
    """
    if not path:
        return {}
    from mambaops.payload.train.options import Settings

    known = {item.name: item for item in fields(Settings)}
    values = {}
    noted = _mapping(path)
    for name, value in noted.items():
        key = str(name).replace("-", "_")
        if key in NOTED or (key in _OWN and NOTED[0] in noted):
            continue
        if key not in known:
            near = difflib.get_close_matches(key, known, n=2)
            hint = f"nearest: {', '.join(near)}" if near else "`--help` lists the names"
            raise InputError(f"--config {path}: no flag is named {name}", hint=hint)
        values[key] = _typed(path, known[key], value)
    return values


def _mapping(path: str) -> Dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    try:
        with open(path, encoding="utf-8-sig") as file:
            value = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"--config {path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(value, dict):
        raise InputError(
            f"--config {path}: wanted `flag: value` lines, found a {type(value).__name__}"
        )
    return value


def _typed(path: str, item: Any, value: Any) -> Any:
    """The value as the flag has it: an integer for a float, a number written as 2e-5 (YAML: a string)."""
    default = item.default
    if default is None or isinstance(default, bool):
        wanted, fits = (
            "true or false",
            isinstance(value, bool) or (default is None and value is None),
        )
    elif isinstance(default, str):
        wanted, value = "text", value if isinstance(value, bool) else str(value)
        fits = isinstance(value, str)
    else:
        wanted, fits = "a number", not isinstance(value, bool)
        try:
            fits = fits and float(value) == type(default)(float(value))
            value = type(default)(float(value)) if fits else value
        except (TypeError, ValueError):
            fits = False
    choices = item.metadata["choices"]
    if fits and (not choices or value in choices):
        return value
    wanted = " or ".join(map(str, choices)) if choices else wanted
    raise InputError(f"--config {path}: {item.name} is {value!r}; wanted {wanted}")

"""What a script of ours said as JSON, one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def json_lines(text: str) -> Iterator[dict[str, Any]]:
    """The objects among what a script of ours, the packages and the interpreter's start-up files print."""
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue  # what a package prints while it is imported
        if isinstance(value, dict):
            yield value

"""What the tests of kernels run in a child process, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple


class Finished(NamedTuple):
    """A child that has ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Finished]


def of(done: Finished) -> Any:
    """What a child printed last, as JSON."""
    return json.loads(done.stdout.splitlines()[-1])

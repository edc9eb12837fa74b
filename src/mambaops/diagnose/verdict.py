"""Whether what a log tells of has failed: only evidence of success acquits, and silence is no evidence. Pure."""

from __future__ import annotations

import re
from typing import Literal

from mambaops.diagnose.scan import Hit, Scan

Verdict = Literal["failed", "succeeded", "recovered", "cannot-tell"]

# errors that a download ends with when the network was the reason
_NETWORK = re.compile(
    r"Max retries exceeded|No matching distribution|Could not find a version|Could not fetch URL"
    r"|Could not install packages due to an OSError|ConnectionError|[Cc]onnect|[Tt]imed? ?out|resolve"
)


def judge(seen: Scan, causes: list[Hit], exit_code: int | None) -> Verdict:
    """The verdict on a log.

    Args:
        causes: where the rules that name a failure were found.
        exit_code: what the command ended with, if somebody knows.
    """
    failed = bool(causes) or seen.first_error is not None or seen.wrapper is not None
    if exit_code is not None:
        return _ended(exit_code == 0, failed)
    if seen.end.outcome == "good":
        recovered = seen.tried_again if not failed else _covers(seen, causes)
        return "recovered" if recovered else _ended(not failed, failed)
    return "failed" if failed or seen.end.outcome == "bad" else "cannot-tell"


def _ended(well: bool, failed: bool) -> Verdict:
    if not well:
        return "failed"
    return "recovered" if failed else "succeeded"


def _covers(seen: Scan, causes: list[Hit]) -> bool:
    """The good end tells of what had failed before: of everything, or of just these packages."""
    if seen.end.covers != "packages":
        return seen.end.covers == "all"
    if any("which is incompatible" in hit.line for hit in causes):
        return False  # pip says so of what it leaves behind
    if seen.failed_names:
        return seen.failed_names <= seen.end.names
    begun = seen.begun
    numbers = [hit.number for hit in causes]
    numbers += [seen.first_error_number] if seen.first_error_number else []
    return bool(begun) and all(number > begun for number in numbers)


def network_explains(seen: Scan, names: set[str]) -> bool:
    """Whether the tries that were repeated are what the log failed for.

    Args:
        names: the rules that were found in lines that announce no other try.
    """
    if names & {"no-matching-distribution"}:
        return "index-empty" in seen.hits
    return not names and seen.first_error is not None and bool(_NETWORK.search(seen.first_error))

"""What tables tell of a finding: a rule that names one gets its row as further `{…}` of cause and fix. Pure."""

from __future__ import annotations

import functools
from collections.abc import Callable

import msgspec

from mambaops.knowledge.tables import read

Groups = dict[str, str]
# what a rule with a table may write in braces beside what its pattern captures
FIELDS = {"cuda-error": {"code", "means", "do"}, "api": {"package", "when", "cure", "user"}}


class _CudaError(msgspec.Struct, forbid_unknown_fields=True):
    code: int
    text: str
    means: str
    do: list[str]
    name: str = ""


class _CudaErrors(msgspec.Struct, forbid_unknown_fields=True):
    error: list[_CudaError]


class _Api(msgspec.Struct, forbid_unknown_fields=True):
    """Names of a package: the first release that has them, and the first that has them no more."""

    package: str
    names: list[str]
    source: str
    since: str = ""
    before: str = ""


class _Apis(msgspec.Struct, forbid_unknown_fields=True):
    name: list[_Api]


def looked_up(table: str, groups: Groups) -> Groups | None:
    """The groups with those of the table; None where a rule with this table has nothing to say."""
    return _TABLES[table](groups) if table else groups


def _cuda_error(groups: Groups) -> Groups | None:
    code, text = groups.get("code", ""), groups.get("text", "").strip().rstrip(".")
    for row in _cuda_errors():
        named = bool(row.name) and row.name == f"CUDA_ERROR{groups.get('name')}"
        if code == str(row.code) or text.startswith(row.text) or named:
            return {**groups, "code": str(row.code), "means": row.means, "do": "; ".join(row.do)}
    return None


def _api(groups: Groups) -> Groups | None:
    package = groups["module"].partition(".")[0]
    names = {groups.get("name", ""), groups["module"].rpartition(".")[2]}
    row = next((r for r in _apis() if r.package == package and names & set(r.names)), None)
    user = groups.get("user") or "the code that imports it"
    return {**groups, "package": package, "user": user, **_direction(package, row)}


def _direction(package: str, row: _Api | None) -> Groups:
    if row is None:
        when = f"another release of {package} than the installed one has it"
        return {"when": when, "cure": f"the release of {package} that its requirements name"}
    if row.since:
        return {
            "when": f"{package} has it from {row.since} on, so the installed one is older",
            "cure": f"{package} {row.since} or newer",
        }
    return {
        "when": f"{package} {row.before} dropped it, so the installed one is {row.before} or newer",
        "cure": f"{package} below {row.before}",
    }


@functools.cache
def _cuda_errors() -> list[_CudaError]:
    return read("cuda_errors", _CudaErrors).error


@functools.cache
def _apis() -> list[_Api]:
    return read("api_changes", _Apis).name


_TABLES: dict[str, Callable[[Groups], Groups | None]] = {"cuda-error": _cuda_error, "api": _api}

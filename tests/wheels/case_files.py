"""Cases as files: `cases/KIND/NAME.yaml` holds what goes in and what must come out; see `cases/README.md`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec.structs import fields, replace
from recorded import facts_of

from mambaops.facts.model import Facts
from mambaops.wheels.candidates import Candidate, from_name
from mambaops.wheels.inspect.contents import WheelContents, describe
from mambaops.wheels.inspect.extension import Extension, VersionNeed
from mambaops.wheels.inspect.fatbin import Entry, Fatbin
from mambaops.wheels.metadata import Metadata
from mambaops.wheels.names import WheelName, parse_wheel_name

from .facts_of import machine

FOLDER = Path(__file__).parent / "cases"
MODULE = "selective_scan_cuda.cpython-311-x86_64-linux-gnu.so"
LIBRARY = {"GLIBC": "libc.so.6", "GLIBCXX": "libstdc++.so.6", "CXXABI": "libstdc++.so.6"}
# fields of a candidate that YAML writes as lists
TUPLES = {"cubins", "ptx", "requires", "runs_with"}
PTX_VERSIONS = {"12.0": (8, 0), "12.4": (8, 4), "12.8": (8, 7), "13.0": (9, 0), "unknown": (99, 0)}


def files(kind: str) -> list[Path]:
    """The cases of one kind."""
    return sorted((FOLDER / kind).glob("*.yaml"))


def read(path: Path, keys: set[str]) -> dict[str, Any]:
    """A case; a key that its kind does not know is a mistake, not a case that tests less."""
    case: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(case) <= keys | {"why"}, f"{path.name}: {set(case) - keys - {'why'}} mean nothing"
    assert case["why"], path.name
    return case


def facts(case: dict[str, Any]) -> Facts:
    """The machine of a case: a recorded one by name, or an invented one in words; `change` goes over it."""
    words = case.get("machine") or {}
    plain = (
        {key: tuple(v) if isinstance(v, list) else v for key, v in words.items()}
        if isinstance(words, dict)
        else {}
    )
    found = facts_of(words) if isinstance(words, str) else machine(**plain)
    return msgspec.convert(_over(msgspec.to_builtins(found), case.get("change") or {}), Facts)


def _over(base: Any, change: dict[str, Any]) -> Any:
    whole = dict(base or {})
    for key, value in change.items():
        whole[key] = _over(whole.get(key), value) if isinstance(value, dict) else value
    return whole


def candidate(row: dict[str, Any]) -> Candidate:
    """One candidate: its wheel's name, what is known besides, and what is made up of nothing else."""
    known = {key: tuple(v) if key in TUPLES and v else v for key, v in row.get("known", {}).items()}
    assert set(known) <= {field.name for field in fields(Candidate)}, row
    source, status = row.get("source", "upstream"), row.get("status", "listed")
    if "other" in row:
        named = Candidate(name=row["other"], package="mamba-ssm", version="", source=source)
    else:
        named = from_name(parse_wheel_name(row["wheel"]), source, url="there", status=status)
        named = replace(named, cubins=("8.0", "9.0"))
    return replace(named, **known)


def contents(case: dict[str, Any]) -> WheelContents:
    """What `inspect_wheel` would have read from a wheel with these modules."""
    name = parse_wheel_name(case["wheel"]) if case.get("wheel") else None
    package, version = case.get("metadata") or _metadata(name)
    said = Metadata(name=package, version=version, tags=tuple(case.get("tags", ())))
    modules = tuple(extension(row or {}) for row in case.get("modules", [{}]))
    return describe(case.get("wheel") or "installed", name, said, modules)


def _metadata(name: WheelName | None) -> tuple[str, str]:
    return (name.package, name.version) if name else ("mamba-ssm", "2.3.1")


def extension(row: dict[str, Any]) -> Extension:
    """A compiled module. `needs`: symbol version -> symbols; `code`: a list per compiled file."""
    weak = row.get("weak", [])
    return Extension(
        name=row.get("name", MODULE),
        machine=row.get("machine", "x86_64"),
        needed=tuple(row.get("needed", ["libc10.so", "libcudart.so.12"])),
        runpath=(),
        needs=tuple(
            VersionNeed(LIBRARY[version.split("_")[0]], version, version in weak, tuple(symbols))
            for version, symbols in row.get("needs", {}).items()
        ),
        undefined=frozenset(row.get("undefined", [])),
        defined=frozenset(),
        fatbins=tuple(
            Fatbin(number, tuple(_code(one) for one in group))
            for number, group in enumerate(row.get("code", [[{"cubin": "8.0"}]]))
        ),
    )


def _code(row: dict[str, Any]) -> Entry:
    kind = "cubin" if "cubin" in row else "ptx"
    digits = row[kind].rstrip("af")
    major, minor = digits.split(".")
    return Entry(
        kind=kind,
        sm=int(major) * 10 + int(minor),
        suffix=row[kind][len(digits) :],
        compressed=False,
        size=5000,
        kernels=row.get("kernels", True),
        version=PTX_VERSIONS[row.get("cuda", "12.0")],
    )


def holds(wanted: Any, found: str) -> None:
    """Every text that a case wants is in what was said."""
    for text in [wanted] if isinstance(wanted, str) else wanted:
        assert text in found

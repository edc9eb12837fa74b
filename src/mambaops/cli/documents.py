"""The JSON documents that commands print, as types; `python docs/generate.py` writes their schemas to docs/schemas.

A document's number rises when something that others may rely on is taken away or changes its meaning.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, Literal, TypedDict

import msgspec

from mambaops.bundle.collect import Bundle
from mambaops.bundle.install import InstalledBundle
from mambaops.cli.patch_output import BoundsRow, RevertedRow, SourceRow
from mambaops.core.strict_yaml import DRAFT
from mambaops.diagnose.match import Diagnosis
from mambaops.doctor.model import Check as DoctorCheck
from mambaops.download.fetch import Fetched
from mambaops.facts.model import Facts
from mambaops.fallback.install import Outcome as FallbackOutcome
from mambaops.fleet.diagnose import Explained
from mambaops.fleet.doctor import Examined
from mambaops.fleet.gather import Seen
from mambaops.fleet.job import Job
from mambaops.fleet.packset import FleetPlan
from mambaops.fleet.verify import Verified
from mambaops.gpu.holders import Holder
from mambaops.install.c_compiler import CCompiler
from mambaops.install.requirements import Outcome as RequirementsOutcome
from mambaops.install.wheels import InstalledWheel
from mambaops.packs.make import Made
from mambaops.patching.caches import Purged
from mambaops.patching.crlf import FileReport
from mambaops.plan import Plan
from mambaops.profiles.model import Profile
from mambaops.run.repair import Repaired
from mambaops.run.runner import Done
from mambaops.store.commands import Answer
from mambaops.store.index import StaticIndex
from mambaops.system.cudnn import Cudnn
from mambaops.system.network import ResolverReport
from mambaops.system.openblas import LibraryReport
from mambaops.system.prerequisites import Missing
from mambaops.system.route import Route
from mambaops.verify.model import Verification
from mambaops.wheels.inspect.pack import Pack
from mambaops.wheels.sources.refresh import Difference


class ErrorRow(TypedDict):
    code: Literal[1, 2, 4, 5, 70, 130, 143]
    message: str
    hint: str


class CommandRow(TypedDict):
    command: str
    name: str
    group: str
    summary: str


class StepRow(TypedDict):
    id: str
    help: str
    stands_on: list[str]


class HostRow(TypedDict):
    host: str
    reached: str
    profile: str
    groups: list[str]


class PathRow(TypedDict):
    path: str
    mapped: str
    exists: bool


class MachineRow(TypedDict):
    system: str
    processor: str
    glibc: str | None
    python: str
    torch: str | None
    cuda: str | None
    cxx11_abi: bool | None
    driver: str | None
    driver_cuda: str | None
    capabilities: list[str]


class _Candidate(TypedDict):
    name: str
    source: str
    version: str
    torch: str | None
    cuda: str | None
    python: str | None
    machine: str
    status: str
    accepted: bool
    reason: str
    kind: str
    rule: str
    url: str
    notes: list[str]


class CandidateRow(_Candidate, total=False):
    repair: str
    change: list[str]


class FitsRow(TypedDict):
    loads: bool
    runs: bool | None
    reason: str
    repairable: bool


class _Inspected(TypedDict):
    file: str
    package: str
    version: str
    machine: list[str]
    python: str | None
    cubins: list[str]
    ptx: list[str]
    glibc: str | None
    glibcxx: str | None
    cxxabi: str | None
    needed: list[str]
    cuda: str | None
    cxx11_abi: bool | None
    torch: str | None
    torch_evidence: list[str]
    manylinux: str | None
    requires: list[str]
    extensions: list[dict[str, Any]]
    contradictions: list[str]
    notes: list[str]
    kernels: Pack | None


class InspectedRow(_Inspected, total=False):
    fits: FitsRow


class CaptionRow(TypedDict):
    image: str
    caption: str


class ScoresRow(TypedDict):
    rows: int
    loss: float
    exact_match: float
    bleu4: float | None
    rouge_l: float | None
    cider: float | None
    examples: list[list[str]]


class MemoryRow(TypedDict):
    """`--estimate`: bytes; `free` is null where nothing tells."""

    device: Literal["cpu", "cuda"]
    weights: float
    optimizer: float
    step: float
    program: float
    free: float | None
    total: float
    fits: bool


class LayersRow(TypedDict):
    first: int
    last: int
    kind: str
    functions: list[str]
    notes: list[str]


class FunctionRow(TypedDict):
    use: str
    alone: str
    installed: str
    reason: str


class CheckedModel(TypedDict):
    model: str
    model_type: str
    family: str
    device: str
    layers: list[LayersRow]
    functions: dict[str, FunctionRow]
    mend: list[str]


_TRAINED = {"stage": Literal[1, 2], "folder": str, "log": str}

# name of the schema -> the document, as one type or as its fields, or several of which it is one; `schema` comes to it
DOCUMENTS: dict[str, Any] = {
    "bundle": Bundle,
    "apt-prerequisites": {"missing": list[Missing]},
    "check-model": CheckedModel,
    "check-network": ResolverReport,
    "commands": {"commands": list[CommandRow]},
    "compile-kernels": Made,
    "completion": {"shell": str, "script": str},
    "cudnn-check": {"cudnn": list[Cudnn]},
    "cudnn-install": {"files": list[str]},
    "demo-data": {"folder": str, "tables": dict[str, str]},
    "diagnose": (Diagnosis, Repaired),
    "doctor": {"checks": list[DoctorCheck], "exit_code": int},
    "done": {"command": str, "exit_code": int},
    "env": {"variables": dict[str, str]},
    "error": {"error": ErrorRow},
    "evaluate": ScoresRow,
    "export-model": {"folder": str, "files": list[str]},
    "export": {
        "format": Literal["pip", "uv", "docker", "notebook"],
        "file": str,
        "proof": str,
        "text": str,
        "wheels": list[str],
    },
    "facts": Facts,
    "fetch-model": {"model": str, "folder": str},
    "fetch-wheel": Fetched,
    "fleet-attach": {"hosts": list[Job]},
    "fleet-build": {"hosts": list[Job]},
    "fleet-diagnose": {"hosts": list[Explained]},
    "fleet-doctor": {"hosts": list[Examined]},
    "fleet-facts": {"hosts": list[Seen]},
    "fleet-hosts": {"hosts": list[HostRow]},
    "fleet-plan": FleetPlan,
    "fleet-report": {"machines": int, "page": str},
    "fleet-verify": {"hosts": list[Verified]},
    "generate": {"captions": list[CaptionRow]},
    "get-nvcc": ({"routes": list[Route]}, {"script": str}, {"home": str}),
    "inspect-wheel": InspectedRow,
    "install-bundle": InstalledBundle,
    "install-cc": CCompiler,
    "install-fallback": FallbackOutcome,
    "install-requirements": RequirementsOutcome,
    "install-wheel": {"wheels": list[InstalledWheel]},
    "map-paths": {"paths": list[PathRow]},
    "openblas-check": LibraryReport,
    "patch-cpp-extension": (BoundsRow, RevertedRow),
    "patch-setup": ({"sources": list[SourceRow]}, {"sources": list[RevertedRow]}),
    "plan": Plan,
    "profiles": ({"profiles": list[Profile]}, {"values": list[tuple[str, Any, str]]}),
    "purge-cache": {"caches": list[Purged]},
    "report": {"run": str, "page": str},
    "release-gpu": ({"holders": list[Holder]}, {"pid": int, "outcome": str}),
    "repair-wheel": {"wheel": str, "glibc": str, "done": list[str]},
    "run-graph-mamba": {"folder": str, "results": dict[str, dict[str, Any]]},
    "run": {"profile": str, "folder": str, "steps": list[Done]},
    "refresh-tables": {"listings": list[Difference]},
    "select-wheel": (
        {
            "package": str,
            "machine": MachineRow,
            "newer": str,
            "command": str,
            "chosen": CandidateRow | None,
            "candidates": list[CandidateRow],
            "nearest": list[CandidateRow],
        },
        # with `--pair`
        {
            "command": str,
            "mamba-ssm": CandidateRow | None,
            "causal-conv1d": CandidateRow | None,
            "reason": str,
        },
    ),
    "shell-env": {"home": str, "shell": str, "lines": list[str]},
    "steps": {"steps": list[StepRow]},
    "strip-crlf": {"files": list[FileReport]},
    "train-stage1": (_TRAINED, MemoryRow),
    "train-stage2": (_TRAINED, MemoryRow),
    "verify": Verification,
    "version": {"version": str},
    "wheels-add": Answer,
    "wheels-index": StaticIndex,
    "wheels-list": Answer,
    "wheels-path": Answer,
    "wheels-prune": Answer,
}


def schema_of(name: str) -> dict[str, Any]:
    """The JSON schema of a document. Every field is there, also those that are empty."""
    shapes = DOCUMENTS[name] if isinstance(DOCUMENTS[name], tuple) else (DOCUMENTS[name],)
    objects = [_object(name, shape) for shape in shapes]
    definitions = {key: value for one in objects for key, value in one.pop("$defs").items()}
    return {
        "$schema": DRAFT,
        "title": f"mambaops {name}",
        **(objects[0] if len(objects) == 1 else {"type": "object", "oneOf": objects}),
        "$defs": definitions,
    }


def _object(name: str, shape: Any) -> dict[str, Any]:
    """The schema of a document of one shape, with `$defs`."""
    fields = shape if isinstance(shape, dict) else {"document": shape}
    kinds = list(fields.values())
    found, definitions = msgspec.json.schema_components(kinds, schema_hook=_as_text)
    for definition in definitions.values():
        _close(definition)
        if "description" in definition:  # a docstring, which Python dedents itself from 3.13 on
            definition["description"] = cleandoc(definition["description"])
    inside = dict(zip(fields, found, strict=True))
    if not isinstance(shape, dict):
        top = definitions.pop(found[0]["$ref"].rpartition("/")[2])
        inside, required = top["properties"], top["required"]
    else:
        required = list(fields)
    label = {"const": 1} if name == "facts" else {"const": f"mambaops/{name}/1"}
    return {
        "type": "object",
        "properties": {"schema": label} | {k: v for k, v in inside.items() if k != "schema"},
        "required": ["schema", *(one for one in required if one != "schema")],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _as_text(kind: type) -> dict[str, Any]:
    """Paths and the like are printed as text."""
    return {"type": "string"}


def _close(definition: dict[str, Any]) -> None:
    """Records are printed whole: nothing more, and nothing left out. Plain mappings keep what may be absent."""
    if "properties" not in definition:
        return
    definition["additionalProperties"] = False
    if not definition.get("title", "").endswith("Row"):
        definition["required"] = list(definition["properties"])

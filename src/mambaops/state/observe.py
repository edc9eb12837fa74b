"""Reads a situation from the machine: facts, the target environment, and what earlier runs have made."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mambaops.compile.sources import read_tree
from mambaops.decide.case import Case, make_case
from mambaops.decide.runtime import wanted_kernels
from mambaops.decide.situation import Flags, Prebuilt, Situation, SourceTree, StoredPack
from mambaops.facts.collect import collect
from mambaops.facts.model import Facts
from mambaops.knowledge.packages import package as package_named
from mambaops.profiles.model import Profile, with_added
from mambaops.runtime.identity import sources_digest
from mambaops.state.evidence import read_notes
from mambaops.state.memory import read_made
from mambaops.state.places import Places
from mambaops.store.store import Store
from mambaops.wheels.inspect.pack import KERNELS

STALE_SECONDS = 3600.0


def observe(
    profile: Profile, flags: Flags, where: Places, *, machine: Facts | None = None
) -> Situation:
    """Everything that the plan of `profile` is decided from.

    Args:
        machine: facts that were read before, where nothing about the machine can have changed.
    """
    facts = machine or collect(paths=[where.root])
    own = [
        package_named(name, spec.file)
        for name, spec in with_added(profile, flags.add).packages.items()
        if spec.file
    ]
    target = collect(where.python, more=own) if where.python.exists() else None
    made = read_made(where) if target else None
    # first, since they decide which kernels are wanted
    found = packs(flags.source_ids)
    situation = Situation(facts=facts, target=target, env=str(where.env), made=made, packs=found)
    case = make_case(profile, situation, flags)
    return msgspec.structs.replace(
        situation,
        sources=_sources(case, where),
        wheels=_wheels(case),
        prebuilt=_prebuilt(case, where),
        refused=_refused(case, where),
        cpp_extension=str(read_notes(where.notes).get("cpp_extension", "")),
        verified=str(read_notes(where.verified).get("fingerprint", "")),
        fingerprint=fingerprint(case, target),
    )


def source_folder(case: Case, where: Places, package: str) -> Path:
    """Where the source of one package is unpacked and built for this choice."""
    key = case.key(package)
    return where.build / f"{package}-{key.version}-{key.digest()[:8]}"


def _sources(case: Case, where: Places) -> dict[str, SourceTree]:
    found = {
        name: read_tree(source_folder(case, where, name))
        for name in case.packages
        if case.choice.kernels
    }
    return {name: tree for name, tree in found.items() if tree is not None}


def _wheels(case: Case) -> dict[str, str]:
    if not case.choice.kernels:
        return {}
    store = Store()
    found = {name: store.find(case.key(name)) for name in case.packages}
    return {name: str(path) for name, path in found.items() if path is not None}


def packs(own: Mapping[str, str]) -> tuple[StoredPack, ...]:
    """The kernels compiled beforehand that the store keeps.

    Args:
        own: package -> digest of the sources that the person gave.
    """
    stored = Store().keyed(KERNELS)
    # asked for only where it matters: the digest reads every source of the kernels
    digest = sources_digest({name: one for name, one in own.items() if one}) if stored else ""
    return tuple(
        StoredPack(
            path=str(path),
            version=path.name.split("-")[1],
            cuda=key.cuda or "",
            archs=key.architectures,
            selection=" ".join(key.flags),
        )
        for path, key in stored
        if key.source == digest
    )


def _prebuilt(case: Case, where: Places) -> dict[str, Prebuilt]:
    """What an earlier search brought, as long as it was made for the same choice.

    A search that found nothing counts for an hour: the network may have been away.
    """
    notes = read_notes(where.notes).get("prebuilt", {})
    if not notes or notes.get("for") != search_key(case):
        return {}
    found = msgspec.convert(notes.get("found", {}), type=dict[str, Prebuilt])
    if not any(one.url for one in found.values()) and time.time() - notes["when"] > STALE_SECONDS:
        return {}
    return found


def _refused(case: Case, where: Places) -> dict[str, str]:
    """Strategies that failed at `verify` with this very torch, GPU, driver and kernels."""
    notes = read_notes(where.notes).get("refused", {})
    if not notes or notes.get("for") != refusal_key(case):
        return {}
    return msgspec.convert(notes.get("strategies", {}), type=dict[str, str])


def refusal_key(case: Case) -> str:
    """Identity of what a strategy failed with: any other machine, torch or kernels are tried anew."""
    gpus = [f"{gpu.name} {gpu.compute_capability}" for gpu in case.facts.gpus]
    parts = [case.choice.torch_version, str(case.facts.driver.version), wanted_kernels(case), *gpus]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def search_key(case: Case) -> str:
    """Identity of a search for prebuilt wheels: what was wanted, for which machine."""
    wanted = [case.key(name).digest() for name in case.packages]
    return hashlib.sha256(" ".join([*wanted, str(case.facts.host.glibc)]).encode()).hexdigest()[:16]


def fingerprint(case: Case, target: Facts | None) -> str:
    """Changes when anything that `verify` depends on changes in the target environment."""
    if target is None:
        return ""
    parts = [target.python.version, target.torch.version if target.torch else ""]
    parts += sorted(f"{name}={version}" for name, version in target.distributions.items())
    parts += [";".join(case.choice.archs), *_records(target)]
    parts += [f"{gpu.uuid}{gpu.name}" for gpu in case.facts.gpus]
    parts.append(case.facts.driver.version or "")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _records(target: Facts) -> list[str]:
    """Size and time of every extension: a swapped binary is another environment."""
    found: list[str] = []
    for package in target.packages.values():
        for name in package.extensions:
            path = Path(name) if Path(name).is_absolute() else Path(package.path) / name
            if path.is_file():
                stat = path.stat()
                found.append(f"{path.name} {stat.st_size} {stat.st_mtime_ns}")
    return found

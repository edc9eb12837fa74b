"""Which environment `export` is about, and what was proven of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mambaops.bundle.export import is_ours
from mambaops.core.errors import MambaopsError
from mambaops.core.names import normal
from mambaops.core.paths import cache_dir
from mambaops.facts.model import Facts
from mambaops.state import places as state


def made_here(profile: str, facts: Facts, index: str) -> tuple[dict[str, str], dict[str, str]]:
    """(distribution of ours -> its place, place -> its address): the wheels that were made for this environment.

    Args:
        index: address that stands for the store's wheels; "" for the store's folder.

    Raises:
        MambaopsError: neither the store nor the profile's build has the wheel of one.
    """
    places = {"kernels": index or str(cache_dir() / "wheels")}
    folders = {"kernels": cache_dir() / "wheels"}
    if profile:
        folders["runtime"] = state.places(profile).build / "kernels"
        places["runtime"] = str(folders["runtime"])
    ours = {normal(name): version for name, version in facts.distributions.items()}
    made: dict[str, str] = {}
    for name, version in ours.items():
        if is_ours(name):
            made[name] = _place_of(name, version, folders) or _unknown(name, version, index)
    return made, places


def _place_of(name: str, version: str, folders: Mapping[str, Path]) -> str:
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    return next((place for place, folder in folders.items() if any(folder.glob(pattern))), "")


def _unknown(name: str, version: str, index: str) -> str:
    if index:
        return "kernels"  # somebody else's store: only they can know
    raise MambaopsError(
        f"there is no wheel of {name} {version} in the store",
        hint="put its file into the store (`mambaops wheels add --help`), or name with `--index` the index that has it",
    )


def environment(profile: str, python: str) -> tuple[str, Facts, str]:
    """(name, facts, what was proven) of an interpreter's environment, or of a profile's.

    Raises:
        UsageError: no such interpreter or profile. MambaopsError: the profile's is not there yet.
    """
    if python:
        from mambaops.core.interpreters import named
        from mambaops.facts.collect import collect

        facts = collect(named(python))
        return "environment", facts, f"not proven: {python} is no environment of a profile"
    from mambaops.decide.situation import Flags
    from mambaops.run.planning import planned

    case, _ = planned(profile, Flags())
    name = case.profile.name
    if case.target is None:
        raise MambaopsError(
            f"profile {name} has no environment yet",
            hint=f"`mambaops build-mamba --profile {name}`",
        )
    situation = case.situation
    if situation.verified and situation.verified == situation.fingerprint:
        return name, case.target, "proven: `mambaops verify` passed for just this environment"
    return name, case.target, f"not proven: `mambaops verify --profile {name}` proves it"

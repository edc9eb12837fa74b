"""Which environment `export` is about, and what was proven of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mambaops.bundle.export import Exported, is_ours, to_pip, to_uv
from mambaops.bundle.export_image import MADE as MADE_IMAGE
from mambaops.bundle.export_image import to_docker
from mambaops.bundle.export_notebook import MADE as MADE_NOTEBOOK
from mambaops.bundle.export_notebook import to_notebook
from mambaops.bundle.export_proof import proof_of
from mambaops.core.errors import MambaopsError
from mambaops.core.files import replacing, unwritable, write_text
from mambaops.core.names import normal
from mambaops.core.outputs import file_to_write, folder_to_write
from mambaops.core.paths import cache_dir
from mambaops.facts.model import Facts
from mambaops.state import places as state

FOLDERS = ("docker", "notebook")


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
    pattern = wheels_of(name, version)
    return next((place for place, folder in folders.items() if any(folder.glob(pattern))), "")


def wheels_of(name: str, version: str) -> str:
    """Files of this version, whatever they are for."""
    return f"{name.replace('-', '_')}-{version}-*.whl"


def _unknown(name: str, version: str, index: str) -> str:
    if index:
        return "kernels"  # somebody else's store: only they can know
    raise MambaopsError(
        f"there is no wheel of {name} {version} in the store",
        hint="put its file into the store (`mambaops wheels add --help`), or name with `--index` the index that has it",
    )


def environment(profile: str, python: str) -> tuple[str, Facts, str, dict[str, str]]:
    """(name, facts, what was proven, its run-time variables) of an interpreter's environment, or of a profile's.

    Raises:
        UsageError: no such interpreter or profile. MambaopsError: the profile's is not there yet.
    """
    if python:
        from mambaops.core.interpreters import named
        from mambaops.facts.collect import collect

        facts = collect(named(python))
        return "environment", facts, f"not proven: {python} is no environment of a profile", {}
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
    proven = situation.verified and situation.verified == situation.fingerprint
    proof = (
        "proven: `mambaops verify` passed for just this environment"
        if proven
        else f"not proven: `mambaops verify --profile {name}` proves it"
    )
    return name, case.target, proof, dict(case.profile.runtime_env)


def carried(found: Exported) -> tuple[Exported, list[Path]]:
    """The same with each place that is a folder here as `wheels`, and the wheels that have to lie there."""
    folders = {place: Path(at) for place, at in found.places.items() if "://" not in at}
    wheels = [
        wheel
        for pin in found.pins
        if pin.place in folders
        for wheel in folders[pin.place].glob(wheels_of(pin.name, pin.version))
    ]
    places = {place: "wheels" if place in folders else at for place, at in found.places.items()}
    return replace(found, places=places), wheels


def check_output(form: str, output: str, *, force: bool) -> None:
    """Raises:
    UsageError: something else is there.
    """
    if output and form in FOLDERS:
        folder_to_write(Path(output), force=force, ours=is_export)
    elif output:
        file_to_write(Path(output), force=force)


def written(found: Exported, form: str, output: str, *, force: bool) -> dict[str, Any]:
    """The export in one of its forms, where it goes; as the document of the command.

    Raises:
        UsageError: something else is there. MambaopsError: it cannot be written.
    """
    row: dict[str, Any] = {"format": form, "file": "", "proof": found.proof, "wheels": []}
    if form not in FOLDERS:
        text = to_pip(found) if form == "pip" else to_uv(found)
        if output:
            row["file"] = str(write_text(file_to_write(Path(output), force=force), text))
        return {**row, "text": text}
    folder = Path(output or f"{found.name}-{form}")
    place = folder_to_write(folder, force=force, ours=is_export)
    carried_along, wheels = carried(found)
    proof = proof_of(found)
    if form == "docker":
        texts = to_docker(carried_along, proof)
    else:
        texts = {f"{found.name}.ipynb": to_notebook(carried_along, proof)}
    put(place, texts, wheels)
    first, text = next(iter(texts.items()))
    return {
        **row, "file": str(place / first), "text": text, "wheels": [one.name for one in wheels]
    }  # fmt: skip


def put(folder: Path, texts: Mapping[str, str], wheels: Sequence[Path]) -> None:
    """Write the folder of an export.

    Raises:
        MambaopsError: it cannot be written.
    """
    for wheel in wheels:
        target = folder / "wheels" / wheel.name
        try:
            with replacing(target) as aside:
                shutil.copyfile(wheel, aside)
        except OSError as error:
            raise unwritable(target, error) from error
    for name, text in texts.items():
        write_text(folder / name, text)


def is_export(folder: Path) -> bool:
    """Was the folder written by us?"""
    marks = {"Dockerfile": MADE_IMAGE, "*.ipynb": MADE_NOTEBOOK}
    return any(
        mark in path.read_text(encoding="utf-8", errors="replace")
        for pattern, mark in marks.items()
        for path in folder.glob(pattern)
    )

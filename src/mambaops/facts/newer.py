"""What of a machine came after the tables, so that nobody takes a guess for knowledge. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mambaops.facts.model import Facts
from mambaops.knowledge.checked import known_until
from mambaops.knowledge.cuda import driver_is_newer, targets, toolkits
from mambaops.knowledge.tables import minor_of, version_key
from mambaops.knowledge.torch_builds import torch_row, torch_rows


def newer_than_known(facts: Facts) -> str:
    """One sentence on all that came after the tables, "" where nothing did."""
    found = [*_gpus(facts), *_torch(facts), *_driver(facts)]
    if not found:
        return ""
    return (
        f"{' and '.join(found)}: newer than what this version knows ({known_until()}); judged by what holds for all: "
        "machine code runs on its own major version, PTX on every later GPU, a driver runs all of its CUDA major"
    )


def unknown_capability(capability: str) -> bool:
    """Is it a compute capability that came after every toolkit of the table?"""
    known = targets("0")
    return capability not in known and version_key(capability) > version_key(known[0])


def unknown_torch(version: str) -> bool:
    """Is it a torch release that came after the table?"""
    newest = version_key(torch_rows()[-1].minor)
    return torch_row(version) is None and version_key(minor_of(version)) > newest


def _gpus(facts: Facts) -> Iterator[str]:
    names = {gpu.compute_capability or "": gpu.name for gpu in facts.gpus}
    for capability, name in names.items():
        if capability and unknown_capability(capability):
            yield f"compute capability {capability} ({name})"


def _torch(facts: Facts) -> Iterator[str]:
    torch = facts.torch
    if torch is None:
        return
    if unknown_torch(torch.version):
        yield f"torch {torch.version}"
    elif torch.cuda and _unknown_cuda(torch.cuda):
        yield f"CUDA {torch.cuda} of torch {torch.version}"


def _driver(facts: Facts) -> Iterator[str]:
    driver = facts.driver
    newer = driver.version is not None and driver_is_newer(driver.version)
    if newer or (driver.cuda and _unknown_cuda(driver.cuda)):
        yield f"driver {driver.version or '?'} (CUDA {driver.cuda or '?'})"


def _unknown_cuda(cuda: str) -> bool:
    return version_key(minor_of(cuda)) > version_key(toolkits()[-1].version)

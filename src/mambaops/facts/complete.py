"""Fills in from the tables what a machine could not tell itself, and says so under `sources`."""

from __future__ import annotations

import msgspec

from mambaops.facts.model import Driver, Facts, Gpu, Torch
from mambaops.knowledge.cuda import cuda_of_driver
from mambaops.knowledge.gpus import capability_of
from mambaops.knowledge.torch_builds import release_code, torch_row

TABLES = "mambaops's tables"


def complete(facts: Facts) -> Facts:
    """`facts` with capabilities by GPU name, CUDA by driver version, torch's build by its version."""
    sources = dict(facts.sources)
    gpus = [_gpu(gpu, sources) for gpu in facts.gpus]
    driver = _driver(facts.driver, sources)
    torch = _torch(facts.torch, facts.host.machine, sources) if facts.torch else None
    return msgspec.structs.replace(facts, gpus=gpus, driver=driver, torch=torch, sources=sources)


def _gpu(gpu: Gpu, sources: dict[str, str]) -> Gpu:
    capability = None if gpu.compute_capability else capability_of(gpu.name)
    if capability is None:
        return gpu
    sources["gpus.compute_capability"] = f"{TABLES}, by name: the driver does not tell it"
    return msgspec.structs.replace(gpu, compute_capability=capability)


def _driver(driver: Driver, sources: dict[str, str]) -> Driver:
    """A driver that hangs, or has no GPU to show, still has a version that tells its CUDA."""
    if driver.cuda or not driver.version or driver.state not in ("ok", "timeout"):
        return driver
    cuda = cuda_of_driver(driver.version, windows=driver.kind != "linux")
    if cuda is None:
        return driver
    sources["driver.cuda"] = f"{TABLES}, by driver {driver.version}"
    return msgspec.structs.replace(driver, cuda=cuda)


def _torch(torch: Torch, machine: str, sources: dict[str, str]) -> Torch:
    """Only for release builds: what a nightly holds is not in the tables."""
    if not torch.cuda or (torch.arch_list is not None and torch.cxx11_abi is not None):
        return torch
    row = torch_row(torch.version)
    build = row.build(torch.cuda) if row else None
    if build is None or ".dev" in torch.version:
        return torch
    archs, abi = torch.arch_list, torch.cxx11_abi
    if archs is None and torch.cuda:
        archs = release_code(torch.version, torch.cuda, machine) or None
        sources["torch.arch_list"] = f"{TABLES}, by version: {sources.get('torch.arch_list', '')}"
    if abi is None:
        abi = build.cxx11_abi
        sources["torch.cxx11_abi"] = f"{TABLES}, by version"
    return msgspec.structs.replace(torch, arch_list=archs, cxx11_abi=abi)

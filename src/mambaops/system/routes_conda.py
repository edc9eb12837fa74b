"""NVIDIA's conda channel: into the environment, into one of its own, or by micromamba. Pure."""

from __future__ import annotations

from mambaops.facts.model import Facts
from mambaops.knowledge import addresses
from mambaops.knowledge.tables import version_key
from mambaops.system.route import Route, blocked, download, table


def conda_routes(facts: Facts, wanted: str, folder: str) -> list[Route]:
    routes = []
    tool = next((name for name in ("conda", "mamba", "micromamba") if name in facts.tools), None)
    if tool is not None:
        routes.append(_conda_env(facts, wanted, tool, f"{folder}-conda"))
    else:
        routes.append(_micromamba(facts, wanted, folder))
    first = table().conda.first
    if version_key(wanted) < version_key(first):
        why = f"NVIDIA's conda channel is whole from CUDA {first} on"
        return [blocked(route, why, "take the runfile") for route in routes]
    return routes


def conda_words(wanted: str) -> list[str]:
    """Channels and packages of a whole compiler: one label, so that all parts are of one release."""
    conda = addresses.addresses().conda
    label = conda.nvidia_label.format(version=f"{wanted}.0")
    # without --override-channels a default channel may slip in parts of another release
    return ["--override-channels", "-c", label, "-c", conda.conda_forge, *table().conda.packages]


def _conda_env(facts: Facts, wanted: str, tool: str, folder: str) -> Route:
    inside = facts.python.kind == "conda"
    prefix = facts.python.prefix if inside else folder
    program = facts.tools[tool].path
    # what the environment holds stays as it is: conda would exchange torch for another build
    action = ["install", "--freeze-installed"] if inside else ["create"]
    words = [program, *action, "-y", "-p", prefix, *conda_words(wanted)]
    where = "this conda environment" if inside else "a conda environment of its own"
    return Route(
        id="conda-env",
        needs_root=False,
        commands=[words],
        reason=f"no root: nvcc {wanted}, cudart and the headers into {where}, all from one label",
        home=prefix,
    )


def _micromamba(facts: Facts, wanted: str, folder: str) -> Route:
    platform = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}.get(facts.host.machine)
    address = addresses.addresses().conda.micromamba.format(platform=platform or "?")
    archive, program = f"{folder}-files/micromamba.tar.bz2", f"{folder}-files/bin/micromamba"
    route = Route(
        id="conda-micromamba",
        needs_root=False,
        commands=[
            ["mkdir", "-p", f"{folder}-files"],
            download(facts, address, archive),
            ["tar", "-xjf", archive, "-C", f"{folder}-files", "bin/micromamba"],
            [program, "create", "-y", "-p", f"{folder}-conda", *conda_words(wanted)],
        ],
        reason=f"no root, no conda here: one 10 MB program, then nvcc {wanted} from NVIDIA's channel",
        home=f"{folder}-conda",
    )
    if platform is None:
        return blocked(route, f"no micromamba for {facts.host.machine}", "take another route")
    return route

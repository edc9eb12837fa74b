"""Text of the system steps' results."""

from __future__ import annotations

from collections.abc import Sequence

from mambaops.facts.model import Facts
from mambaops.system.cudnn import Cudnn
from mambaops.system.network import ResolverReport
from mambaops.system.openblas import LibraryReport
from mambaops.system.prerequisites import Missing
from mambaops.system.route import Route, script


def routes(found: Sequence[Route], facts: Facts) -> str:
    """Each route with its reason and its commands; blocked ones say why."""
    if not found:
        return "no route to this toolkit is known for this machine"
    parts = []
    for number, route in enumerate(found, 1):
        state = f"  BLOCKED: {route.blocked}" if route.blocked else ""
        parts.append(f"{number}. {route.id}: {route.reason}{state}\n{script(route, facts)}")
    return "\n\n".join(parts)


def cudnn(found: Sequence[Cudnn]) -> str:
    if not found:
        return "no cuDNN header is there"
    return "\n".join(
        f"cuDNN {one.version} (CUDNN_VERSION {one.number}) {one.path}" for one in found
    )


def missing(found: Sequence[Missing]) -> str:
    if not found:
        return "nothing is missing"
    return "\n".join(f"missing: {one.name} ({one.why})" for one in found)


def network(report: ResolverReport) -> str:
    """One line per name, then the cause and what to run."""
    resolver = report.resolver
    servers = ", ".join(resolver.servers) or "none"
    lines = [f"name servers: {servers} (written by {resolver.manager}, {resolver.path})"]
    for one in report.lookups:
        told = one.error or f"{one.addresses} addresses"
        lines.append(f"{one.host}: {told} ({one.seconds:.2f} s)")
    if not report.ok:
        lines += ["", f"cause: {report.cause}", report.hint]
    return "\n".join(lines)


def library(report: LibraryReport) -> str:
    if report.ok:
        return f"{report.module} can be imported"
    lines = [f"{report.module} cannot be imported: {report.error}"]
    return "\n".join(lines + ([report.remedy] if report.remedy else []))

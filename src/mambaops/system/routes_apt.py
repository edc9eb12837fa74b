"""NVIDIA's apt repository, from the network or from one file. Pure."""

from __future__ import annotations

from mambaops.facts.model import Facts
from mambaops.knowledge import addresses
from mambaops.knowledge.tables import version_key
from mambaops.system.route import Route, blocked, download, table


def _repository(facts: Facts) -> str | None:
    """NVIDIA's name of this system's repository: "wsl-ubuntu", "debian12"; None where it has none."""
    host, names = facts.host, addresses.addresses().nvidia.apt
    system = host.distribution
    if host.wsl and system.id in ("ubuntu", "debian"):
        return names["wsl"]
    return names.get(f"{system.id} {system.version}")


def apt_routes(facts: Facts, wanted: str, folder: str) -> list[Route]:
    repository = _repository(facts)
    if repository is None or facts.host.machine not in addresses.addresses().nvidia.machines:
        return []
    routes = [_network_repository(facts, wanted, repository, folder)]
    local = _local_repository(facts, wanted, repository, folder)
    routes += [local] if local else []
    first = table().apt_first.get(repository)
    if first is not None and version_key(wanted) < version_key(first):
        why = f"the repository {repository} begins with CUDA {first}"
        return [blocked(route, why, "take conda or the runfile") for route in routes]
    return routes


def _install(wanted: str) -> list[str]:
    package = "cuda-toolkit-" + wanted.replace(".", "-")
    return ["apt-get", "install", "-y", "--no-install-recommends", package]


def add_repository(facts: Facts, folder: str) -> list[list[str]]:
    """The commands that make NVIDIA's apt repository known to apt; none where there is no repository."""
    repository, nvidia = _repository(facts), addresses.addresses().nvidia
    machine = nvidia.machines.get(facts.host.machine)
    if repository is None or machine is None:
        return []
    file = f"{folder}-files/cuda-keyring.deb"
    address = nvidia.keyring.format(repository=repository, machine=machine)
    return [
        ["mkdir", "-p", f"{folder}-files"],
        download(facts, address, file),
        ["dpkg", "-i", file],
        ["apt-get", "update"],
    ]


def _network_repository(facts: Facts, wanted: str, repository: str, folder: str) -> Route:
    return Route(
        id="apt-network",
        needs_root=True,
        commands=[*add_repository(facts, folder), _install(wanted)],
        reason=f"NVIDIA's apt repository {repository}: the toolkit without a driver, kept up to date by apt",
        home=f"/usr/local/cuda-{wanted}",
    )


def _local_repository(facts: Facts, wanted: str, repository: str, folder: str) -> Route | None:
    known = addresses.addresses().nvidia.runfiles.get(wanted)
    if known is None or facts.host.machine != "x86_64":
        return None
    deb, (version, driver) = table().deb_local, known
    dashed = wanted.replace(".", "-")
    build = "1" if repository == "wsl-ubuntu" else f"{driver}-1"
    file = deb.file.format(repository=repository, dashed=dashed, version=version, build=build)
    path = f"{folder}-files/{file}"
    keys = f"cp /var/cuda-repo-{repository}-{dashed}-local/cuda-*-keyring.gpg /usr/share/keyrings/"
    return Route(
        id="apt-local",
        needs_root=True,
        commands=[
            ["mkdir", "-p", f"{folder}-files"],
            download(facts, deb.address.format(version=version, file=file), path),
            ["dpkg", "-i", path],
            ["sh", "-c", keys],
            ["apt-get", "update"],
            _install(wanted),
        ],
        reason="deb (local): one file of about 3 GB that can be carried to a machine without a network",
        home=f"/usr/local/cuda-{wanted}",
    )

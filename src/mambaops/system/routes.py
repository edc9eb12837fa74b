"""Routes to nvcc besides the package index: apt, deb (local), conda, runfile. Pure: facts in, routes out.

None of them installs a driver: `cuda-toolkit-X-Y` instead of `cuda`, and a runfile with `--toolkit` alone.
A route that this machine or its user may not take is there too, blocked, with the commands to run.
"""

from __future__ import annotations

import functools
import shlex
from dataclasses import dataclass

import msgspec

from mambaops.facts.model import Facts
from mambaops.knowledge import addresses, cuda
from mambaops.knowledge.tables import minor_of, read, version_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One route to a toolkit.

    `commands` are written without sudo; `needs_root` says that they need it. `home` is where the toolkit
    then lies. `blocked` is why it cannot be taken (None: it can), `hint` what the person can do.
    """

    id: str  # "apt-network", "apt-local", "conda-env", "conda-micromamba", "runfile-system", "runfile-folder"
    needs_root: bool
    commands: list[list[str]]
    reason: str
    home: str
    blocked: str | None = None
    hint: str = ""

    @property
    def kind(self) -> str:
        """What a profile calls it: apt, conda or runfile."""
        return self.id.split("-")[0]


class _DebLocal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: str
    address: str
    pin: str
    source: str


class _Conda(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    packages: list[str]
    first: str
    source: str


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deb_local: _DebLocal
    apt_first: dict[str, str]
    conda: _Conda


@functools.cache
def _table() -> _Table:
    return read("routes", _Table)


def toolkit_routes(facts: Facts, cuda: str, *, sudo: bool, folder: str = "") -> list[Route]:
    """Every route to toolkit `cuda` ("12.8"), those that can be taken first, the best first of all.

    Args:
        sudo: the person allowed root commands.
        folder: where a toolkit without root goes (default: `.mambaops/cuda-X.Y` here).
    """
    wanted = minor_of(cuda)
    folder = folder or f".mambaops/cuda-{wanted}"
    if facts.host.system != "Linux" or version_key(wanted) < (11, 0):
        return []
    routes = [
        *_apt(facts, wanted, folder),
        *_conda(facts, wanted, folder),
        *_runfile(facts, wanted, folder),
    ]
    judged = [_with_permission(facts, route, sudo=sudo) for route in routes]
    return sorted(judged, key=lambda route: route.blocked is not None)  # stable: order above stays


def _with_permission(facts: Facts, route: Route, *, sudo: bool) -> Route:
    if route.blocked is not None or not route.needs_root or facts.host.root:
        return route
    if sudo and facts.host.sudo:
        return route
    why = "root is needed" + ("" if facts.host.sudo else ", and there is no sudo")
    how = "run with --sudo, or yourself:\n" if facts.host.sudo else "as root:\n"
    return _blocked(route, why, how + script(route, facts))


def _blocked(route: Route, why: str, hint: str) -> Route:
    return Route(
        id=route.id,
        needs_root=route.needs_root,
        commands=route.commands,
        reason=route.reason,
        home=route.home,
        blocked=why,
        hint=hint,
    )


def script(route: Route, facts: Facts) -> str:
    """The route's commands as lines to paste, with sudo where root is needed and we are not root."""
    front = "sudo " if route.needs_root and not facts.host.root else ""
    return "\n".join(f"  {front}{shlex.join(command)}" for command in route.commands)


def _download(facts: Facts, address: str, file: str) -> list[str]:
    """Fetch, continuing what an earlier attempt left.

    Never into /tmp: what another user put there beforehand would be continued, and run as root.
    """
    if "wget" in facts.tools and "curl" not in facts.tools:
        return ["wget", "--continue", "--tries=5", "--output-document", file, address]
    return ["curl", "-fL", "--retry", "5", "-C", "-", "-o", file, address]


# -- apt ------------------------------------------------------------------------------------------------
def _repository(facts: Facts) -> str | None:
    """NVIDIA's name of this system's repository: "wsl-ubuntu", "debian12"; None where it has none."""
    host, table = facts.host, addresses.addresses().nvidia.apt
    system = host.distribution
    if host.wsl and system.id in ("ubuntu", "debian"):
        return table["wsl"]
    return table.get(f"{system.id} {system.version}")


def _apt(facts: Facts, wanted: str, folder: str) -> list[Route]:
    repository = _repository(facts)
    if repository is None or facts.host.machine not in addresses.addresses().nvidia.machines:
        return []
    routes = [_network_repository(facts, wanted, repository, folder)]
    local = _local_repository(facts, wanted, repository, folder)
    routes += [local] if local else []
    first = _table().apt_first.get(repository)
    if first is not None and version_key(wanted) < version_key(first):
        why = f"the repository {repository} begins with CUDA {first}"
        return [_blocked(route, why, "take conda or the runfile") for route in routes]
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
        _download(facts, address, file),
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
    table, (version, driver) = _table().deb_local, known
    dashed = wanted.replace(".", "-")
    build = "1" if repository == "wsl-ubuntu" else f"{driver}-1"
    file = table.file.format(repository=repository, dashed=dashed, version=version, build=build)
    path = f"{folder}-files/{file}"
    keys = f"cp /var/cuda-repo-{repository}-{dashed}-local/cuda-*-keyring.gpg /usr/share/keyrings/"
    return Route(
        id="apt-local",
        needs_root=True,
        commands=[
            ["mkdir", "-p", f"{folder}-files"],
            _download(facts, table.address.format(version=version, file=file), path),
            ["dpkg", "-i", path],
            ["sh", "-c", keys],
            ["apt-get", "update"],
            _install(wanted),
        ],
        reason="deb (local): one file of about 3 GB that can be carried to a machine without a network",
        home=f"/usr/local/cuda-{wanted}",
    )


# -- conda ----------------------------------------------------------------------------------------------
def _conda(facts: Facts, wanted: str, folder: str) -> list[Route]:
    routes = []
    tool = next((name for name in ("conda", "mamba", "micromamba") if name in facts.tools), None)
    if tool is not None:
        routes.append(_conda_env(facts, wanted, tool, f"{folder}-conda"))
    else:
        routes.append(_micromamba(facts, wanted, folder))
    first = _table().conda.first
    if version_key(wanted) < version_key(first):
        why = f"NVIDIA's conda channel is whole from CUDA {first} on"
        return [_blocked(route, why, "take the runfile") for route in routes]
    return routes


def conda_words(wanted: str) -> list[str]:
    """Channels and packages of a whole compiler: one label, so that all parts are of one release."""
    conda = addresses.addresses().conda
    label = conda.nvidia_label.format(version=f"{wanted}.0")
    # without --override-channels a default channel may slip in parts of another release
    return ["--override-channels", "-c", label, "-c", conda.conda_forge, *_table().conda.packages]


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
            _download(facts, address, archive),
            ["tar", "-xjf", archive, "-C", f"{folder}-files", "bin/micromamba"],
            [program, "create", "-y", "-p", f"{folder}-conda", *conda_words(wanted)],
        ],
        reason=f"no root, no conda here: one 10 MB program, then nvcc {wanted} from NVIDIA's channel",
        home=f"{folder}-conda",
    )
    if platform is None:
        return _blocked(route, f"no micromamba for {facts.host.machine}", "take another route")
    return route


# -- runfile --------------------------------------------------------------------------------------------
def _runfile(facts: Facts, wanted: str, folder: str) -> list[Route]:
    address = addresses.runfile(wanted)
    if address is None or facts.host.machine != "x86_64":
        return []
    return [
        _runfile_system(facts, wanted, address, folder),
        _runfile_folder(facts, wanted, address, folder),
    ]


def _no_driver(facts: Facts) -> str:
    if facts.host.wsl:
        return "no driver: WSL uses the one of Windows"
    return "never the driver" + (", one is loaded" if facts.driver.state == "ok" else "")


def _runfile_system(facts: Facts, wanted: str, address: str, folder: str) -> Route:
    home, file = f"/usr/local/cuda-{wanted}", f"{folder}-files/{address.rsplit('/', 1)[1]}"
    return Route(
        id="runfile-system",
        needs_root=True,
        commands=[
            ["mkdir", "-p", f"{folder}-files"],
            _download(facts, address, file),
            ["sh", file, "--silent", "--toolkit", f"--toolkitpath={home}", "--override"],
        ],
        reason=f"the installer file (3 to 5 GB), the toolkit alone: {_no_driver(facts)}",
        home=home,
    )


def _runfile_folder(facts: Facts, wanted: str, address: str, folder: str) -> Route:
    file = f"{folder}-files/{address.rsplit('/', 1)[1]}"
    return Route(
        id="runfile-folder",
        needs_root=False,
        commands=[
            ["mkdir", "-p", f"{folder}-files", f"{folder}/lib64", f"{folder}-tmp"],
            _download(facts, address, file),
            # libraries and temporary files too: the defaults lie where only root may write. Some
            # versions end without a word where another user's /tmp/cuda-installer.log is in the way.
            [
                *("sh", file, "--silent", "--toolkit", "--override", "--no-man-page"),
                *(f"--toolkitpath={folder}", f"--defaultroot={folder}", f"--tmpdir={folder}-tmp"),
            ],
        ],
        reason=f"no root: the installer file (3 to 5 GB) into a folder; {_no_driver(facts)}",
        home=folder,
    )


def floor_note(facts: Facts, wanted: str) -> str:
    """What the driver says to that toolkit: "" where it fits or there is none to ask."""
    if facts.driver.cuda is None or cuda.driver_runs(facts.driver.cuda, wanted):
        return ""
    return (
        f"the driver runs up to CUDA {facts.driver.cuda}: code of toolkit {wanted} compiles here "
        f"but needs driver {cuda.minor_compat_floor(wanted)} to run"
    )

"""NVIDIA's installer file: into the system, or without root into a folder. Pure."""

from __future__ import annotations

from mambaops.facts.model import Facts
from mambaops.knowledge import addresses
from mambaops.system.route import Route, download


def runfile_routes(facts: Facts, wanted: str, folder: str) -> list[Route]:
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
            download(facts, address, file),
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
            download(facts, address, file),
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

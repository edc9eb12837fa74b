"""Machines in a few words, for tests: `machine(torch="2.8.0+cu128", gpus=["8.6"], …)`."""

from __future__ import annotations

from mambaops.facts.model import (
    Distribution,
    Driver,
    Facts,
    Gpu,
    Host,
    Libstdcxx,
    Package,
    Python,
    Torch,
)

# name, version, glibc, GLIBCXX of its libstdc++
SYSTEMS = {
    "centos 7": ("CentOS Linux 7", "2.17", "3.4.19"),
    "debian 10": ("Debian GNU/Linux 10", "2.28", "3.4.25"),
    "rhel 8": ("Red Hat Enterprise Linux 8", "2.28", "3.4.25"),
    "ubuntu 20.04": ("Ubuntu 20.04", "2.31", "3.4.28"),
    "ubuntu 22.04": ("Ubuntu 22.04", "2.35", "3.4.30"),
    "ubuntu 24.04": ("Ubuntu 24.04", "2.39", "3.4.33"),
    "alpine 3.20": ("Alpine Linux 3.20", None, None),
}


def machine(
    *,
    distro: str = "ubuntu 22.04",
    processor: str = "x86_64",
    system: str = "Linux",
    python: str = "3.11.9",
    abi_tag: str = "",
    kind: str = "venv",
    torch: str | None = "2.8.0+cu128",
    cuda: str | None = "from torch",
    cxx11_abi: bool | None = None,
    hip: str | None = None,
    triton: str | None = None,
    gpus: tuple[str, ...] = ("8.6",),
    driver: str | None = "12.8",
    driver_version: str = "570.124.06",
    packages: dict[str, str] | None = None,
) -> Facts:
    """Facts of an invented machine. cuda "from torch" reads it off torch's local version (+cu128)."""
    name, glibc, glibcxx = SYSTEMS[distro]
    if cuda == "from torch":
        local = (torch or "").partition("+cu")[2]
        cuda = f"{local[:-1]}.{local[-1]}" if local else None
    tag = "cp" + "".join(python.split(".")[:2])
    return Facts(
        host=Host(
            system=system,
            machine=processor,
            distribution=Distribution(id=distro.split()[0], version=distro.split()[1], name=name),
            glibc=glibc,
            libstdcxx=Libstdcxx(path="libstdc++.so.6", glibcxx=glibcxx) if glibcxx else None,
        ),
        driver=Driver(
            state="ok" if driver else "absent",
            cuda=driver,
            version=driver_version if driver else None,
        ),
        gpus=[
            Gpu(index=index, name=f"GPU {one}", compute_capability=one)
            for index, one in enumerate(gpus)
        ],
        python=Python(
            executable="/env/bin/python", version=python, abi_tag=abi_tag or tag, kind=kind
        ),
        torch=Torch(
            version=torch, path="/env", cuda=cuda, hip=hip, cxx11_abi=cxx11_abi, triton_pin=triton
        )
        if torch
        else None,
        packages={
            key: Package(name=key, version=value, path="/env")
            for key, value in (packages or {}).items()
        },
    )

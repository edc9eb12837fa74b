"""One sshd for all tests of this folder, and a lab of machines behind it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from browser import browser as browser
from ssh_hosts import BEHIND, GPUS, KNOWN, PYTHON, SMI, NoSshd, Server, python, served

from mambaops.bundle.archive import write_tar
from mambaops.bundle.model import Manifest
from mambaops.cli.program import run

Hosts = Callable[..., Path]

INSTALL = """#!/bin/sh
echo "installing into $2"
{then}
mkdir -p "$2/bin" && ln -sf {python} "$2/bin/python"
echo "done"
"""


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server; skipped with the reason where there can be none."""
    try:
        with served(tmp_path_factory.mktemp("sshd")) as server:
            yield server
    except NoSshd as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def machines(sshd: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """A 5090 with driver 570, an A800 with driver 535, and a machine without a GPU."""
    folder = tmp_path_factory.mktemp("machines")
    found = {"plain": sshd.host()}
    for name, values in GPUS.items():
        (folder / name).mkdir()
        program = folder / name / "nvidia-smi"
        program.write_text(SMI.format(**values))
        program.chmod(0o755)
        found[name] = sshd.host(python=python(path=str(folder / name)))
    return found


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """The working folder of the person."""
    (tmp_path / "lab").mkdir()
    return tmp_path / "lab"


@pytest.fixture
def hosts(lab: Path, sshd: Server) -> Hosts:
    """Writes hosts.yaml (JSON is YAML) with these machines, and OpenSSH's configuration of the tests."""

    def write(machines: dict[str, dict[str, Any]], **more: Any) -> Path:
        ssh = {"config": str(sshd.config), "connect_timeout": 30, **more.pop("ssh", {})}
        path = lab / "hosts.yaml"
        path.write_text(json.dumps({"hosts": machines, "ssh": ssh, **more}))
        return path

    return write


@pytest.fixture
def fleet(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`mambaops fleet …` as a person starts it, in their folder."""
    monkeypatch.chdir(lab)
    monkeypatch.setenv("MAMBAOPS_HOME", str(lab / ".mambaops"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        status = run(["mambaops", "fleet", *words])
        told = capfd.readouterr()
        return subprocess.CompletedProcess(words, status, told.out, told.err)

    return call


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Path]:
    """A bundle whose script does `then` and makes an environment that has the standard library."""

    def make(then: str = "", name: str = "small") -> Path:
        folder = tmp_path / "content"
        folder.mkdir(exist_ok=True)
        manifest = Manifest(
            name="small", python="3", machine="x86_64", glibc="2.31", torch=None, requirements=[],
            imports=["json", "csv"], runtime_env={}, installer="pip.whl", files=[],
        )  # fmt: skip
        (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
        (folder / "install.sh").write_text(INSTALL.format(then=then, python=PYTHON))
        path = tmp_path / f"{name}.tar"
        write_tar(folder, name, path)
        return path

    return make


@pytest.fixture
def homes(sshd: Server) -> Iterator[Callable[[str], Path]]:
    """What lies on a machine below `.mambaops-fleet`; nothing is left over for the next test."""
    yield lambda address=KNOWN: sshd.home(address) / ".mambaops-fleet"
    for address in (KNOWN, BEHIND):
        shutil.rmtree(sshd.home(address) / ".mambaops-fleet", ignore_errors=True)

"""The container route for real: podman, an engine without a daemon, builds a profile's image, and its wheel comes out.

A bare Debian stands under the base image's name, with this machine's settings of where packages are. The installers of
uv and miniforge, which no package index has, come from the loopback address: scripts that put the real uv in place,
and a conda that makes environments with it. The rest is the image's own: apt, the controller, the profile's torch
with CUDA, and the kernels that its NVRTC compiles for the GPU that was named. Gigabytes, and minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import bare_system
import host_settings
import pytest

from mambaops.core.paths import CHECKOUT, data_dir
from mambaops.wheels.inspect.pack import read_pack

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(3600)]
SUITE, PYTHON = "bookworm", "3.11"
ROOM = 20 * 1000**3
UV = """#!/bin/sh
set -e
mkdir -p "$HOME/.local/bin"
curl -fsS -o "$HOME/.local/bin/uv" @WEB@/uv
chmod 755 "$HOME/.local/bin/uv"
"""
MINIFORGE = """#!/bin/sh
# sh Miniforge3.sh -b -p PREFIX
set -e
mkdir -p "$3/bin"
curl -fsS -o "$3/bin/conda" @WEB@/conda
chmod 755 "$3/bin/conda"
"""
CONDA = """#!/bin/bash
# create --yes --prefix PREFIX … python=3.11 …
[ "$1" = --version ] && { echo conda 24.1.0; exit; }
[ "$1" = create ] || exit 0
while [ $# -gt 0 ]; do
  case $1 in --prefix|-p) prefix=$2 ;; python=*) python=${1#python=} ;; esac
  shift
done
set -e
uv venv --quiet --seed --python "$python" "$prefix"
mkdir -p "$prefix/conda-meta"
touch "$prefix/conda-meta/history"
"""


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a podman with a storage of its own; what it stored goes with it."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not here")
    try:
        bare_system.possible()
    except bare_system.NoBareSystem as error:
        pytest.skip(str(error))
    if shutil.disk_usage(tmp_path).free < ROOM:
        pytest.skip(f"needs {ROOM / 1e9:.0f} GB of free disk under {tmp_path}")
    (tmp_path / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{tmp_path}/images"\nrunroot = "{tmp_path}/run"\n'
    )
    shown = [f'"{one}:{one}:ro"' for one in host_settings.folders(host_settings.pip_settings())]
    (tmp_path / "containers.conf").write_text(
        f'[containers]\nnetns = "host"\nvolumes = [{", ".join(shown)}]\n'
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    env = {**os.environ, "CONTAINERS_STORAGE_CONF": f"{tmp_path}/storage.conf"}
    # a container may not be startable where this system's own cgroups are a container's
    env["BUILDAH_ISOLATION"] = "chroot"
    env |= {"CONTAINERS_CONF": f"{tmp_path}/containers.conf", "TMPDIR": str(tmp_path)}
    tried = subprocess.run(["podman", "info"], env=env, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"podman does not work here: {tried.stderr.strip()[-300:]}")
    yield env
    subprocess.run(
        ["podman", "system", "reset", "--force"], env=env, check=False, capture_output=True
    )
    shutil.rmtree(tmp_path / "images", ignore_errors=True)


def base_image(work: Path, env: dict[str, str]) -> None:
    """A bare Debian as an image, under the name that the Dockerfile begins with."""
    base = bare_system.base(SUITE, (), Path("~/.cache/mambaops-newcomer").expanduser())
    more = work / "more"
    (more / "etc" / "ssl" / "certs").mkdir(parents=True)
    (more / "etc" / "pip.conf").write_text(host_settings.as_file(host_settings.pip_settings()))
    if host_settings.CERTIFICATES.is_file():
        shutil.copy(host_settings.CERTIFICATES, more / "etc" / "ssl" / "certs")
    packed = work / "base.tar"
    subprocess.run(["tar", "-cf", packed, "-C", base, "."], check=True)
    subprocess.run(["podman", "import", "--quiet", packed, "bare"], env=env, check=True)
    packed.unlink()
    (work / "Containerfile").write_text("FROM bare\nCOPY more /\n")
    words = ["build", "--quiet", "-t", "docker.io/library/ubuntu:20.04", "-f", "Containerfile", "."]
    subprocess.run(["podman", *words], env=env, cwd=work, check=True)


@pytest.fixture
def mirrors(tmp_path: Path) -> Iterator[Path]:
    """The two installers, served here."""
    files = tmp_path / "served"
    folder = files / "github" / "conda-forge/miniforge/releases/latest/download"
    folder.mkdir(parents=True)
    (files / "uv-files").mkdir()
    argv = [sys.executable, "-m", "pip", "install", "-q", "--target", files / "uv-files", "uv"]
    if subprocess.run(argv, check=False).returncode:
        pytest.skip("the package index did not give uv")
    shutil.copy(files / "uv-files" / "bin" / "uv", files / "uv")
    handler = partial(SimpleHTTPRequestHandler, directory=str(files))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        web = f"http://127.0.0.1:{server.server_address[1]}"
        (files / "astral" / "uv").mkdir(parents=True)
        (files / "astral" / "uv" / "install.sh").write_text(UV.replace("@WEB@", web))
        (folder / f"Miniforge3-Linux-{os.uname().machine}.sh").write_text(
            MINIFORGE.replace("@WEB@", web)
        )
        (files / "conda").write_text(CONDA)
        table = tmp_path / "mirrors.toml"
        table.write_text(
            f'"https://astral.sh/" = "{web}/astral/"\n"https://github.com/" = "{web}/github/"\n'
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield table
        server.shutdown()


def profile(folder: Path) -> Path:
    """Ubuntu 20.04 with Graph-Mamba's torch, without what the index lacks: PyTorch Geometric's wheels, Python 3.9."""
    text = (data_dir("env_profiles") / "ubuntu20-graph-mamba.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("find_links:")]
    lines[lines.index('  python: ["3.9"]')] = f'  python: ["{PYTHON}"]'
    at = next(n for n, line in enumerate(lines) if line.strip().startswith("[torch-geometric"))
    lines[at] = '  [einops, "transformers<4.52"]'
    kept = "\n".join(line for line in lines if not line.startswith("  requirements: the last PyG"))
    file = folder / "of-the-lab.yaml"
    file.write_text(kept.replace("name: ubuntu20-graph-mamba", "name: lab", 1) + "\n", "utf-8")
    return file


def test_an_image_is_built_and_its_wheel_comes_out(
    podman: dict[str, str], mirrors: Path, tmp_path: Path
) -> None:
    base_image(tmp_path, podman)
    env = {**podman, "MAMBAOPS_MIRRORS": str(mirrors), "PYTHONPATH": str(CHECKOUT / "src")}
    words = [
        "container",
        "--profile",
        str(profile(tmp_path)),
        "--arch",
        "8.0",
        "--runtime",
        "podman",
    ]
    argv = [sys.executable, "-m", "mambaops", *words, "--output", str(tmp_path / "o"), "--build"]
    done = subprocess.run(
        argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    (tmp_path / "said.txt").write_text(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " 0 failed" in done.stdout, "the image's environment was not proven"
    (wheel,) = (tmp_path / "o" / "wheels").glob("*.whl")
    assert done.stdout.splitlines()[-1] == str(wheel)
    with zipfile.ZipFile(wheel) as archive:
        held = read_pack(archive, archive.namelist())
    assert held is not None and (held.cubins, held.cuda) == (("8.0",), ("11.7",))
    # the image has the environment: its own mambaops finds nothing left to do
    (tmp_path / "Containerfile").write_text(
        "FROM mambaops-lab\nRUN mambaops build-mamba --profile lab --cross --arch 8.0\n"
    )
    argv = ["podman", "build", "--format", "docker", "-f", "Containerfile", "."]
    again = subprocess.run(
        argv, env=podman, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    told = again.stdout + again.stderr
    assert again.returncode == 0, told
    assert "environment: " in told and ": done in " not in told, told

"""The Dockerfile of `mambaops export --docker`, built by a real engine without a daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bare_system
import pytest
from exported import PYTHON, export

from mambaops.knowledge.containers import containers

pytestmark = pytest.mark.slow
# what the official image has: `python` and pip before the system's own
AS_OFFICIAL = "python3 -m venv /usr/local && ln -sf python3 /usr/local/bin/python"


def buildah(*words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    argv = ["buildah", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=check, timeout=280)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    """A bare Debian under the name of the base image; gone again afterwards."""
    if shutil.which("buildah") is None:
        pytest.skip("buildah is not here")
    try:
        bare_system.possible()
        cache = Path.home() / ".cache" / "mambaops-newcomer"
        root = bare_system.base("bookworm", ["python3-venv"], cache)
    except bare_system.NoBareSystem as reason:
        pytest.skip(str(reason))
    name = containers().python.format(version=PYTHON)
    if PYTHON != "3.11":
        pytest.skip(f"Debian 12 has Python 3.11, and this is {PYTHON}")
    if name in buildah("images", "--format", "{{.Name}}:{{.Tag}}").stdout:
        pytest.skip(f"there is a {name} already")
    work = buildah("from", "scratch").stdout.strip()
    try:
        buildah("copy", "-q", work, root, "/")
        buildah("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", work)
        buildah("run", "--isolation", "chroot", work, "sh", "-c", AS_OFFICIAL)
        buildah("commit", "-q", work, f"docker.io/library/{name}")
        yield name
    finally:
        buildah("rm", work, check=False)
        buildah("rmi", "-f", f"docker.io/library/{name}", check=False)


def test_the_image_is_built_and_has_the_pins(
    base: str, proven: Path, alone: str, tmp_path: Path
) -> None:
    folder = tmp_path / "image"
    export("--docker", "--python", proven, "--output", folder)
    image = "localhost/mambaops-test-export"
    words = ["bud", "--isolation", "chroot", "--pull-never", "--format", "docker", "-t", image]
    index = f"PIP_INDEX_URL={os.environ['PIP_INDEX_URL']}"
    built = buildah(*words, "--build-arg", index, folder, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "3 packages in their versions, import torch" in built.stdout
    work = buildah("from", image).stdout.strip()
    try:
        ask = "import mamba_ssm, sys; print(mamba_ssm.__version__, sys.prefix)"
        asked = buildah("run", "--isolation", "chroot", work, "python", "-c", ask)
    finally:
        buildah("rm", work, check=False)
        buildah("rmi", "-f", image, check=False)
    version, prefix = asked.stdout.split()
    assert (version.split("+")[0], prefix) == ("2.3.2", "/usr/local")

"""Dockerfile, image and run, with a docker that answers as the real one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tomli
from standins import command, program

from mambaops.core.errors import MachineError, UsageError
from mambaops.core.paths import CHECKOUT, PACKAGE
from mambaops.profiles.load import load_profile
from mambaops.system import container

GOLDEN = Path(__file__).with_name("Dockerfile.ubuntu20-graph-mamba")


def test_the_dockerfile_is_the_one_that_was_looked_through() -> None:
    # a profile of its own: the shipped one may change without this text being looked at again
    profile = load_profile(str(Path(__file__).with_name("container-profile.yaml")))
    assert container.dockerfile(profile, arch="8.0") == GOLDEN.read_text(encoding="utf-8")


def test_an_image_cannot_be_built_for_the_gpu_it_finds() -> None:
    with pytest.raises(UsageError, match="built without one") as caught:
        container.dockerfile(load_profile("ubuntu20-graph-mamba"), arch="")
    assert "--arch" in caught.value.hint


def test_gpus_are_lent_as_each_runtime_wants_it(tmp_path: Path) -> None:
    profile = load_profile("ubuntu20-graph-mamba")
    docker = container.run_command(profile, "docker", tmp_path, ["nvidia-smi"], terminal=False)
    assert docker == [
        *("docker", "run", "--rm", "--gpus", "all", "-v", f"{tmp_path}:/workspace"),
        *("mambaops-ubuntu20-graph-mamba", "nvidia-smi"),
    ]
    podman = container.run_command(profile, "podman", tmp_path, [], terminal=True)
    assert podman[2:6] == ["--rm", "-it", "--device", "nvidia.com/gpu=all"]


def test_podman_keeps_the_shell_that_notices_a_failed_pipe(tmp_path: Path) -> None:
    """Its own image format has no SHELL: podman 4.3 says so, and builds with a `sh` without pipefail."""
    profile = load_profile("ubuntu20-graph-mamba")
    assert "pipefail" in container.dockerfile(profile, arch="8.0")
    podman = container.build_command(profile, "podman", tmp_path)
    assert podman[:4] == ["podman", "build", "--format", "docker"]
    assert "--format" not in container.build_command(profile, "docker", tmp_path)


def _docker(folder: Path, info: str = "echo up") -> None:
    """A docker that answers, builds from a folder that must hold what is copied, and gives out a wheel."""
    program(
        folder,
        "docker",
        f'echo "$@" >> {folder}/asked\n'
        'case "$1" in\n'
        f"info) {info};;\n"
        'build) while [ $# -gt 1 ]; do shift; done; ls "$1/mambaops-context/mambaops" '
        '"$1/mambaops-context/requirements.txt" > /dev/null || exit 9; echo "built: \\`mambaops doctor\\`";;\n'
        'cp) touch "$3/mamba_ssm-1.0.1-cp39-cp39-linux_x86_64.whl";;\n'
        "run) echo running;;\nesac",
    )


def _words(*more: str) -> list[str]:
    return [
        "container",
        "--profile",
        "ubuntu20-graph-mamba",
        "--arch",
        "8.0",
        "--output",
        "o",
        *more,
    ]


def test_files_are_written_and_the_commands_said(tmp_path: Path) -> None:
    done = command(tmp_path, *_words("--dry-run"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "o/Dockerfile"
    assert "docker build -t mambaops-ubuntu20-graph-mamba" in done.stderr
    inside = tmp_path / "o" / container.CONTEXT / "mambaops"
    assert (inside / "env_profiles" / "ubuntu20-graph-mamba.yaml").is_file()
    assert (inside / "payload" / "probe.py").is_file()
    needed = (inside.parent / "requirements.txt").read_text()
    told = tomli.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (
        needed.splitlines() == told["dependencies"]
    )  # also where the installation is an older one


def test_a_profile_of_ones_own_is_in_the_image_with_its_package_files(tmp_path: Path) -> None:
    """By its name: the command in the Dockerfile names no path of this machine."""
    package = (PACKAGE / "knowledge" / "packages" / "torch-scatter.toml").read_text()
    folder = tmp_path / "lab"
    (folder / "packages").mkdir(parents=True)
    (folder / "packages" / "mine.toml").write_text(package.replace("torch-scatter", "mine"))
    text = Path(__file__).with_name("container-profile.yaml").read_text(encoding="utf-8")
    text = text.replace("name: ubuntu20-graph-mamba", "name: lab", 1)
    own = "packages:\n  mine:\n    version: '2.1.2'\n    file: ./packages/mine.toml\n"
    (folder / "of-the-lab.yaml").write_text(text.replace("packages:\n", own, 1))
    words = ["container", "--arch", "8.0", "--output", "o", "--dry-run", "--profile"]
    done = command(tmp_path, *words, "lab/of-the-lab.yaml")
    assert done.returncode == 0, done.stderr
    inside = tmp_path / "o" / container.CONTEXT
    assert "--profile lab --cross" in (tmp_path / "o" / "Dockerfile").read_text()
    argv = [sys.executable, "-m", "mambaops", "profiles", "--explain", "lab"]
    shown = subprocess.run(
        argv,
        env={**os.environ, "PYTHONPATH": str(inside)},
        cwd=inside,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert str(inside / "mambaops" / "env_profiles" / "packages" / "mine.toml") in shown.stdout
    (folder / "of-the-lab.yaml").rename(folder / "packages" / "x.yaml")
    (folder / "packages" / "mine.toml").rename(folder / "mine.toml")
    moved = (folder / "packages" / "x.yaml").read_text().replace("./packages/", "../")
    (folder / "packages" / "x.yaml").write_text(moved)
    refused = command(tmp_path, *words, "lab/packages/x.yaml")
    assert refused.returncode == 2 and "beside the profile" in refused.stderr


def test_the_image_is_built_and_its_wheels_come_out(tmp_path: Path) -> None:
    _docker(tmp_path)
    done = command(tmp_path, *_words("--runtime", "docker", "--build"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "o/wheels/mamba_ssm-1.0.1-cp39-cp39-linux_x86_64.whl"
    asked = [line.split()[0] for line in (tmp_path / "asked").read_text().splitlines()]
    assert asked == ["info", "rm", "build", "create", "cp", "rm"]
    assert (
        "\nbuilt: `mambaops doctor`\n" in done.stderr
    )  # the image's own command, not this shell's


def test_the_image_runs_with_the_words_after_the_dashes(tmp_path: Path) -> None:
    _docker(tmp_path)
    done = command(tmp_path, *_words("--runtime", "docker", "--run", "--", "nvidia-smi", "-L"))
    assert done.stdout.splitlines()[-1] == "running"
    last = (tmp_path / "asked").read_text().splitlines()[-1]
    assert last.startswith("run --rm --gpus all -v ")
    assert last.endswith("mambaops-ubuntu20-graph-mamba nvidia-smi -L")


def test_an_engine_that_does_not_answer_is_said(tmp_path: Path) -> None:
    _docker(tmp_path, "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    done = command(tmp_path, *_words("--runtime", "docker", "--build"))
    assert done.returncode == 4
    assert "Cannot connect to the Docker daemon" in done.stderr


def test_an_unknown_runtime_and_an_absent_one_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="known: docker, podman"):
        container.chosen_runtime("lxc")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="docker or podman is not on PATH"):
        container.chosen_runtime("")

"""Packages, WSL, containers, shared libraries, launching: with stand-ins that print what the real ones print."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mambaops.core.errors import MachineError, UsageError
from mambaops.core.paths import PACKAGE
from mambaops.profiles.model import load_profile
from mambaops.system import container, launch, openblas, prerequisites, wsl

MAMBAOPS = [sys.executable, "-m", "mambaops"]


def _program(folder: Path, name: str, text: str) -> Path:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def _command(folder: Path, *words: str, alone: bool = False) -> subprocess.CompletedProcess[str]:
    """mambaops with the stand-ins of `folder` first on PATH (or alone there)."""
    path = f"{folder}/bin" + ("" if alone else f":{os.environ['PATH']}")
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(PACKAGE.parent)}
    return subprocess.run(
        [*MAMBAOPS, *words], env=env, cwd=folder, capture_output=True, text=True, check=False
    )


# -- packages of the system -----------------------------------------------------------------------------
DPKG = "g++ installed\ngcc installed\nkmod config-files\nlibxml2-16 installed\n"


def test_what_dpkg_calls_installed_is_not_missing() -> None:
    assert prerequisites.parse_dpkg(DPKG) == {"g++", "gcc", "libxml2-16"}
    missing = prerequisites.missing_of(prerequisites.parse_dpkg(DPKG))
    assert [one.name for one in missing] == ["kmod", "build-essential", "python3-dev"]
    assert prerequisites.commands([]) == []


def test_the_missing_packages_are_named_with_the_command_and_not_installed(tmp_path: Path) -> None:
    _program(tmp_path, "dpkg-query", f"printf '{DPKG}'; exit 1")
    _program(tmp_path, "apt-get", f'echo "$@" >> {tmp_path}/asked')
    done = _command(tmp_path, "apt-prerequisites", "--check")
    assert done.returncode == 1
    assert "missing: kmod" in done.stdout
    assert "apt-get install -y kmod build-essential python3-dev" in done.stderr
    assert not (tmp_path / "asked").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="installs as root, with a stand-in apt-get")
def test_as_root_they_are_installed_and_looked_at_again(tmp_path: Path) -> None:
    _program(tmp_path, "dpkg-query", f"cat {tmp_path}/dpkg; exit 1")
    (tmp_path / "dpkg").write_text(DPKG)
    names = "kmod build-essential python3-dev"
    add = f'for one in {names}; do echo "$one installed" >> {tmp_path}/dpkg; done'
    _program(tmp_path, "apt-get", f'echo "$@" >> {tmp_path}/asked; [ "$1" = update ] || {add}')
    done = _command(tmp_path, "apt-prerequisites")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text() == f"update\ninstall -y {names}\n"


def test_a_system_without_dpkg_gets_the_names_for_rpm(tmp_path: Path) -> None:
    _program(tmp_path, "true", "")
    done = _command(tmp_path, "apt-prerequisites", alone=True)
    assert done.returncode == 4
    assert "dnf install gcc gcc-c++" in done.stderr


# -- WSL ------------------------------------------------------------------------------------------------
def _wsl(folder: Path, names: str = "Ubuntu-22.04\\r\\ndocker-desktop\\r\\n") -> None:
    """A wsl.exe: its list in UTF-16 as on Windows; other words are run as it would run them."""
    listed = f"printf '{names}' | iconv -t UTF-16LE"
    run = 'while [ "$1" != "--" ]; do echo "wsl: $1"; shift; done; shift; exec "$@"'
    _program(folder, "wsl.exe", f'if [ "$1" = --list ]; then {listed}; exit 0; fi\n{run}')


def test_the_command_line_keeps_every_word() -> None:
    words = wsl.command(["echo", "a b", "$HOME"], distribution="Debian", folder="D:\\mamba")
    assert words[:7] == ["wsl.exe", "-d", "Debian", "--cd", "D:\\mamba", "--", "bash"]
    assert words[7:] == ["-lc", "echo 'a b' '$HOME'"]
    with pytest.raises(UsageError):
        wsl.command([])


def test_words_arrive_in_wsl_as_they_were_and_the_status_comes_back(tmp_path: Path) -> None:
    _wsl(tmp_path)
    words = ["sh", "-c", 'printf "%s|" "$@"; exit 7', "x", "a b", "$HOME", "it's"]
    done = _command(tmp_path, "wsl-run", "--distribution", "Ubuntu-22.04", "--", *words)
    assert done.stdout.splitlines()[:2] == ["wsl: -d", "wsl: Ubuntu-22.04"]
    assert done.stdout.splitlines()[2] == "a b|$HOME|it's|"
    assert done.returncode == 7


def test_a_distribution_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    _wsl(tmp_path)
    done = _command(tmp_path, "wsl-run", "--distribution", "Debian", "--", "true")
    assert done.returncode == 4
    assert "it has Ubuntu-22.04, docker-desktop" in done.stderr


def test_outside_of_windows_it_says_what_to_do(tmp_path: Path) -> None:
    done = _command(tmp_path, "wsl-run", "--", "true")
    assert done.returncode == 4
    assert "run the command itself" in done.stderr


# -- containers -----------------------------------------------------------------------------------------
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


def _docker(folder: Path, info: str = "echo up") -> None:
    """A docker that answers, builds from a folder that must hold what is copied, and gives out a wheel."""
    _program(
        folder,
        "docker",
        f'echo "$@" >> {folder}/asked\n'
        'case "$1" in\n'
        f"info) {info};;\n"
        'build) while [ $# -gt 1 ]; do shift; done; ls "$1/mambaops-context/mambaops" '
        '"$1/mambaops-context/requirements.txt" > /dev/null || exit 9; echo built;;\n'
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
    done = _command(tmp_path, *_words("--dry-run"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "o/Dockerfile"
    assert "docker build -t mambaops-ubuntu20-graph-mamba" in done.stderr
    inside = tmp_path / "o" / container.CONTEXT / "mambaops"
    assert (inside / "env_profiles" / "ubuntu20-graph-mamba.yaml").is_file()
    assert (inside / "payload" / "probe.py").is_file()
    needed = (inside.parent / "requirements.txt").read_text()
    assert "invoke" in needed and "extra" not in needed


def test_the_image_is_built_and_its_wheels_come_out(tmp_path: Path) -> None:
    _docker(tmp_path)
    done = _command(tmp_path, *_words("--runtime", "docker", "--build"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "o/wheels/mamba_ssm-1.0.1-cp39-cp39-linux_x86_64.whl"
    asked = [line.split()[0] for line in (tmp_path / "asked").read_text().splitlines()]
    assert asked == ["info", "rm", "build", "create", "cp", "rm"]


def test_the_image_runs_with_the_words_after_the_dashes(tmp_path: Path) -> None:
    _docker(tmp_path)
    done = _command(tmp_path, *_words("--runtime", "docker", "--run", "--", "nvidia-smi", "-L"))
    assert done.stdout.splitlines()[-1] == "running"
    last = (tmp_path / "asked").read_text().splitlines()[-1]
    assert last.startswith("run --rm --gpus all -v ")
    assert last.endswith("mambaops-ubuntu20-graph-mamba nvidia-smi -L")


def test_an_engine_that_does_not_answer_is_said(tmp_path: Path) -> None:
    _docker(tmp_path, "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    done = _command(tmp_path, *_words("--runtime", "docker", "--build"))
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


# -- shared libraries -----------------------------------------------------------------------------------
def _environment(folder: Path, error: str) -> Path:
    """An environment whose python fails to import with that error."""
    _program(folder, "python", f'echo "ImportError: {error}" >&2; exit 1')
    return folder / "bin" / "python"


MISSING = "libopenblas.so.0: cannot open shared object file: No such file or directory"


def test_a_library_that_lies_in_the_environment_is_put_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libopenblas.so.0").write_text("")
    report = openblas.check(_environment(tmp_path, MISSING), "mamba_ssm")
    assert (report.ok, report.library) == (False, "libopenblas.so.0")
    assert f'export LD_LIBRARY_PATH="{tmp_path}/lib' in report.cure


def test_one_that_is_nowhere_is_installed(tmp_path: Path) -> None:
    prefix = tmp_path / "env"
    conda = openblas.cure(prefix, "libopenblas.so.0", [], conda=True)
    assert conda == f"  conda install -y -p {prefix} -c conda-forge libopenblas"
    assert "apt-get install -y libopenblas0" in openblas.cure(
        prefix, "libopenblas.so.0", [], conda=False
    )
    assert "libfoo.so.3" in openblas.cure(prefix, "libfoo.so.3", [], conda=True)


def test_another_error_is_not_mistaken_for_a_missing_library(tmp_path: Path) -> None:
    report = openblas.check(_environment(tmp_path, "No module named 'mamba_ssm'"), "mamba_ssm")
    assert (report.ok, report.library, report.cure) == (False, "", "")
    assert "No module named" in report.error
    assert openblas.check(Path(sys.executable), "json").ok


# -- handing over ---------------------------------------------------------------------------------------
def test_an_installed_package_is_linked_alone_into_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "CHECKOUT", tmp_path)  # as where there is no checkout
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        folder = launch.import_path()
        assert [path.name for path in folder.iterdir()] == ["mambaops"]
        assert (folder / "mambaops").resolve() == PACKAGE


def test_the_interpreter_is_the_one_asked_for_or_the_active_one(tmp_path: Path) -> None:
    python = _program(tmp_path, "python", "true")
    assert launch.chosen_python(str(python), {}) == python
    assert launch.chosen_python("", {"VIRTUAL_ENV": str(tmp_path)}) == python
    assert launch.chosen_python("", {"CONDA_PREFIX": "/nowhere"}) == Path(sys.executable)
    with pytest.raises(UsageError, match="not an interpreter"):
        launch.chosen_python("/nowhere/python", {})


def test_the_graph_command_hands_its_flags_over_word_by_word(tmp_path: Path) -> None:
    show = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['PYTHONPATH']]))"
    python = _program(tmp_path, "python", f'exec {sys.executable} -c "{show}" "$@"')
    done = _command(
        tmp_path,
        *("run-graph-mamba", "--python", str(python), "--no-mamba", "--wandb", "False"),
        *("--override", "gt.layers=4", "--", "--name_tag", "a b"),
    )
    assert done.returncode == 0, done.stderr
    words, path = json.loads(done.stdout)
    assert words[:2] == ["-m", "mambaops.payload.train.graph"]
    assert words[2:] == [
        *("--wandb", "False", "--repeat", "1", "--no-mamba", "--resume", "auto"),
        *("--override", "gt.layers=4", "--name_tag", "a b"),
    ]
    assert path.split(os.pathsep)[0] == str(PACKAGE.parent)

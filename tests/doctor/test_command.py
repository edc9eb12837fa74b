"""The command on this machine: repairs of what is safe, nothing else; exit codes; the block to paste."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorded import facts_of, path_of

from mambaops.doctor import live
from mambaops.doctor.model import AREAS, Check
from mambaops.doctor.repair import repair
from mambaops.facts.model import Facts


def doctor(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    variables = {
        **os.environ,
        "MAMBAOPS_HOME": str(cwd / "state"),
        "MAMBAOPS_CACHE": str(cwd / "cache"),
        **env,
    }
    argv = [sys.executable, "-m", "mambaops", "doctor", *words]
    return subprocess.run(argv, check=False, cwd=cwd, env=variables, capture_output=True, text=True)


@pytest.fixture(scope="module")
def facts() -> Facts:
    from mambaops.facts.collect import collect

    return collect(Path(sys.executable))


def test_facts_of_another_machine(tmp_path: Path) -> None:
    done = doctor("--facts", str(path_of("v100")), "--profile", "wsl-5090", cwd=tmp_path)
    assert done.returncode == 4
    assert "[X ] GPU" in done.stdout
    assert done.stderr == ""


def test_json(tmp_path: Path) -> None:
    done = doctor("--facts", str(path_of("hopper")), "--json", cwd=tmp_path)
    value = json.loads(done.stdout)
    assert value["exit_code"] == done.returncode == 1
    assert {"id", "area", "state", "what", "cause", "remedy"} <= set(value["checks"][0])


def test_the_block_to_paste_is_masked(tmp_path: Path) -> None:
    done = doctor("--facts", str(path_of("hopper")), "--report", cwd=tmp_path)
    assert done.stdout.startswith("```text\nmambaops ")
    assert "/home/user/" not in done.stdout


def test_fix_refuses_facts_of_another_machine(tmp_path: Path) -> None:
    done = doctor("--facts", str(path_of("hopper")), "--fix", cwd=tmp_path)
    assert done.returncode == 2
    assert "another" in done.stderr


def test_this_machine(tmp_path: Path) -> None:
    done = doctor("--json", cwd=tmp_path)
    value = json.loads(done.stdout)
    assert {check["area"] for check in value["checks"]} == set(AREAS)
    assert done.returncode == value["exit_code"]


def test_windows_line_ends_are_found_and_repaired(tmp_path: Path) -> None:
    script = tmp_path / "scripts" / "install.sh"
    script.parent.mkdir()
    script.write_bytes(b"#!/bin/sh\r\necho ok\r\n")
    script.chmod(0o755)
    assert "Windows line ends: install.sh" in doctor(cwd=tmp_path).stdout
    done = doctor("--fix", cwd=tmp_path)
    assert "install.sh: stripped (2 lines)" in done.stderr
    assert "Windows line ends" not in done.stdout
    assert script.read_bytes() == b"#!/bin/sh\necho ok\n"
    assert script.stat().st_mode & 0o777 == 0o755


def test_a_build_folder_older_than_torch_is_removed(tmp_path: Path, facts: Facts) -> None:
    clone = tmp_path / "mamba"
    (clone / "build" / "temp").mkdir(parents=True)
    (clone / "mamba_ssm").mkdir()
    (clone / "mamba_ssm.egg-info").mkdir()
    (clone / "setup.py").write_text('PACKAGE_NAME = "mamba_ssm"\nsetup(name=PACKAGE_NAME)\n')
    os.utime(clone / "build", (0, 0))
    assert live.stale_builds(facts, tmp_path) == [clone / "build"]
    told: list[str] = []
    checks = live.look(facts, None, tmp_path)
    assert repair(checks, facts, tmp_path, sudo=False, tell=told.append) == 1
    assert sorted(path.name for path in clone.iterdir()) == ["mamba_ssm", "setup.py"]
    assert any(str(clone / "build") in line for line in told)


def test_what_others_made_beside_it_stays(tmp_path: Path, facts: Facts) -> None:
    clone = tmp_path / "mamba"
    for folder in (
        "build/lib.linux-x86_64",
        "build/notes",
        "my_tool.egg-info",
        "mamba_ssm.egg-info",
    ):
        (clone / folder).mkdir(parents=True)
    (clone / "elsewhere").mkdir()
    (clone / "build" / "temp").symlink_to(clone / "elsewhere")
    (clone / "setup.py").write_text('from setuptools import setup\nsetup(name="mamba_ssm")\n')
    os.utime(clone / "build", (0, 0))
    checks = live.look(facts, None, tmp_path)
    assert repair(checks, facts, tmp_path, sudo=False, tell=lambda _: None) == 1
    left = sorted(str(path.relative_to(clone)) for path in clone.rglob("*"))
    assert left == [
        "build",
        "build/notes",
        "build/temp",
        "elsewhere",
        "my_tool.egg-info",
        "setup.py",
    ]


@pytest.mark.parametrize(
    "setup",
    [
        'setup(name="my-net", install_requires=["mamba_ssm"])',
        'setup(name="my-net", ext_modules=[CUDAExtension(name="causal_conv1d", sources=[])])',
        'name = "mamba_ssm"\nsetup(**read_config())',
        "setup(name=",
    ],
)
def test_another_project_s_build_is_not_offered(tmp_path: Path, facts: Facts, setup: str) -> None:
    (tmp_path / "net" / "build" / "lib").mkdir(parents=True)
    (tmp_path / "net" / "net.egg-info").mkdir()
    (tmp_path / "net" / "setup.py").write_text(setup)
    os.utime(tmp_path / "net" / "build", (0, 0))
    assert live.stale_builds(facts, tmp_path) == []


def test_a_fresh_build_folder_stays(tmp_path: Path, facts: Facts) -> None:
    clone = tmp_path / "mamba"
    (clone / "build").mkdir(parents=True)
    (clone / "mamba_ssm").mkdir()
    (clone / "setup.py").write_text('PACKAGE_NAME = "mamba_ssm"')
    assert live.stale_builds(facts, tmp_path) == []


def test_the_link_for_the_linker_is_made_in_our_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from msgspec.structs import replace

    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path))
    library = tmp_path / "libcuda.so.1"
    library.write_text("")
    recorded = facts_of("broken-driver")
    facts = replace(
        recorded, driver=replace(recorded.driver, libcuda=str(library), libcuda_link=None)
    )
    told: list[str] = []
    check = Check(
        id="libcuda-link-missing",
        area="driver",
        state="warning",
        what="no link",
        cause="c",
        remedy="c",
        repair="libcuda-link",
    )
    assert repair([check], facts, tmp_path, sudo=False, tell=told.append) == 1
    link = tmp_path / "libcuda" / "libcuda.so"
    assert link.resolve() == library
    assert f"export LIBRARY_PATH={link.parent}" in told[0]


def test_what_needs_root_is_printed_and_not_done(tmp_path: Path, facts: Facts) -> None:
    check = Check(
        id="compiler-missing",
        area="compiler",
        state="failed",
        what="no g++",
        cause="c",
        remedy="sudo apt-get install g++",
        repair="apt:g++",
    )
    told: list[str] = []
    assert repair([check], facts, tmp_path, sudo=False, tell=told.append) == 0
    assert any("sudo apt-get install g++" in line for line in told)


@pytest.mark.network
def test_tools_are_installed_into_the_target_environment(tmp_path: Path) -> None:
    env = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
    python = env / "bin" / "python"
    done = doctor("--python", str(python), "--fix", cwd=tmp_path)
    assert "packaging" in done.stderr and "ninja" in done.stderr
    listed = subprocess.run(
        [str(python), "-m", "pip", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert all(name in listed for name in ("packaging", "ninja", "wheel"))
    assert "a build without isolation needs them" not in done.stdout


def test_models_are_looked_for_where_the_hub_keeps_them(
    tmp_path: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mambaops.profiles.load import load_profile

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("MAMBA_MODEL", raising=False)
    profile = load_profile("wsl-5090")
    model = profile.models[0]
    states = [c.state for c in live.look(facts, profile, tmp_path) if c.area == "models"]
    assert states == ["warning"]
    snapshot = tmp_path / f"models--{model.replace('/', '--')}" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    states = [c.state for c in live.look(facts, profile, tmp_path) if c.area == "models"]
    assert states == ["ok"]


def test_network_reports_what_does_not_answer(tmp_path: Path) -> None:
    done = doctor(
        "--network",
        "--json",
        cwd=tmp_path,
        HF_ENDPOINT="http://127.0.0.1:9",
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    checks = [c for c in json.loads(done.stdout)["checks"] if c["area"] == "network and mirrors"]
    hub = next(c for c in checks if "127.0.0.1 (models)" in c["what"])
    assert hub["state"] == "warning" and "HF_ENDPOINT" in hub["remedy"]
    assert any("resolver" in c["what"] for c in checks)

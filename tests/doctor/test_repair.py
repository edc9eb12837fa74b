"""`doctor --fix`: each repair does its own thing, in the target environment, the folder and our caches alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from recorded import varied

from mambaops.doctor.model import Check
from mambaops.doctor.repair import repair
from mambaops.facts.model import Facts


def finding(name: str, *, state: Any = "failed", remedy: str = "do it") -> Check:
    return Check(
        id=name or "x", area="torch", state=state, what="w", cause="c", remedy=remedy, repair=name
    )


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An environment's interpreter that writes down what it is asked for."""
    program = tmp_path / "env" / "bin" / "python"
    program.parent.mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    program.chmod(0o755)
    return program


def target(program: Path, **changes: Any) -> Facts:
    own = {"executable": str(program), **changes.pop("python", {})}
    return varied("base", {"python": own, **changes})


def carried_out(
    checks: list[Check], facts: Facts, folder: Path, *, sudo: bool = False
) -> tuple[int, list[str]]:
    told: list[str] = []
    return repair(checks, facts, folder, sudo=sudo, tell=told.append), told


def test_build_tools_are_bounded_by_torch(tmp_path: Path, python: Path) -> None:
    torch = {"version": "2.2.0+cu121", "path": "/t", "cuda": "12.1"}
    made, told = carried_out([finding("build-tools")], target(python, torch=torch), tmp_path)
    wanted = "-m pip install --no-input packaging setuptools<70 wheel ninja"
    assert made == 1
    assert (tmp_path / "asked").read_text().splitlines() == ["-m pip --version", wanted]
    assert told == [f"$ {python} {wanted}"]


def test_build_tools_without_a_torch_have_no_bound(tmp_path: Path, python: Path) -> None:
    carried_out([finding("build-tools")], target(python), tmp_path)
    assert "packaging setuptools wheel ninja" in (tmp_path / "asked").read_text()


def test_the_triton_that_torch_pins(tmp_path: Path, python: Path) -> None:
    torch = {"version": "2.8.0+cu128", "path": "/t", "cuda": "12.8", "triton_pin": "3.4.0"}
    made, _ = carried_out([finding("triton")], target(python, torch=torch), tmp_path)
    assert made == 1
    asked = (tmp_path / "asked").read_text()
    assert "pip install --no-input --no-deps triton==3.4.0\n" in asked


def test_the_systems_python_is_left_alone(tmp_path: Path, python: Path) -> None:
    (tmp_path / "env" / "pyvenv.cfg").unlink()
    made, told = carried_out([finding("triton")], target(python), tmp_path)
    assert made == 0
    assert "is the system's Python" in told[0] and "mambaops create-venv" in told[0]
    assert not (tmp_path / "asked").exists()


def test_an_environment_above_a_managed_python_is_repaired(tmp_path: Path, python: Path) -> None:
    inside = {"externally_managed": True, "in_virtualenv": True}
    made, _ = carried_out([finding("triton")], target(python, python=inside), tmp_path)
    assert made == 1


def test_condas_base_is_left_alone(tmp_path: Path, python: Path) -> None:
    (tmp_path / "env" / "pyvenv.cfg").unlink()
    (tmp_path / "env" / "conda-meta").mkdir()
    (tmp_path / "env" / "condabin").mkdir()
    made, told = carried_out([finding("triton")], target(python), tmp_path)
    assert made == 0
    assert "is conda's base" in told[0]
    assert not (tmp_path / "asked").exists()


def test_a_repair_that_fails_does_not_stop_the_others(tmp_path: Path, python: Path) -> None:
    python.write_text('#!/bin/sh\ncase "$*" in *install*) exit 1 ;; esac\n')
    script = tmp_path / "x.sh"
    script.write_bytes(b"echo\r\n")
    checks = [finding("triton"), finding("strip-crlf")]
    made, told = carried_out(checks, target(python), tmp_path)
    assert made == 1
    assert any(line.startswith("not repaired (triton)") for line in told)
    assert script.read_bytes() == b"echo\n"


def test_the_same_repair_is_made_once(tmp_path: Path, python: Path) -> None:
    carried_out([finding("triton"), finding("triton")], target(python), tmp_path)
    assert (tmp_path / "asked").read_text().count("install") == 1


def test_no_libcuda_means_no_link(tmp_path: Path, python: Path) -> None:
    facts = target(python, driver={"libcuda": None})
    made, told = carried_out([finding("libcuda-link")], facts, tmp_path)
    assert (made, len(told)) == (0, 1)
    assert "no libcuda.so.1" in told[0] and "a driver comes first" in told[0]


def test_what_is_left_for_a_person_is_told_with_its_remedy(tmp_path: Path, python: Path) -> None:
    checks = [
        finding("", remedy="update the driver"),
        finding("", state="warning", remedy="buy a disk"),
        finding("", state="ok", remedy="nothing"),
        finding("", remedy=""),
        finding("triton", remedy="by hand"),
    ]
    _, told = carried_out(checks, target(python), tmp_path)
    assert told[-3:] == [
        "left for you:",
        "  w\n    -> update the driver",
        "  w\n    -> buy a disk",
    ]


def test_nothing_is_left_for_a_person(tmp_path: Path, python: Path) -> None:
    _, told = carried_out([finding("triton")], target(python), tmp_path)
    assert "left for you:" not in told


def test_apt_runs_with_sudo_alone(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("apt-get", "sudo"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        last = '[ "$1" = -n ] && shift; exec "$@"' if name == "sudo" else ""
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/ran\n{last}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    checks = [finding("apt:python3.10-dev g++")]
    made, told = carried_out(checks, target(python), tmp_path)
    assert made == 0 and "left for you:" in told
    assert not (tmp_path / "ran").exists()
    made, told = carried_out(checks, target(python), tmp_path, sudo=True)
    assert made == 1 and "left for you:" not in told
    ran = (tmp_path / "ran").read_text()
    assert "apt-get update" in ran and "apt-get install -y python3.10-dev g++" in ran


def test_an_environment_without_pip_is_served_by_uv(tmp_path: Path, python: Path) -> None:
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexit 1\n')
    made, told = carried_out([finding("build-tools")], target(python), tmp_path)
    assert made == 0
    assert (tmp_path / "asked").read_text().startswith("-m pip --version\n")
    assert f"pip install --python {python} packaging setuptools wheel ninja" in told[0]


def test_what_was_stripped_is_told(tmp_path: Path, python: Path) -> None:
    (tmp_path / "a.sh").write_bytes(b"echo\r\n")
    (tmp_path / "fine.sh").write_bytes(b"echo\n")
    made, told = carried_out([finding("strip-crlf")], target(python), tmp_path)
    assert (made, told) == (1, [f"{tmp_path / 'a.sh'}: stripped (1 lines)"])
    made, _ = carried_out([finding("strip-crlf")], target(python), tmp_path)
    assert made == 0


def test_a_repair_without_a_hint_is_told_without_one(tmp_path: Path, python: Path) -> None:
    torch = {"version": "2.8.0+cu128", "path": "/t", "cuda": "12.8", "triton_pin": "3.4.0"}
    python.write_text('#!/bin/sh\ncase "$*" in *install*) echo no >&2; exit 1 ;; esac\n')
    _, told = carried_out([finding("triton")], target(python, torch=torch), tmp_path)
    assert any(line.startswith("not repaired (triton): ") for line in told)


def clone(folder: Path) -> Path:
    """A clone of one of our packages with a build that is older than torch."""
    (folder / "build" / "lib").mkdir(parents=True)
    (folder / "mamba_ssm.egg-info").mkdir()
    (folder / "setup.py").write_text('setup(name="mamba_ssm")\n', encoding="utf-8")
    os.utime(folder / "build", (0, 0))
    return folder


def test_every_stale_build_goes_with_what_it_left_beside_it(tmp_path: Path, python: Path) -> None:
    clones = [clone(tmp_path / "one"), clone(tmp_path / "two")]
    torch = tmp_path / "torch"
    torch.mkdir()
    (torch / "version.py").write_text("")
    facts = target(python, torch={"version": "2.8.0+cu128", "path": str(torch)})
    made, told = carried_out([finding("stale-build")], facts, tmp_path)
    assert made == 1
    assert sorted(told) == sorted(
        f"removed {one / name}" for one in clones for name in ("build/lib", "mamba_ssm.egg-info")
    )
    assert [sorted(path.name for path in one.iterdir()) for one in clones] == [["setup.py"]] * 2
    assert carried_out([finding("stale-build")], facts, tmp_path) == (0, [])


def test_the_link_for_the_linker_lies_in_our_own_folder(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    library = tmp_path / "libcuda.so.1"
    library.write_text("")
    facts = target(python, driver={"libcuda": str(library)})
    made, told = carried_out([finding("libcuda-link")], facts, tmp_path)
    link = tmp_path / "cache" / "libcuda" / "libcuda.so"
    assert made == 1
    assert link.resolve() == library
    assert told[0].splitlines()[1].strip() == f"`export LIBRARY_PATH={link.parent}:$LIBRARY_PATH`"

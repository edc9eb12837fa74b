"""Python.h without root: apt's own program and a package made here, uv's Python, and neither of them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from acts import case_on, context_of, said
from standins import program

from mambaops.core.errors import MachineError, MambaopsError
from mambaops.decide.case import Case
from mambaops.decide.situation import Flags
from mambaops.steps import prepare_build
from mambaops.steps.context import Context
from mambaops.steps.install_headers import STEP
from mambaops.system.python_headers import headers_folder

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
PACKAGE = f"libpython{MINOR}-dev"
INCLUDE = f"#include <x-linux-gnu/python{MINOR}/pyconfig.h>\n"


def case_without(tmp_path: Path, base: str = "/usr") -> Case:
    """Debian, an environment that is there, and no headers."""
    like = {"python": {"headers": None, "base_prefix": base, "version": f"{MINOR}.0"}}
    facts = case_on("no-gpu", like=like).facts
    return case_on("no-gpu", like=like, target=facts, flags=Flags(arch="9.0", python=MINOR))


def act(case: Case) -> Context:
    assert STEP.act is not None
    context = context_of(case)
    context.where.env.mkdir(parents=True)
    STEP.act(context, case)
    return context


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that apt takes for its only source, with the headers' package in it."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("no apt on this system")
    tree, folder = tmp_path / "tree", tmp_path / "repository"
    headers = tree / "usr" / "include" / f"python{MINOR}"
    triplet = tree / "usr" / "include" / "x-linux-gnu" / f"python{MINOR}"
    for place in (headers / "cpython", triplet, tree / "DEBIAN", folder):
        place.mkdir(parents=True)
    (headers / "Python.h").write_text('#include "pyconfig.h"\n#include "cpython/object.h"\n')
    (headers / "pyconfig.h").write_text(INCLUDE)
    (headers / "cpython" / "object.h").write_text("int object;\n")
    (triplet / "pyconfig.h").write_text("#define FOUND 1\n")
    control = f"Package: {PACKAGE}\nVersion: 99\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    (tree / "DEBIAN" / "control").write_text(control)
    deb = folder / f"{PACKAGE}_99_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, deb], check=True, stdout=-3)
    data = deb.read_bytes()
    about = (
        f"Filename: ./{deb.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
    )
    (folder / "Packages").write_text(control + about)
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] copy:{folder} ./\n")
    settings = (
        f'Dir::Etc::SourceList "{tmp_path}/sources.list";\nDir::Etc::SourceParts "/dev/null";\n'
    )
    (tmp_path / "apt.conf").write_text(settings)
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    return folder


def test_the_distributions_package_is_unpacked_below_the_environment(
    repository: Path, tmp_path: Path
) -> None:
    context = act(case_without(tmp_path))
    folder = headers_folder(context.where.env, MINOR)
    assert folder == context.where.env / "include" / f"python{MINOR}"
    # one folder is enough for both of Debian's
    assert (folder / "x-linux-gnu" / f"python{MINOR}" / "pyconfig.h").is_file()
    assert (folder / "cpython" / "object.h").is_file()
    assert [one.name for one in context.where.env.iterdir()] == ["include"]
    assert said == []


def test_a_compiler_finds_them_by_cpath(repository: Path, tmp_path: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no compiler on this system")
    context = act(case_without(tmp_path))
    folder = headers_folder(context.where.env, MINOR)
    code = "#include <Python.h>\n#if FOUND\nint found;\n#endif\n"
    done = subprocess.run(
        [compiler, "-E", "-x", "c++" if "++" in compiler else "c", "-"],
        input=code,
        env={"PATH": "/usr/bin:/bin", "CPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "int found;" in done.stdout, done.stderr


@pytest.fixture
def no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-ins, of which apt-get fails as it does without a network."""
    program(tmp_path, "apt-get", "echo 'E: Unable to locate package libpython' >&2; exit 100")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path


def uv_that(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (folder / "modules").mkdir()
    (folder / "modules" / "uv.py").write_text(f"import sys\n{text}\n")
    monkeypatch.setenv("PYTHONPATH", str(folder / "modules"))


def test_uvs_python_has_them_where_apt_has_not(
    no_apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "uv-python"
    (home / "include" / f"python{MINOR}").mkdir(parents=True)
    (home / "include" / f"python{MINOR}" / "Python.h").write_text("int uv;\n")
    (home / "bin").mkdir()
    (home / "bin" / "python").touch()
    uv_that(
        tmp_path,
        monkeypatch,
        f"print({str(home / 'bin' / 'python')!r} if 'find' in sys.argv else '')",
    )
    context = act(case_without(tmp_path))
    folder = headers_folder(context.where.env, MINOR)
    assert (folder / "Python.h").read_text() == "int uv;\n"
    assert said == [
        f"{PACKAGE} could not be had (E: Unable to locate package libpython); trying uv's Python {MINOR}"
    ]


def test_where_neither_has_them_it_stops_and_says_what_root_would_do(
    no_apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv_that(tmp_path, monkeypatch, "sys.exit('error: no route to the host')")
    with pytest.raises(MachineError) as caught:
        act(case_without(tmp_path))
    assert "apt: E: Unable to locate" in caught.value.message
    assert "uv: error: no route" in caught.value.message
    assert caught.value.hint == f"`sudo apt-get install python{MINOR}-dev`"


def test_a_python_without_headers_is_no_source_of_them(
    no_apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv_that(tmp_path, monkeypatch, "print('/nowhere/bin/python')")
    with pytest.raises(MachineError, match=r"there is no Python\.h in /nowhere/include"):
        act(case_without(tmp_path, base="/opt/python"))


def test_prepare_build_gets_them_where_a_prebuilt_wheel_was_hoped_for(
    repository: Path, tmp_path: Path
) -> None:
    assert prepare_build.STEP.act is not None
    case = case_without(tmp_path)
    context = context_of(case)
    context.where.env.mkdir(parents=True)
    with pytest.raises(MambaopsError, match="pip"):  # there is no Python in this environment
        prepare_build.STEP.act(context, case)
    assert (headers_folder(context.where.env, MINOR) / "Python.h").is_file()

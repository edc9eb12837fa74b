"""The probe run for real: the interpreter, torch and packages by their files."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mambaops.core import process

Maker = Callable[..., Path]


# --- the interpreter, torch and packages


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """A virtual environment without pip: made in a moment."""
    import venv

    folder = tmp_path / "env"
    venv.create(folder, symlinks=True, with_pip=False)
    return folder


def site(env: Path) -> Path:
    return next(env.glob("lib/python*/site-packages"))


def install(env: Path, name: str, version: str, **files: str) -> Path:
    folder = site(env) / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    for file, text in files.items():
        (folder / file.replace("_json", ".json")).write_text(text)
    return folder


def test_a_virtual_environment(machine: Any, env: Path) -> None:
    install(env, "mamba_ssm", "2.3.2.post1")
    (site(env) / "mamba_ssm").mkdir()
    (site(env) / "selective_scan_cuda.cpython-311-x86_64-linux-gnu.so").write_text("")
    facts = machine.look(python=str(env / "bin/python"))
    python = facts["python"]
    assert (python["kind"], python["in_virtualenv"]) == ("venv", True)
    assert python["prefix"] == str(env)
    assert python["site_packages"] == str(site(env))
    package = facts["packages"]["mamba-ssm"]
    assert package["version"] == "2.3.2.post1"
    assert [Path(path).name.split(".")[0] for path in package["extensions"]] == [
        "selective_scan_cuda"
    ]
    assert package["shadowed_by"] is None
    assert facts["torch"] is None


def test_headers_that_the_environment_has_of_its_own(machine: Any, env: Path) -> None:
    """Where the system's Python has none (python3-dev is not installed), those below the environment count."""
    code = "import sysconfig\nsysconfig.get_path = lambda *words, **named: '/nowhere'\n"
    (site(env) / "sitecustomize.py").write_text(code)
    assert machine.look(python=str(env / "bin/python"))["python"]["headers"] is None
    own = env / "include" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own.mkdir(parents=True, exist_ok=True)
    assert machine.look(python=str(env / "bin/python"))["python"]["headers"] is None
    (own / "Python.h").touch()
    assert machine.look(python=str(env / "bin/python"))["python"]["headers"] == str(own)


def test_a_source_folder_that_shadows_the_package(machine: Any, env: Path) -> None:
    install(env, "causal_conv1d", "1.7.0")
    source = machine.home / "causal_conv1d"
    source.mkdir()
    (source / "__init__.py").write_text("")
    package = machine.look("--only", "packages", python=str(env / "bin/python"))["packages"]
    assert package["causal-conv1d"]["shadowed_by"] == str(source)


def test_editable_and_copied_by_hand(machine: Any, env: Path) -> None:
    origin = '{"url": "file:///src/mamba", "dir_info": {"editable": true}}'
    install(env, "mamba_ssm", "2.2.4", direct_url_json=origin)
    copied = site(env) / "causal_conv1d"
    copied.mkdir()
    (copied / "__init__.py").write_text('__version__ = "1.4.0"\n')
    packages = machine.look("--only", "packages", python=str(env / "bin/python"))["packages"]
    assert packages["mamba-ssm"]["editable"] is True
    assert packages["causal-conv1d"]["version"] == "1.4.0"
    assert packages["causal-conv1d"]["path"] == str(copied)


def make_torch(env: Path, version: str, cuda: str | None, *, symbol: bytes = b"") -> None:
    folder = site(env) / "torch"
    (folder / "lib").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('torch was imported')\n")
    (folder / "version.py").write_text(
        f"from typing import Optional\n__version__ = '{version}'\ncuda: Optional[str] = {cuda!r}\n"
    )
    (folder / "lib/libc10.so").write_bytes(b"\x7fELF" + symbol)


NEW_ABI = b"_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traits"
OLD_ABI = b"_ZN3c106detail14torchCheckFailEPKcS2_jRKSs\0"


@pytest.mark.parametrize(("symbol", "abi"), [(NEW_ABI, True), (OLD_ABI, False), (b"", None)])
def test_torch_is_read_not_imported(
    machine: Any, env: Path, symbol: bytes, abi: bool | None
) -> None:
    make_torch(env, "2.2.0+cu121", "12.1", symbol=symbol)
    install(env, "nvidia_cublas_cu12", "12.1.3.1")
    folder = install(env, "torch", "2.2.0+cu121")
    with (folder / "METADATA").open("a") as file:
        file.write('Requires-Dist: triton ==2.2.0 ; platform_system == "Linux"\n')
    python = str(env / "bin/python")
    torch = machine.look("--only", "torch", python=python)["torch"]
    assert (torch["version"], torch["cuda"]) == ("2.2.0+cu121", "12.1")
    assert torch["cxx11_abi"] is abi
    assert torch["triton_pin"] == "2.2.0"
    assert torch["nvidia_packages"] == {"nvidia-cublas-cu12": "12.1.3.1"}
    assert torch["arch_list"] is None


def test_the_architectures_stand_among_the_constants(machine: Any, env: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to make a library with")
    make_torch(env, "2.8.0.dev20250605+cu128", "12.8")
    source = machine.folder / "flags.c"
    # other strings of the same kind must not be taken for it
    source.write_text(
        'const char *other = "-gencode arch=compute_75,code=sm_75";\n'
        'const char *flags = "sm_80 sm_90a sm_120 compute_120";\n'
    )
    process.run(["gcc", "-shared", "-o", site(env) / "torch/lib/libtorch_python.so", source])
    torch = machine.look("--only", "torch", python=str(env / "bin/python"))["torch"]
    assert torch["arch_list"] == ["sm_80", "sm_90a", "sm_120", "compute_120"]


def test_the_torch_that_is_installed_here(machine: Any) -> None:
    torch = pytest.importorskip("torch")
    found = json.loads(machine.run("--only", "torch").stdout)["torch"]
    assert found["version"] == torch.__version__
    assert found["cuda"] == torch.version.cuda
    assert found["cxx11_abi"] == torch.compiled_with_cxx11_abi()
    assert found["path"] == str(Path(torch.__file__).parent)


def test_a_damaged_torch_harms_nothing(machine: Any, env: Path) -> None:
    folder = site(env) / "torch"
    folder.mkdir()
    (folder / "version.py").write_bytes(b"\xff\xfe garbage")
    facts = machine.look("--only", "torch,python", python=str(env / "bin/python"))
    assert facts["torch"] is None
    assert facts["problems"][0]["fact"] == "torch"
    assert facts["python"]["kind"] == "venv"


def test_environments(machine: Any) -> None:
    for name in (".venv_wsl", "src"):
        (machine.home / name).mkdir()
    (machine.home / ".venv_wsl/pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.10.12\n")
    listed = machine.folder / "conda/envs/vmamba"
    (listed / "conda-meta").mkdir(parents=True)
    (listed / "conda-meta/python-3.10.16-h5d932e8_0.json").write_text("{}")
    (machine.home / ".conda").mkdir()
    (machine.home / ".conda/environments.txt").write_text(f"{listed}\n/gone\n")
    found = machine.look("--only", "environments")["environments"]
    names = {entry["name"]: entry for entry in found}
    assert names[".venv_wsl"]["python"] == "3.10.12"
    assert names["vmamba"] == {
        "path": str(listed),
        "kind": "conda",
        "name": "vmamba",
        "python": "3.10.16",
    }


# --- other interpreters


@pytest.mark.parametrize("version", ["3.7", "3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def test_every_python_from_3_7_on(machine: Any, version: str) -> None:
    python = _pyenv(version) or shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"no Python {version} here")
    facts = machine.look(python=python)
    assert facts["python"]["version"].startswith(version)
    abi = "m" if version == "3.7" else ""
    assert facts["python"]["abi_tag"] == "cp" + version.replace(".", "") + abi


@pytest.mark.parametrize("version", ["3.6"])
def test_an_older_python_is_refused_in_words(machine: Any, version: str) -> None:
    python = _pyenv(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    done = machine.run(python=python)
    assert done.returncode == 3
    assert f"Python {version}" in done.stderr
    assert "Traceback" not in done.stderr


def _pyenv(version: str) -> str | None:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(root.glob(f"{version}.*/bin/python"))
    return str(found[-1]) if found else None

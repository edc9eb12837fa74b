"""A proven environment, pinned for pip and for uv: both make the same one anew from its indexes, and from nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tomli
from small_wheels import make_wheel

from mambaops.bundle.export import Exported, Pin, to_uv
from mambaops.install.installers import uv_command
from mambaops.store.index import write_index
from mambaops.store.store import Store
from mambaops.wheels.keys import BuildKey

__all__ = ["make_wheel"]
TORCH = {"torch/version.py": b"__version__ = '2.8.0+cu128'\ncuda = '12.8'\n"}
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Python's own web server over the folder `site`."""
    (tmp_path / "site").mkdir(exist_ok=True)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def publish(folder: Path, wheel: Path) -> None:
    """A plain PEP 503 index, as anybody's."""
    project = folder / wheel.name.split("-")[0].replace("_", "-")
    project.mkdir(parents=True, exist_ok=True)
    (project / wheel.name).write_bytes(wheel.read_bytes())
    shown = wheel.name.replace("+", "%2B")
    (project / "index.html").write_text(f'<a href="{shown}">{wheel.name}</a>', encoding="utf-8")


@pytest.fixture
def proven(tmp_path: Path, make_wheel: Callable[..., Path]) -> Path:
    """An environment with a torch, a compiled package that asks for more than it needs, and a plain one; all served."""
    key = BuildKey.of(
        package="mamba-ssm", version="2.3.2", torch="2.8.0+cu128", cuda="12.8", cxx11_abi=True,
        python="py3", platform="any", architectures=["12.0"],
    )  # fmt: skip
    wheels = [
        make_wheel("torch", "2.8.0+cu128", files=TORCH),
        make_wheel("einops", "0.8.1"),
        make_wheel("mamba_ssm", f"2.3.2+{key.local_version()}", requires=["tilelang", "torch>=9"]),
    ]
    store = Store(tmp_path / "cache" / "wheels")
    store.add(wheels[2], key)
    write_index(store, tmp_path / "site" / "kernels", say=print)
    publish(tmp_path / "site" / "torch" / "cu128", wheels[0])
    publish(tmp_path / "site" / "simple", wheels[1])
    # what a careless resolver would take instead
    publish(tmp_path / "site" / "simple", make_wheel("mamba_ssm", "9.0"))
    env = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], check=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(env / "lib" / f"python{PYTHON}" / "site-packages")
    return env


@pytest.fixture
def alone(tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Nothing of this machine's settings; PyTorch's index is one of ours."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    mirrors = tmp_path / "mirrors.toml"
    mirrors.write_text(f'"https://download.pytorch.org/whl" = "{site}/torch"\n', encoding="utf-8")
    for name, value in {
        "MAMBAOPS_MIRRORS": str(mirrors),
        "MAMBAOPS_CACHE": str(tmp_path / "cache"),
        "MAMBAOPS_HOME": str(tmp_path / "state"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"{site}/simple/",
        "UV_NO_CONFIG": "",
        "UV_DEFAULT_INDEX": f"{site}/simple/",
        "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_PROXY": "*",
    }.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    return site


def ran(*argv: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [*map(str, argv)], cwd=cwd, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def export(*words: str | Path) -> str:
    return ran(sys.executable, "-m", "mambaops", "export", *words)


def versions(folder: Path) -> set[str]:
    return {
        path.name.split("+")[0].removesuffix(".dist-info") for path in folder.glob("*.dist-info")
    }


@pytest.mark.parametrize("from_store", [False, True], ids=["index", "store"])
def test_pip_makes_the_same_anew(
    from_store: bool, proven: Path, alone: str, tmp_path: Path
) -> None:
    index = [] if from_store else ["--index", f"{alone}/kernels/cu128-torch2.8-sm120/simple/"]
    file = tmp_path / "requirements.txt"
    export("--pip", "--python", proven, *index, "--output", file)
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-cache-dir", "-r", file]
    ran(*pip, "--target", tmp_path / "new")
    assert versions(tmp_path / "new") == {"torch-2.8.0", "einops-0.8.1", "mamba_ssm-2.3.2"}


@pytest.mark.parametrize("from_store", [False, True], ids=["index", "store"])
def test_uv_sync_makes_the_same_anew(
    from_store: bool, proven: Path, alone: str, tmp_path: Path
) -> None:
    index = [] if from_store else ["--index", f"{alone}/kernels/cu128-torch2.8-sm120/simple/"]
    project = tmp_path / "project"
    project.mkdir()
    export("--uv", "--python", proven, *index, "--output", project / "pyproject.toml")
    ran(*(uv_command() or ["uv"]), "sync", "--python", sys.executable, cwd=project)
    made = project / ".venv" / "lib" / f"python{PYTHON}" / "site-packages"
    assert versions(made) == {"torch-2.8.0", "einops-0.8.1", "mamba_ssm-2.3.2"}


def test_what_is_not_there_or_not_said_is_refused(tmp_path: Path, alone: str) -> None:
    argv = [sys.executable, "-m", "mambaops", "export"]
    mine = tmp_path / "mine.txt"
    mine.write_text("mine", encoding="utf-8")
    for words, code, said in (
        ([], 2, "for whom?"),
        (["--pip", "--uv"], 2, "--pip"),
        (["--pip"], 1, "profile local has no environment yet"),
        (["--uv", "--output", str(mine)], 2, "is there already"),
    ):
        done = subprocess.run([*argv, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (code, "")
        assert said in done.stderr
    assert mine.read_text(encoding="utf-8") == "mine"


def test_a_package_whose_wheel_is_nowhere_is_said(proven: Path, alone: str, tmp_path: Path) -> None:
    for wheel in (tmp_path / "cache" / "wheels").iterdir():
        wheel.unlink()
    argv = [sys.executable, "-m", "mambaops", "export", "--pip", "--python", str(proven)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no wheel of mamba-ssm 2.3.2+cu128torch2.8.sm120." in done.stderr


def test_odd_names_stay_toml() -> None:
    pins = (Pin(name='a"b\\', version="1\n", place=""), Pin(name="c", version="1", place="torch"))
    text = to_uv(
        Exported(
            name="x", python="3.11", platform="linux", machine="x86_64", proof="none",
            pins=pins, places={"kernels": "C:\\wheels"}, torch_index="https://x/",
        )
    )  # fmt: skip
    assert tomli.loads(text)["project"]["dependencies"] == ['a"b\\==1\n', "c==1"]

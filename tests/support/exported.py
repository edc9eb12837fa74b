"""A proven environment of small real wheels, and the indexes that have them: what `mambaops export` is tested with."""

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

from mambaops.store.index import write_index
from mambaops.store.store import Store
from mambaops.wheels.keys import BuildKey

TORCH = {
    "torch/version.py": b"__version__ = '2.8.0+cu128'\ncuda = '12.8'\n",
    "torch/cuda.py": b"def is_available():\n    return False\n",
    "torch/__init__.py": b"from torch import cuda, version\n",
}
MAMBA = {"selective_scan_cuda.py": b""}
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
        make_wheel(
            "mamba_ssm",
            f"2.3.2+{key.local_version()}",
            files=MAMBA,
            requires=["tilelang", "torch>=9"],
        ),
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

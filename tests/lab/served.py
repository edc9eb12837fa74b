"""The store's index and an exported environment, used by a bare system that reaches this machine's web server alone."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from exported import MAMBA, PYTHON, TORCH, publish
from small_wheels import wheel_members, write_zip

from mambaops.store.store import Store
from mambaops.wheels.keys import BuildKey

if TYPE_CHECKING:
    from checks import Lab

WHERE = "a800"  # Debian 12: its Python is 3.11
TARGET = "cu128-torch2.8-sm80"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def _site(at: Lab) -> Iterator[str]:
    """Python's own web server, at the address that the machine reaches."""
    folder = at.folder / "site"
    folder.mkdir(exist_ok=True)
    address = at[WHERE].controller
    server = ThreadingHTTPServer((address, 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{address}:{server.server_address[1]}"
    finally:
        server.shutdown()


def _wheel(at: Lab, name: str, version: str, **files: bytes) -> Path:
    members = wheel_members(name, version, dict(files), [])
    return write_zip(at.folder / "made" / f"{name}-{version}-py3-none-any.whl", members)


def _stored(at: Lab, arch: str) -> Path:
    """A small mamba-ssm for a GPU, in the person's store."""
    key = BuildKey.of(
        package="mamba-ssm", version="2.3.2", torch="2.8.0+cu128", cuda="12.8", cxx11_abi=True,
        python="py3", platform="any", architectures=[arch],
    )  # fmt: skip
    wheel = _wheel(at, "mamba_ssm", f"2.3.2+{key.local_version()}", **MAMBA)
    Store(Path(at.env["MAMBAOPS_CACHE"]) / "wheels").add(wheel, key)
    return wheel


def _clean(command: str, site: str) -> str:
    """Without any setting of the machine's; the default index is the served one."""
    names = {
        "PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": f"{site}/simple/", "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": f"{site}/simple/", "UV_PYTHON_DOWNLOADS": "never",
        "PIP_TRUSTED_HOST": site.partition("//")[2].partition(":")[0],
    }  # fmt: skip
    return " ".join(["env", *(f"{name}={value}" for name, value in names.items()), command])


def index_in_bare_root(at: Lab) -> str:
    """pip and uv take the wheel of their GPU and the real pack; what left the store is offered no more."""
    from checks import Wrong, same

    mine, other = _stored(at, "8.0"), _stored(at, "12.0")
    with _site(at) as site:
        told = json.loads(at.mambaops("index", str(at.folder / "site" / "kernels"), "--json"))
        at_index = f"{site}/kernels/{TARGET}/simple/"
        address = f"--index-url {at_index}"
        tools = {
            "pip": f"venv/bin/pip install -q {address}",
            # the variable for the default index comes before uv's --index-url
            "uv": f"venv/bin/uv pip install -q --default-index {at_index}",
        }
        for name, start in tools.items():
            words = f"{start} --no-deps --target from-{name} mamba-ssm"
            at.there(WHERE, _clean(words, site))
            found = at.there(WHERE, f"cd from-{name}; echo *.dist-info").split()
            same(found, [mine.name.replace("-py3-none-any.whl", ".dist-info")])
        pack = any("mambaops_kernels" in one for row in told["targets"] for one in row["wheels"])
        if pack:
            words = f"venv/bin/pip install -q {address} --no-deps --target pack mambaops-kernels"
            at.there(WHERE, _clean(words, site))
            at.there(WHERE, "ls -d pack/mambaops_kernels-*.dist-info")
        Path(at.env["MAMBAOPS_CACHE"], "wheels", mine.name).unlink()
        Path(at.env["MAMBAOPS_CACHE"], "wheels", f"{mine.name}.json").unlink()
        at.mambaops("index", str(at.folder / "site" / "kernels"))
        words = f"venv/bin/pip download -q {address} --no-deps -d gone mamba-ssm"
        try:
            at.there(WHERE, _clean(words, site))
        except Wrong:
            gone = True
        else:
            gone = False
        same(gone, True)
    carried = "and the real pack of kernels" if pack else "(no pack is in the store)"
    return f"pip and uv took {mine.name.split('-')[1]}, not {other.name.split('-')[1]}, {carried}; removed: offered no more"


def export_in_bare_root(at: Lab) -> str:
    """`pip install -r` and `uv sync` make a proven environment anew, from the served indexes alone."""
    from checks import same

    env = at.folder / "env"
    kernels = _stored(at, "8.0")
    torch = _wheel(at, "torch", "2.8.0+cu128", **TORCH)
    einops = _wheel(at, "einops", "0.8.1")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", env], check=True)
    for wheel in (kernels, torch, einops):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(env / "lib" / f"python{PYTHON}" / "site-packages")
    with _site(at) as site:
        publish(at.folder / "site" / "torch" / "cu128", torch)
        publish(at.folder / "site" / "simple", einops)
        publish(at.folder / "site" / "simple", _wheel(at, "mamba_ssm", "9.0"))
        at.mambaops("index", str(at.folder / "site" / "kernels"))
        mirrors = at.folder / "mirrors.toml"
        mirrors.write_text(f'"https://download.pytorch.org/whl" = "{site}/torch"\n')
        at.env["MAMBAOPS_MIRRORS"] = str(mirrors)
        index = f"{site}/kernels/{TARGET}/simple/"
        texts = {
            form: at.mambaops("export", f"--{form}", "--python", str(env), "--index", index)
            for form in ("pip", "uv")
        }
        del at.env["MAMBAOPS_MIRRORS"]
        wanted = sorted(["torch-2.8.0", "einops-0.8.1", "mamba_ssm-2.3.2"])
        at.there(WHERE, f"cat >requirements.txt <<'END'\n{texts['pip']}END")
        words = "venv/bin/pip install -q --no-deps -r requirements.txt --target by-pip"
        at.there(WHERE, _clean(words, site))
        same(_versions(at.there(WHERE, "cd by-pip; echo *.dist-info")), wanted)
        if PYTHON != "3.11":
            return f"pip made it anew; uv not tried: the environment is of Python {PYTHON}, {WHERE} has 3.11"
        at.there(
            WHERE, f"mkdir -p project2; cat >project2/pyproject.toml <<'END'\n{texts['uv']}END"
        )
        at.there(
            WHERE,
            f"cd project2 && {_clean('../venv/bin/uv sync -q --python /usr/bin/python3', site)}",
        )
        found = at.there(WHERE, "cd project2/.venv/lib/python3.11/site-packages; echo *.dist-info")
        same(_versions(found), wanted)
    return f"pip install -r and uv sync both made {', '.join(wanted)} anew"


def _versions(text: str) -> list[str]:
    return sorted(one.removesuffix(".dist-info").partition("+")[0] for one in text.split())

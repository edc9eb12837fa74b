"""`fetch-model` against a loopback server that speaks the hub's protocol for one tiny model."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mambaops.payload.train import fetch_model

MODEL, COMMIT = "tiny/mamba", "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """Model information, file heads and files, as the hub answers them."""

    files: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.asked.append(self.path)
        path = self.path.split("?")[0]
        names = sorted(p.name for p in self.files.iterdir())
        if path.startswith(f"/api/models/{MODEL}/tree/"):
            tree = [
                {
                    "type": "file",
                    "path": n,
                    "size": (self.files / n).stat().st_size,
                    "oid": _oid(self.files / n),
                }
                for n in names
            ]
            self._send(json.dumps(tree).encode(), {"Content-Type": "application/json"}, body)
        elif path.startswith(f"/api/models/{MODEL}"):
            info = {
                "id": MODEL,
                "modelId": MODEL,
                "sha": COMMIT,
                "siblings": [{"rfilename": n} for n in names],
                "tags": [],
                "downloads": 0,
                "private": False,
            }
            self._send(json.dumps(info).encode(), {"Content-Type": "application/json"}, body)
        elif (
            path.startswith(f"/{MODEL}/resolve/")
            and (self.files / path.rsplit("/", 1)[1]).is_file()
        ):
            file = self.files / path.rsplit("/", 1)[1]
            self._send(
                file.read_bytes(), {"X-Repo-Commit": COMMIT, "ETag": f'"{_oid(file)}"'}, body
            )
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_words: Any) -> None:
        """Quiet."""


def _oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@pytest.fixture
def hub(demo: Path) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Handler", (Hub,), {"files": demo / "tiny", "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def run(words: list[str], home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The program with its own cache; no environment variable of the hub leaks in."""
    whole = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    whole |= {
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "HF_HOME": str(home / "hf"),
        **env,
    }
    argv = [sys.executable, "-m", "mambaops.payload.train.fetch_model", *words]
    return subprocess.run(
        argv, cwd=home, env=whole, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_model_comes_through_a_mirror_once_and_then_needs_no_network(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, asked = hub
    first = run(["--model", MODEL, "-o", "models/tiny"], tmp_path, HF_ENDPOINT=address)
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"cache: does not hold {MODEL}" in first.stdout
    assert f"train with --mamba_model {tmp_path}/models/tiny" in first.stdout
    assert fetch_model.problems(str(tmp_path / "models" / "tiny")) == []
    asked.clear()
    again = run(["--model", MODEL, "-o", "models/tiny"], tmp_path, HF_HUB_OFFLINE="1")
    assert again.returncode == 0
    assert "folder models/tiny: complete" in again.stdout
    assert asked == []


def test_the_cache_is_found_and_copied_without_a_network(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    assert run(["--model", MODEL], tmp_path, HF_ENDPOINT=hub[0]).returncode == 0
    copied = run(["--model", MODEL, "-o", "copy"], tmp_path, TRANSFORMERS_OFFLINE="1")
    assert copied.returncode == 0, copied.stdout + copied.stderr
    assert "complete" in copied.stdout
    assert fetch_model.problems(str(tmp_path / "copy")) == []
    assert not (tmp_path / "copy" / "model.safetensors").is_symlink()


def test_offline_and_absent_is_a_clear_error(tmp_path: Path) -> None:
    done = run(["--model", MODEL], tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "forbids to fetch it" in done.stderr
    assert "Traceback" not in done.stderr
    checked = run(["--model", MODEL, "--check"], tmp_path, HF_HUB_OFFLINE="1")
    assert checked.returncode == 1
    assert "is not complete here" in checked.stderr


@pytest.mark.slow  # the hub's client tries again for 20 s
def test_an_address_that_nobody_serves_names_the_mirror(tmp_path: Path) -> None:
    done = run(["--model", MODEL, "-o", "m"], tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "could not be fetched from http://127.0.0.1:9" in done.stderr
    assert "HF_ENDPOINT" in done.stderr


def test_damage_is_found(demo: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "m"
    shutil.copytree(demo / "tiny", folder)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])
    assert "cut off" in " ".join(fetch_model.problems(str(folder)))
    weights.write_bytes(b"<html>no such page</html>")
    assert "no safetensors file" in " ".join(fetch_model.problems(str(folder)))
    weights.unlink()
    (folder / "tokenizer.json").unlink()
    found = " ".join(fetch_model.problems(str(folder)))
    assert "no weights" in found
    assert "no tokenizer" in found

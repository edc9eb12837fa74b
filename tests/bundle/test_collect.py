"""Bundles are collected whole, the same each time; a collection that broke off is gone on with."""

from __future__ import annotations

import signal
import subprocess
import sys
import tarfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from bundles import MACHINE, PYTHON, UPSTREAM, spec, unpacked, wait_for
from small_wheels import wheel_members, write_zip

from mambaops.bundle.collect import collect
from mambaops.bundle.install import install_bundle
from mambaops.bundle.lock import resolve
from mambaops.core.errors import MambaopsError

pytestmark = pytest.mark.usefixtures("offline", "our_python_is_on_path")


def test_the_same_content_gives_the_same_bytes(made, published, make_wheel, tmp_path):
    extra = make_wheel("mamba_ssm", "2.2.4", filename=UPSTREAM, requires=["torch", "tilelang"])
    again = collect(spec(wheels=[extra]), tmp_path / "elsewhere/small.tar")
    assert again.sha256 == made.sha256
    assert again.path.read_bytes() == made.path.read_bytes()
    sums = subprocess.run(
        ["sha256sum", "-c", "small.tar.sha256"],
        cwd=again.path.parent,
        capture_output=True,
        check=False,
    )
    assert sums.returncode == 0


def test_nothing_of_this_machine_is_in_it(made, tmp_path):
    folder = unpacked(made, tmp_path / "carried")
    for path in folder.iterdir():
        if path.is_file():
            text = path.read_text()
            assert str(tmp_path) not in text, path
            assert "file://" not in text, path
    with tarfile.open(made.path) as archive:
        for member in archive:
            assert (member.uid, member.gid, member.uname) == (0, 0, "")
            assert member.mtime == 315532800


def test_sha256sum_agrees(made, tmp_path):
    folder = unpacked(made, tmp_path / "carried")
    done = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0
    listed = {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there - listed == {"SHA256SUMS"}


def test_the_manifest_asks_for_no_more_glibc_than_the_wheels_do(published, tmp_path):
    tag = f"cp{PYTHON.replace('.', '')}-none-manylinux_2_24_{MACHINE}.manylinux_2_17_{MACHINE}"
    members = wheel_members("compiled", "1.0", {"compiled.py": b""}, [], tag=tag)
    published.publish(write_zip(tmp_path / f"compiled-1.0-{tag}.whl", members))
    made = collect(spec(requirements=["top", "compiled", "pip"]), tmp_path / "o.tar")
    assert made.manifest.glibc == "2.17"
    assert collect(spec(), tmp_path / "pure.tar").manifest.glibc == "0"


def test_sources_are_carried_without_being_run(published, tmp_path):
    folder = tmp_path / "src/mamba_ssm-2.3.2"
    folder.mkdir(parents=True)
    (folder / "setup.py").write_text("raise SystemExit('setup.py must not be run')\n")
    (folder / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: mamba_ssm\nVersion: 2.3.2\n")
    archive = tmp_path / "mamba_ssm-2.3.2.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, "mamba_ssm-2.3.2")
    published.publish(archive)
    bundle = collect(spec(sources=["mamba-ssm==2.3.2"]), tmp_path / "o.tar")
    assert [file.path for file in bundle.manifest.files if file.kind == "source"] == [
        "sources/mamba_ssm-2.3.2.tar.gz"
    ]
    install_bundle(bundle.path, tmp_path / "env")
    assert (
        tmp_path / "env/mambaops-sources/mamba_ssm-2.3.2.tar.gz"
    ).read_bytes() == archive.read_bytes()


def test_models_are_carried_with_what_their_links_point_to(published, tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    (blobs / "w").write_bytes(b"weights")
    model = tmp_path / "mamba-130m"
    (model / "sub").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "sub/model.safetensors").symlink_to(blobs / "w")
    bundle = collect(spec(models=[str(model)]), tmp_path / "o.tar")
    install_bundle(bundle.path, tmp_path / "env")
    carried = tmp_path / "env/mambaops-models/mamba-130m"
    assert (carried / "config.json").read_text() == "{}"
    assert (carried / "sub/model.safetensors").read_bytes() == b"weights"
    assert not (carried / "sub/model.safetensors").is_symlink()


def test_a_collection_that_broke_off_is_gone_on_with(published, make_wheel, tmp_path):
    """One file is gone from the server: an error; it is back: only that one is fetched."""
    said: list[str] = []
    (wheel,) = (published.root / "middle").glob("*.whl")
    content = wheel.read_bytes()
    collect_until_locked(tmp_path, wheel)
    with pytest.raises(MambaopsError, match="cannot be read"):
        collect(spec(), tmp_path / "o.tar", say=said.append)
    assert not (tmp_path / "o.tar").exists()
    wheel.write_bytes(content)
    # a newer release in between changes nothing: the bundle is the one that was begun
    published.publish(make_wheel("top", "2.0"))
    said.clear()
    bundle = collect(spec(), tmp_path / "o.tar", say=said.append)
    assert said[0].startswith("going on with")
    assert any("middle" in line and "fetched" in line for line in said)
    assert {f.version for f in bundle.manifest.files if f.package == "top"} == {"1.0"}
    assert not (tmp_path / "o.tar.work").exists()


def collect_until_locked(folder: Path, wheel: Path) -> None:
    """Resolve as `collect` would, then take a file away, as a server does that goes down."""
    work = folder / "o.tar.work"
    work.mkdir(parents=True)
    (work / "spec.sha256").write_text(spec().digest())
    resolve(spec(), work)
    wheel.unlink()


class _Slow(SimpleHTTPRequestHandler):
    """A simple index by HTTP; our own fetcher (not uv) waits for ever on one file while `stall` is set."""

    stall = threading.Event()
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        ours = self.headers.get("User-Agent", "").startswith("mambaops")
        if ours:
            self.asked.append(self.path)
        if ours and "top-1.0" in self.path and self.stall.is_set():
            time.sleep(60)
            return
        super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


def test_killed_while_collecting_and_run_again(published, tmp_path, monkeypatch):
    _Slow.stall.set()
    _Slow.asked.clear()
    handler = partial(_Slow, directory=str(published.root))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_address[1]}/")
    code = (
        "import msgspec, sys; from pathlib import Path; from mambaops.bundle.collect import collect;"
        "from mambaops.bundle.model import BundleSpec;"
        "print(collect(msgspec.json.decode(sys.argv[1], type=BundleSpec), Path(sys.argv[2])).sha256)"
    )
    import msgspec

    argv = [
        sys.executable,
        "-c",
        code,
        msgspec.json.encode(spec()).decode(),
        str(tmp_path / "o.tar"),
    ]
    process = subprocess.Popen(argv)
    wait_for(lambda: any("top-1.0" in path for path in _Slow.asked))
    process.send_signal(signal.SIGKILL)
    process.wait()
    _Slow.stall.clear()
    _Slow.asked.clear()
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    server.shutdown()
    server.server_close()
    assert done.returncode == 0, done.stderr
    assert [path.rpartition("/")[2] for path in _Slow.asked] == ["top-1.0-py3-none-any.whl"]
    install_bundle(tmp_path / "o.tar", tmp_path / "env")

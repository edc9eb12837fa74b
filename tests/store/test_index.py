"""The store as static indexes: real pip and uv take the wheel of their target, and nothing half-written is ever seen."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mambaops.core.errors import UsageError
from mambaops.install.installers import uv_command
from mambaops.store.index import StaticIndex, write_index
from mambaops.store.store import Store
from mambaops.store.targets import Target, offered
from mambaops.wheels.keys import BuildKey

Add = Callable[..., Path]


def key(**changes: object) -> BuildKey:
    values: dict[str, object] = {
        "package": "tiny",
        "version": "1.0",
        "torch": "2.8.0+cu128",
        "cuda": "12.8",
        "cxx11_abi": True,
        "python": "py3",
        "platform": "any",
        "architectures": ["9.0"],
    }
    return BuildKey.of(**{**values, **changes})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def add(store: Store, make_wheel: Callable[..., Path]) -> Add:
    """Build a wheel for a key, with its local version, and put it into the store."""

    def make(requires: tuple[str, ...] = (), **changes: object) -> Path:
        wanted = key(**changes)
        version = f"{wanted.version}+{wanted.local_version()}"
        return store.add(make_wheel(version=version, requires=list(requires)), wanted)

    return make


def written(store: Store, folder: Path) -> StaticIndex:
    return write_index(store, folder, say=lambda text: None)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Python's own web server over the folder `public`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    (tmp_path / "public").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "public"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def installed(tool: str, index: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the tool puts into the folder from that index and from nowhere else."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))
    }
    env |= {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "NO_PROXY": "*"}
    start = {
        "pip": [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-cache-dir"],
        "uv": [*map(str, uv_command()), "pip", "install", "--no-cache"],
    }[tool]  # fmt: skip
    argv = [*start, "--index-url", index, "--target", str(folder), *words]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=100)


def versions(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".dist-info") for path in folder.glob("*.dist-info"))


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_each_target_gets_its_own_wheel(
    tool: str, store: Store, add: Add, served: str, tmp_path: Path
) -> None:
    hopper, blackwell = add(), add(architectures=["12.0"])
    older = add(torch="2.7.1+cu128")
    written(store, tmp_path / "public")
    for name, wheel in (
        ("cu128-torch2.8-sm90", hopper),
        ("cu128-torch2.8-sm120", blackwell),
        ("cu128-torch2.7-sm90", older),
    ):
        done = installed(tool, f"{served}/{name}/simple/", tmp_path / name, "tiny")
        assert done.returncode == 0, done.stderr
        assert versions(tmp_path / name) == [wheel.name.removesuffix("-py3-none-any.whl")]


def test_what_is_not_what_its_page_says_is_refused(
    store: Store, add: Add, make_wheel: Callable[..., Path], served: str, tmp_path: Path
) -> None:
    wheel = add()
    written(store, tmp_path / "public")
    (there,) = (tmp_path / "public" / "cu128-torch2.8-sm90" / "files").glob("*.whl")
    another = make_wheel(version=wheel.name.split("-")[1], files={"tiny/more.py": b""})
    there.unlink()
    there.write_bytes(another.read_bytes())
    done = installed("pip", f"{served}/cu128-torch2.8-sm90/simple/", tmp_path / "x", "tiny")
    assert done.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr


def test_what_left_the_store_leaves_the_index_and_its_targets(
    store: Store, add: Add, tmp_path: Path
) -> None:
    public = tmp_path / "public"
    add()
    add(architectures=["12.0"])
    before = {target.name for target in written(store, public).targets}
    store.prune(keep=1)
    after = written(store, public)
    assert {"cu128-torch2.8-sm90", "cu128-torch2.8-sm120"} <= before
    links = {path.name for path in public.iterdir() if path.is_symlink()}
    assert links == {target.name for target in after.targets}
    assert "cu128-torch2.8-sm90" not in links
    (generation,) = (public / ".mambaops-index").glob("generation-*")
    assert {path.resolve().parent for path in public.iterdir() if path.is_symlink()} == {generation}


def test_one_that_reads_while_it_is_written_anew_sees_whole_pages(
    store: Store, add: Add, tmp_path: Path
) -> None:
    page = tmp_path / "public" / "cu128-torch2.8-sm90" / "simple" / "tiny" / "index.html"
    add()
    written(store, tmp_path / "public")
    seen: list[str] = []
    ends = threading.Event()

    def read() -> None:
        while not ends.is_set():
            seen.append(page.read_text(encoding="utf-8").strip()[-7:])

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        written(store, tmp_path / "public")
    ends.set()
    reader.join()
    assert set(seen) == {"</html>"}


def test_pages_say_the_same_as_json(store: Store, add: Add, tmp_path: Path) -> None:
    wheel = add(requires=("torch",))
    written(store, tmp_path / "public")
    simple = tmp_path / "public" / "cu128-torch2.8-sm90" / "simple"
    assert json.loads((simple / "index.json").read_text())["projects"] == [{"name": "tiny"}]
    document = json.loads((simple / "tiny" / "index.json").read_text())
    (file,) = document["files"]
    (stored,) = store.entries()
    assert (file["filename"], file["hashes"]["sha256"]) == (wheel.name, stored.sha256)
    page = (simple / "tiny" / "index.html").read_text()
    assert f"{file['url']}#sha256={stored.sha256}" in page
    metadata = simple / "tiny" / f"{file['url'].replace('%2B', '+')}.metadata"
    assert "Requires-Dist: torch" in metadata.read_text()


def test_somebody_elses_folder_is_left_alone(store: Store, add: Add, tmp_path: Path) -> None:
    add()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("mine")
    with pytest.raises(UsageError):
        written(store, tmp_path / "site")
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["index.html"]


def test_code_goes_to_every_gpu_that_runs_it(store: Store, add: Add) -> None:
    add(architectures=["8.0", "9.0+PTX"])
    found = {target.capability for target in offered(store.entries()).wheels}
    assert {"8.0", "8.6", "8.9", "9.0", "12.0"} <= found
    assert found.isdisjoint({"7.5", "8.7"})  # Jetson's GPU runs only its own code


def test_of_two_builds_the_one_with_machine_code_is_offered(store: Store, add: Add) -> None:
    machine_code, ptx = add(architectures=["12.0"]), add(architectures=["9.0+PTX"])
    offer = offered(store.entries())
    names = {
        target.capability: [entry.wheel for entry in found]
        for target, found in offer.wheels.items()
    }
    assert (names["12.0"], names["9.0"]) == ([machine_code.name], [ptx.name])


def test_what_nothing_is_known_of_is_left_out_and_said(
    store: Store, add: Add, make_wheel: Callable[..., Path]
) -> None:
    add(cuda=None, torch="2.13.0+cpu", architectures=[])
    store.path.joinpath("odd-1.0-cp311-cp311-linux_x86_64.whl").write_bytes(b"")
    make_wheel(name="plain", folder=store.path)
    add(cxx11_abi=False)
    offer = offered(store.entries())
    cpu = offer.wheels[Target(torch="2.13")]
    assert [entry.distribution for entry in cpu] == ["tiny", "plain"]
    reasons = {name.partition("-")[0]: why for name, why in offer.left_out.items()}
    assert reasons == {
        "odd": "nothing says which torch and GPU it was built for",
        "tiny": "torch 2.8 for CUDA 12.8 has the other C++ ABI",
    }

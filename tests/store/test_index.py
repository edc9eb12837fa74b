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

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.core.files import sha256_of
from mambaops.install.installers import uv_command
from mambaops.store.index import LOCK, MARK, StaticIndex, text, write_index
from mambaops.store.store import Store
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

    def make(requires: tuple[str, ...] = (), needs_python: str = "", **changes: object) -> Path:
        wanted = key(**changes)
        version = f"{wanted.version}+{wanted.local_version()}"
        wheel = make_wheel(version=version, requires=list(requires), python=needs_python)
        return store.add(wheel, wanted)

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


def test_pages_say_the_same_as_json(
    store: Store, add: Add, make_wheel: Callable[..., Path], tmp_path: Path
) -> None:
    wheel = add(requires=("torch",), needs_python=">=3.9,<4")
    plain = make_wheel(name="Plain_one", folder=store.path)  # put there by hand
    written(store, tmp_path / "public")
    top = (tmp_path / "public" / "index.html").read_text()
    assert '<a href="cu128-torch2.8-sm90/simple/">cu128-torch2.8-sm90</a>' in top
    folder = tmp_path / "public" / "cu128-torch2.8-sm90" / "simple"
    listed = [{"name": "plain-one"}, {"name": "tiny"}]
    meta = {"api-version": "1.1"}
    assert read(folder / "index.json") == {"meta": meta, "projects": listed}
    listing = (folder / "index.html").read_text()
    assert '<a href="plain-one/">plain-one</a>' in listing
    assert '<a href="tiny/">tiny</a>' in listing
    for project, file, version, python in (
        ("tiny", wheel, wheel.name.split("-")[1], {"requires-python": ">=3.9,<4"}),
        ("plain-one", plain, "1.0", {}),
    ):
        document = read(folder / project / "index.json")
        url = f"../../files/{file.name.replace('+', '%2B')}"
        metadata = folder.parent / "files" / f"{file.name}.metadata"
        said = sha256_of(metadata)
        expected = {
            "filename": file.name,
            "url": url,
            "hashes": {"sha256": sha256_of(file)},
            **python,
            "size": file.stat().st_size,
            "core-metadata": {"sha256": said},
        }
        head = {"meta": meta, "name": project, "versions": [version]}
        assert document == {**head, "files": [expected]}
        page = (folder / project / "index.html").read_text()
        escaped = ' data-requires-python="&gt;=3.9,&lt;4"' if python else ""
        # and not `data-dist-info-metadata`, for which pip 23.0 refuses what is called "mamba_ssm" inside
        core = f' data-core-metadata="sha256={said}"'
        link = f'<a href="{url}#sha256={sha256_of(file)}"{escaped}{core}>{file.name}</a><br>'
        assert page.splitlines()[2:-1] == [link]
    (needs,) = (folder.parent / "files").glob("tiny*.metadata")
    assert "Requires-Dist: torch" in needs.read_text()


def read(document: Path) -> object:
    return json.loads(document.read_text(encoding="utf-8"))


def test_any_web_server_can_read_it(store: Store, add: Add, tmp_path: Path) -> None:
    add()
    written(store, tmp_path / "public")
    folder = (tmp_path / "public" / "cu128-torch2.8-sm90").resolve()
    assert folder.parent.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("harm", "by_hand"), [("another", False), ("gone", False), ("another", True)]
)
def test_a_wheel_that_is_not_whole_is_left_out_aloud(
    harm: str,
    by_hand: bool,
    store: Store,
    add: Add,
    make_wheel: Callable[..., Path],
    tmp_path: Path,
) -> None:
    whole, bad = add(), add(architectures=["12.0"])
    if by_hand:
        bad = make_wheel(name="plain", folder=store.path)
    bad.unlink()
    if harm == "another":
        bad.write_bytes(b"PK")
    said: list[str] = []
    found = write_index(store, tmp_path / "public", say=said.append)
    assert said == [f"`{bad}` is not what was put there, and is left out"]
    offered = {wheel for target in found.targets for wheel in target.wheels}
    assert whole.name in offered
    assert bad.name not in offered


def test_the_answer_names_each_target_its_wheels_and_what_is_left_out(
    store: Store, add: Add, make_wheel: Callable[..., Path], tmp_path: Path
) -> None:
    public = tmp_path / "public"
    assert text(written(store, public)) == f"0 indexes in {public}"
    one = add(torch="2.13.0+cpu", cuda=None, architectures=[])
    odd = make_wheel(name="odd", tag="cp311-cp311-linux_x86_64", folder=store.path)
    two = add(architectures=["9.0a"])
    assert text(written(store, public)).splitlines() == [
        f"cpu-torch2.13: {one.name}",
        f"cu128-torch2.8-sm90: {two.name}",
        f"left out: {odd.name}: nothing says which torch and GPU it was built for",
        "pip install --index-url https://YOUR-SERVER/cpu-torch2.13/simple/ --no-deps PACKAGE",
        f"2 indexes in {public}",
    ]


def test_what_else_is_in_the_folder_stays(store: Store, add: Add, tmp_path: Path) -> None:
    public = tmp_path / "public"
    add()
    written(store, public)
    (public / "robots.txt").write_text("mine")
    written(store, public)
    assert (public / "robots.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_said(store: Store, add: Add, tmp_path: Path) -> None:
    add()
    (tmp_path / "public" / MARK / LOCK).mkdir(parents=True)
    with pytest.raises(MambaopsError, match=r"the index `.*public` cannot be written"):
        written(store, tmp_path / "public")


def test_somebody_elses_folder_is_left_alone(store: Store, add: Add, tmp_path: Path) -> None:
    add()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("mine")
    with pytest.raises(UsageError):
        written(store, tmp_path / "site")
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["index.html"]
    write_index(store, tmp_path / "site", force=True, say=print)
    assert (tmp_path / "site" / "cu128-torch2.8-sm90").is_symlink()

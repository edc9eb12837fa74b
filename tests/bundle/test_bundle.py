"""Bundles: collected here, installed where there is no network; every interruption is gone on from."""

from __future__ import annotations

import ensurepip
import io
import json
import os
import platform
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
from small_wheels import Index, wheel_members, write_zip

from mambaops.bundle.archive import extract_tar
from mambaops.bundle.collect import Bundle, collect
from mambaops.bundle.install import install_bundle
from mambaops.bundle.lock import python_platform, read_lock, resolve
from mambaops.bundle.model import BundleSpec
from mambaops.core.errors import MachineError, MambaopsError, UsageError
from mambaops.core.paths import payload_file
from mambaops.install.installers import read_environment

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
MACHINE = platform.machine()
GLIBC = (os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc ")


@pytest.fixture(autouse=True)
def offline(no_pip_settings, tmp_path, monkeypatch):
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())


@pytest.fixture
def published(index, make_wheel) -> Index:
    """An index with pip (Python's own copy) and three small packages that need each other."""
    (pip,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
    index.publish(
        pip,
        make_wheel("top", requires=["middle>=1", "old-only; python_version < '3.10'"]),
        make_wheel("middle", size=300_000),
        make_wheel("old_only"),
    )
    return index


def spec(**changes: object) -> BundleSpec:
    values: dict[str, object] = {
        "name": "small",
        "python": PYTHON,
        "machine": MACHINE,
        "glibc": GLIBC,
        "requirements": ["top", "pip"],
        "imports": ["top"],
    }
    return BundleSpec(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def made(published, make_wheel, tmp_path) -> Bundle:
    extra = make_wheel("mamba_ssm", "2.2.4", filename=UPSTREAM, requires=["torch", "tilelang"])
    return collect(spec(wheels=[extra]), tmp_path / "out/small.tar")


@pytest.fixture(autouse=True)
def our_python_is_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script looks for `pythonX.Y`; the one that runs the tests need not be on the user's PATH."""
    beside = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{beside}{os.pathsep}{os.environ['PATH']}")


UPSTREAM = "mamba_ssm-2.2.4+cu12torch2.2cxx11abiTRUE-py3-none-any.whl"


def without_network(argv: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run in a network namespace that has no network at all, or skip."""
    probe = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"no network namespace can be made here: {probe.stderr.decode().strip()}")
    return subprocess.run(
        ["unshare", "-rn", *map(str, argv)], capture_output=True, text=True, check=False
    )


def unpacked(bundle: Bundle, folder: Path) -> Path:
    return extract_tar(bundle.path, folder)


def script(folder: Path, *words: object) -> list[str | Path]:
    return ["sh", folder / "install.sh", *map(str, words)]


def test_the_script_alone_installs_it_without_a_network(made, tmp_path):
    folder = unpacked(made, tmp_path / "carried")
    done = without_network(script(folder, "--into", tmp_path / "env"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("top 1.0 " + str(tmp_path / "env"))
    installed = read_environment(tmp_path / "env/bin/python").installed
    assert {"top", "middle", "pip", "mamba-ssm"} <= set(installed)
    assert installed["mamba-ssm"].version == "2.2.4"
    assert ("old-only" in installed) is (sys.version_info < (3, 10))
    again = without_network(script(folder, "--into", tmp_path / "env"))
    assert "4 of 4 packages are there already" in again.stderr


def test_the_command_installs_it_without_a_network(made, tmp_path):
    argv = [
        sys.executable,
        "-m",
        "mambaops",
        "install-bundle",
        made.path,
        "--into",
        tmp_path / "env",
    ]
    done = without_network(argv)
    assert done.returncode == 0, done.stderr
    assert "4 packages are in" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir() if "env" in path.name) == ["env"]


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


def test_it_resolves_for_the_other_machines_python_and_glibc(published, tmp_path):
    for number, tag in enumerate(
        ("cp39-cp39-manylinux_2_35_x86_64", "cp39-cp39-manylinux_2_17_x86_64", "cp39-abi3-linux_x86_64",
         "cp312-cp312-manylinux_2_17_x86_64", "cp39-cp39-manylinux_2_17_aarch64")
    ):  # fmt: skip
        members = wheel_members("compiled", "1.0", {"compiled.py": b"%d" % number}, [], tag=tag)
        published.publish(write_zip(tmp_path / f"compiled-1.0-{tag}.whl", members))
    other = spec(
        python="3.9", machine="x86_64", glibc="2.31", requirements=["top", "compiled", "pip"]
    )
    work = tmp_path / "work"
    work.mkdir()
    names = {file.name for file in resolve(other, work)}
    assert "compiled-1.0-cp39-cp39-manylinux_2_17_x86_64.whl" in names
    assert "old_only-1.0-py3-none-any.whl" in names
    arm = spec(python="3.9", machine="aarch64", glibc="2.31", requirements=["compiled", "pip"])
    (tmp_path / "arm").mkdir()
    assert "compiled-1.0-cp39-cp39-manylinux_2_17_aarch64.whl" in {
        file.name for file in resolve(arm, tmp_path / "arm")
    }


def test_the_manifest_asks_for_no_more_glibc_than_the_wheels_do(published, tmp_path):
    tag = f"cp{PYTHON.replace('.', '')}-none-manylinux_2_24_{MACHINE}.manylinux_2_17_{MACHINE}"
    members = wheel_members("compiled", "1.0", {"compiled.py": b""}, [], tag=tag)
    published.publish(write_zip(tmp_path / f"compiled-1.0-{tag}.whl", members))
    made = collect(spec(requirements=["top", "compiled", "pip"]), tmp_path / "o.tar")
    assert made.manifest.glibc == "2.17"
    assert collect(spec(), tmp_path / "pure.tar").manifest.glibc == "0"


def test_a_package_without_a_wheel_for_that_machine(published, tmp_path):
    tag = "cp39-cp39-manylinux_2_39_x86_64"
    members = wheel_members("compiled", "1.0", {"compiled.py": b""}, [], tag=tag)
    published.publish(write_zip(tmp_path / f"compiled-1.0-{tag}.whl", members))
    other = spec(python="3.9", machine="x86_64", glibc="2.31", requirements=["compiled", "pip"])
    with pytest.raises(
        MachineError, match=r"(?s)Python 3\.9 on x86_64-manylinux_2_31.*compiled"
    ) as caught:
        collect(other, tmp_path / "o.tar")
    assert "constraints" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "told"),
    [("half [", "no lock file"), ('lock-version = "9.0"', "no lock file"), ("", "no lock file")],
)
def test_a_lock_file_that_is_none(text, told):
    with pytest.raises(MambaopsError, match=told):
        read_lock(text, spec())


def test_of_several_wheels_the_best_that_fits_is_taken():
    """Not the first, not the one that asks for more glibc than there is; names are decoded."""
    names = ("x-1.0%2Bcu-py3-none-any.whl", "x-1.0%2Bcu-cp39-abi3-manylinux_2_17_x86_64.whl",
             "x-1.0%2Bcu-cp39-cp39-manylinux_2_35_x86_64.whl")  # fmt: skip
    wheels = "".join(
        f'{{ url = "https://x.test/{one}", hashes = {{ sha256 = "0" }} }}, ' for one in names
    )
    text = f'lock-version = "1.0"\ncreated-by = "t"\n[[packages]]\nname = "x"\nversion = "1.0+cu"\nwheels = [{wheels}]\n'
    (file,) = read_lock(text, spec(python="3.9", machine="x86_64", glibc="2.31"))
    assert file.name == "x-1.0+cu-cp39-abi3-manylinux_2_17_x86_64.whl"
    assert (file.package, file.version, file.kind, file.sha256) == ("x", "1.0+cu", "wheel", "0")


@pytest.mark.parametrize(
    ("machine", "glibc", "name"),
    [
        ("x86_64", "2.17", "x86_64-manylinux_2_17"),
        ("x86_64", "2.27", "x86_64-manylinux_2_17"),
        ("x86_64", "2.28", "x86_64-manylinux_2_28"),
        ("aarch64", "2.36", "aarch64-manylinux_2_36"),
        ("x86_64", "2.99", "x86_64-manylinux_2_40"),
    ],
)
def test_the_platform_is_the_highest_that_the_machine_reaches(machine, glibc, name):
    assert python_platform(spec(machine=machine, glibc=glibc)) == name


@pytest.mark.parametrize(
    ("machine", "glibc"), [("x86_64", "2.12"), ("x86_64", ""), ("riscv64", "2.39")]
)
def test_a_machine_that_no_bundle_can_be_made_for(machine, glibc):
    with pytest.raises(MachineError, match="no bundle can be made"):
        python_platform(spec(machine=machine, glibc=glibc))


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


# --- interruptions --------------------------------------------------------------------------------


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


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_killed_while_installing_and_run_again(published, make_wheel, tmp_path):
    """Batches of twelve: killed after the first, with one package half there as pip leaves it."""
    names = [f"many{number:02}" for number in range(24)]
    published.publish(*(make_wheel(name) for name in names))
    bundle = collect(spec(requirements=[*names, "pip"], imports=names), tmp_path / "o.tar")
    folder = unpacked(bundle, tmp_path / "carried")
    argv = script(folder, "--into", tmp_path / "env")
    process = subprocess.Popen(
        list(map(str, argv)), start_new_session=True, stderr=subprocess.DEVNULL
    )
    notes = tmp_path / "env/.mambaops-bundle.json"
    wait_for(lambda: notes.exists() and len(json.loads(notes.read_text())["installed"]) >= 12)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    site = Path(read_environment(tmp_path / "env/bin/python").purelib)
    # as if pip had been killed in the middle of these two: no RECORD yet; a file missing
    half = next(site.glob("many05-*.dist-info"))
    (half / "RECORD").unlink()
    (site / "many06/__init__.py").unlink()
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "packages are there already" in done.stderr
    assert "removing what an interrupted run left" in done.stderr
    installed = read_environment(tmp_path / "env/bin/python", *names).installed
    assert all(installed[name].missing == [] for name in names)
    assert json.loads(notes.read_text())["bundle"] == "small"


# --- what is refused ------------------------------------------------------------------------------


def test_a_damaged_file_is_found_before_anything_is_made(made, tmp_path):
    folder = unpacked(made, tmp_path / "carried")
    (wheel,) = (folder / "wheels").glob("middle-*.whl")
    data = bytearray(wheel.read_bytes())
    data[1000] ^= 1
    wheel.write_bytes(data)
    with pytest.raises(MambaopsError, match=r"missing or damaged, e\.g\. wheels/middle") as caught:
        install_bundle(folder, tmp_path / "env")
    assert "carry it again" in caught.value.hint
    assert not (tmp_path / "env").exists()
    check = subprocess.run(
        list(map(str, script(folder, "--check"))), capture_output=True, check=False
    )
    assert check.returncode == 1


def test_a_tar_that_was_cut_off(made, tmp_path):
    data = made.path.read_bytes()
    for length in (0, 100, len(data) // 2, len(data) - 20_000):
        cut = tmp_path / "cut.tar"
        cut.write_bytes(data[:length])
        with pytest.raises(MambaopsError):
            install_bundle(cut, tmp_path / "env")
        assert not (tmp_path / "env").exists()
    # the same command with the whole file goes on with what had been unpacked
    cut.write_bytes(data)
    assert install_bundle(cut, tmp_path / "env").packages == 4


def evil(kind: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("small/x")
    if kind in ("../evil", "/tmp/evil-absolute", "small/../../evil"):
        info.name = kind
        info.size = 4
    elif kind == "symlink":
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    elif kind == "hard link":
        info.type, info.linkname = tarfile.LNKTYPE, "/etc/passwd"
    elif kind == "device":
        info.type = tarfile.CHRTYPE
    elif kind == "fifo":
        info.type = tarfile.FIFOTYPE
    return info


@pytest.mark.parametrize(
    "kind",
    ["../evil", "/tmp/evil-absolute", "small/../../evil", "symlink", "hard link", "device", "fifo"],
)
def test_an_evil_tar_is_refused(kind, tmp_path):
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(evil(kind), io.BytesIO(b"evil"))
    with pytest.raises(MambaopsError, match=r"climbs out|neither file nor folder"):
        extract_tar(path, tmp_path / "into/deep")
    assert not list(tmp_path.rglob("*evil*/*")) and not (tmp_path / "into/evil").exists()
    assert not Path("/tmp/evil-absolute").exists()


def test_a_tar_that_is_no_bundle(tmp_path):
    path = tmp_path / "other.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("other/readme")
        archive.addfile(info, io.BytesIO())
    with pytest.raises(MambaopsError, match="no bundle of mambaops"):
        install_bundle(path, tmp_path / "env")
    with pytest.raises(UsageError, match="there is no bundle"):
        install_bundle(tmp_path / "nothing.tar", tmp_path / "env")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("machine", "riscv64", f"it is for riscv64; this is {MACHINE}"),
        ("glibc", "2.99", f"it needs glibc 2.99; this is {GLIBC}"),
        ("python", "3.8", "it is for Python 3.8; this is"),
        ("format", 99, "format 99"),
    ],
)
def test_another_machines_bundle_is_refused_before_anything_is_made(
    field, value, reason, made, tmp_path
):
    folder = unpacked(made, tmp_path / "carried")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, field: value}))
    argv = script(folder, "--into", tmp_path / "env")
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False)
    assert done.returncode == (1 if field == "format" else 4)
    assert reason in done.stderr
    assert not (tmp_path / "env").exists()


def test_what_the_script_found_comes_back_as_an_error_with_its_hint(made, tmp_path):
    folder = unpacked(made, tmp_path / "carried")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "glibc": "2.99"}))
    with pytest.raises(MachineError, match=r"it needs glibc 2\.99") as caught:
        install_bundle(folder, tmp_path / "env")
    assert caught.value.message.startswith("this bundle does not fit this machine: ")
    assert caught.value.hint.startswith("run `mambaops facts --json > FILE` here")


def test_a_script_of_an_earlier_mambaops_is_told_by_its_status_and_its_last_words(made, tmp_path):
    """It names no cause for a program; what it printed for people is shown as it is."""
    folder = unpacked(made, tmp_path / "carried")
    told = "import sys; print('error: not for\\n\\nhint: you'); sys.exit(4)"
    (folder / "install.py").write_text(told)
    with pytest.raises(MachineError) as caught:
        install_bundle(folder, tmp_path / "env")
    assert caught.value.message == "install.sh exited 4\nerror: not for\n\nhint: you"


def test_without_the_right_python_the_script_says_which(made, tmp_path):
    folder = unpacked(made, tmp_path / "carried")
    (folder / "python-version").write_text("3.99\n")
    done = subprocess.run(
        list(map(str, script(folder, "--into", tmp_path / "env"))),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "is for Python 3.99" in done.stderr
    assert "--python /path/to/python3.99" in done.stderr


def test_a_folder_with_other_things_in_it_is_left_alone(made, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        install_bundle(made.path, tmp_path / "mine")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["thesis.tex"]


def test_an_environment_that_is_there_is_used(made, tmp_path):
    argv = [sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"]
    subprocess.run(argv, check=True)
    install_bundle(made.path, tmp_path / "env")
    assert "top" in read_environment(tmp_path / "env/bin/python").installed


def test_what_does_not_import_is_an_error(published, make_wheel, tmp_path):
    published.publish(
        make_wheel("broken", files={"broken/sub.py": b"import nothing_of_the_kind\n"})
    )
    bundle = collect(
        spec(requirements=["broken", "pip"], imports=["broken.sub"]), tmp_path / "o.tar"
    )
    with pytest.raises(MambaopsError, match="do not import") as caught:
        install_bundle(bundle.path, tmp_path / "env")
    assert "diagnose" in caught.value.hint


def test_the_script_is_clean_for_shellcheck_and_posix():
    from shutil import which

    path = payload_file("bundle_install.sh")
    subprocess.run(["sh", "-n", path], check=True)
    shellcheck = which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        [shellcheck, "-s", "sh", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("minor", [8, 9, 12])
def test_what_travels_runs_on_other_pythons(minor):
    """The scripts in a bundle are compiled by the Pythons that this machine has."""
    from shutil import which

    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [*sorted(versions.glob(f"3.{minor}.*/bin/python")), which(f"python3.{minor}")]
    if found[0] is None:
        pytest.skip(f"there is no Python 3.{minor} here")
    for argv in (["bundle_install.py", "--help"], ["installed.py"]):
        words = [found[0], "-I", payload_file(argv[0]), *argv[1:]]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.network
def test_a_real_environment_is_carried_and_verified_without_a_network(tmp_path, monkeypatch):
    """Profile `local` with a CPU torch, about 250 MB, from the user's own index settings."""
    for name in ("PIP_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    tool = [sys.executable, "-m", "mambaops"]
    tar = tmp_path / "local.tar"
    subprocess.run([*tool, "bundle", "--profile", "local", "-o", tar], check=True, cwd=tmp_path)
    for words in (["install-bundle", str(tar)], ["verify", "--profile", "local"]):
        done = without_network([*tool, *words])
        assert done.returncode == 0, done.stderr

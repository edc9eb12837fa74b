"""Repairing wheels: the byte-level facts here, and loading in a Debian 11 root (slow)."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from mambaops.core import process
from mambaops.core.errors import MambaopsError, UsageError
from mambaops.wheels.archive import check_zip
from mambaops.wheels.inspect.compatibility import check_compatibility
from mambaops.wheels.inspect.contents import inspect_wheel
from mambaops.wheels.inspect.elf import inspect_extension
from mambaops.wheels.repair.glibc import blocking, repair_extension, repair_wheel
from mambaops.wheels.repair.stub_library import data_library

from .conftest import EXTENSION, UPSTREAM, Compile, make_wheel
from .facts_of import machine

SYMBOL = "__libc_single_threaded"
LIBRARY = "libmamba_ssm_single_threaded.so"


def plain(compile_module: Compile) -> Path:
    """A module that needs nothing but libstdc++ and libc, so that it can really be loaded."""
    return compile_module("plain.so", torch=None, cxx11_abi=None, cudart=None, fatbin=None)


def test_the_tiny_library_is_a_real_library(tmp_path: Path) -> None:
    path = tmp_path / "libtiny.so"
    path.write_bytes(data_library("libtiny.so", SYMBOL, "x86_64", 7))
    code = (
        f"import ctypes; print(ctypes.c_char.in_dll(ctypes.CDLL({str(path)!r}), {SYMBOL!r}).value)"
    )
    assert process.run([sys.executable, "-c", code]).stdout.strip() == repr(b"\x07")
    found = inspect_extension(path)
    assert found.defined == {SYMBOL}
    assert (found.needs, found.needed, found.machine) == ((), (), "x86_64")
    arm = tmp_path / "libarm.so"
    arm.write_bytes(data_library("libarm.so", SYMBOL, "aarch64"))
    assert inspect_extension(arm).machine == "aarch64"


def test_a_repaired_module_loads_and_works_here(tmp_path: Path, compile_module: Compile) -> None:
    module = tmp_path / "plain.so"
    shutil.copy(plain(compile_module), module)
    assert inspect_extension(module).glibc == "2.32"
    assert blocking(inspect_extension(module), "2.31") == ()
    said = repair_extension(module, LIBRARY, "2.31")
    (tmp_path / LIBRARY).write_bytes(data_library(LIBRARY, SYMBOL, "x86_64"))
    after = inspect_extension(module)
    assert after.above("GLIBC", "2.31") == ()
    assert after.needed[0] == LIBRARY or LIBRARY in after.needed
    assert "$ORIGIN" in after.runpath
    assert [need.weak for need in after.needs if need.version == "GLIBC_2.32"] == [True]
    assert any("became weak" in line for line in said)
    # in a process of its own: this one has loaded libstdc++ already
    code = f"import ctypes; print(ctypes.CDLL({str(module)!r}).count_nodes(5))"
    assert process.run([sys.executable, "-c", code]).stdout.strip() == "7"


def test_a_repaired_wheel_is_whole_and_named_apart(tmp_path: Path, wheel: Path) -> None:
    before = wheel.read_bytes()
    done = repair_wheel(wheel, out=tmp_path / "out")
    assert wheel.read_bytes() == before
    assert done.wheel.name == UPSTREAM.replace("TRUE", "TRUE.glibc2.31")
    check_zip(done.wheel)
    contents = inspect_wheel(done.wheel)
    assert contents.contradictions == ()
    assert contents.version == "2.3.1+cu12torch2.8cxx11abiTRUE.glibc2.31"
    glibc = contents.highest("GLIBC")
    assert glibc is not None
    assert tuple(map(int, glibc.split("."))) <= (2, 31)
    assert contents.cubins == inspect_wheel(wheel).cubins
    assert check_compatibility(contents, machine(distro="ubuntu 20.04")).runs
    assert not check_compatibility(inspect_wheel(wheel), machine(distro="ubuntu 20.04")).loads
    with zipfile.ZipFile(done.wheel) as archive:
        names = archive.namelist()
        assert LIBRARY in names
        folders = {name.split("/")[0] for name in names if ".dist-info/" in name}
        assert folders == {"mamba_ssm-2.3.1+cu12torch2.8cxx11abiTRUE.glibc2.31.dist-info"}
        evidence = json.loads(archive.read(f"{folders.pop()}/mambaops-repair.json"))
    assert evidence["from"] == UPSTREAM
    assert list(done.done) == evidence["done"]


def test_pip_installs_a_repaired_wheel_by_its_version(tmp_path: Path, wheel: Path) -> None:
    """Upstream's own file is refused by `--find-links` (its METADATA has another version); ours is taken."""
    done = repair_wheel(wheel, out=tmp_path / "out")
    target = tmp_path / "site"
    flags = ["--no-index", "--no-deps", "--python-version", "3.11", "--only-binary=:all:"]
    flags += ["--implementation", "cp", "--abi", "cp311", "--platform", "linux_x86_64"]
    argv = [sys.executable, "-m", "pip", "install", *flags, "--target", str(target)]
    plain_links = process.run(
        [*argv, "--find-links", str(wheel.parent), "mamba-ssm"], check=False, timeout=60
    )
    assert not plain_links.ok
    assert "inconsistent version" in plain_links.stdout + plain_links.stderr
    process.run([*argv, "--find-links", str(done.wheel.parent), "mamba-ssm"], timeout=60)
    assert (target / LIBRARY).is_file()
    assert inspect_extension(target / EXTENSION).above("GLIBC", "2.31") == ()


def test_other_symbols_are_refused_and_listed(tmp_path: Path, compile_module: Compile) -> None:
    # pthread_key_create moved into libc with 2.34: code that this glibc does not have
    extra = '#include <pthread.h>\nextern "C" int key(pthread_key_t *k) { return pthread_key_create(k, 0); }'
    module = compile_module("threads.so", extra=extra)
    newer = inspect_extension(module).above("GLIBC", "2.32")
    if not newer:
        pytest.skip("this system's glibc is too old to make such a module")
    path = make_wheel(tmp_path, UPSTREAM, {EXTENSION: module.read_bytes()})
    with pytest.raises(MambaopsError) as caught:
        repair_wheel(path)
    assert "pthread_key_create@GLIBC_2.34" in caught.value.message
    assert SYMBOL + "@" not in caught.value.message
    assert list(tmp_path.glob("*.whl")) == [path]
    fit = check_compatibility(inspect_wheel(path), machine(distro="ubuntu 20.04"))
    assert (fit.loads, fit.repairable) == (False, False)


def test_nothing_to_mend_and_bad_input(tmp_path: Path, wheel: Path) -> None:
    with pytest.raises(MambaopsError, match=r"asks for nothing above GLIBC_2\.35"):
        repair_wheel(wheel, glibc="2.35")
    with pytest.raises(UsageError, match="is no glibc version"):
        repair_wheel(wheel, glibc="new")
    done = repair_wheel(wheel, out=tmp_path / "once")
    with pytest.raises(MambaopsError, match="nothing to repair"):
        repair_wheel(done.wheel, out=tmp_path / "twice")
    broken = tmp_path / "broken" / UPSTREAM
    broken.parent.mkdir()
    broken.write_bytes(wheel.read_bytes()[:1000])
    with pytest.raises(MambaopsError, match="not a whole zip archive"):
        repair_wheel(broken)


def test_without_patchelf_it_says_so(
    wheel: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(MambaopsError, match="patchelf is not there") as caught:
        repair_wheel(wheel, out=tmp_path)
    assert caught.value.exit_code == 4


LOAD = """
use DynaLoader;
DynaLoader::dl_load_file($ARGV[0], 0) or die DynaLoader::dl_error();
print "loaded\\n";
"""


@pytest.mark.slow
def test_debian_11_loads_after_the_repair_what_it_refused_before(
    old_root: Path, tmp_path: Path, compile_module: Compile
) -> None:
    """The prediction and the real loader agree, both ways."""
    name = UPSTREAM.replace("+cu12torch2.8cxx11abiTRUE", "")
    wheel = make_wheel(tmp_path, name, {EXTENSION: plain(compile_module).read_bytes()}, requires=())
    repaired = repair_wheel(wheel).wheel
    facts = machine(distro="ubuntu 20.04", gpus=())
    folder = old_root / "tmp" / tmp_path.name
    for path, loads in ((wheel, False), (repaired, True)):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder / str(loads))
        predicted = check_compatibility(inspect_wheel(path), facts)
        inside = f"/tmp/{tmp_path.name}/{loads}/{EXTENSION}"
        done = process.run(["chroot", old_root, "perl", "-e", LOAD, inside], check=False)
        assert (done.ok, predicted.loads) == (loads, loads), done.stderr
        if not loads:
            assert "version `GLIBC_2.32' not found" in done.stderr
            assert "GLIBC_2.32" in predicted.reason
            assert predicted.repairable
    shutil.rmtree(folder)

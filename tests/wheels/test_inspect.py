"""Looking into real wheels: what is inside, lies, bad input; and whether they fit a machine."""

from __future__ import annotations

import json
import shutil
import struct
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mambaops.core import process
from mambaops.core.errors import MambaopsError
from mambaops.wheels.inspect.abi import cxx11_abi, torch_era
from mambaops.wheels.inspect.compatibility import check_compatibility
from mambaops.wheels.inspect.contents import inspect_wheel
from mambaops.wheels.inspect.elf import NotAnExtension, inspect_extension

from .conftest import EXTENSION, UPSTREAM, Compile, make_wheel
from .facts_of import machine


def test_everything_inside_is_read(wheel: Path) -> None:
    found = inspect_wheel(wheel)
    assert (found.package, found.version) == ("mamba-ssm", "2.3.1")
    assert found.cubins == ("7.5", "8.0", "8.6", "9.0")
    assert found.ptx == ("9.0",)
    assert found.cuda == "12"
    assert found.cxx11_abi is True
    assert found.era.specifier == ">=2.8"
    assert found.machines == ("x86_64",)
    assert found.highest("GLIBC") == "2.32"
    assert found.highest("GLIBCXX") is not None
    assert found.highest("CXXABI") is not None
    assert {"libcudart.so.12", "libstdc++.so.6", "libc.so.6"} <= set(found.needed)
    assert found.contradictions == ()
    assert any("METADATA says plain 2.3.1" in note for note in found.notes)


def test_agrees_with_readelf(compile_module: Compile) -> None:
    """The same versions and libraries as binutils read."""
    module = compile_module(EXTENSION)
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not there")
    text = process.run(["readelf", "-VdW", module]).stdout
    found = inspect_extension(module)
    for need in found.needs:
        assert f"Name: {need.version}" in text
    for library in found.needed:
        assert f"Shared library: [{library}]" in text
    assert [n.symbols for n in found.needs if n.version == "GLIBC_2.32"] == [
        ("__libc_single_threaded",)
    ]


def test_manylinux_is_auditwheels_verdict(wheel: Path) -> None:
    """Held against auditwheel's own command on the same file."""
    found = inspect_wheel(wheel).manylinux
    auditwheel = Path(sys.executable).parent / "auditwheel"
    done = process.run([auditwheel, "show", "--json", wheel], check=False)
    if '"sym_tag"' not in done.stdout:
        pytest.skip(f"auditwheel does not answer: {done.stderr[-200:]}")
    assert json.loads(done.stdout)["sym_tag"] == found


@pytest.mark.parametrize(
    ("torch", "specifier"), [("2.2", ">=2.1,<2.3"), ("2.5", ">=2.3,<2.8"), ("2.8", ">=2.8")]
)
def test_the_era_of_torch_is_told_by_symbols(
    compile_module: Compile, torch: str, specifier: str
) -> None:
    era = torch_era(inspect_extension(compile_module("era.so", torch=torch)).undefined)
    assert era.specifier == specifier
    assert "c10::cuda::SetDevice" in era.evidence[0]


@pytest.mark.parametrize("new", [True, False])
def test_the_abi_is_told_by_symbols(compile_module: Compile, new: bool) -> None:
    module = compile_module("abi.so", cxx11_abi=new)
    assert cxx11_abi(inspect_extension(module).undefined) is new


def test_the_installed_torch_shows_its_own_era() -> None:
    """What torch's own Python module asks of torch belongs to its minor version."""
    torch = pytest.importorskip("torch")
    library = Path(torch.__file__).parent / "lib" / "libtorch_python.so"
    era = torch_era(inspect_extension(library).undefined)
    assert era.has(torch.__version__)


# ---- fits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "loads", "runs", "reason"),
    [
        ({}, True, True, "has code for 8.6"),
        ({"gpus": ("7.0",)}, True, False, "no kernel image for this GPU (7.0)"),
        (
            {"gpus": ("12.0",), "driver": "12.8"},
            True,
            False,
            "cannot compile it: update the driver",
        ),
        ({"gpus": ("12.0",), "driver": "13.0"}, True, True, "has code for 12.0"),
        ({"gpus": ()}, True, None, "no GPU was seen"),
        ({"driver": "11.8", "driver_version": "520.61.05"}, True, False, "525"),
        ({"distro": "ubuntu 20.04"}, False, False, "needs GLIBC_2.32 (__libc_single_threaded)"),
        ({"torch": None}, False, False, "needs torch, and none is installed"),
        ({"torch": "2.7.1+cu128"}, False, False, "is for torch >=2.8; this is 2.7.1+cu128"),
        ({"torch": "2.9.1+cu130"}, False, False, "take a wheel for CUDA 13"),
        ({"torch": "2.8.0+cpu", "cuda": None}, False, False, "is built without CUDA"),
        ({"cxx11_abi": False}, False, False, "take a cxx11abiFALSE wheel"),
        ({"python": "3.12.1"}, False, False, "is for CPython 3.11"),
        ({"processor": "aarch64"}, False, False, "is for x86_64 processors"),
        ({"system": "Windows"}, False, False, "this is Windows"),
    ],
)
def test_the_one_thing_that_is_missing_is_named(
    wheel: Path, facts: dict[str, object], loads: bool, runs: bool | None, reason: str
) -> None:
    fit = check_compatibility(inspect_wheel(wheel), machine(**facts))  # type: ignore[arg-type]
    assert (fit.loads, fit.runs) == (loads, runs)
    assert reason in fit.reason


def test_a_repair_is_named_where_it_would_help(wheel: Path) -> None:
    contents = inspect_wheel(wheel)
    assert check_compatibility(contents, machine(distro="ubuntu 20.04")).repairable
    assert "repair-wheel" in check_compatibility(contents, machine(distro="ubuntu 20.04")).reason
    assert not check_compatibility(
        contents, machine(distro="ubuntu 20.04", cxx11_abi=False)
    ).repairable


def test_a_libstdcxx_that_is_too_old_is_told_apart_from_glibc(wheel: Path) -> None:
    contents = inspect_wheel(wheel)
    needed = contents.highest("GLIBCXX")
    assert needed
    import msgspec

    from mambaops.facts.model import Libstdcxx

    facts = machine()
    old = Libstdcxx(path="/usr/lib64/libstdc++.so.6", glibcxx="3.4.0")
    facts = msgspec.structs.replace(facts, host=msgspec.structs.replace(facts.host, libstdcxx=old))
    fit = check_compatibility(contents, facts)
    assert not fit.loads
    assert f"needs GLIBCXX_{needed}" in fit.reason
    assert "libstdcxx-ng" in fit.reason


def test_each_file_with_kernels_must_have_code(tmp_path: Path, compile_module: Compile) -> None:
    """Two sources built for different GPUs: the union looks right, and one of them would still fail."""
    first, second = (compile_module(f"{name}.so", fatbin=name) for name in ("multi", "plain"))
    path = make_wheel(
        tmp_path,
        UPSTREAM,
        {"one.so": first.read_bytes(), "two.so": second.read_bytes()},
    )
    contents = inspect_wheel(path)
    assert {"8.6", "12.0"} <= set(contents.cubins)
    assert check_compatibility(contents, machine(gpus=("8.6",))).runs is True
    blackwell = check_compatibility(contents, machine(gpus=("7.5",)))
    assert blackwell.runs is False
    assert "`two.so`" in blackwell.reason


# ---- lies and bad input ------------------------------------------------------------------------


def lying(folder: Path, module: Path, name: str, member: str = EXTENSION, **more: str) -> list[str]:
    path = make_wheel(folder, name, {member: module.read_bytes()}, **more)  # type: ignore[arg-type]
    contents = inspect_wheel(path)
    assert check_compatibility(contents, machine()).loads is False or not contents.contradictions
    return list(contents.contradictions)


def test_names_that_lie_are_caught(tmp_path: Path, compile_module: Compile) -> None:
    module = compile_module(EXTENSION)
    old_abi = compile_module("old.so", cxx11_abi=False)
    tail = "-cp311-cp311-linux_x86_64.whl"
    cases = {
        "for CPython 311": f"mamba_ssm-2.3.1+cu12torch2.8cxx11abiTRUE-cp310-cp310-{tail[-16:]}".replace(
            "--", "-"
        ),
        "its symbols are those of torch >=2.8": f"mamba_ssm-2.3.1+cu12torch2.7cxx11abiTRUE{tail}",
        "links to libcudart.so.12": f"mamba_ssm-2.3.1+cu13torch2.8cxx11abiTRUE{tail}",
        "is for x86_64 processors": UPSTREAM.replace("x86_64", "aarch64"),
        "the name says any platform": "mamba_ssm-2.3.1-py3-none-any.whl",
        "the name says Windows": "mamba_ssm-2.3.1-cp311-cp311-win_amd64.whl",
        "promises glibc 2.17": "mamba_ssm-2.3.1-cp311-cp311-manylinux_2_17_x86_64.whl",
        "machine code for 12.0": "mamba_ssm-2.3.1+cu128torch2.8.sm120.x01234567-cp311-cp311-linux_x86_64.whl",
    }
    for said, name in cases.items():
        found = lying(tmp_path, module, name)
        assert any(said in lie for lie in found), (name, found)
    assert any("old std::string" in lie for lie in lying(tmp_path, old_abi, UPSTREAM))


def test_metadata_of_another_package_or_version_is_a_lie(
    tmp_path: Path, compile_module: Compile
) -> None:
    module = compile_module(EXTENSION)
    other = lying(tmp_path, module, UPSTREAM, metadata_name="causal_conv1d")
    assert any("METADATA says causal-conv1d" in lie for lie in other)
    version = lying(tmp_path, module, UPSTREAM, metadata_version="2.3.0")
    assert any("METADATA says 2.3.0" in lie for lie in version)


def test_a_false_that_is_true_is_a_note(tmp_path: Path, compile_module: Compile) -> None:
    """Upstream's own wheels do this: not refused, but said."""
    name = UPSTREAM.replace("TRUE", "FALSE")
    path = make_wheel(tmp_path, name, {EXTENSION: compile_module(EXTENSION).read_bytes()})
    contents = inspect_wheel(path)
    assert contents.contradictions == ()
    assert any("cxx11abiFALSE and its symbols use the new" in note for note in contents.notes)


def test_a_wheel_for_another_processor(tmp_path: Path, compile_module: Compile) -> None:
    content = bytearray(compile_module(EXTENSION).read_bytes())
    struct.pack_into("<H", content, 18, 183)  # e_machine: AArch64
    name = UPSTREAM.replace("x86_64", "aarch64")
    member = EXTENSION.replace("x86_64", "aarch64")
    contents = inspect_wheel(make_wheel(tmp_path, name, {member: bytes(content)}))
    assert contents.machines == ("aarch64",)
    assert contents.contradictions == ()
    fit = check_compatibility(contents, machine())
    assert not fit.loads
    assert "is for aarch64 processors; this one is x86_64" in fit.reason


def test_bad_files_are_refused_with_the_reason(tmp_path: Path, wheel: Path) -> None:
    def refused(content: bytes) -> str:
        path = tmp_path / "bad" / UPSTREAM
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        with pytest.raises(MambaopsError) as caught:
            inspect_wheel(path)
        return caught.value.message

    whole = wheel.read_bytes()
    assert "not a whole zip archive" in refused(b"")
    assert "not a whole zip archive" in refused(b"<html>404</html>")
    assert "not a whole zip archive" in refused(whole[: len(whole) // 2])
    with pytest.raises(MambaopsError, match="cannot be read"):
        inspect_wheel(tmp_path / "nowhere" / UPSTREAM)


def test_a_bomb_and_a_climbing_member_are_refused(tmp_path: Path) -> None:
    bomb = make_wheel(tmp_path, UPSTREAM, {"zeros.so": bytes(80 * 1024**2)})
    with pytest.raises(MambaopsError, match="zip bomb"):
        inspect_wheel(bomb)
    climbing = make_wheel(tmp_path, UPSTREAM, {"../../evil.so": b"x"})
    with pytest.raises(MambaopsError, match="climbs out"):
        inspect_wheel(climbing)


def test_a_member_that_was_changed_is_refused(tmp_path: Path, wheel: Path) -> None:
    changed = tmp_path / "changed" / UPSTREAM
    changed.parent.mkdir()
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(changed, "w") as new:
        for info in old.infolist():
            text = b"import os" if info.filename.endswith("__init__.py") else old.read(info)
            new.writestr(info.filename, text)
    with pytest.raises(MambaopsError, match="not the one in its RECORD"):
        inspect_wheel(changed)


def test_what_is_no_extension_is_said(tmp_path: Path, compile_module: Compile) -> None:
    text = tmp_path / "text.so"
    text.write_text("not a binary")
    with pytest.raises(NotAnExtension, match="is not an ELF file"):
        inspect_extension(text)
    program = tmp_path / "cut.so"
    program.write_bytes(compile_module(EXTENSION).read_bytes()[:5000])
    with pytest.raises(NotAnExtension, match=r"cut\.so"):
        inspect_extension(program)
    with pytest.raises(NotAnExtension, match="cannot be read"):
        inspect_extension(tmp_path / "nowhere.so")


@pytest.fixture(scope="module")
def module_bytes(compile_module: Compile) -> bytes:
    return compile_module(EXTENSION).read_bytes()


@pytest.mark.long
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_damage_ends_in_an_answer_or_a_refusal(
    data: st.DataObject, module_bytes: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(module_bytes)
    for _ in range(data.draw(st.integers(1, 6))):
        # the headers and the section table decide; kernels in between do not
        where = data.draw(
            st.one_of(st.integers(0, 2000), st.integers(len(content) - 3000, len(content) - 1))
        )
        content[where] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "damaged.so"
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    try:
        inspect_extension(path)
    except NotAnExtension as error:
        assert "damaged.so" in error.message

"""The fatbin reader against what cuobjdump lists, and against damaged input."""

from __future__ import annotations

import re
import shutil
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mambaops.core import process
from mambaops.wheels.inspect.elf import inspect_extension
from mambaops.wheels.inspect.fatbin import Fatbin, FatbinError, architectures, read_fatbins

FATBINS = Path(__file__).parent / "fatbins"
NAMES = ("multi", "plain", "rdc", "size", "ptxonly")
BUILDS = {
    "multi": "-gencode arch=compute_75,code=sm_75 -gencode arch=compute_80,code=[sm_80,sm_86] "
    "-gencode arch=compute_90,code=[sm_90,compute_90]",
    "plain": "-no-compress -gencode arch=compute_80,code=[sm_80,compute_80] "
    "-gencode arch=compute_90a,code=sm_90a -gencode arch=compute_120,code=sm_120",
    "rdc": "-rdc=true -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90",
}
KERNEL = (
    "__global__ void scale(float *x, float k) { x[threadIdx.x] *= k; }\n"
    'extern "C" int run(float *x) { scale<<<1, 32>>>(x, 2.f); return 0; }\n'
)


def listed(text: str, kind: str) -> list[str]:
    """Architectures in cuobjdump's listing, e.g. "ELF file    2: plain.2.sm_90a.cubin" -> 90a."""
    return re.findall(rf"{kind} file.*\.sm_(\w+)\.", text)


def found(fatbins: tuple[Fatbin, ...], kind: str) -> list[str]:
    # cuobjdump names a family-specific cubin (sm_100f) without its letter
    return [
        f"{entry.sm}{entry.suffix.replace('f', '')}"
        for fatbin in fatbins
        for entry in fatbin.entries
        if entry.kind == kind
    ]


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_what_cuobjdump_listed(name: str) -> None:
    fatbins = read_fatbins((FATBINS / f"{name}.fatbin").read_bytes())
    text = (FATBINS / f"{name}.txt").read_text()
    assert found(fatbins, "cubin") == listed(text, "ELF")
    assert found(fatbins, "ptx") == listed(text, "PTX")


def test_architectures_are_sorted_as_numbers() -> None:
    fatbins = read_fatbins((FATBINS / "plain.fatbin").read_bytes())
    assert architectures(fatbins, "cubin") == ("8.0", "9.0a", "12.0")
    assert architectures(fatbins, "ptx") == ("8.0",)
    rdc = read_fatbins((FATBINS / "rdc.fatbin").read_bytes())
    assert architectures(rdc, "cubin") == ("8.0", "9.0", "10.0f")


@pytest.mark.parametrize("name", ["multi", "plain", "size", "ptxonly"])
def test_the_link_stub_is_not_taken_for_kernels(name: str) -> None:
    """nvcc's last link adds code without a function: a GPU that only it covers runs nothing."""
    fatbins = read_fatbins((FATBINS / f"{name}.fatbin").read_bytes())
    assert not fatbins[0].has_kernels
    assert all(fatbin.has_kernels for fatbin in fatbins[1:])


def test_ptx_tells_the_cuda_that_wrote_it() -> None:
    (_, fatbin) = read_fatbins((FATBINS / "ptxonly.fatbin").read_bytes())
    assert [entry.ptx_cuda for entry in fatbin.entries] == ["13.0"]


def test_damage_is_said_with_its_place() -> None:
    whole = (FATBINS / "size.fatbin").read_bytes()
    with pytest.raises(FatbinError, match=r"byte 0: version 1, .* ends at byte 1216"):
        read_fatbins(whole[:700])
    with pytest.raises(FatbinError, match="no fatbin in the 64 bytes"):
        read_fatbins(bytes(64))
    with pytest.raises(FatbinError, match="version 7"):
        read_fatbins(whole[:4] + struct.pack("<H", 7) + whole[6:])
    with pytest.raises(FatbinError, match="do not fit"):
        read_fatbins(whole[:24] + struct.pack("<Q", 1 << 40) + whole[32:])


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_damage_ends_in_an_answer_or_a_fatbin_error(data: st.DataObject) -> None:
    content = bytearray((FATBINS / "size.fatbin").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_fatbins(bytes(content[: data.draw(st.integers(0, len(content)))]))
    except FatbinError as error:
        assert "byte" in str(error)


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not there")
def test_a_build_made_now_is_read(tmp_path: Path) -> None:
    library = build(tmp_path, "-gencode arch=compute_80,code=[sm_80,compute_80]")
    extension = inspect_extension(library)
    assert (extension.cubins, extension.ptx, extension.machine) == (("8.0",), ("8.0",), "x86_64")
    assert extension.cudart is not None


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not there")
def test_builds_made_now_agree_with_cuobjdump(tmp_path: Path, cuobjdump: Path) -> None:
    for name, flags in BUILDS.items():
        library = build(tmp_path, flags, name)
        text = process.run([cuobjdump, "-lelf", "-lptx", library], check=False).stdout
        fatbins = inspect_extension(library).fatbins
        assert found(fatbins, "cubin") == listed(text, "ELF"), name
        assert found(fatbins, "ptx") == listed(text, "PTX"), name
        assert listed(text, "ELF"), name


@pytest.fixture(scope="session")
def cuobjdump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NVIDIA's own reader, from the package index."""
    import sys

    folder = tmp_path_factory.mktemp("cuobjdump")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
    process.run([*pip, "nvidia-cuda-cuobjdump"], timeout=300)
    return folder / "nvidia/cu13/bin/cuobjdump"


def build(folder: Path, flags: str, name: str = "kernel") -> Path:
    source, library = folder / f"{name}.cu", folder / f"{name}.so"
    source.write_text(KERNEL)
    argv = ["nvcc", "-shared", "-Xcompiler", "-fPIC", "-cudart", "shared", *flags.split()]
    process.run([*argv, source, "-o", library], timeout=300)
    return library

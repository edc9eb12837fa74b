"""Real compiled modules and real wheels, made here."""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from mambaops.core import process

FATBINS = Path(__file__).parent / "fatbins"
BULLSEYE = Path(tempfile.gettempdir()) / "bullseye-root"

# What every torch extension does: share ownership through libstdc++, which is what asks for GLIBC_2.32.
SOURCE = """
#include <memory>
{declarations}
extern "C" int count_nodes(int n) {{
  auto root = std::make_shared<int>(n);
  auto copy = root;
  return *copy + static_cast<int>(copy.use_count());
}}
{calls}
"""
FATBIN = """
asm(".section .nv_fatbin,\\"a\\"\\n.balign 8\\n.incbin \\"{path}\\"\\n.previous\\n");
"""
TORCH_SYMBOLS = {
    "2.2": 'namespace c10::cuda { int SetDevice(int); } extern "C" int use() { return c10::cuda::SetDevice(0); }',
    "2.5": 'namespace c10::cuda { int SetDevice(signed char); } extern "C" int use() { return c10::cuda::SetDevice(0); }',
    "2.8": 'namespace c10::cuda { int SetDevice(signed char, bool); } extern "C" int use() { return c10::cuda::SetDevice(0, 0); }',
}
ABI_SYMBOLS = (
    "#include <string>\nnamespace c10::detail { void torchCheckFail(const char*, const char*, unsigned, "
    'const std::string&); } extern "C" void check() { c10::detail::torchCheckFail("", "", 0, ""); }'
)

Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compile_module(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compiles a module: `compile_module("name.so", torch="2.8", cxx11_abi=True, cudart="12", fatbin="multi")`."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not there to make a real module")
    made: dict[tuple[object, ...], Path] = {}

    def compile_(
        name: str = "module.so",
        *,
        torch: str | None = "2.8",
        cxx11_abi: bool | None = True,
        cudart: str | None = "12",
        fatbin: str | None = "multi",
        extra: str = "",
    ) -> Path:
        key = (name, torch, cxx11_abi, cudart, fatbin, extra)
        if key in made:
            return made[key]
        folder = tmp_path_factory.mktemp("module")
        parts = [TORCH_SYMBOLS[torch]] if torch else []
        parts += [ABI_SYMBOLS] if cxx11_abi is not None else []
        parts += [FATBIN.format(path=FATBINS / f"{fatbin}.fatbin")] if fatbin else []
        source = folder / "module.cpp"
        source.write_text(SOURCE.format(declarations=extra, calls="\n".join(parts)))
        flags = [f"-D_GLIBCXX_USE_CXX11_ABI={int(cxx11_abi)}"] if cxx11_abi is not None else []
        libraries = [str(_stub_cudart(folder, cudart))] if cudart else []
        output = folder / name
        process.run(
            [
                "g++",
                "-O1",
                "-std=c++17",
                "-fPIC",
                "-shared",
                *flags,
                source,
                "-Wl,--no-as-needed",  # the stub's name matters, nothing of it is called
                *libraries,
                "-o",
                output,
            ]
        )
        made[key] = output
        return output

    return compile_


def _stub_cudart(folder: Path, major: str) -> Path:
    """An empty library under the runtime's name: only its name matters to what links to it."""
    soname = "libcudart.so.11.0" if major == "11" else f"libcudart.so.{major}"
    source, library = folder / "cudart.cpp", folder / soname
    source.write_text('extern "C" int cudaGetDevice(int*) { return 0; }\n')
    process.run(["g++", "-fPIC", "-shared", f"-Wl,-soname,{soname}", source, "-o", library])
    return library


def make_wheel(
    folder: Path,
    name: str,
    members: Mapping[str, bytes],
    *,
    metadata_name: str | None = None,
    metadata_version: str | None = None,
    requires: Sequence[str] = ("torch",),
) -> Path:
    """A whole wheel with RECORD under a file name; METADATA has the bare version, as upstream's."""
    distribution, version, *_ = name.split("-")
    bare = metadata_version or version.split("+")[0]
    info = f"{distribution}-{bare}.dist-info"
    tag = "-".join(name.removesuffix(".whl").split("-")[-3:])
    lines = [f"Requires-Dist: {one}" for one in requires]
    files = {
        **members,
        f"{info}/METADATA": "\n".join(
            [
                "Metadata-Version: 2.1",
                f"Name: {metadata_name or distribution}",
                f"Version: {bare}",
                *lines,
                "",
                "Version: not this line",
                "",
            ]
        ).encode(),
        f"{info}/WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
        ),
    }
    record = "".join(f"{path},{_hash(text)},{len(text)}\n" for path, text in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    return path


def _hash(content: bytes) -> str:
    digest = hashlib.sha256(content).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


EXTENSION = "selective_scan_cuda.cpython-311-x86_64-linux-gnu.so"
UPSTREAM = "mamba_ssm-2.3.1+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"


@pytest.fixture
def wheel(tmp_path: Path, compile_module: Compile) -> Path:
    """An honest wheel as upstream makes them: GLIBC_2.32, CUDA 12, torch 2.8, several architectures."""
    return make_wheel(
        tmp_path,
        UPSTREAM,
        {EXTENSION: compile_module(EXTENSION).read_bytes(), "mamba_ssm/__init__.py": b""},
    )


@pytest.fixture(scope="session")
def old_root() -> Path:
    """A Debian 11 root (glibc 2.31), made with `debootstrap --variant=minbase bullseye DIR`."""
    import os

    root = Path(os.environ.get("MAMBAOPS_OLD_ROOT", BULLSEYE))
    if not (root / "etc/debian_version").exists():
        pytest.skip(f"no Debian 11 root in {root}: debootstrap --variant=minbase bullseye {root}")
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    return root

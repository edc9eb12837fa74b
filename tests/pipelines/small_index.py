"""The package indexes of a stand-in machine: small wheels under the real names, and the sources of the packages."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sysconfig
import tarfile
from functools import cache
from pathlib import Path

import mini
from fatbins import fatbin
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from small_wheels import wheel_members, write_zip

from mambaops.knowledge.toolkit_wheels import TOOLKIT_WHEELS
from mambaops.knowledge.torch_builds import torch_row

HERE = Path(__file__).resolve().parent
PLATFORM = "py3-none-linux_x86_64"
LIBRARIES = ("libc10.so", "libtorch.so", "libtorch_cpu.so", "libtorch_python.so")


@cache
def library(soname: str, text: str = "") -> bytes:
    """A shared library of that name; `text` is a constant in it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "a.c", Path(folder) / soname
        source.write_text(f'const char constant[] = "{text}";\n' if text else "int nothing;\n")
        words = ["gcc", "-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{soname}", "-o", out, source]
        subprocess.run(words, check=True)
        return out.read_bytes()


def torch_wheel(folder: Path, version: str, cuda: str | None, named: str = "") -> Path:
    """A torch of "2.2.2+cu121"; `named` is the version in its file's name where that is another one."""
    row = torch_row(version)
    build = row.build(cuda) if row and cuda else None
    archs = _flags(build.archs if build else [])
    abi = build.cxx11_abi if build else True
    runtime = f"libcudart.so.{cuda.split('.')[0]}" if cuda else ""
    if cuda and cuda.startswith("11"):
        runtime = "libcudart.so.11"
    libraries = {name: library(name) for name in LIBRARIES}
    libraries["libtorch_python.so"] = library("libtorch_python.so", "\\0" + " ".join(archs))
    if runtime:
        libraries[runtime] = library(runtime)
    files = {
        f"torch/{path.relative_to(HERE / 'torch_files')}": path.read_bytes()
        for path in (HERE / "torch_files").rglob("*.py")
    }
    quoted = f"'{cuda}'" if cuda else "None"
    files["torch/version.py"] = f"__version__ = '{version}'\ncuda = {quoted}\nhip = None\n".encode()
    files["torch/libraries.json"] = json.dumps(sorted(libraries)).encode()
    files["torch/archs.json"] = json.dumps(archs).encode()
    files["torch/abi.json"] = json.dumps(abi).encode()
    config = f'set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI={int(abi)}")\n'
    files["torch/share/cmake/Torch/TorchConfig.cmake"] = config.encode()
    files |= {f"torch/lib/{name}": data for name, data in libraries.items()}
    return put(folder, "torch", named or version, files, tag=PLATFORM)


def _flags(archs: list[str]) -> list[str]:
    names = [one.removesuffix("+PTX").replace(".", "") for one in archs]
    ptx = [one.removesuffix("+PTX").replace(".", "") for one in archs if one.endswith("+PTX")]
    return [f"sm_{name}" for name in names] + [f"compute_{name}" for name in ptx]


def put(
    folder: Path,
    name: str,
    version: str,
    files: dict[str, bytes] | None = None,
    requires: list[str] | None = None,
    tag: str = "py3-none-any",
) -> Path:
    """A wheel `NAME/` of an index."""
    module = name.replace("-", "_")
    content = files or {f"{module}/__init__.py": f"__version__ = {version!r}\n".encode()}
    members = wheel_members(module, version, content, requires or [], tag)
    return write_zip(folder / name / f"{module}-{version}-{tag}.whl", members)


def put_requirement(folder: Path, text: str) -> None:
    """A wheel that satisfies a requirement, unless there is one."""
    wanted = Requirement(text)
    name = wanted.name.lower().replace("_", "-")
    there = [Version(path.name.split("-")[1]) for path in (folder / name).glob("*.whl")]
    if not any(wanted.specifier.contains(one) for one in there):
        put(folder, name, fitting(wanted.specifier))


def fitting(wanted: SpecifierSet) -> str:
    """A version that is asked for: the pinned one, a bound, the one before a bound."""
    bounds = [one.version for one in wanted]
    tried = [*bounds, "1.0", *(f"{int(one.split('.')[0]) - 1}.9" for one in bounds), "4.57.0"]
    return next(one for one in tried if wanted.contains(one))


def toolkit_wheels(folder: Path, cuda: str, nvcc: str, release: str) -> None:
    """nvcc as the package index has it from CUDA 13 on: five wheels that make one folder."""
    major = cuda.split(".")[0]
    parts: dict[str, dict[str, bytes]] = {name: {} for name in TOOLKIT_WHEELS}
    base = f"nvidia/cu{major}/"
    compiler = parts["nvidia-cuda-nvcc"]
    for name in ("bin/ptxas", "bin/fatbinary"):
        compiler[base + name] = b"#!/bin/sh\n"
    compiler[base + "bin/nvcc"] = nvcc.encode()
    compiler[base + "standin.json"] = release.encode()
    nvvm = parts["nvidia-nvvm"]
    nvvm[base + "nvvm/bin/cicc"] = b"#!/bin/sh\n"
    nvvm[base + "nvvm/libdevice/libdevice.10.bc"] = b""
    config = parts["nvidia-cuda-crt"]
    config[base + "include/crt/host_config.h"] = b"#if __GNUC__ > 15\n#endif\n"
    parts["nvidia-cuda-cccl"][base + "include/cccl/cuda/std/version"] = b""
    runtime = parts["nvidia-cuda-runtime"]
    soname = f"libcudart.so.{major}"
    runtime[base + f"lib/{soname}"] = library(soname)
    for name in ("cuda_runtime.h", "cublas_v2.h", "cusparse.h", "cusolverDn.h"):
        runtime[base + "include/" + name] = b""
    for name, files in parts.items():
        executable(put(folder, name, f"{cuda}.88", files, tag=PLATFORM))


def executable(wheel: Path) -> None:
    """What lies in a `bin` of a wheel may be run."""
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100755 if "/bin/" in name else 0o100644) << 16
            archive.writestr(info, data)


def sdist(folder: Path, package: str, version: str) -> Path:
    """An sdist of a release: upstream's setup.py over small sources; the same bytes every time."""
    module = package.replace("-", "_")
    out = folder / package / f"{module}-{version}.tar.gz"
    if out.exists():
        return out
    tree = mini.make(package, version, folder.parent / "trees" / f"{module}-{version}")
    out.parent.mkdir(parents=True, exist_ok=True)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path in sorted(tree.rglob("*")):
            info = archive.gettarinfo(str(path), f"{module}-{version}/{path.relative_to(tree)}")
            info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
            data = io.BytesIO(path.read_bytes()) if path.is_file() else None
            archive.addfile(info, data)
    out.write_bytes(gzip.compress(raw.getvalue(), mtime=0))
    return out


def repository(place: Path, tree: Path, tag: str) -> None:
    """A git repository that holds `tree` under a tag (or branch); further ones are added to it."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(place)]
    if not (place / ".git").exists():
        place.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", "-b", "main", place], check=True)
    for path in place.iterdir():
        if path.name != ".git":
            subprocess.run(["rm", "-rf", path], check=True)
    subprocess.run(["cp", "-r", f"{tree}/.", place], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", tag], check=True)
    if tag != "main":
        subprocess.run([*git, "tag", "-f", tag], check=True)


def module_library(name: str, fatbin: Path | bytes) -> bytes:
    """A compiled module that can be imported and holds device code."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "code.fatbin"
        code.write_bytes(fatbin if isinstance(fatbin, bytes) else fatbin.read_bytes())
        source = Path(folder) / "a.c"
        section = f'asm(".section .nv_fatbin,\\"a\\"\\n.balign 8\\n.incbin \\"{code}\\"\\n.previous\\n");\n'
        source.write_text(mini.MODULE.format(name=name) + section)
        out = Path(folder) / f"{name}.so"
        include = f"-I{sysconfig.get_path('include')}"
        subprocess.run(["gcc", "-shared", "-fPIC", include, "-o", out, source], check=True)
        return out.read_bytes()


__all__ = ["fatbin", "module_library", "put", "put_requirement", "sdist", "torch_wheel"]

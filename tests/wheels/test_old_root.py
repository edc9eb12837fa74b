"""A CUDA extension built here for several architectures, imported for real on Debian 11 (glibc 2.31).

What `inspect-wheel` predicts and what Python there answers must agree, before the repair and after it.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mambaops.compile.portable import portable_object
from mambaops.core import process
from mambaops.facts.model import Facts
from mambaops.wheels.inspect.compatibility import check_compatibility
from mambaops.wheels.inspect.contents import inspect_wheel
from mambaops.wheels.repair.glibc import repair_wheel

from .conftest import make_wheel
from .facts_of import machine

NAME = "mamba_ssm-2.3.1-cp39-cp39-linux_x86_64.whl"
MODULE = "selective_scan_cuda.cpython-39-x86_64-linux-gnu.so"
FLAGS = (
    "-gencode arch=compute_80,code=[sm_80,sm_86] -gencode arch=compute_90,code=[sm_90,compute_90]"
)
# A Python module without Python's headers (they are another version's): the layout of PyModuleDef is the
# same from 3.5 on (https://docs.python.org/3.9/c-api/module.html#c.PyModuleDef).
SOURCE = r"""
#include <memory>
#include <vector>
__global__ void scale(float *x, float k) { x[threadIdx.x] *= k; }
struct State { std::vector<std::shared_ptr<int>> held; };
static int count() {
  State state;
  auto one = std::make_shared<int>(3);
  for (int i = 0; i < 4; ++i) state.held.push_back(one);
  return static_cast<int>(one.use_count());
}
extern "C" int launch(float *x) { scale<<<1, 32>>>(x, 2.f); return 0; }
struct Method { const char *name; void *(*call)(void *, void *); int flags; const char *doc; };
struct Definition {
  long refcount; void *type; void *init; long index; void *copy;
  const char *name, *doc; long size; Method *methods; void *slots, *traverse, *clear, *free;
};
extern "C" void *PyModule_Create2(Definition *, int);
extern "C" void *PyLong_FromLong(long);
static void *py_count(void *, void *) { return PyLong_FromLong(count()); }
static Method methods[] = {{"count", py_count, 4, nullptr}, {nullptr, nullptr, 0, nullptr}};
static Definition definition = {1, nullptr, nullptr, 0, nullptr, "selective_scan_cuda", nullptr, -1,
                                methods, nullptr, nullptr, nullptr, nullptr};
extern "C" __attribute__((visibility("default"))) void *PyInit_selective_scan_cuda() {
  return PyModule_Create2(&definition, 1013);
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not there")
    folder = tmp_path_factory.mktemp("cuda")
    source, library = folder / "module.cu", folder / MODULE
    source.write_text(SOURCE)
    argv = ["nvcc", "-O2", "-std=c++17", "-shared", "-Xcompiler", "-fPIC", "-cudart", "shared"]
    argv += ["-Xlinker", "-rpath,$ORIGIN", *FLAGS.split()]
    process.run([*argv, str(source), "-o", str(library)], timeout=300)
    return library


@pytest.fixture
def site(old_root: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder inside the root, with the CUDA runtime beside where the module will lie."""
    if not (old_root / "usr/bin/python3").exists():
        pytest.skip("the root has no python3: chroot ROOT apt-get install -y python3")
    folder = old_root / "tmp" / tmp_path.name
    folder.mkdir(parents=True)
    nvcc = Path(str(shutil.which("nvcc")))
    homes = [nvcc.resolve().parent.parent, Path("/usr/local/cuda")]
    found = [one for home in homes for one in home.glob("lib64/libcudart.so.1?")]
    if not found:
        pytest.skip(f"no libcudart beside nvcc (looked in {', '.join(map(str, homes))})")
    shutil.copy(found[0], folder / found[0].name)
    yield folder
    shutil.rmtree(folder)


def debian_11() -> Facts:
    """What a probe says of that root; no torch, no GPU: the module asks for neither."""
    facts = machine(distro="ubuntu 20.04", python="3.9.2", torch=None, gpus=(), driver=None)
    assert facts.host.glibc == "2.31"
    return facts


def imported(root: Path, site: Path) -> process.Completed:
    inside = f"/{site.relative_to(root)}"
    code = f"import sys; sys.path.insert(0, {inside!r}); import selective_scan_cuda as m; print(m.count())"
    return process.run(["chroot", root, "/usr/bin/python3", "-c", code], check=False, timeout=60)


@pytest.mark.slow
def test_prediction_and_import_agree_both_ways(
    built: Path, old_root: Path, site: Path, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, NAME, {MODULE: built.read_bytes()}, requires=())
    before = inspect_wheel(wheel)
    assert (before.cubins, before.ptx) == (("8.0", "8.6", "9.0"), ("9.0",))
    predicted = check_compatibility(before, debian_11())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    answer = imported(old_root, site)
    assert not answer.ok
    assert not predicted.loads
    assert (
        "ImportError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.32' not found"
        in answer.stderr
    )
    assert "GLIBC_2.32 (__libc_single_threaded)" in predicted.reason
    assert predicted.repairable

    repaired = repair_wheel(wheel, glibc="2.31").wheel
    after = inspect_wheel(repaired)
    assert (after.cubins, after.ptx) == (before.cubins, before.ptx)
    assert check_compatibility(after, debian_11()).loads
    with zipfile.ZipFile(repaired) as archive:
        archive.extractall(site)
    answer = imported(old_root, site)
    assert answer.ok, answer.stderr
    # std::shared_ptr counts rightly with the supplied symbol
    assert answer.stdout.strip() == "5"


def test_what_is_linked_our_way_is_accepted_by_the_old_loader_and_what_is_not_is_refused(
    old_root: Path, tmp_path: Path
) -> None:
    """The same source, compiled here twice: with the portable object on the link line, and without."""
    source = tmp_path / "state.cpp"
    source.write_text(
        "#include <memory>\n#include <vector>\nstatic std::vector<std::shared_ptr<int>> held;\n"
        'extern "C" int keep(int n) { held.push_back(std::make_shared<int>(n)); return *held.back(); }\n',
        encoding="utf-8",
    )
    inside = old_root / "tmp" / f"portable-{tmp_path.name}"
    inside.mkdir(parents=True)
    made = portable_object(tmp_path / "object", "g++", tmp_path / "log")
    flags = ["g++", "-std=c++17", "-O2", "-shared", "-fPIC", str(source)]
    try:
        process.run([*flags, "-o", inside / "plain.so"])
        process.run([*flags, made, "-o", inside / "portable.so"])
        plain, portable = (_load(old_root, inside / name) for name in ("plain.so", "portable.so"))
    finally:
        shutil.rmtree(inside)
    assert "version `GLIBC_2.32' not found" in plain.stderr
    assert portable.stdout.strip() == "7", portable.stderr


def _load(root: Path, library: Path) -> process.Completed:
    """Call `keep(7)` of a library with the root's own Python, so with its loader and C library."""
    path = "/" + library.relative_to(root).as_posix()
    code = f"import ctypes; print(ctypes.CDLL('{path}').keep(7))"
    return process.run(["chroot", root, "/usr/bin/python3", "-c", code], check=False, timeout=60)

"""Kernels without a compiler, measured without a GPU: what a call costs, the first use, the way to an import, a pack.

    python benchmarks/runtime_kernels.py            # calls, first use, import
    python benchmarks/runtime_kernels.py --pack     # also a pack for one architecture: minutes

Both sides launch against a stand-in for the driver (ours) or the CUDA runtime (upstream's own C++, built as it builds it),
with the same CPU tensors, in turns in one process: the ratio is the host's part of a call. Needs gcc, g++ and the
environment of the tests (torch); what is fetched and built is kept in the tests' cache.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "runtime")]

import kernel_sources  # noqa: E402

from mambaops.runtime.identity import asked_of  # noqa: E402
from mambaops.runtime.pack import compile_pack  # noqa: E402
from mambaops.runtime.selection import USUAL  # noqa: E402
from mambaops.runtime.wheel import files_of, write_tree, write_wheel  # noqa: E402

CUDA, ARCH, NVRTC = "12.8", "9.0", "12.8"
WANTED = 1.5
MODULES = {
    "conv": ("causal-conv1d", "causal_conv1d_cuda"),
    "scan": ("mamba-ssm", "selective_scan_cuda"),
}


def binding(what: str) -> Path:
    """Upstream's C++ with its own optimisation, built once."""
    import torch

    package = MODULES[what][0]
    tree = kernel_sources.source(package, kernel_sources.NEWEST[package]).tree
    out = (
        kernel_sources.FOLDER
        / f"host-O3-{torch.__version__}-{sys.version_info[1]}"
        / f"upstream_{what}.so"
    )
    if not out.is_file():
        out.parent.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, ROOT / "tests/runtime/upstream_host.py", tree, package]
        subprocess.run([*argv, kernel_sources.nvcc(), out, "-O3"], env=paths(), check=True)
    return out


def paths(*folders: Path) -> dict[str, str]:
    found = os.pathsep.join(map(str, [*folders, ROOT / "src"]))
    return {**os.environ, "PYTHONPATH": found, "OMP_NUM_THREADS": "1"}


def environment(site: Path, libcuda: Path, cache: Path) -> dict[str, str]:
    more = {
        "LD_LIBRARY_PATH": str(libcuda),
        "MAMBAOPS_CACHE": str(cache),
        "MAMBAOPS_NVRTC": str(kernel_sources.nvrtc(NVRTC)),
    }
    return {**paths(site), **more}


def stand_in(folder: Path) -> Path:
    """The driver that launches nothing."""
    source = ROOT / "tests/runtime/recording_libcuda.c"
    argv = ["gcc", "-O2", "-DSILENT", "-shared", "-fPIC", "-o", folder / "libcuda.so.1", source]
    subprocess.run(argv, check=True)
    return folder


# --- in a child process, with torch


def begin() -> None:
    """CPU tensors count as the GPU's, and the thread has a context, as torch's threads have."""
    import ctypes

    import torch

    torch.set_num_threads(1)
    torch.version.cuda = CUDA
    torch._C._cuda_getCurrentRawStream = lambda device: 0
    torch.cuda.get_device_capability = lambda device=None: (9, 0)
    torch.cuda.is_current_stream_capturing = lambda: False
    from mambaops_kernels import checks  # type: ignore

    checks.KIND = "cpu"
    ctypes.CDLL("libcuda.so.1").cuCtxSetCurrent(ctypes.c_void_p(0xC0))


def calls(module: Any, what: str) -> dict[str, Callable[[], Any]]:
    """What is called, with arguments of a small model: the host's part does not depend on sizes."""
    import torch

    torch.manual_seed(0)
    if what == "conv":
        x, weight, bias = torch.randn(2, 64, 300), torch.randn(64, 4), torch.randn(64)
        out, state, step = torch.empty_like(x), torch.randn(2, 64, 4), torch.randn(2, 64, 1)
        after, grads = (
            torch.empty_like(step),
            (torch.empty_like(x), torch.zeros(64, 4), torch.zeros(64)),
        )
        return {
            "causal_conv1d_update": lambda: module.causal_conv1d_update(
                step, state, weight, bias, after, True, None, None
            ),
            "causal_conv1d_fwd": lambda: module.causal_conv1d_fwd(
                x, weight, bias, None, None, out, None, True
            ),
            "causal_conv1d_bwd": lambda: module.causal_conv1d_bwd(
                x, weight, bias, out, None, None, None, *grads, None, True
            ),
        }
    u, delta, z = torch.randn(2, 64, 300), torch.rand(2, 64, 300), torch.randn(2, 64, 300)
    A, B, C = -torch.rand(64, 16), torch.randn(2, 1, 16, 300), torch.randn(2, 1, 16, 300)
    given = (u, delta, A, B, C, torch.ones(64), z, torch.ones(64))
    first, states, _ = module.fwd(*given, True)
    return {
        "selective_scan fwd": lambda: module.fwd(*given, True),
        "selective_scan bwd": lambda: module.bwd(*given, z, states, first, None, True, False),
    }


def measure(theirs: str, what: str) -> None:
    """Both sides in turns; the shortest of many rounds of each, in microseconds."""
    begin()
    ours = calls(importlib.import_module(MODULES[what][1]), what)
    loader = importlib.machinery.ExtensionFileLoader(Path(theirs).stem, theirs)
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    upstreams = calls(module, what)
    for name, call in ours.items():
        best = [1e9, 1e9]
        for _ in range(60):
            for place, one in enumerate((call, upstreams[name])):
                began = time.perf_counter()
                for _ in range(200):
                    one()
                best[place] = min(best[place], (time.perf_counter() - began) / 200 * 1e6)
        print(json.dumps({"call": name, "ours": best[0], "upstream": best[1]}), flush=True)


def first() -> None:
    """The first call of each function, with nothing compiled, then again in a process that finds it compiled."""
    begin()
    for what in MODULES:
        module = importlib.import_module(MODULES[what][1])
        if what == "scan":
            began = time.perf_counter()
            later = calls(module, what)
            print(
                json.dumps({"call": "selective_scan fwd", "seconds": time.perf_counter() - began})
            )
            del later["selective_scan fwd"]
        else:
            later = calls(module, what)
        for name, call in later.items():
            began = time.perf_counter()
            call()
            print(json.dumps({"call": name, "seconds": time.perf_counter() - began}))


# --- the parts


def child(env: dict[str, str], *words: object) -> list[dict[str, Any]]:
    argv = [sys.executable, str(Path(__file__)), *map(str, words)]
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def to_import(files: dict[str, bytes], folder: Path) -> float:
    """Seconds from a finished torch and fetched sources to kernels that can be imported: wheel, pip, import."""
    target = folder / "target"
    began = time.perf_counter()
    wheel = write_wheel(files, folder)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target"]
    subprocess.run([*pip, target, wheel], check=True)
    code = "import selective_scan_cuda, causal_conv1d_cuda"
    subprocess.run([sys.executable, "-c", code], env=paths(target), check=True)
    return time.perf_counter() - began


def pack(files: dict[str, bytes]) -> tuple[int, float, float]:
    """(kernels, CPU seconds, seconds) of the usual pack for one architecture, from nothing."""
    os.environ["MAMBAOPS_CACHE"] = tempfile.mkdtemp(prefix="mambaops-bench-")
    asked = asked_of({}, NVRTC, (ARCH,))
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    nvrtc = kernel_sources.nvrtc(NVRTC)
    made = compile_pack(files, asked, USUAL, python=Path(sys.executable), nvrtc=nvrtc)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return len(made) - 1, spent, time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", choices=MODULES, help="only what calls of this module cost")
    parser.add_argument("--pack", action="store_true", help="compile a pack, minutes")
    options = parser.parse_args()
    files = files_of(kernel_sources.newest(), kernel_sources.cccl())
    with tempfile.TemporaryDirectory(prefix="mambaops-bench-") as work:
        site, libcuda = write_tree(files, Path(work, "site")), stand_in(Path(work))
        cold = Path(work, "cache")
        for told in () if options.calls else ("compiled now", "compiled before"):
            for one in child(environment(site, libcuda, cold), "--first"):
                print(f"first call of {one['call']}, {told}: {one['seconds']:.2f} s")
        slow = []
        for what in [options.calls] if options.calls else MODULES:
            for one in child(environment(site, libcuda, cold), "--measure", what, binding(what)):
                ratio = one["ours"] / one["upstream"]
                slow += [one["call"]] if ratio > WANTED else []
                told = f"{one['ours']:.1f} us, upstream's binding {one['upstream']:.1f} us"
                print(f"{one['call']}: {told}: {ratio:.2f} times")
        if options.calls:
            return 0
        print(f"torch to import, sources fetched: {to_import(files, Path(work)):.1f} s")
        print(f"above {WANTED} times: {', '.join(slow) or 'none'}")
    if options.pack:
        count, spent, passed = pack(files)
        print(
            f"a pack of {count} kernels for {ARCH} by CUDA {NVRTC}: {spent:.0f} CPU s, {passed:.0f} s"
        )
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[3], sys.argv[2])
    elif sys.argv[1:2] == ["--first"]:
        first()
    else:
        sys.exit(main())

"""Kernels compiled beforehand, for GPUs that are not here: `python -m mambaops_kernels.packing --arch 9.0 --folder DIR`.

Needs NVRTC (that of the environment, or `MAMBAOPS_NVRTC`), and neither torch nor a GPU nor a driver. Files that are
whole stay: after a kill it goes on. Prints one JSON object per line: how many of how many are there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from queue import Empty, Queue
from typing import Any, Dict, List, NamedTuple, Tuple

from . import compiler, store
from .architectures import Target, Version, target
from .errors import KernelError
from .locate import Toolchain, find
from .rules import RULES, Instance, conv_instances, scan_instances, vmamba_instances
from .sources import HERE, Sources, installed

# from here on NVRTC keeps compiled headers between the programs of one process: most of a kernel's time
PCH_SINCE = (12, 8)
# programs that one child is handed at once
CHUNK = 12
# of a block that trains: nobody takes the gradient of the states that its convolution leaves behind
_CONVOLUTION = {"silu": True, "deterministic": False, "final_states": False}


class Job(NamedTuple):
    """One kernel of the pack: where it will lie, and what is compiled."""

    path: str
    instance: Instance
    wanted: Target


def usual(dtypes: List[str], width: int = 4, *, scan: bool = True) -> List[Instance]:
    """What Mamba's blocks launch, forward and backward, for every sequence length.

    The scan with B and C per step of time, softplus and weights in fp32; the convolution with SiLU, its weights in the
    inputs' type or in fp32. What else a model asks for is compiled when it is first used.

    Args:
        width: of the convolution. scan: False for Mamba-2, whose scan is Triton's.
    """
    found: List[Instance] = []
    for dtype in dtypes:
        scans: List[Instance] = []
        for backward in (False, True) if scan else ():
            scans += scan_instances(dtype, "fp32", backward=backward)
        found += [
            one for one in scans if _says(one, variable_B=True, variable_C=True, softplus=True)
        ]
        for weight in dict.fromkeys([dtype, "fp32"]):
            convs = conv_instances(dtype, weight)
            found += [one for one in convs if _says(one, width=width, **_CONVOLUTION)]
        # what VMamba's own code calls, where its sources are there
        oflex = [one for one in vmamba_instances(dtype) if one.family.startswith("oflex")]
        found += [one for one in oflex if scan and _says(one, softplus=True, output="fp32")]
    return found


def every(dtypes: List[str]) -> List[Instance]:
    """Every instance with inputs of these types, complex weights too."""
    found: List[Instance] = []
    for dtype in dtypes:
        for weight in ("fp32", "complex64"):
            found += scan_instances(dtype, weight, backward=False)
            found += scan_instances(dtype, weight, backward=True)
        for weight in ("fp32", "fp16", "bf16"):
            found += conv_instances(dtype, weight)
        found += vmamba_instances(dtype)
    return found


def _says(instance: Instance, **wanted: object) -> bool:
    """Whether those of its values that are named are as wanted."""
    names = RULES[instance.family].values
    values = dict(zip(names, instance.values))
    return all(values[name] == value for name, value in wanted.items() if name in values)


def targets_of(archs: List[Version], cuda: Version, *, ptx: bool = False) -> List[Target]:
    """The machine code that GPUs of these capabilities run, each once; PTX of the newest for those still to come.

    Raises:
        KernelError: the NVRTC of that CUDA makes none for one of them.
    """
    found = []
    for arch in archs:
        try:
            wanted = target(arch, cuda)
        except ValueError as error:
            raise KernelError(str(error)) from error
        if wanted.kind != "cubin":
            raise KernelError(
                f"the NVRTC of CUDA {cuda[0]}.{cuda[1]} makes no machine code for {arch[0]}.{arch[1]}"
            )
        found.append(wanted)
    if ptx:
        found.append(Target("ptx", max(one.arch for one in found)))
    return list(dict.fromkeys(found))


def jobs_of(
    sources: Sources, instances: List[Instance], targets: List[Target], folder: str
) -> List[Job]:
    """What is still to be compiled into a folder; kernels that the sources have."""
    found = []
    for wanted in targets:
        for instance in instances:
            if not sources.holds(instance.family):
                continue
            path = os.path.join(folder, compiler.pack_name(sources, instance, wanted))
            if store.load(path, owned=False) is None:
                found.append(Job(path, instance, wanted))
    return found


def compile_all(
    sources: Sources, toolchain: Toolchain, jobs: List[Job], workers: int, said: int, of: int
) -> None:
    """Compile every job, `workers` processes at once.

    Raises:
        KernelError: a kernel does not compile, or cannot be written; the others that are whole stay.
    """
    queue: "Queue[List[Job]]" = Queue()
    # side by side what includes the same file: its headers are compiled once
    ordered = sorted(jobs, key=lambda job: (RULES[job.instance.family].file, job.wanted))
    for begin in range(0, len(ordered), CHUNK):
        queue.put(ordered[begin : begin + CHUNK])
    failures: List[Exception] = []
    count = [said]
    lock = threading.Lock()

    def work() -> None:
        try:
            with _Child(sources, toolchain) as child:
                while not failures:
                    for job in queue.get_nowait():
                        child.compile(job)
                        with lock:
                            count[0] += 1
                            print(json.dumps({"done": count[0], "of": of}), flush=True)
        except Empty:
            return
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(max(1, min(workers, queue.qsize())))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class _Child:
    """A process that compiles one program after the other, keeping the compiled headers."""

    def __init__(self, sources: Sources, toolchain: Toolchain) -> None:
        self._sources, self._toolchain = sources, toolchain
        self._headers = tempfile.TemporaryDirectory(prefix="mambaops-pch-")
        argv = [sys.executable, "-I", "-S", os.path.join(HERE, "packing_child.py")]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._headers.cleanup()

    def compile(self, job: Job) -> None:
        given = (self._sources, job.instance, self._toolchain, job.wanted)
        asked = compiler.job_of(*given)
        if self._toolchain.cuda >= PCH_SINCE:
            asked["options"] += ["--pch", "--pch-dir=" + self._headers.name, "--pch-messages=false"]
        said, code = self._ask(asked)
        if not store.save(job.path, compiler.stored_of(*given, said, code)):
            raise KernelError(f"{job.path} cannot be written: is the disk full?")

    def _ask(self, job: Dict[str, Any]) -> Tuple[Dict[str, Any], bytes]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise KernelError(f"the compiling process died with status {self._process.wait()}")
        said = json.loads(line)
        return said, self._process.stdout.read(said["size"])


def main() -> int:
    """Compile what is missing; 1 where it cannot be done, with the reason on stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", action="append", required=True, help="9.0; may be repeated")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--cuda", default=None, help="of the NVRTC that is wanted, 13.0")
    parser.add_argument("--dtypes", default="bf16,fp16,fp32")
    parser.add_argument("--width", type=int, default=4, help="of the convolution")
    parser.add_argument("--no-scan", action="store_true", help="the convolution alone: Mamba-2")
    parser.add_argument("--all", action="store_true", help="every instance, not the usual ones")
    parser.add_argument("--ptx", action="store_true", help="also PTX of the newest architecture")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    try:
        _pack(given)
    except KernelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _pack(given: argparse.Namespace) -> None:
    sources, toolchain = installed(), find(given.cuda)
    archs: List[Version] = []
    for word in given.arch:
        major, _, minor = word.partition(".")
        archs.append((int(major), int(minor)))
    targets = targets_of(archs, toolchain.cuda, ptx=given.ptx)
    dtypes = given.dtypes.split(",")
    instances = every(dtypes) if given.all else usual(dtypes, given.width, scan=not given.no_scan)
    os.makedirs(given.folder, exist_ok=True)
    known = [one for one in instances if sources.holds(one.family)]
    total = len(known) * len(targets)
    jobs = jobs_of(sources, instances, targets, given.folder)
    print(json.dumps({"done": total - len(jobs), "of": total}), flush=True)
    compile_all(sources, toolchain, jobs, given.jobs, total - len(jobs), total)


if __name__ == "__main__":
    sys.exit(main())

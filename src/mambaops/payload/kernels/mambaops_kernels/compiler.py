"""From an instance of a template to machine code: a pack's, the cache's, or freshly compiled in a child process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from typing import Any, Dict, List, Optional, Tuple

from . import facts, places, store
from .architectures import Target, Version, finished_from, runs, target
from .errors import CompileError, KernelError
from .locate import Toolchain
from .rules import RULES, Instance
from .sources import HERE, Sources

OPTIONS = ("--std=c++17", "--use_fast_math", "-default-device")
# kernels that were compiled beforehand and installed with the sources
PACK = os.path.join(HERE, "pack")
_SAY_AFTER_SECONDS = 2.0


def compile_kernel(
    sources: Sources, instance: Instance, toolchain: Toolchain, wanted: Target
) -> store.Stored:
    """Compile one instance, in a child process.

    Raises:
        CompileError: NVRTC refuses it; with its log.
        KernelError: NVRTC cannot be loaded.
    """
    said, code = run_nvrtc(job_of(sources, instance, toolchain, wanted))
    return stored_of(sources, instance, toolchain, wanted, said, code)


def job_of(
    sources: Sources, instance: Instance, toolchain: Toolchain, wanted: Target
) -> Dict[str, Any]:
    """What `nvrtc.py` is handed."""
    program, kernel = sources.program(instance)
    return {
        "library": toolchain.library,
        "builtins": toolchain.builtins,
        "program": program,
        "kernel": kernel,
        "options": options(sources, instance, toolchain, wanted),
        "kind": wanted.kind,
    }


def stored_of(
    sources: Sources,
    instance: Instance,
    toolchain: Toolchain,
    wanted: Target,
    said: Dict[str, Any],
    code: bytes,
) -> store.Stored:
    """The kernel of an answer.

    Raises:
        CompileError: NVRTC refused it; with its log.
    """
    if said["error"]:
        raise CompileError(
            f"{instance.name} does not compile with {toolchain.library} for {wanted.option}: "
            f"{said['error']}\n{said['log']}".rstrip()
        )
    head = {
        "name": said["name"],
        "numbers": facts.read(code),
        "kind": wanted.kind,
        "arch": list(wanted.arch),
        "instance": instance.name,
        "cuda": list(toolchain.cuda),
        "release": sources.release(instance.family),
    }
    return store.Stored(head, code)


def options(
    sources: Sources, instance: Instance, toolchain: Toolchain, wanted: Target
) -> List[str]:
    """NVRTC's options, header folders last."""
    folders = [*sources.include(instance, toolchain.cuda[0]), *toolchain.include]
    spare = os.path.join(sources.folder, f"cuda{toolchain.cuda[0]}")
    if os.path.isdir(spare):
        folders.append(spare)
    return [f"--gpu-architecture={wanted.option}", *OPTIONS, *[f"-I{one}" for one in folders]]


def run_nvrtc(job: Dict[str, Any]) -> Tuple[Dict[str, Any], bytes]:
    """Hand one job to `nvrtc.py` in a process of its own.

    Raises:
        KernelError: the child could not be started, or died.
    """
    argv = [sys.executable, "-I", "-S", os.path.join(HERE, "nvrtc.py")]
    try:
        done = subprocess.run(
            argv,
            input=json.dumps(job).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise KernelError(
            f"the compiling process could not be started ({argv[0]}): {error}"
        ) from error
    line, _, code = done.stdout.partition(b"\n")
    try:
        said = json.loads(line)
    except ValueError:
        said = {"size": -1}
    if said["size"] != len(code):
        words = done.stderr.decode("utf-8", "replace").strip()[-2000:]
        raise KernelError(f"the compiling process ended with status {done.returncode}: {words}")
    return said, code


def key(sources: Sources, instance: Instance, toolchain: Toolchain, wanted: Target) -> str:
    """Digest of everything that the machine code depends on; the name of its file in the cache."""
    program, kernel = sources.program(instance)
    parts = [sources.digest, program, kernel, *OPTIONS, wanted.option, repr(toolchain.cuda)]
    parts += [_identity(toolchain.builtins)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def _identity(path: str) -> str:
    """A library by its size: patch releases of one minor version share everything else that is cheap to read."""
    try:
        return str(os.stat(path).st_size)
    except OSError:
        return ""


def pack_name(sources: Sources, instance: Instance, wanted: Target) -> str:
    """A kernel's file in a pack: by sources and target, since no NVRTC is asked where a pack is used."""
    text = "\0".join([sources.digest, instance.name, wanted.option])
    return hashlib.sha256(text.encode()).hexdigest()[:32] + ".kernel"


def packed(
    sources: Sources, instance: Instance, capability: Version, driver: Version
) -> Optional[store.Stored]:
    """The kernel of an installed pack, where it has one for this GPU.

    Args:
        driver: the newest CUDA that the driver knows; it reads no newer PTX.
    """
    if not os.path.isdir(PACK):
        return None
    for wanted in [Target("cubin", arch) for arch in runs(capability)] + finished_from(capability):
        path = os.path.join(PACK, pack_name(sources, instance, wanted))
        # it came with this very code, and is trusted as much
        found = store.load(path, owned=False)
        if found is not None and (wanted.kind == "cubin" or tuple(found.head["cuda"]) <= driver):
            return found
    return None


def obtain(
    sources: Sources, instance: Instance, toolchain: Toolchain, capability: Version
) -> store.Stored:
    """A kernel for a GPU: from the cache, or compiled now and kept.

    Raises:
        KernelError: it cannot be compiled; nothing is kept then.
    """
    try:
        wanted = target(capability, toolchain.cuda)
    except ValueError as error:
        raise KernelError(str(error)) from error
    name = key(sources, instance, toolchain, wanted) + ".kernel"

    def make() -> store.Stored:
        timer = threading.Timer(_SAY_AFTER_SECONDS, _say, [instance, wanted])
        timer.daemon = True
        timer.start()
        try:
            return compile_kernel(sources, instance, toolchain, wanted)
        finally:
            timer.cancel()

    return store.load_or_make(os.path.join(places.cache_folder(), name), make)


def _say(instance: Instance, wanted: Target) -> None:
    print(
        f"mambaops: compiling {instance.family} for {wanted.option}, used for the first time",
        file=sys.stderr,
        flush=True,
    )


def layout_of(sources: Sources, instance: Instance, stored: store.Stored) -> facts.Layout:
    """What the launch of a kernel needs to know of it."""
    extra = [name for name, _ in RULES[instance.family].extra]
    return facts.Layout(stored.head["numbers"], extra, sources.fields(instance.family))

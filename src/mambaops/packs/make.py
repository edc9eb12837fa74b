"""`compile-kernels`: from architectures and a choice of kernels to one wheel, with an NVRTC that is fetched for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from mambaops.bundle import index_files
from mambaops.core import interpreters
from mambaops.core.errors import MachineError, MambaopsError, UsageError
from mambaops.core.outputs import file_to_write
from mambaops.knowledge.cuda import nvcc_can_target
from mambaops.knowledge.tables import version_key
from mambaops.patching.archs import parse_archs
from mambaops.runtime import nvidia_wheels
from mambaops.runtime.identity import BASE, asked_of, distribution_version, kernel_packages
from mambaops.runtime.kernel_files import KernelSource
from mambaops.runtime.pack import compile_pack
from mambaops.runtime.releases import kernel_source
from mambaops.runtime.selection import DTYPES, Selection
from mambaops.runtime.wheel import files_of, write_wheel
from mambaops.store.store import Store
from mambaops.wheels.inspect.contents import inspect_wheel
from mambaops.wheels.inspect.pack import Asked

Say = Callable[[str], None]
# tried in this order where none is named: machine code of CUDA 12 needs the older drivers (from 525 on)
DEFAULTS = ("12.8", "13.0")
OLDEST_CUDA = "11.7"
# the kernels are machine code of a major architecture; NVRTC compiles 10.3's wrongly, so 10.0's is taken
_PLAIN = {"10.3": "10.0"}


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A pack that was written: the wheel, what is inside, and its size in bytes."""

    wheel: str
    stored: str
    asked: Asked
    cubins: tuple[str, ...]
    ptx: tuple[str, ...]
    dtypes: tuple[str, ...]
    kernels: dict[str, int]
    size: int


def wanted_archs(text: str) -> tuple[tuple[str, ...], bool]:
    """("8.0", "9.0") and whether PTX is asked for ("12.0+PTX").

    Raises:
        UsageError: no list of compute capabilities, or one of a single chip (9.0a).
    """
    found = parse_archs(text)
    plain = tuple(one.removesuffix("+PTX") for one in found)
    special = [one for one in plain if one.endswith(("a", "f"))]
    if special:
        raise UsageError(
            f"{', '.join(special)}: the kernels are compiled to plain machine code",
            hint=f"`--arch {special[0].rstrip('af')}` runs there as well",
        )
    return plain, plain != found


def compiler_for(cuda: str, archs: tuple[str, ...]) -> str:
    """The CUDA whose NVRTC compiles, before anything is fetched.

    Raises:
        UsageError: no version, or an older one than can compile the kernels.
        MachineError: that CUDA, or any, makes no code for one of the architectures.
    """
    if cuda and (len(cuda.split(".")) != 2 or not cuda.replace(".", "").isdigit()):
        raise UsageError(f"`--cuda {cuda}` is no CUDA version", hint="`--cuda 12.8`")
    if cuda and version_key(cuda) < version_key(OLDEST_CUDA):
        raise UsageError(f"CUDA {cuda} cannot compile the kernels", hint=f"{OLDEST_CUDA} or newer")
    tried = [cuda] if cuda else [*DEFAULTS]
    lacking = {
        one: [a for a in archs if nvcc_can_target(one, _PLAIN.get(a, a)) is False] for one in tried
    }
    for one in tried:
        if not lacking[one]:
            return one
    told = "; ".join(f"CUDA {one} makes none for {', '.join(lacking[one])}" for one in tried)
    raise MachineError(
        f"no NVRTC makes machine code for {', '.join(archs)} together: {told}",
        hint="name another `--cuda`, or make two packs",
    )


def selection_of(dtypes: str, every: bool, ptx: bool) -> Selection:
    """What the words of the command line choose.

    Raises:
        UsageError: a type that there are no kernels for.
    """
    named = tuple(sorted(set(dtypes.replace(" ", "").split(",")))) if dtypes else DTYPES
    strange = [one for one in named if one not in DTYPES]
    if strange:
        raise UsageError(f"`--dtypes {dtypes}`: {strange[0]!r} is none", hint=", ".join(DTYPES))
    return Selection(dtypes=named, every=every, ptx=ptx)


def make_pack(
    archs: tuple[str, ...],
    selection: Selection,
    output: Path,
    *,
    cuda: str = "",
    jobs: int = 0,
    force: bool = False,
    store: Store | None = None,
    say: Say = lambda text: None,
) -> Made:
    """Fetch the compiler and the sources, compile, write the wheel, and put it into the store.

    Args:
        output: folder for the wheel. force: replace a file of the person's there.

    Raises:
        UsageError: the folder cannot be written to. MachineError: no NVRTC for that.
        MambaopsError: something cannot be fetched, or does not compile. What was compiled is kept.
    """
    chosen = compiler_for(cuda, archs)
    local = distribution_version({}, chosen, archs, selection).partition("+")[2]
    target = output / f"mambaops_kernels-{BASE}+{local}-py3-none-any.whl"
    place = file_to_write(target, force=force, ours=is_pack)
    wheels = index_files.wheels(say)
    say(f"NVRTC of CUDA {chosen}, for {', '.join(archs)}")
    nvrtc = nvidia_wheels.nvrtc(chosen, wheels)
    # both: what is not in the pack is compiled where it is installed, by a torch of any CUDA
    headers = {
        one: path
        for any_ in ("13.0", "12.8", chosen)
        for one, path in nvidia_wheels.headers(any_, wheels).items()
    }
    files = files_of(_sources(say), headers)
    asked, python = asked_of({}, chosen, archs, selection), interpreters.ours()
    files |= compile_pack(files, asked, selection, python=python, jobs=jobs, nvrtc=nvrtc, say=say)
    return _described(write_wheel(files, place.parent, local=local), asked, store or Store(say=say))


def is_pack(path: Path) -> bool:
    """A pack that mambaops wrote."""
    try:
        return inspect_wheel(path).pack is not None
    except MambaopsError:
        return False


def _sources(say: Say) -> tuple[KernelSource, ...]:
    sdists = index_files.sdists(say)
    return tuple(kernel_source(name, sdists) for name in kernel_packages())


def _described(wheel: Path, asked: Asked, store: Store) -> Made:
    pack = inspect_wheel(wheel).pack
    assert pack is not None
    return Made(
        wheel=str(wheel),
        stored=str(store.add(wheel, asked.key)),
        asked=asked,
        cubins=pack.cubins,
        ptx=pack.ptx,
        dtypes=pack.dtypes,
        kernels=pack.kernels,
        size=wheel.stat().st_size,
    )

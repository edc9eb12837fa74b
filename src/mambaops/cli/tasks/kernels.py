"""Kernels compiled ahead of time."""

from __future__ import annotations

from typing import Any

from mambaops.cli.command import REQUIRED
from mambaops.cli.task import Context, emit, say, task


@task(
    name="compile-kernels",
    group="wheels",
    examples=(
        'mambaops compile-kernels --arch "8.0;9.0;12.0" --output packs',
        "mambaops compile-kernels --arch 12.0 --for state-spaces/mamba-130m-hf --output packs",
    ),
    # `for` is no name of a parameter
    given={
        "arch": REQUIRED,
        "cuda": "",
        "for": "",
        "dtypes": "",
        "all": False,
        "ptx": False,
        "output": REQUIRED,
        "jobs": 0,
        "force": False,
        "json": False,
    },
    excludes=(("for", "dtypes"), ("for", "all")),
    help={
        "arch": 'compute capabilities of the GPUs, "9.0" or "8.0;9.0;12.0"',
        "cuda": "whose NVRTC compiles, e.g. 12.8 (default: 12.8 where it can, else 13.0)",
        "for": "only what this model launches: its config.json, folder, or name on Hugging Face",
        "dtypes": "types of the inputs: bf16,fp16,fp32 (default: all three)",
        "all": "every kernel, not only those that Mamba's blocks launch",
        "ptx": "also PTX of the newest architecture; it needs a driver for this CUDA or a newer one",
        "output": "folder for the wheel",
        "jobs": "compilers at once; 0: one per core",
        "force": "replace a file of yours that is there",
    },
)
def compile_kernels(c: Context, **words: Any) -> None:
    """Compile kernels ahead of time, for GPUs elsewhere: no torch, no GPU, no nvcc.

    One wheel, the same for every torch, Python, C++ ABI and Linux, on x86_64 and aarch64. It goes into the store too, from
    which `build-mamba`, `plan --facts` and `bundle` take it. The compiler (NVRTC) is fetched by pip's settings, and what
    was compiled before an interruption is kept.
    """
    from pathlib import Path

    from mambaops.packs.make import make_pack, selection_of, wanted_archs
    from mambaops.packs.models import config_of, selection_for

    archs, ptx = wanted_archs(words["arch"])
    selection = selection_of(words["dtypes"], words["all"], ptx or words["ptx"])
    if words["for"]:
        from msgspec.structs import replace

        selection = replace(selection_for(config_of(words["for"])), ptx=selection.ptx)
        say(f"{words['for']}: {' '.join(selection.words)}")
    made = make_pack(
        archs,
        selection,
        Path(words["output"]),
        cuda=words["cuda"],
        jobs=words["jobs"],
        force=words["force"],
        say=say,
    )
    emit(made, as_json=words["json"], text=lambda one: one.wheel)

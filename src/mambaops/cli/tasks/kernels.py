"""Kernels compiled ahead of time."""

from __future__ import annotations

from mambaops.cli.task import Context, emit, say, task


@task(
    name="compile-kernels",
    group="wheels",
    examples=(
        'mambaops compile-kernels --arch "8.0;9.0;12.0" --output packs',
        "mambaops compile-kernels --arch 12.0 --for state-spaces/mamba-130m-hf --output packs",
    ),
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
def compile_kernels(
    c: Context,
    arch: str,
    output: str,
    cuda: str = "",
    for_: str = "",
    dtypes: str = "",
    all: bool = False,
    ptx: bool = False,
    jobs: int = 0,
    force: bool = False,
    json: bool = False,
) -> None:
    """Compile kernels ahead of time, for GPUs elsewhere: no torch, no GPU, no nvcc.

    One wheel, the same for every torch, Python, C++ ABI and Linux, on x86_64 and aarch64. It goes into the store too, from
    which `build-mamba`, `plan --facts` and `bundle` take it. The compiler (NVRTC) is fetched by pip's settings, and what
    was compiled before an interruption is kept.
    """
    from pathlib import Path

    from mambaops.packs.make import make_pack, selection_of, wanted_archs
    from mambaops.packs.models import config_of, selection_for

    archs, named_ptx = wanted_archs(arch)
    selection = selection_of(dtypes, all, named_ptx or ptx)
    if for_:
        from msgspec.structs import replace

        selection = replace(selection_for(config_of(for_)), ptx=selection.ptx)
        say(f"{for_}: {' '.join(selection.words)}")
    made = make_pack(archs, selection, Path(output), cuda=cuda, jobs=jobs, force=force, say=say)
    emit(made, as_json=json, text=lambda one: one.wheel)

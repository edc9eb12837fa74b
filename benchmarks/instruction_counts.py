"""Floating-point instructions of our kernels (NVRTC) against nvcc's build of upstream's own files: equal code, equal numbers.

    python benchmarks/instruction_counts.py [--all] [--arch 9.0] [--family scan_bwd] > table.md

Both compilers are CUDA 13.0's, from the package index; the kernels are instantiated out of upstream's untouched files with
PyTorch's headers for nvcc, and out of `mambaops-kernels` for NVRTC. nvdisasm shows both. Needs no GPU; `--all` takes every
instance of bf16 (an hour on two cores), otherwise one for each length class and template.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "runtime")]

import kernel_sources  # noqa: E402

from mambaops.runtime.wheel import files_of, write_tree  # noqa: E402

CUDA = "13.0"
# what computes, compares, converts or moves numbers between threads; the rest is addresses and control
COUNTED = ("FFMA", "FMUL", "FADD", "MUFU", "FSETP", "FSEL", "FMNMX", "F2F", "F2FP", "HADD2", "HMUL2", "HFMA2", "SHFL", "LDS", "STS", "RED", "ATOMG", "BAR")  # fmt: skip
# host code in upstream's headers that a CPU torch has no CUDA headers for
SHIMS = {
    "c10/cuda/CUDAException.h": "#pragma once\n#define C10_CUDA_CHECK(x) (void)(x)\n#define C10_CUDA_KERNEL_LAUNCH_CHECK()\n",
    "ATen/cuda/Atomic.cuh": "#pragma once\n#include <c10/util/complex.h>\n"
    "static inline __device__ float gpuAtomicAdd(float* a, float v) { return atomicAdd(a, v); }\n"
    "static inline __device__ void gpuAtomicAdd(c10::complex<float>* a, c10::complex<float> v) {\n"
    "  atomicAdd(&a->real_, v.real_); atomicAdd(&a->imag_, v.imag_); }\n",
}
_INSTRUCTION = re.compile(
    r"^\s+(?:/\*[0-9a-f]{4,}\*/)?\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)((?:\.\w+)*)"
)


def instances(rules: Any, every: bool) -> list[Any]:
    """bf16, weights of the scan in fp32: what trains."""
    scans = [
        one for back in (False, True) for one in rules.scan_instances("bf16", "fp32", backward=back)
    ]
    convs = rules.conv_instances("bf16", "bf16")
    if every:
        return [*scans, *convs]

    def shown(one: Any) -> bool:
        values = dict(zip(rules.RULES[one.family].values, one.values))
        asked = {"even": False, "variable_B": True, "variable_C": True, "has_z": True, "softplus": True, "width": 4, "silu": True, "deterministic": False, "circular": False, "vectors": True, "length": 64, "final_states": False, "seq_idx": False}  # fmt: skip
        return all(values.get(name, wanted) == wanted for name, wanted in asked.items())

    return [one for one in [*scans, *convs] if shown(one)]


def by_nvcc(sources: Any, rules: Any, wanted: list[Any], arch: str, work: Path) -> bytes:
    """One cubin with the instances of one upstream file, untouched."""
    from torch.utils import cpp_extension

    for name, text in SHIMS.items():
        (work / "shims" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "shims" / name).write_text(text)
    rule = rules.RULES[wanted[0].family]
    package = "mamba-ssm" if "selective" in rule.file else "causal-conv1d"
    tree = kernel_sources.source(package, kernel_sources.NEWEST[package]).tree
    folder = tree / ("csrc/selective_scan" if package == "mamba-ssm" else "csrc")
    lines = [f'#include "{folder / rule.file}"']
    for number, one in enumerate(wanted):
        rule = rules.RULES[one.family]
        values = {n: rules._written(v) for n, v in zip(rule.values, one.values)}
        lines.append(f"using traits{number} = {rule.traits.format(**values)};")
        kernel = (
            rule.kernel[sources.era(one.family)]
            .format(**values)
            .replace("traits", f"traits{number}")
        )
        lines.append(f"template __global__ void {kernel}({rule.struct});")
    unit, out = work / f"{wanted[0].family}.cu", work / f"{wanted[0].family}.cubin"
    unit.write_text("\n".join(lines) + "\n")
    home = kernel_sources.nvcc() / "nvidia/cu13"
    include = [
        work / "shims",
        folder,
        *cpp_extension.include_paths(),
        home / "include",
        home / "include/cccl",
    ]
    flags = [
        "-std=c++20",
        "-O3",
        "--use_fast_math",
        "--expt-relaxed-constexpr",
        "--expt-extended-lambda",
        "-w",
    ]
    flags += [f"-U__CUDA_NO_{one}__" for one in ("HALF_OPERATORS", "HALF_CONVERSIONS", "BFLOAT16_OPERATORS", "BFLOAT16_CONVERSIONS", "BFLOAT162_OPERATORS", "BFLOAT162_CONVERSIONS")]  # fmt: skip
    argv = [home / "bin/nvcc", "-cubin", f"-arch=sm_{arch.replace('.', '')}", *flags]
    subprocess.run([*argv, *[f"-I{one}" for one in include], unit, "-o", out], check=True)
    return out.read_bytes()


def nvdisasm() -> Path:
    folder = kernel_sources._unpacked("nvdisasm", ("nvidia-cuda-nvdisasm==13.2.86",))
    (found,) = folder.rglob("bin/nvdisasm")
    found.chmod(0o755)
    return found


def instructions(code: bytes, work: Path) -> dict[str, list[str]]:
    """Kernel's symbol -> its opcodes in order."""
    path = work / "one.cubin"
    path.write_bytes(code)
    done = subprocess.run([nvdisasm(), "-c", path], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    name = ""
    for line in done.stdout.splitlines():
        if line.startswith(".text."):
            name = line.removeprefix(".text.").rstrip(":")
            found[name] = []
        elif name and (match := _INSTRUCTION.match(line)):
            found[name].append(match[1])
    return found


def row(name: str, ours: list[str], theirs: list[str]) -> str:
    """`ours` where both count the same, `ours/theirs` where not."""
    mine, other = Counter(ours), Counter(theirs)
    cells = [str(mine[o]) if mine[o] == other[o] else f"**{mine[o]}/{other[o]}**" for o in COUNTED]
    order = [[one for one in code if one in COUNTED[:6]] for code in (ours, theirs)]
    same = "same" if order[0] == order[1] else "other"
    return f"| {name} | {' | '.join(cells)} | {same} | {len(ours)}/{len(theirs)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--arch", default="9.0")
    parser.add_argument("--family", default="", help="one template, e.g. scan_bwd")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mambaops-counts-") as folder:
        work = Path(folder)
        site = write_tree(files_of(kernel_sources.newest(), kernel_sources.cccl()), work / "site")
        sys.path.insert(0, str(site))
        os.environ["MAMBAOPS_NVRTC"] = str(kernel_sources.nvrtc(CUDA))
        from mambaops_kernels import compiler, locate, rules  # type: ignore
        from mambaops_kernels.architectures import Target  # type: ignore
        from mambaops_kernels.sources import installed  # type: ignore

        sources, toolchain = installed(), locate.find(CUDA)
        major, _, minor = options.arch.partition(".")
        target = Target("cubin", (int(major), int(minor)))
        wanted: dict[str, list[Any]] = {}
        for one in instances(rules, options.all):
            if options.family not in ("", one.family):
                continue
            wanted.setdefault(rules.RULES[one.family].file, []).append(one)
        print(f"| kernel (CUDA {CUDA}, sm_{major}{minor}) | {' | '.join(COUNTED)} | order | all |")
        print("|" + "---|" * (len(COUNTED) + 3))
        differing = 0
        for group in wanted.values():
            theirs = instructions(by_nvcc(sources, rules, group, options.arch, work), work)
            for one in group:
                made = compiler.compile_kernel(sources, one, toolchain, target)
                symbol = made.head["name"]
                ours = instructions(made.code, work)[symbol]
                line = row(one.name, ours, theirs[symbol])
                differing += "**" in line
                print(line, flush=True)
    print(
        f"\n{differing} of {sum(map(len, wanted.values()))} kernels differ in a count",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

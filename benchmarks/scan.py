"""Time and peak memory of the selective scan: transformers' own loop, mambapy, ours.

    python benchmarks/scan.py measure --results scan.json [--only ours,mambapy] [--threads 1]
    python benchmarks/scan.py write --results scan.json --out docs/benchmarks-scan.md

Every case is a process of its own: forward + backward at batch 1, state 16, float32, with D, z,
delta_bias and softplus, all arguments trained. Time is the best of up to 40 runs in six seconds.
Memory is the peak of the resident set during one run, above what was resident before (Linux). Needs
transformers >= 5.15; mambapy is measured if it can be imported.
"""

from __future__ import annotations

import sys

# The folder of this script holds others whose names must not hide the standard library's (select).
sys.path[:] = [p for p in sys.path if p != sys.path[0]]

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

IMPLEMENTATIONS = ("transformers", "mambapy", "ours")
DIMS = (512, 1536)
LENGTHS = (256, 608, 2048)
STATE = 16
FAMILIES = "\n## Whole models, by family"  # benchmarks/scan_families.py has measured what follows
Case = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("measure", "write", "one"))
    parser.add_argument("--results", type=Path, default=Path("scan-benchmark.json"))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks-scan.md"))
    parser.add_argument("--only", default=",".join(IMPLEMENTATIONS))
    parser.add_argument("--dims", default=",".join(map(str, DIMS)))
    parser.add_argument("--lengths", default=",".join(map(str, LENGTHS)))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--cap", type=float, default=300.0, help="seconds that one case may take")
    parser.add_argument("--case", default="", help="for `one`: the case as JSON")
    given = parser.parse_args()
    if given.action == "one":
        print(json.dumps(measure_here(json.loads(given.case))))
    elif given.action == "measure":
        measure(given)
    else:
        old = given.out.read_text() if given.out.exists() else ""
        kept = old[old.find(FAMILIES) :] if FAMILIES in old else ""
        new = table(json.loads(given.results.read_text()), given.results.name)
        given.out.write_text(new + kept)


# -- measuring -----------------------------------------------------------------------------------


def measure(given: argparse.Namespace) -> None:
    """Run the asked cases one after the other; the results file grows case by case."""
    done: list[Case] = json.loads(given.results.read_text()) if given.results.exists() else []
    for threads in map(int, given.threads.split(",")):
        for dim in map(int, given.dims.split(",")):
            for length in map(int, given.lengths.split(",")):
                for name in given.only.split(","):
                    case = {"name": name, "dim": dim, "length": length, "threads": threads}
                    done = [c for c in done if not case.items() <= c.items()]
                    facts = machine()  # before it runs: the load is that of the others
                    done.append({**case, **in_a_process(case, given.cap), **facts})
                    given.results.write_text(json.dumps(done, indent=1))
                    print(json.dumps(done[-1]), flush=True)


def in_a_process(case: Case, cap: float) -> Case:
    argv = [sys.executable, __file__, "one", "--case", json.dumps(case)]
    env = {**os.environ, "OMP_NUM_THREADS": str(case["threads"]), "USE_HUB_KERNELS": "0"}
    try:
        done = subprocess.run(
            argv, env=env, capture_output=True, text=True, timeout=cap, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not run to its end: over {cap:g} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["?"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def measure_here(case: Case) -> Case:
    import torch

    torch.set_num_threads(case["threads"])
    scan = implementation(case["name"])
    run_once(scan, arguments(16, 8))  # loads the libraries
    inputs = arguments(case["dim"], case["length"])
    before = reset_peak()
    first = run_once(scan, inputs)
    peak = resident("VmHWM") - before
    runs = [first]
    # the best of many short runs, since others may use the machine; a long one is run once
    enough = time.monotonic() + 6
    while first[1] < 20 and len(runs) < 40 and (len(runs) < 4 or time.monotonic() < enough):
        runs.append(run_once(scan, inputs))
    return {
        "forward_ms": min(r[0] for r in runs) * 1e3,
        "both_ms": min(r[1] for r in runs) * 1e3,
        "peak_mib": peak / 1024,
        "runs": len(runs),
    }


def implementation(name: str) -> Callable[..., Any]:
    if name == "ours":
        from mambaops.payload.scan import selective_scan

        return selective_scan
    from transformers.models.mamba.modeling_mamba import mamba_selective_scan

    if name == "transformers":
        return mamba_selective_scan
    import mambapy.pscan  # noqa: F401

    return lambda *tensors, **options: mamba_selective_scan(*tensors, **options, use_mambapy=True)


def arguments(dim: int, length: int) -> list[Any]:
    """What a Mamba block with usual initial values hands to its scan."""
    import torch

    torch.manual_seed(0)
    tensors = [
        torch.randn(1, length, dim).transpose(1, 2),
        (torch.randn(1, length, dim) * 0.5).transpose(1, 2),
        -torch.arange(1.0, STATE + 1).repeat(dim, 1),
        torch.randn(1, length, STATE).transpose(1, 2),
        torch.randn(1, length, STATE).transpose(1, 2),
        torch.ones(dim),
        torch.randn(1, length, dim).transpose(1, 2),
        torch.rand(dim) * 4 - 6,
    ]
    return [t.requires_grad_() for t in tensors]


def run_once(scan: Callable[..., Any], inputs: list[Any]) -> tuple[float, float]:
    """Seconds of the forward pass and of both."""
    started = time.perf_counter()
    out = scan(*inputs, delta_softplus=True)
    forward = time.perf_counter() - started
    out.sum().backward()
    both = time.perf_counter() - started
    for tensor in inputs:
        tensor.grad = None
    return forward, both


def resident(field: str) -> int:
    """KiB of this process: VmRSS now, VmHWM at its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"{field} is not in /proc/self/status: memory is measured on Linux only")


def reset_peak() -> int:
    """Forget the peak so far; returns what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def machine() -> Case:
    import torch

    model = next(
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "vector": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "mambapy": version("mambapy"),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[0], 1),
    }


def version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(name)
    except PackageNotFoundError:
        return "not installed"


# -- writing -------------------------------------------------------------------------------------

HEAD = """# Benchmark: the selective scan

Forward and backward of one scan, batch 1, state 16, float32, with D, z, delta_bias and softplus; all
arguments trained. transformers' own loop and mambapy are called through transformers {transformers}
(`use_mambapy`); mambapy {mambapy}. Time: best of up to 40
runs within six seconds (one run where it takes more than 20 s). Memory: peak of the resident set above what
was resident before, the first run. Each case is a process of its own.

Machine: {cpu}, {cores} cores, {vector}; torch {torch}, Python {python}; {date}. Single runs on a machine
that others may have used too: trust factors, not digits. The load is the system's (one minute) before the case: above the number of
cores, several threads wait for each other more than they work. **No GPU number is here.**

    python benchmarks/scan.py measure --results {results}
    python benchmarks/scan.py write --results {results} --out docs/benchmarks-scan.md

"""


def table(cases: list[Case], results: str) -> str:
    lines = [HEAD.format(**cases[-1], results=results)]
    for threads in sorted({c["threads"] for c in cases}):
        lines += [f"## {threads} thread{'s' * (threads > 1)}", ""]
        lines += [
            "| D | L | | forward ms | forward + backward ms | peak MiB | time against ours | memory against ours | load |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for case in sorted(
            (c for c in cases if c["threads"] == threads),
            key=lambda c: (c["dim"], c["length"], IMPLEMENTATIONS.index(c["name"])),
        ):
            lines.append(row(case, cases))
        lines.append("")
    return "\n".join(lines)


def row(case: Case, cases: list[Case]) -> str:
    start = f"| {case['dim']} | {case['length']} | {case['name']} |"
    load = case.get("load", "?")
    if "error" in case:
        return f"{start} {case['error']} | | | | | {load} |"
    same = ("dim", "length", "threads")
    ours = next(
        (c for c in cases if c["name"] == "ours" and all(c[k] == case[k] for k in same)), None
    )
    against = ("", "")
    if ours and case["name"] != "ours":
        against = tuple(f"{case[k] / ours[k]:.1f} ×" for k in ("both_ms", "peak_mib"))
    numbers = f"{case['forward_ms']:.1f} | {case['both_ms']:.1f} | {case['peak_mib']:.1f}"
    return f"{start} {numbers} | {against[0]} | {against[1]} | {load} |"


if __name__ == "__main__":
    main()

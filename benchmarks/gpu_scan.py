"""The scans on a GPU: compiled kernel, Triton, chunked, transformers' loop, as a Markdown table.

    python benchmarks/gpu_scan.py --out docs/benchmarks-scan-gpu.md

First one scan alone (forward + backward, bfloat16 inputs), then training steps of a random Mamba of
the 130M size in bfloat16: tokens per second and peak memory. What cannot run is named with its reason.
Nothing is downloaded. `run()` returns the text, for a script that measures everything at once.
"""

from __future__ import annotations

import sys

# The folder of this script holds others whose names must not hide the standard library's (select).
sys.path[:] = [p for p in sys.path if p != sys.path[0]]

import argparse  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import torch  # noqa: E402

SHAPES = ((1, 1536, 608), (4, 1536, 608), (1, 5120, 608), (1, 1536, 2048))
NAMES = ("compiled kernel", "Triton", "chunked PyTorch", "transformers' loop")
# The loop is a launch or more per time step and layer: it is not waited for longer than this.
CAP = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--layers", type=int, default=24)
    given = parser.parse_args()
    text = run(given.layers)
    print(text)
    if given.out:
        given.out.write_text(text)


def run(layers: int = 24) -> str:
    """Measure everything; the Markdown text.

    Raises:
        SystemExit: no CUDA device.
    """
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device is visible to torch: nothing can be measured")
    parts = [heading(), scan_table(), training_table(layers)]
    return "\n\n".join(parts) + "\n"


def heading() -> str:
    major, minor = torch.cuda.get_device_capability()
    return (
        "# Benchmark: the scans on a GPU\n\n"
        f"{torch.cuda.get_device_name()} (sm_{major}{minor}), torch {torch.__version__}, "
        f"CUDA {torch.version.cuda}; {time.strftime('%Y-%m-%d')}. "
        "Best of five after two that do not count; state 16.\n\n"
        "    python benchmarks/gpu_scan.py --out docs/benchmarks-scan-gpu.md"
    )


def scan_of(name: str) -> Callable[..., Any]:
    """The scan called `name`; raises what importing it raises."""
    from mambaops.payload.scan import selective_scan
    from mambaops.payload.scan.kernel_loading import load

    if name == "compiled kernel":
        import selective_scan_cuda

        if getattr(selective_scan_cuda, "__mambaops_standin__", False):
            raise ImportError("a stand-in is installed, not the kernel")
        return load("selective_scan_fn")
    if name == "Triton":
        return load("triton_scan")
    if name == "chunked PyTorch":
        return selective_scan
    return theirs()


def theirs() -> Callable[..., Any]:
    """transformers' own PyTorch scan, whatever packages are installed."""
    from transformers.models.mamba import modeling_mamba

    function = modeling_mamba.mamba_selective_scan
    return getattr(function, "__wrapped__", function)


def timed(step: Callable[[], Any]) -> tuple[float, float]:
    """(best seconds, peak MiB above what was allocated) of `step`."""
    durations: list[float] = []
    begun = time.monotonic()
    peak = 0.0
    for _ in range(7):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        started = time.perf_counter()
        step()
        torch.cuda.synchronize()
        durations.append(time.perf_counter() - started)
        peak = (torch.cuda.max_memory_allocated() - before) / 2**20
        if time.monotonic() - begun > CAP:
            break
    return min(durations[2:] or durations), peak


def scan_table() -> str:
    lines = ["## One scan, forward + backward, bfloat16", ""]
    lines += ["| B | D | L | | ms | peak MiB |", "|---|---|---|---|---|---|"]
    for batch, dim, length in SHAPES:
        inputs = arguments(batch, dim, length)
        for name in NAMES:
            said = attempt(lambda n=name, i=inputs: one_scan(n, i))
            lines.append(f"| {batch} | {dim} | {length} | {name} | {said} |")
    return "\n".join(lines)


def attempt(measure: Callable[[], str]) -> str:
    try:
        return measure()
    except Exception as error:
        torch.cuda.empty_cache()
        return f"not run: {type(error).__name__}: {str(error).splitlines()[0][:90]} | |"


def one_scan(name: str, inputs: list[Any]) -> str:
    scan = scan_of(name)

    def step() -> None:
        torch.autograd.grad(scan(*inputs, delta_softplus=True).float().sum(), inputs)

    seconds, peak = timed(step)
    return f"{seconds * 1e3:.2f} | {peak:.0f}"


def arguments(batch: int, dim: int, length: int) -> list[Any]:
    def low(*shape: int) -> Any:
        return torch.randn(shape, device="cuda", dtype=torch.bfloat16)

    tensors = [
        low(batch, length, dim).transpose(1, 2),
        low(batch, length, dim).transpose(1, 2),
        -torch.arange(1.0, 17, device="cuda").repeat(dim, 1),
        low(batch, 16, length),
        low(batch, 16, length),
        torch.ones(dim, device="cuda"),
        low(batch, length, dim).transpose(1, 2),
        torch.rand(dim, device="cuda") * 4 - 6,
    ]
    return [t.requires_grad_() for t in tensors]


def training_table(layers: int) -> str:
    lines = [
        f"## Training steps of a random Mamba (hidden 768, {layers} layers), bfloat16 autocast, B 1, L 608",
        "",
        "| scan | tokens/s | ms per step | peak MiB |",
        "|---|---|---|---|",
    ]
    for name in NAMES:
        said = attempt(lambda n=name: training(n, layers))
        lines.append(f"| {name} | {said} |")
    return "\n".join(lines)


def training(name: str, layers: int) -> str:
    from transformers import MambaConfig, MambaForCausalLM
    from transformers.models.mamba import modeling_mamba

    from mambaops.payload.scan import install, uninstall

    scan = scan_of(name)
    policy = "kernels" if name == "compiled kernel" else "reference"
    install(policy, families=["mamba"])
    if name in ("Triton", "transformers' loop"):
        allowed = ("D", "z", "delta_bias", "delta_softplus", "return_last_state")
        modeling_mamba.mamba_selective_scan = lambda *args, **options: scan(
            *args, **{k: v for k, v in options.items() if k in allowed}
        )
    try:
        torch.manual_seed(0)
        config = MambaConfig(hidden_size=768, num_hidden_layers=layers, vocab_size=4096)
        model = MambaForCausalLM(config).cuda().train()
        ids = torch.randint(3, 4096, (1, 608), device="cuda")

        def step() -> None:
            with torch.autocast("cuda", dtype=torch.bfloat16):
                loss = model(input_ids=ids, labels=ids, use_cache=False).loss
            loss.backward()
            model.zero_grad(set_to_none=True)

        seconds, peak = timed(step)
        return f"{ids.numel() / seconds:.0f} | {seconds * 1e3:.1f} | {peak:.0f}"
    finally:
        uninstall()


if __name__ == "__main__":
    main()

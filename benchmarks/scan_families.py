"""Small random models of every family, forward and backward: transformers' own path against `install()`.

    PYTHONPATH=src python benchmarks/scan_families.py [--length 512] [FAMILY ...]

Run by an interpreter with transformers >= 5.15, on one thread. Times are the processor's, the best of three, so that
other programs on the machine count little. Prints rows for docs/benchmarks-scan.md, with the largest difference of the
gradients (relative to the largest gradient).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))
# as models have it; the tests' chunks of four steps would cost Mamba-2's families much
CHUNK = {"mamba_chunk_size": 64, "chunk_size": 64}


def main() -> None:
    import torch
    from model_configurations import CONFIGURATIONS, tiny

    from mambaops.payload.scan import dispatch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", default=list(CONFIGURATIONS))
    parser.add_argument("--length", type=int, default=512)
    flags = parser.parse_args()
    torch.set_num_threads(1)
    ids = torch.randint(3, 40, (1, flags.length), generator=torch.Generator().manual_seed(0))
    print("| family | transformers ms | installed ms | times | gradients differ by |")
    print("|---|---|---|---|---|")
    for family in flags.families or list(CONFIGURATIONS):
        values = CONFIGURATIONS[family]
        values.update({name: size for name, size in CHUNK.items() if name in values})
        model = tiny(family)
        dispatch.uninstall()
        own, wanted = measure(model, ids)
        dispatch.install("reference", families=[family], say=lambda _line: None)
        ours, found = measure(model, ids)
        scale = max(float(g.abs().max()) for g in wanted)
        off = max(float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True)) / scale
        print(
            f"| {family} | {own * 1e3:.0f} | {ours * 1e3:.0f} | {own / ours:.1f} | {off:.0e} |",
            flush=True,
        )


def measure(model: Any, ids: Any) -> tuple[float, list[Any]]:
    """Seconds of processor time of the best of three, and the gradients."""
    import torch

    parameters = [p for p in model.parameters() if p.requires_grad]
    best = float("inf")
    for _run in range(3):
        began = time.process_time()
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        best = min(best, time.process_time() - began)
    return best, [g for g in found if g is not None]


if __name__ == "__main__":
    main()

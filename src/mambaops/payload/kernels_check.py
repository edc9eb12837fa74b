"""What `mambaops-kernels` of this environment holds and can compile. Run by the target interpreter:

    python kernels_check.py --packed 9.0 --gpu 12.0

prints one JSON object per check: `{"id", "outcome", "reason", "value"}`. Imports no torch.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from typing import Any, Dict, List, Tuple

MODULES = {"selective_scan_cuda": "scan", "causal_conv1d_cuda": "conv"}


def say(identity: str, outcome: str, reason: str = "", value: object = None) -> None:
    line = {"id": identity, "outcome": outcome, "reason": reason, "value": value}
    print(json.dumps(line), flush=True)


def version(text: str) -> Tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def check_pack(archs: List[str]) -> None:
    """Every kernel file of the pack is whole, and each architecture has kernels of both modules."""
    from mambaops_kernels import architectures, compiler, store  # type: ignore

    names = sorted(os.listdir(compiler.PACK)) if os.path.isdir(compiler.PACK) else []
    held: Dict[Tuple[int, int], Dict[str, int]] = {}
    for name in names:
        kernel = store.load(os.path.join(compiler.PACK, name), owned=False)
        if kernel is None:
            say("pack", "failed", "{} is damaged: install mambaops-kernels again".format(name))
            return
        family = str(kernel.head["instance"]).split("_")[0]
        if kernel.head["kind"] != "cubin":
            continue
        counts = held.setdefault(tuple(kernel.head["arch"]), {})
        counts[family] = counts.get(family, 0) + 1
    for arch in archs:
        # code of another architecture of the same major serves as well, as it will when it is loaded
        counts = next((held[one] for one in architectures.runs(version(arch)) if one in held), {})
        lacking = [module for module, family in MODULES.items() if not counts.get(family)]
        reason = "no kernel of {} for {}".format(" and ".join(lacking), arch) if lacking else ""
        say("pack:" + arch, "failed" if lacking else "ok", reason, counts)


def check_compiler(capability: str, cuda: str) -> None:
    """The environment's NVRTC compiles a kernel of each module for a GPU, outside of the cache."""
    from mambaops_kernels import architectures, compiler, locate, rules
    from mambaops_kernels.sources import installed  # type: ignore

    toolchain = locate.find(cuda or None)
    wanted = architectures.target(version(capability), toolchain.cuda)
    tried = {
        "selective_scan_cuda": rules.scan_instances("bf16", "fp32", backward=False)[-1],
        "causal_conv1d_cuda": rules.conv_instances("bf16", "bf16")[0],
    }
    for module, instance in tried.items():
        made = compiler.compile_kernel(installed(), instance, toolchain, wanted)
        value: Dict[str, Any] = {"bytes": len(made.code), "nvrtc": list(toolchain.cuda)}
        say("compiles:{}:{}".format(module, wanted.option), "ok", "", value)


def check_modules() -> bool:
    """What an import takes is ours, not a compiled module that was left beside it."""
    good = True
    for module in MODULES:
        found = importlib.util.find_spec(module)
        place = found.origin if found is not None else None
        ours = bool(place) and os.path.basename(str(place)) == "__init__.py"
        reason = "" if ours else "`import` takes {} instead of mambaops-kernels".format(place)
        say("module:" + module, "ok" if ours else "failed", reason, place)
        good = good and ours
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packed", action="append", default=[])
    parser.add_argument("--gpu", action="append", default=[])
    parser.add_argument("--cuda", default="")
    given = parser.parse_args()
    # the folder of this script must not stand for an installed module
    sys.path.pop(0)
    if not check_modules():
        return
    try:
        check_pack(given.packed)
        for capability in given.gpu or given.packed:
            check_compiler(capability, given.cuda)
    except Exception as error:  # whatever it is, it is what a first use would meet
        say("compiles", "failed", "{}: {}".format(type(error).__name__, error))


if __name__ == "__main__":
    main()

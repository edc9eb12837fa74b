"""Launch rules of VMamba's scans, one for each of the modules that its repository builds. No torch.

They descend from mamba's: weights in fp32, B and C per step, no gate. `oflex` may write its output in fp32 and let
channels share a delta, `ndstate` has one state, `nrow` lets a block of threads do several channels.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

from .rule import Rule

# what CUB 3 (CUDA 13) no longer has
_GONE = """\
#include <cub/version.cuh>
#if CUB_VERSION >= 300000
namespace cub {
inline __device__ void CTA_SYNC() { __syncthreads(); }
inline __device__ unsigned int LaneId() {
    unsigned int lane;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    return lane;
}
}
#endif
"""


class Mode(NamedTuple):
    """One module, `selective_scan_cuda_core`: folder of its files, and how their names end.

    Attributes:
        states: whether A, B and C have an axis of states. rows: whether a block does several channels.
        wide: whether the output's type is chosen.
    """

    folder: str
    ending: str
    states: bool = True
    rows: bool = False
    wide: bool = False


MODES: Dict[str, Mode] = {
    "core": Mode("cus", ""),
    "oflex": Mode("cusoflex", "_oflex", wide=True),
    "ndstate": Mode("cusndstate", "_ndstate", states=False),
    "nrow": Mode("cusnrow", "_nrow", rows=True),
}


def family(mode: str, backward: bool) -> str:
    """`oflex_bwd`"""
    return f"{mode}_{'bwd' if backward else 'fwd'}"


def _rule(mode: Mode, backward: bool) -> Rule:
    values = ["threads", "items", *(["rows"] if mode.rows else []), "even"]
    values += ["softplus"] if backward else []
    traits = [*values, "input"]
    output = ["output"] if mode.wide else []
    arguments = ", ".join(f"{{{name}}}" for name in traits) + ", float"
    arguments += "".join(f", {{{name}}}" for name in output)
    kept = "1"
    if mode.states:
        kept = "traits::kNRows * traits::MaxDState" if mode.rows else "traits::MaxDState"
    shared = f"traits::kSmemSize + {kept} * sizeof(typename traits::scan_t)"
    if backward:
        shared += f" + (traits::kNThreads + 4 * {kept}) * sizeof(typename traits::weight_t)"
    way = "bwd" if backward else "fwd"
    return Rule(
        file=f"{mode.folder}/selective_scan_{way}_kernel{mode.ending}.cuh",
        struct="SSMParamsBwd" if backward else "SSMParamsBase",
        values=(*traits, *output),
        traits=f"Selective_Scan_{way}_kernel_traits<{arguments}>",
        kernel={"1": f"selective_scan_{way}_kernel<traits>"},
        shared=shared,
        before=_GONE if backward else "",
    )


RULES: Dict[str, Rule] = {
    family(name, backward): _rule(mode, backward)
    for name, mode in MODES.items()
    for backward in (False, True)
}


def choices(mode: str, input_type: str) -> List[Tuple[str, Tuple[object, ...]]]:
    """(family, flags and types) of all launches with inputs of a type, without threads and items."""
    outputs = sorted({input_type, "fp32"}) if MODES[mode].wide else [""]
    found: List[Tuple[str, Tuple[object, ...]]] = []
    for backward in (False, True):
        for rows in (1, 2, 3, 4) if MODES[mode].rows else (0,):
            for even in (False, True):
                for softplus in (False, True) if backward else (None,):
                    for output in outputs:
                        flags: List[object] = [rows] if rows else []
                        flags += [even] if softplus is None else [even, softplus]
                        types = [input_type, output] if output else [input_type]
                        found.append((family(mode, backward), (*flags, *types)))
    return found

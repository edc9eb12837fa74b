"""Upstream's launch rules as a table: which instance of which template, with which grid and shared memory.

Read from the host launchers at the end of upstream's kernel files, release era by release era; those launchers are
cut from the sources, and `launchers.json` has the digests of the ones that these rules were read from. Block size,
shared memory and the struct's layout are not written here: the compiled kernel says them (`facts.py`). No torch.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

from . import vmamba_rules
from .rule import Rule

# from here on, upstream asks for shared memory beyond the default of a block
LARGE_SHARED = 48 * 1024
# sequence lengths that one block of threads walks in one piece: up to this length, threads, items per thread
_SCAN_LENGTHS = ((128, 32, 4), (256, 32, 8), (512, 32, 16), (1024, 64, 16))
_SCAN_LONG = (128, 16)
# elements of a chunk that the scan keeps one state for, whatever the launch (selective_scan.cpp)
SCAN_CHUNK = 2048

TYPES = {"fp32": "float", "fp16": "at::Half", "bf16": "at::BFloat16", "complex64": "complex_t"}
SIZES = {"fp32": 4, "fp16": 2, "bf16": 2, "complex64": 8}


_SCAN_ERAS = ("2.0", "2.1", "2.2")
_CHANNEL_LAST = (
    ("chunk_length", "traits::kChunkSizeL"),
    ("chunk_channels", "traits::kNEltsPerRow"),
)
_CONV_TYPES = ("width", "input", "weight")

RULES: Dict[str, Rule] = {
    "scan_fwd": Rule(
        file="selective_scan_fwd_kernel.cuh",
        struct="SSMParamsBase",
        values=("threads", "items", "even", "variable_B", "variable_C", "has_z", "input", "weight"),
        traits="Selective_Scan_fwd_kernel_traits<{threads}, {items}, 1, {even}, {variable_B}, "
        "{variable_C}, {has_z}, {input}, {weight}>",
        kernel=dict.fromkeys(_SCAN_ERAS, "selective_scan_fwd_kernel<traits>"),
        shared="traits::kSmemSize + MAX_DSTATE * sizeof(typename traits::scan_t)",
    ),
    "scan_bwd": Rule(
        file="selective_scan_bwd_kernel.cuh",
        struct="SSMParamsBwd",
        values=(
            "threads",
            "items",
            "even",
            "variable_B",
            "variable_C",
            "softplus",
            "has_z",
            "input",
            "weight",
        ),
        traits="Selective_Scan_bwd_kernel_traits<{threads}, {items}, {even}, {variable_B}, "
        "{variable_C}, {softplus}, {has_z}, {input}, {weight}>",
        kernel=dict.fromkeys(_SCAN_ERAS, "selective_scan_bwd_kernel<traits>"),
        shared="traits::kSmemSize + MAX_DSTATE * sizeof(typename traits::scan_t)"
        " + (traits::kNThreads + 4 * MAX_DSTATE) * sizeof(typename traits::weight_t)",
    ),
    "conv_fwd": Rule(
        file="causal_conv1d_fwd.cu",
        struct="ConvParamsBase",
        values=("vectors", *_CONV_TYPES),
        traits="Causal_conv1d_fwd_kernel_traits<128, {width}, {vectors}, {input}, {weight}>",
        kernel=dict.fromkeys(("1.0", "1.1", "1.3", "1.6"), "causal_conv1d_fwd_kernel<traits>"),
        shared="traits::kSmemSize",
    ),
    "conv_fwd_channel_last": Rule(
        file="causal_conv1d_fwd.cu",
        struct="ConvParamsBase",
        values=("seq_idx", *_CONV_TYPES),
        traits="Causal_conv1d_channellast_fwd_kernel_traits<128, {width}, 64, true, {input}, {weight}>",
        kernel={
            "1.0": "causal_conv1d_channellast_fwd_kernel<traits>",
            **dict.fromkeys(
                ("1.1", "1.3", "1.6"), "causal_conv1d_channellast_fwd_kernel<traits, {seq_idx}>"
            ),
        },
        shared="0",
        extra=_CHANNEL_LAST,
    ),
    "conv_bwd": Rule(
        file="causal_conv1d_bwd.cu",
        struct="ConvParamsBwd",
        values=("vectors", "silu", "deterministic", *_CONV_TYPES),
        traits="Causal_conv1d_bwd_kernel_traits<128, {width}, {silu}, {vectors}, {input}, {weight}>",
        kernel={
            **dict.fromkeys(("1.0", "1.1", "1.2", "1.3"), "causal_conv1d_bwd_kernel<traits>"),
            "1.6": "causal_conv1d_bwd_kernel<traits, {deterministic}>",
        },
        shared="traits::kSmemSize",
    ),
    "conv_bwd_channel_last": Rule(
        file="causal_conv1d_bwd.cu",
        struct="ConvParamsBwd",
        values=("length", "silu", "seq_idx", "final_states", "deterministic", *_CONV_TYPES),
        traits="Causal_conv1d_channellast_bwd_kernel_traits<128, {width}, {length}, {silu}, true, "
        "{input}, {weight}>",
        kernel={
            "1.0": "causal_conv1d_channellast_bwd_kernel<traits>",
            "1.1": "causal_conv1d_channellast_bwd_kernel<traits, {seq_idx}>",
            "1.2": "causal_conv1d_channellast_bwd_kernel<traits, {seq_idx}, {final_states}>",
            "1.3": "causal_conv1d_channellast_bwd_kernel<traits, {seq_idx}, {final_states}>",
            "1.6": "causal_conv1d_channellast_bwd_kernel<traits, {seq_idx}, {final_states}, "
            "{deterministic}>",
        },
        shared="0",
        extra=_CHANNEL_LAST,
    ),
    "conv_update": Rule(
        file="causal_conv1d_update.cu",
        struct="ConvParamsBase",
        values=("circular", *_CONV_TYPES),
        traits="Causal_conv1d_update_kernel_traits<64, {width}, {input}, {weight}>",
        kernel={
            "1.0": "causal_conv1d_update_kernel<traits>",
            "1.4": "causal_conv1d_update_kernel<traits, {circular}>",
        },
        shared="0",
    ),
    **vmamba_rules.RULES,
}


class Instance(NamedTuple):
    """One instance of a template: `values` in the order of its rule's, types as "bf16"."""

    family: str
    values: Tuple[object, ...]

    @property
    def name(self) -> str:
        """`scan_fwd threads=32 items=4 …`, for people and for file names' digests."""
        rule = RULES[self.family]
        said = [f"{key}={_said(value)}" for key, value in zip(rule.values, self.values)]
        return " ".join([self.family, *said])


def _said(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def scan_launch(length: int) -> Tuple[int, int, bool]:
    """(threads, items per thread, whether the length is a multiple of their product) for a sequence."""
    for limit, threads, items in _SCAN_LENGTHS:
        if length <= limit:
            return threads, items, length % (threads * items) == 0
    threads, items = _SCAN_LONG
    return threads, items, length % (threads * items) == 0


def conv_vectors(length: int, input_type: str) -> bool:
    """Whether a row is whole 16-byte vectors."""
    return length % (4 if SIZES[input_type] == 4 else 8) == 0


def backward_chunk(length: int, era: str) -> int:
    """Steps of time of one block, channel-last backward."""
    return 64 if length <= 128 or era in ("1.0", "1.1") else 128


def scan_instances(input_type: str, weight_type: str, *, backward: bool) -> List[Instance]:
    """Every instance that a launch with these types can take, all lengths and flags."""
    shapes = [(threads, items) for _, threads, items in _SCAN_LENGTHS] + [_SCAN_LONG]
    found = []
    flags = 5 if backward else 4
    for threads, items in shapes:
        for bits in range(2**flags):
            chosen = [bool(bits >> bit & 1) for bit in range(flags)]
            values = (threads, items, *chosen, input_type, weight_type)
            found.append(Instance("scan_bwd" if backward else "scan_fwd", values))
    return found


def vmamba_instances(input_type: str) -> List[Instance]:
    """Every instance of VMamba's scans with inputs of this type."""
    shapes = [(threads, items) for _, threads, items in _SCAN_LENGTHS] + [_SCAN_LONG]
    return [
        Instance(family, (*shape, *rest))
        for mode in vmamba_rules.MODES
        for family, rest in vmamba_rules.choices(mode, input_type)
        for shape in shapes
    ]


def conv_instances(input_type: str, weight_type: str) -> List[Instance]:
    """Every instance of the convolution's kernels with these types."""
    found = []
    for family, rule in RULES.items():
        if not family.startswith("conv"):
            continue
        choices: List[Tuple[object, ...]] = [()]
        for name in rule.values:
            options: Tuple[object, ...] = {
                "width": (2, 3, 4),
                "length": (64, 128),
                "input": (input_type,),
                "weight": (weight_type,),
            }.get(name, (False, True))
            choices = [(*one, option) for one in choices for option in options]
        found += [Instance(family, values) for values in choices]
    return found


def program(instance: Instance, era: str, fields: List[str]) -> Tuple[str, str]:
    """(the program that instantiates it, the kernel's name in it).

    Its `mambaops_facts` hold what the launch needs: see `facts.py`.

    Raises:
        KeyError: sources of that era have no such kernel.
    """
    rule = RULES[instance.family]
    values = {name: _written(value) for name, value in zip(rule.values, instance.values)}
    numbers = [
        "traits::kNThreads",
        rule.shared,
        *[expression for _, expression in rule.extra],
        "sizeof(params)",
    ]
    for field in fields:
        numbers += [f"offsetof(params, {field})", f"sizeof(params::{field})"]
    facts = ",\n    ".join(f"(int)({number})" for number in numbers)
    text = (
        f'#include "mambaops_prelude.h"\n{rule.before}'
        f'#include "{rule.file}"\n'
        f"using traits = {rule.traits.format(**values)};\n"
        f"using params = {rule.struct};\n"
        f'extern "C" __device__ int mambaops_facts[] = {{\n    {facts}}};\n'
    )
    return text, rule.kernel[era].format(**values)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return TYPES.get(value, "") if isinstance(value, str) else str(value)

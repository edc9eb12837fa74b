"""causal-conv1d's kernels, compiled from upstream's files and launched by the runtime, executed without a GPU.

Forward and backward in both layouts and the decoding step, against float64 and its autograd.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import emulated_gpu
import pytest
import scan_reference
import torch
from scan_reference import DTYPES, ROUNDING
from torch import Tensor

from mambaops.emulator import MemoryFault

pytestmark = pytest.mark.network


class Case(NamedTuple):
    """`has`: l channels last, b bias, a activation (SiLU), i initial and f final states, s sequence numbers, d deterministic."""

    length: int
    width: int
    dtype: str
    weight: str
    has: str
    dim: int = 8
    batch: int = 2


CASES = [
    Case(1, 4, "fp32", "fp32", "ba"),
    Case(3, 2, "fp16", "fp32", ""),
    Case(37, 3, "bf16", "bf16", "b"),
    Case(256, 4, "fp32", "fp32", "bad"),
    Case(512, 4, "bf16", "fp32", "ba"),
    Case(517, 4, "fp32", "fp16", "a", dim=3),
    Case(1500, 4, "fp16", "fp16", "ba", dim=2),
    Case(2048, 3, "bf16", "fp32", "bad", dim=2),
    Case(1, 4, "fp32", "fp32", "lbaif", dim=32),
    Case(2, 4, "bf16", "fp32", "lbaif", dim=64),
    Case(37, 2, "fp16", "fp16", "lb", dim=72),
    Case(64, 3, "fp32", "fp32", "las", dim=40),
    Case(65, 4, "bf16", "bf16", "lbais", dim=16),
    Case(128, 4, "fp32", "fp32", "lbaifd", dim=32),
    Case(129, 4, "fp32", "bf16", "lbafs", dim=8),
    Case(200, 3, "fp16", "fp32", "lbaif", dim=64, batch=1),
]


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulated_gpu.Gpu]:
    with emulated_gpu.gpu(tmp_path_factory.mktemp("kernels")) as found:
        yield found


def close(name: str, found: Tensor, wanted: Tensor, roundings: float = 1) -> None:
    """Within float32's error in sums, and the result type's own rounding."""
    wanted = wanted.detach()
    error = (found.to(wanted.dtype) - wanted).abs()
    scale = wanted.abs().max().item() or 1.0
    allowed = 4e-6 * scale + roundings * ROUNDING.get(found.dtype, 0.0) * wanted.abs()
    assert (error <= allowed).all(), f"{name}: {(error / scale).max().item():.2e} of {scale:.3g}"


def drawn(case: Case) -> dict[str, Any]:
    """x, weight, bias, sequence numbers, initial states and the output's gradient."""
    draw = torch.Generator().manual_seed(case.length)
    dtype, weight = DTYPES[case.dtype], DTYPES[case.weight]
    last = "l" in case.has

    def sequence(length: int) -> Tensor:
        shape = (case.batch, length, case.dim) if last else (case.batch, case.dim, length)
        found = torch.randn(shape, generator=draw).to(dtype)
        return found.transpose(1, 2) if last else found

    numbers = torch.arange(case.length)[None] // 20 + torch.zeros(case.batch, 1)
    return {
        "x": sequence(case.length),
        "weight": torch.randn((case.dim, case.width), generator=draw).to(weight),
        "bias": torch.randn(case.dim, generator=draw).to(weight) if "b" in case.has else None,
        "seq_idx": numbers.to(torch.int32) if "s" in case.has else None,
        "initial": sequence(case.width - 1) if "i" in case.has else None,
        "dout": sequence(case.length),
        "dfinal": sequence(case.width - 1) if "f" in case.has else None,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(one) for one in case[:5]))
def test_convolution(gpu: emulated_gpu.Gpu, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSAL_CONV1D_DETERMINISTIC", "1" if "d" in case.has else "0")
    check_convolution(gpu, case)


def cut_out(tensor: Tensor, room: int, last: bool) -> Tensor:
    """The same values, not beginning at a whole vector: rows have room behind them, channels 8 - room before them."""
    if not last:
        return torch.nn.functional.pad(tensor, (0, room))[..., :-room]
    wide = torch.nn.functional.pad(tensor.transpose(1, 2), (room, 8 - room))
    return wide[..., room : room - 8].transpose(1, 2)


def check_convolution(gpu: emulated_gpu.Gpu, case: Case, room: int = 0) -> None:
    given = drawn(case)
    for name in ("x", "dout", "initial", "dfinal") if room else ():
        if given[name] is not None:
            given[name] = cut_out(given[name], room, "l" in case.has)
    silu, width = "a" in case.has, case.width
    names = ("x", "weight", "bias", "initial")
    wide = {
        name: None if given[name] is None else given[name].double().requires_grad_()
        for name in names
    }
    x, initial = wide["x"], wide["initial"]
    out = scan_reference.convolution(
        x, wide["weight"], wide["bias"], silu, given["seq_idx"], initial
    )
    before = torch.zeros(case.batch, case.dim, width - 1, dtype=torch.float64)
    final = torch.cat([before if initial is None else initial, x], -1)[..., -(width - 1) :]
    total = (out * given["dout"].double()).sum()
    if given["dfinal"] is not None:
        total = total + (final * given["dfinal"].double()).sum()
    total.backward()
    with gpu.holding(*given.values()) as memory:
        result, states = torch.empty_like(given["x"]), None
        if given["dfinal"] is not None:
            states = torch.empty_like(given["dfinal"])
        gpu.modules.conv.causal_conv1d_fwd(
            given["x"], given["weight"], given["bias"], given["seq_idx"], given["initial"],
            result, states, silu,
        )  # fmt: skip
        assert memory.unwritten(result) == 0
        close("out", result, out)
        if states is not None:
            close("final", states, final)
        dx = torch.empty_like(given["x"])
        dweight = torch.zeros_like(given["weight"], dtype=torch.float32)
        dbias = None if given["bias"] is None else torch.zeros(case.dim)
        dinitial = None if given["initial"] is None else torch.empty_like(given["initial"])
        gpu.modules.conv.causal_conv1d_bwd(
            given["x"], given["weight"], given["bias"], given["dout"], given["seq_idx"],
            given["initial"], given["dfinal"], dx, dweight, dbias, dinitial, silu,
        )  # fmt: skip
        assert memory.unwritten(dx) == 0
    for name, one in (("x", dx), ("weight", dweight), ("bias", dbias), ("initial", dinitial)):
        if one is not None:
            close("d" + name, one, wide[name].grad)


# the last chunk (512 steps of float32, 1024 of half precision) has fewer steps than a vector has elements
SHORT = [Case(513, 4, "fp32", "fp32", "ba", dim=2), Case(1031, 3, "bf16", "bf16", "bad", dim=2)]


@pytest.mark.parametrize("case", SHORT, ids=lambda case: f"{case.length}-{case.dtype}")
def test_a_chunk_that_is_nearly_empty(
    gpu: emulated_gpu.Gpu,
    case: Case,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rows are made longer; without that upstream's gradients (up to 1.7.0) are wrong, on a GPU too."""
    check_convolution(gpu, case)
    assert f"forgets steps of rows of {case.length}" in capsys.readouterr().err
    monkeypatch.setattr(gpu.modules.repairs, "missing_steps", lambda *_: 0)
    with pytest.raises(AssertionError, match="dx: "):
        check_convolution(gpu, case)


def test_fewer_steps_than_final_states(
    gpu: emulated_gpu.Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The final states' gradient gets room; upstream (up to 1.7.0) reads beyond its last channel."""
    for case in (Case(1, 4, "fp32", "fp32", "lbaif"), Case(2, 4, "bf16", "bf16", "lif", dim=72)):
        check_convolution(gpu, case)
    monkeypatch.setattr(gpu.modules.repairs, "with_room", lambda states: states)
    with pytest.raises(MemoryFault, match=r"'ld\.global\.f32"):
        check_convolution(gpu, Case(1, 4, "fp32", "fp32", "lbaif"))


@pytest.mark.parametrize(
    "case", [Case(64, 4, "fp32", "fp32", "ba"), Case(40, 3, "bf16", "bf16", "lbif", dim=16)]
)
def test_what_does_not_begin_at_whole_vectors(gpu: emulated_gpu.Gpu, case: Case) -> None:
    """Rows or channels cut out of wider ones: on a GPU upstream's kernels stop at the first address."""
    check_convolution(gpu, case, room=1)


class Step(NamedTuple):
    """Decoding: `steps` at once; `kept` states; `ring` a circular buffer; `gathered` states of other entries."""

    steps: int
    kept: int
    width: int
    dtype: str
    ring: bool = False
    gathered: bool = False
    dim: int = 70


@pytest.mark.parametrize(
    "step",
    [
        Step(1, 3, 4, "fp32"),
        Step(1, 4, 4, "bf16"),
        Step(3, 5, 2, "fp16"),
        Step(7, 3, 4, "fp32"),
        Step(1, 6, 3, "bf16", ring=True),
        Step(2, 3, 4, "fp32", ring=True, dim=64),
        Step(1, 3, 4, "fp32", gathered=True),
    ],
    ids=str,
)
def test_update(gpu: emulated_gpu.Gpu, step: Step) -> None:
    draw = torch.Generator().manual_seed(step.steps)
    batch, dtype = 3, DTYPES[step.dtype]
    x = torch.randn((batch, step.dim, step.steps), generator=draw).to(dtype)
    weight = torch.randn((step.dim, step.width), generator=draw)
    bias = torch.randn(step.dim, generator=draw)
    entries = torch.tensor([4, -1, 0], dtype=torch.int32) if step.gathered else None
    state = torch.randn((5 if step.gathered else batch, step.dim, step.kept), generator=draw).to(
        dtype
    )
    lengths = torch.tensor([0, 4, 11], dtype=torch.int32) if step.ring else None
    own = [0, 1, 2] if entries is None else [4, 0]
    rows = [0, 1, 2] if entries is None else [0, 2]
    begins = torch.zeros(3, dtype=torch.int64) if lengths is None else lengths.long() % step.kept
    # oldest first: a ring begins where it will be written next
    past = torch.stack(
        [state[entry].roll(-int(begins[row]), -1) for entry, row in zip(own, rows, strict=True)]
    )
    line = torch.cat([past, x[rows]], -1).double()
    shifted = line[..., -(step.steps + step.width - 1) :]
    wanted = scan_reference.convolution(shifted, weight.double(), bias.double(), True)[
        ..., step.width - 1 :
    ]
    after = line[..., -step.kept :].to(dtype)
    with gpu.holding(x, weight, bias, state, entries, lengths) as memory:
        out = torch.empty_like(x)
        gpu.modules.conv_update.causal_conv1d_update(
            x, state, weight, bias, out, True, lengths, entries
        )
        assert memory.unwritten(out) == 0
    close("out", out[rows], wanted)
    if entries is not None:
        assert torch.equal(out[1], torch.zeros_like(out[1]))  # a padding entry
    for place, (entry, row) in enumerate(zip(own, rows, strict=True)):
        ends = 0 if lengths is None else (int(begins[row]) + step.steps) % step.kept
        assert torch.equal(state[entry].roll(-ends, -1), after[place])

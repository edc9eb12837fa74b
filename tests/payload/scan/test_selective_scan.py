"""The chunked scan against the step-by-step definition, in value and in every gradient."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from mambaops.payload.scan import selective_scan, selective_scan_loop
from mambaops.payload.scan.recurrence import plan_segments, scan_, scan_back_, segment_shape
from mambaops.payload.scan.work import ScanWork

KINDS = ("constant", "variable", "grouped")
Arguments = Callable[..., list[Any]]


def leaves(arguments: list[Any]) -> list[Any]:
    return [None if t is None else t.clone().requires_grad_() for t in arguments]


def results(scan: Callable[..., Any], arguments: list[Any]) -> list[Any]:
    """out, last state, and the gradients of a loss that uses both."""
    inputs = leaves(arguments)
    out, last = scan(*inputs, delta_softplus=True, return_last_state=True)
    weights = torch.linspace(1, 2, out.numel(), dtype=out.dtype).view_as(out)
    loss = (out * weights).sum() + last.abs().square().sum()
    return [out, last, *torch.autograd.grad(loss, [t for t in inputs if t is not None])]


@pytest.mark.parametrize(
    ("b", "c", "is_complex", "extras"),
    list(itertools.product(KINDS, KINDS, (False, True), (False, True))),
)
def test_equals_the_loop(
    arguments: Arguments, b: str, c: str, is_complex: bool, extras: bool
) -> None:
    given = arguments(length=70, b=b, c=c, is_complex=is_complex, extras=extras)
    for ours, wanted in zip(
        results(selective_scan, given), results(selective_scan_loop, given), strict=True
    ):
        torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("length", [1, 5, 31, 32, 33, 64, 300])
def test_any_length(arguments: Arguments, length: int) -> None:
    given = arguments(length=length, dim=3, state=2)
    for ours, wanted in zip(
        results(selective_scan, given), results(selective_scan_loop, given), strict=True
    ):
        torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("is_complex", [False, True])
def test_gradcheck(arguments: Arguments, is_complex: bool) -> None:
    inputs = leaves(arguments(1, 2, 5, 2, groups=1, b="grouped", is_complex=is_complex))

    def scan(*tensors: Any) -> Any:
        return selective_scan(*tensors, delta_softplus=True, return_last_state=True)

    assert torch.autograd.gradcheck(scan, inputs)


@pytest.mark.parametrize(("size", "lanes"), [(16, 4), (32, 8), (8, 1), (64, 4)])
def test_segments_and_ways_do_not_change_the_result(
    arguments: Arguments, size: int, lanes: int
) -> None:
    """The cut that a GPU gets, on the CPU."""
    given = arguments(length=75)
    whole, cut = (ScanWork(*given, True) for _ in range(2))
    cut.segments = plan_segments(75, size, lanes)
    assert [s.lanes for s in cut.segments].count(lanes) >= 1
    for work in (whole, cut):
        work.out, work.last, starts = work.forward(keep=True)
        work.grads = work.backward(given[0], work.last, starts, [True] * 8)
    for one, other in zip(
        [whole.out, whole.last, *whole.grads], [cut.out, cut.last, *cut.grads], strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_recurrence_in_lanes_equals_one_way() -> None:
    torch.manual_seed(0)
    for steps, lanes in ((4, 4), (12, 3), (40, 8), (64, 16)):
        decay, values = torch.rand(steps, 5).double(), torch.randn(steps + 1, 5).double()
        one, many = values.clone(), values.clone()
        scan_(decay, one)
        scan_(decay, many, lanes)
        torch.testing.assert_close(one, many)
        one, many = values[1:].clone(), values[1:].clone()
        scan_back_(decay, one)
        scan_back_(decay, many, lanes)
        torch.testing.assert_close(one, many)


def test_plan_covers_every_step_once() -> None:
    for length, size, lanes in itertools.product((0, 1, 7, 64, 75, 100), (1, 8, 32), (1, 4, 8)):
        if size % lanes:
            continue
        plan = plan_segments(length, size, lanes)
        assert [t for s in plan for t in range(s.start, s.stop)] == list(range(length))
        assert all((s.stop - s.start) % s.lanes == 0 for s in plan)


def test_every_plan_of_a_gpu_can_be_run() -> None:
    """Every length and every width class: the segments tile the sequence and divide into their lanes."""
    gpu = torch.device("cuda")
    shapes = {segment_shape(1 << power, gpu) for power in range(8, 31)}
    assert len(shapes) > 3, "the classes differ"
    for size, lanes in shapes:
        for length in range(2101):
            plan = plan_segments(length, size, lanes)
            ends = [s.stop for s in plan]
            assert [s.start for s in plan] == [0, *ends][: len(plan)]
            assert (ends or [0])[-1] == length
            assert all((s.stop - s.start) % s.lanes == 0 for s in plan), (size, lanes, length)


@pytest.mark.parametrize("width", [1 << 10, 1 << 19, 1 << 20, 1 << 26])
@pytest.mark.parametrize("length", [3, 17, 100, 255, 300, 1021])
def test_the_plan_of_a_gpu_gives_the_numbers_of_a_cpu(
    arguments: Arguments, length: int, width: int
) -> None:
    given = arguments(1, 2, length, 2, groups=1)
    whole, cut = (ScanWork(*given, True) for _ in range(2))
    cut.segments = plan_segments(length, *segment_shape(width, torch.device("cuda")))
    found = []
    for work in (whole, cut):
        out, last, starts = work.forward(keep=True)
        found.append([out, last, *work.backward(given[0], last, starts, [True] * 8)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_a_wide_batch_is_done_in_pieces(arguments: Arguments) -> None:
    given = arguments(batch=5, dim=512, length=9, state=16, groups=1, dtype=torch.float64)
    assert len(ScanWork(*given, True).rows) > 1
    for ours, wanted in zip(
        results(selective_scan, given), results(selective_scan_loop, given), strict=True
    ):
        torch.testing.assert_close(ours, wanted, rtol=1e-8, atol=1e-8)


def test_float32_is_as_exact_as_the_loop(arguments: Arguments) -> None:
    given = arguments(length=600, dim=16, state=16, groups=1)
    exact = selective_scan_loop(*given, True)
    single = [t.float() for t in given]
    scale = exact.abs().max()
    ours = (selective_scan(*single, True).double() - exact).abs().max() / scale
    loop = (selective_scan_loop(*single, True).double() - exact).abs().max() / scale
    assert ours < 1e-6
    assert ours < 4 * loop


def test_bfloat16_in_float32_inside_bfloat16_out(arguments: Arguments) -> None:
    given = arguments(length=200, dim=16, state=8, groups=1, dtype=torch.float32)
    A, D, bias = given[2], given[5], given[7]
    low = [t.bfloat16() for t in given]
    low[2], low[5], low[7] = A, D, bias
    out = selective_scan(*leaves(low), True)
    exact = selective_scan_loop(*(t.double() for t in low), True)
    assert out.dtype == torch.bfloat16
    # one rounding of the result to eight bits of mantissa, nothing more
    torch.testing.assert_close(out.double(), exact, rtol=2**-8, atol=1e-3)


def test_gradients_come_in_the_dtypes_of_the_inputs(arguments: Arguments) -> None:
    given = [t.bfloat16() for t in arguments(length=20, groups=1, dtype=torch.float32)]
    given[2] = given[2].float()
    inputs = leaves(given)
    selective_scan(*inputs, True).sum().backward()
    assert [t.grad.dtype for t in inputs] == [t.dtype for t in inputs]


def test_autocast_changes_nothing(arguments: Arguments) -> None:
    given = arguments(length=40, groups=1, dtype=torch.float32)
    plain = results(selective_scan, given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = results(selective_scan, given)
    for one, other in zip(plain, inside, strict=True):
        assert torch.equal(one, other)


def test_long_and_strongly_decaying_stays_finite(arguments: Arguments) -> None:
    """sum(dt A) reaches thousands: a scan that divides by decays gives NaN here."""
    u, _, A, B, C, D, z, bias = arguments(1, 4, 4096, 8, groups=1, dtype=torch.float32)
    inputs = leaves([u, torch.full_like(u, 2.0), A * 16, B, C, D, z, bias])
    out = selective_scan(*inputs, True)
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(t.grad).all() for t in inputs)


def test_what_is_frozen_gets_no_gradient(arguments: Arguments) -> None:
    given = arguments(length=40)
    trained = results(selective_scan, given)
    inputs = [t.clone().requires_grad_(i in (0, 1)) for i, t in enumerate(given)]
    out, last = selective_scan(*inputs, delta_softplus=True, return_last_state=True)
    weights = torch.linspace(1, 2, out.numel(), dtype=out.dtype).view_as(out)
    ((out * weights).sum() + last.square().sum()).backward()
    torch.testing.assert_close(inputs[0].grad, trained[2])
    torch.testing.assert_close(inputs[1].grad, trained[3])
    assert all(t.grad is None for t in inputs[2:])


def saved_bytes(call: Callable[[], Any], mine: list[Any]) -> int:
    """Bytes that autograd keeps for the backward pass, the arguments themselves left out."""
    kept: dict[int, int] = {}
    given = {t.untyped_storage().data_ptr() for t in mine if t is not None}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in given:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        result = call()
    assert result is not None
    return sum(kept.values())


def test_keeps_little_for_the_backward_pass(arguments: Arguments) -> None:
    given = leaves(arguments(1, 64, 608, 16, groups=1, dtype=torch.float32))
    unit = 64 * 608 * 16 * 4
    ours = saved_bytes(lambda: selective_scan(*given, True), given)
    loop = saved_bytes(lambda: selective_scan_loop(*given, True), given)
    assert ours < 0.1 * unit
    assert loop > 5 * ours


def test_keeps_the_layout_that_transformers_hands_over(arguments: Arguments) -> None:
    given = arguments(length=40)
    turned = [t.transpose(1, 2).contiguous().transpose(1, 2) if t.dim() == 3 else t for t in given]
    for one, other in zip(
        results(selective_scan, given), results(selective_scan, turned), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("index", "shape", "named"),
    [
        (0, (2, 4), "u must be"),
        (1, (2, 4, 6), "delta must have"),
        (2, (5, 3), "A must be"),
        (3, (2, 3, 8), "B must be"),
        (4, (2, 3, 3, 7), "groups"),
        (4, (1, 3, 7), "C must be"),
    ],
)
def test_shapes_that_do_not_fit_are_named(
    arguments: Arguments, index: int, shape: tuple[int, ...], named: str
) -> None:
    given = arguments()
    given[index] = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(ValueError, match=named):
        selective_scan(*given)


def test_nothing_to_scan(arguments: Arguments) -> None:
    out, last = selective_scan(*arguments(length=0), return_last_state=True)
    assert out.shape == (2, 4, 0)
    assert torch.equal(last, torch.zeros(2, 4, 3, dtype=torch.float64))


def test_threads_may_change_between_forward_and_backward(arguments: Arguments) -> None:
    """The number of threads decides the segments: those of the forward pass must be kept."""
    given = leaves(arguments(1, 1536, 80, 16, groups=1, dtype=torch.float32))
    before = torch.get_num_threads()
    try:
        grads = []
        for there, back in ((1, 1), (1, 2), (2, 1)):
            torch.set_num_threads(there)
            out = selective_scan(*given, True)
            torch.set_num_threads(back)
            grads.append(torch.autograd.grad(out.sum(), given))
    finally:
        torch.set_num_threads(before)
    for others in grads[1:]:
        for one, other in zip(grads[0], others, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)

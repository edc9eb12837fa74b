"""Mamba-2's chunked scan and the decoding steps, judged by the selective scan's definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mambaops.payload.scan import chunk_scan_combined, selective_scan_loop, selective_state_update

D = torch.float64
HEADS, HEAD_DIM, GROUPS, STATE = 4, 3, 2, 5


def case(length: int, seed: int = 0) -> dict[str, Any]:
    random = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(shape, dtype=D, generator=random)

    return {
        "x": rand(2, length, HEADS, HEAD_DIM),
        "dt": rand(2, length, HEADS),
        "A": -torch.rand(HEADS, dtype=D, generator=random) * 3,
        "B": rand(2, length, GROUPS, STATE),
        "C": rand(2, length, GROUPS, STATE),
        "D": rand(HEADS),
        "z": rand(2, length, HEADS, HEAD_DIM),
        "dt_bias": rand(HEADS),
    }


def judge(x: Any, dt: Any, A: Any, B: Any, C: Any, D: Any, z: Any, dt_bias: Any) -> Any:
    """Every head's channels share dt and A: Mamba-2 written as Mamba-1."""

    def spread(t: torch.Tensor) -> torch.Tensor:
        return t.repeat_interleave(HEAD_DIM, dim=-1)

    out, state = selective_scan_loop(
        x.flatten(2).transpose(1, 2),
        spread(dt).transpose(1, 2),
        spread(A)[:, None].expand(-1, STATE),
        B.permute(0, 2, 3, 1),
        C.permute(0, 2, 3, 1),
        spread(D),
        z.flatten(2).transpose(1, 2),
        spread(dt_bias),
        True,
        True,
    )
    shape = (x.shape[0], HEADS, HEAD_DIM, STATE)
    return out.transpose(1, 2).reshape(x.shape), state.reshape(shape)


@pytest.mark.parametrize("length", [1, 16, 50, 130])
@pytest.mark.parametrize("chunk_size", [1, 16, 256])
def test_chunked_form_equals_the_recurrence(length: int, chunk_size: int) -> None:
    given = case(length)
    out, state = chunk_scan_combined(
        **given, chunk_size=chunk_size, dt_softplus=True, return_final_states=True
    )
    wanted, wanted_state = judge(**given)
    torch.testing.assert_close(out, wanted)
    torch.testing.assert_close(state, wanted_state)


def test_gradients_equal_the_recurrence() -> None:
    found = []
    for scan in (
        lambda **t: chunk_scan_combined(
            **t, chunk_size=16, dt_softplus=True, return_final_states=True
        ),
        judge,
    ):
        given = {name: t.requires_grad_() for name, t in case(40).items()}
        out, state = scan(**given)
        found.append(torch.autograd.grad(out.square().sum() + state.sum(), list(given.values())))
    for ours, wanted in zip(*found, strict=True):
        torch.testing.assert_close(ours, wanted)


def test_dt_limit_and_initial_state() -> None:
    given = case(60)
    whole, end = chunk_scan_combined(
        **given, chunk_size=16, dt_softplus=True, dt_limit=(0.1, 0.7), return_final_states=True
    )
    along = ("x", "dt", "B", "C", "z")
    first = {n: t[:, :23] if n in along else t for n, t in given.items()}
    rest = {n: t[:, 23:] if n in along else t for n, t in given.items()}
    common = {"chunk_size": 16, "dt_softplus": True, "dt_limit": (0.1, 0.7)}
    one, state = chunk_scan_combined(**first, **common, return_final_states=True)
    two, last = chunk_scan_combined(
        **rest, **common, initial_states=state, return_final_states=True
    )
    torch.testing.assert_close(torch.cat([one, two], 1), whole)
    torch.testing.assert_close(last, end)
    free = chunk_scan_combined(**given, chunk_size=16, dt_softplus=True)
    assert not torch.allclose(free, whole), "the limit changes something here"


def test_packed_rows_do_not_see_each_other() -> None:
    given = case(60)
    seq_idx = torch.tensor([[0] * 13 + [1] * 20 + [2] * 27] * 2, dtype=torch.int32)
    out, state = chunk_scan_combined(
        **given, chunk_size=16, dt_softplus=True, seq_idx=seq_idx, return_final_states=True
    )
    along = ("x", "dt", "B", "C", "z")
    for start, stop in ((0, 13), (13, 33), (33, 60)):
        part = {n: t[:, start:stop] if n in along else t for n, t in given.items()}
        alone, end = judge(**part)
        torch.testing.assert_close(out[:, start:stop], alone)
    torch.testing.assert_close(state, end)


@pytest.mark.parametrize("chunk_size", [1, 4, 16, 256])
def test_a_given_state_belongs_to_the_first_packed_sequence(chunk_size: int) -> None:
    """It must not leak into the sequences that follow in the same chunk."""
    given = case(60)
    start = torch.randn(2, HEADS, HEAD_DIM, STATE, dtype=D, generator=torch.Generator())
    along = ("x", "dt", "B", "C", "z")
    seq_idx = torch.tensor([[0] * 7 + [1] * 20 + [2] * 33] * 2, dtype=torch.int32)
    common: dict[str, Any] = {"dt_softplus": True, "return_final_states": True}
    out, end = chunk_scan_combined(
        **given, **common, chunk_size=chunk_size, seq_idx=seq_idx, initial_states=start
    )
    for first, last in ((0, 7), (7, 27), (27, 60)):
        part = {n: t[:, first:last] if n in along else t for n, t in given.items()}
        alone, state = chunk_scan_combined(
            **part, **common, chunk_size=64, initial_states=None if first else start
        )
        torch.testing.assert_close(out[:, first:last], alone)
    torch.testing.assert_close(end, state)


def test_decoding_steps_equal_the_scan() -> None:
    given = case(9)
    wanted, end = judge(**given)
    state = torch.zeros(2, HEADS, HEAD_DIM, STATE, dtype=D)
    for t in range(9):
        out = selective_state_update(
            state,
            given["x"][:, t],
            given["dt"][:, t, :, None].expand(-1, -1, HEAD_DIM),
            given["A"][:, None, None].expand(-1, HEAD_DIM, STATE),
            given["B"][:, t],
            given["C"][:, t],
            given["D"][:, None].expand(-1, HEAD_DIM),
            given["z"][:, t],
            given["dt_bias"][:, None].expand(-1, HEAD_DIM),
            dt_softplus=True,
        )
        torch.testing.assert_close(out, wanted[:, t])
    torch.testing.assert_close(state, end)


def test_decoding_steps_without_heads(arguments: Any) -> None:
    u, delta, A, B, C, skip, z, bias = arguments(length=8)
    wanted, end = selective_scan_loop(u, delta, A, B, C, skip, z, bias, True, True)
    state = torch.zeros(2, 4, 3, dtype=D)
    for t in range(8):
        out = selective_state_update(
            state, u[..., t], delta[..., t], A, B[..., t], C[..., t], skip, z[..., t], bias, True
        )
        torch.testing.assert_close(out, wanted[..., t])
    torch.testing.assert_close(state, end)


def test_rows_of_a_bigger_state(arguments: Any) -> None:
    u, delta, A, B, C, *_ = arguments(batch=3, length=1)
    states = torch.randn(5, 4, 3, dtype=D)
    before = states.clone()
    rows = torch.tensor([2, -1, 0])
    step = (u[..., 0], delta[..., 0], A, B[..., 0], C[..., 0])
    out = selective_state_update(states, *step, state_batch_indices=rows)
    alone = before[[2, 0]].clone()
    picked = [t if t is A else t[[0, 2]] for t in step]
    torch.testing.assert_close(out[[0, 2]], selective_state_update(alone, *picked))
    torch.testing.assert_close(states[[2, 0]], alone)
    assert (out[1] == 0).all()
    assert torch.equal(states[[1, 3, 4]], before[[1, 3, 4]])


def test_a_step_can_be_trained_through(arguments: Any) -> None:
    u, delta, A, B, C, *_ = (None if t is None else t.requires_grad_() for t in arguments(length=1))
    state = torch.zeros(2, 4, 3, dtype=D)
    out = selective_state_update(state, u[..., 0], delta[..., 0], A, B[..., 0], C[..., 0])
    grad = torch.autograd.grad(out.sum(), [u, delta, B, C])
    again = selective_scan_loop(u, delta, A, B, C)
    for ours, wanted in zip(grad, torch.autograd.grad(again.sum(), [u, delta, B, C]), strict=True):
        torch.testing.assert_close(ours, wanted)

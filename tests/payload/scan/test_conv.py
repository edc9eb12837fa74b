"""The causal convolution and its decoding step against direct definitions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mambaops.payload.scan import causal_conv1d_fn, causal_conv1d_update, raw_conv

D = torch.float64


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=D, generator=torch.Generator().manual_seed(seed + len(shape)))


def direct(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """out[t] = sum_k weight[k] x[t - width + 1 + k] + bias, written as that."""
    width = weight.shape[1]
    out = torch.zeros_like(x) if bias is None else bias[:, None].expand_as(x).clone()
    for t in range(x.shape[2]):
        for k in range(width):
            if t - width + 1 + k >= 0:
                out[:, :, t] = out[:, :, t] + weight[:, k] * x[:, :, t - width + 1 + k]
    return out


@pytest.mark.parametrize("width", [1, 2, 4, 6])
@pytest.mark.parametrize("activation", [None, "silu", "swish"])
def test_convolution(width: int, activation: str | None) -> None:
    x, weight, bias = random(2, 3, 9), random(3, width), random(3)
    wanted = direct(x, weight, bias)
    wanted = wanted if activation is None else F.silu(wanted)
    torch.testing.assert_close(causal_conv1d_fn(x, weight, bias, activation=activation), wanted)


def test_another_activation_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="gelu"):
        causal_conv1d_fn(random(1, 2, 3), random(2, 2), activation="gelu")


def test_two_halves_joined_by_the_final_state() -> None:
    x, weight, bias = random(2, 3, 12), random(3, 4), random(3)
    first, state = causal_conv1d_fn(x[..., :5], weight, bias, return_final_states=True)
    room = torch.empty(2, 3, 3, dtype=D)
    second, last = causal_conv1d_fn(
        x[..., 5:],
        weight,
        bias,
        initial_states=state,
        return_final_states=True,
        final_states_out=room,
    )
    torch.testing.assert_close(torch.cat([first, second], -1), direct(x, weight, bias))
    assert last is room
    torch.testing.assert_close(room, x[..., -3:])


def test_packed_rows_do_not_see_each_other() -> None:
    x, weight, bias = random(1, 3, 10), random(3, 4), random(3)
    seq_idx = torch.tensor([[0, 0, 0, 0, 1, 1, 2, 2, -1, -1]])
    out = causal_conv1d_fn(x, weight, bias, seq_idx, activation="silu")
    for start, stop in ((0, 4), (4, 6), (6, 8)):
        alone = F.silu(direct(x[..., start:stop], weight, bias))
        torch.testing.assert_close(out[..., start:stop], alone)
    assert (out[..., 8:] == 0).all()


def test_gradcheck() -> None:
    inputs = [
        t.requires_grad_() for t in (random(2, 3, 6), random(3, 4), random(3), random(2, 3, 3))
    ]

    def convolve(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, s: torch.Tensor) -> object:
        return causal_conv1d_fn(x, w, b, None, s, True, activation="silu")

    assert torch.autograd.gradcheck(convolve, inputs)


def test_bfloat16_is_rounded_once() -> None:
    x, weight = random(2, 8, 30).bfloat16(), random(8, 4).bfloat16()
    out = causal_conv1d_fn(x, weight, None, activation="silu")
    assert out.dtype == torch.bfloat16
    exact = F.silu(direct(x.double(), weight.double(), None))
    torch.testing.assert_close(out.double(), exact, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("state_len", [3, 5])
def test_decoding_goes_on_where_the_sequence_ended(state_len: int) -> None:
    x, weight, bias = random(2, 3, 12), random(3, 4), random(3)
    whole = F.silu(direct(x, weight, bias))
    state = F.pad(x[..., :6], (state_len, 0))[..., -state_len:].clone()
    one = causal_conv1d_update(x[..., 6], state, weight, bias, "silu")
    some = causal_conv1d_update(x[..., 7:], state, weight, bias, "silu")
    torch.testing.assert_close(one, whole[..., 6])
    torch.testing.assert_close(some, whole[..., 7:])
    torch.testing.assert_close(state, x[..., -state_len:])


def test_decoding_in_a_circular_buffer() -> None:
    x, weight, bias = random(2, 3, 14), random(3, 4), random(3)
    whole = direct(x, weight, bias)
    ring = torch.zeros(2, 3, 5, dtype=D)
    for t in range(14):
        position = torch.tensor([t, t], dtype=torch.int32)
        out = causal_conv1d_update(x[..., t], ring, weight, bias, None, position)
        torch.testing.assert_close(out, whole[..., t])


def test_decoding_rows_of_a_bigger_state() -> None:
    x, weight = random(3, 2, 1), random(2, 3)
    states = random(5, 2, 2)
    before = states.clone()
    rows = torch.tensor([4, -1, 0], dtype=torch.int32)
    out = causal_conv1d_update(x, states, weight, None, None, None, rows)
    alone = before[[4, 0]].clone()
    wanted = causal_conv1d_update(x[[0, 2]], alone, weight)
    torch.testing.assert_close(out[[0, 2]], wanted)
    torch.testing.assert_close(states[[4, 0]], alone)
    assert (out[1] == 0).all()
    assert torch.equal(states[1:4], before[1:4])


def wanted_gradients(
    arguments: tuple[torch.Tensor | None, ...], dout: torch.Tensor, dfinal: torch.Tensor | None
) -> list[torch.Tensor]:
    x, weight, bias, seq_idx, initial = arguments
    leaves = [None if t is None else t.clone().requires_grad_() for t in (x, weight, bias, initial)]
    both = causal_conv1d_fn(
        leaves[0], leaves[1], leaves[2], seq_idx, leaves[3], dfinal is not None, activation="silu"
    )
    outputs = both if dfinal is not None else (both,)
    seeds = (dout, dfinal) if dfinal is not None else (dout,)
    return list(torch.autograd.grad(outputs, [t for t in leaves if t is not None], seeds))


@pytest.mark.parametrize("generation", ["A", "B", "C", "D"])
def test_raw_functions_of_every_generation(generation: str) -> None:
    """The compiled module's arguments, which changed with causal-conv1d 1.1, 1.2 and 1.5.1."""
    x, weight, bias, dout = random(2, 8, 9), random(8, 4), random(8), random(2, 8, 9, seed=1)
    packed = torch.tensor([[0] * 4 + [1] * 5, [0] * 7 + [-1] * 2]) if generation in "BD" else None
    initial = random(2, 8, 3, seed=2) if generation in "CD" else None
    dfinal = random(2, 8, 3, seed=3) if generation == "C" else None
    wanted = causal_conv1d_fn(x, weight, bias, packed, initial, activation="silu")
    grads = wanted_gradients((x, weight, bias, packed, initial), dout, dfinal)
    dx = torch.empty_like(x)
    if generation == "A":
        out = raw_conv.causal_conv1d_fwd(x, weight, bias, True)
        got = raw_conv.causal_conv1d_bwd(x, weight, bias, dout, dx, True)
    elif generation == "B":
        out = raw_conv.causal_conv1d_fwd(x, weight, bias, packed, True)
        got = raw_conv.causal_conv1d_bwd(x, weight, bias, dout, packed, dx, True)
    elif generation == "C":
        out = raw_conv.causal_conv1d_fwd(x, weight, bias, packed, initial, None, True)
        got = raw_conv.causal_conv1d_bwd(
            x, weight, bias, dout, packed, initial, dfinal, dx, True, True
        )
    else:
        out = torch.empty_like(x)
        raw_conv.causal_conv1d_fwd(x, weight, bias, packed, initial, out, None, True)
        got = [dx, torch.zeros_like(weight), torch.zeros_like(bias), torch.zeros_like(initial)]
        raw_conv.causal_conv1d_bwd(x, weight, bias, dout, packed, initial, None, *got, True)
    torch.testing.assert_close(out, wanted)
    assert got[0] is dx
    for ours, theirs in zip(got, grads, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_raw_final_states_are_written() -> None:
    x, weight, final = random(2, 8, 9), random(8, 4), torch.empty(2, 8, 3, dtype=D)
    out = torch.empty_like(x)
    assert raw_conv.causal_conv1d_fwd(x, weight, None, None, None, out, final, False) is None
    torch.testing.assert_close(final, x[..., -3:])
    torch.testing.assert_close(out, direct(x, weight, None))


@pytest.mark.parametrize("extra", [(), (None,), (None, None)])
def test_raw_update_of_older_generations(extra: tuple[None, ...]) -> None:
    x, weight, bias, state = random(2, 8), random(8, 4), random(8), random(2, 8, 4)
    wanted_state = state.clone()
    wanted = causal_conv1d_update(x, wanted_state, weight, bias, "silu")
    torch.testing.assert_close(
        raw_conv.causal_conv1d_update(x, state, weight, bias, True, *extra), wanted
    )
    torch.testing.assert_close(state, wanted_state)


def test_an_unknown_number_of_arguments_says_so() -> None:
    with pytest.raises(TypeError, match="stand-in"):
        raw_conv.causal_conv1d_fwd(random(1, 8, 3), random(8, 4), None, None, None, True)

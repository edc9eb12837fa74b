"""Faults planted in structs, launch rules and amounts of shared memory: every one is noticed.

A launch of the runtime is kept with its memory, changed in one place and executed again: the results differ, elements
stay unwritten, or the emulator stops with an error. What may be changed unnoticed is listed, with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import emulated_gpu
import numpy as np
import pytest
import torch

from mambaops.emulator import EmulatorError, Memory, MemoryFault
from mambaops.emulator.driver import Launched

pytestmark = [pytest.mark.network, pytest.mark.long]


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulated_gpu.Gpu]:
    with emulated_gpu.gpu(tmp_path_factory.mktemp("kernels")) as found:
        yield found


class Kept(NamedTuple):
    """A launch that was right: what it began with, the addresses it writes to, and what stood there afterwards."""

    launch: Launched
    before: Memory
    results: dict[int, Any]
    fields: list[tuple[str, int, int]]


def kept(gpu: emulated_gpu.Gpu, outputs: list[torch.Tensor]) -> Kept:
    assert gpu.driver is not None
    addresses = [one.untyped_storage().data_ptr() for one in outputs]
    results = {address: gpu.driver.memory.content(address).copy() for address in addresses}
    return Kept(gpu.driver.launched[-1], gpu.driver.before[-1], results, ready_fields(gpu))


def ready_fields(gpu: emulated_gpu.Gpu) -> list[tuple[str, int, int]]:
    """Name, offset and size of every field of the struct that was launched with."""
    facts = gpu.modules.compiler.facts
    ((_, family, _),) = gpu.modules.launch._READY
    sources = gpu.modules.sources.installed()
    extra = [name for name, _ in gpu.modules.rules.RULES[family].extra]
    assert gpu.driver is not None
    numbers = facts.read(gpu.driver.launched[-1].kernel.text.encode())
    return list(facts.Layout(numbers, extra, sources.fields(family)).fields)


def noticed(one: Kept, **change: Any) -> str:
    """How a changed launch comes to light; "" where it does not."""
    memory = one.before.copy()
    try:
        one.launch._replace(**change).run(memory)
    except EmulatorError as error:
        return type(error).__name__
    if any(memory.unwritten(address).any() for address in one.results):
        return "unwritten"
    same = all(
        np.array_equal(memory.content(address), wanted) for address, wanted in one.results.items()
    )
    return "" if same else "other results"


def unnoticed_fields(one: Kept, beyond: tuple[str, ...] = ()) -> set[str]:
    """Fields of the struct, `beyond` those named, that can be changed without a trace: numbers by one, pointers by 16, flags turned over."""
    found = set()
    for name, offset, size in one.fields:
        if name in beyond:
            continue
        value = int.from_bytes(one.launch.params[offset : offset + size], "little")
        value = (
            (not value) if size == 1 else value + (16 if name.endswith(("ptr", "seqlens")) else 1)
        )
        raw = int(value).to_bytes(size, "little")
        params = one.launch.params[:offset] + raw + one.launch.params[offset + size :]
        if not noticed(one, params=params):
            found.add(name)
    return found


def scan_arguments(length: int, state: int = 2, groups: int = 2) -> list[Any]:
    """Every stride is a number of its own: rows and matrices are views of wider storages."""
    draw = torch.Generator().manual_seed(3)

    def drawn(*shape: int) -> torch.Tensor:
        wide = torch.randn([*shape[:-1], shape[-1] + 3 + len(shape)], generator=draw)
        return wide[..., : shape[-1]]

    u, delta, z = (drawn(2, 4, length) for _ in range(3))
    B, C = (drawn(2, groups, state, length) for _ in range(2))
    return [u, delta.abs(), -drawn(4, state).abs(), B, C, drawn(4), z, drawn(4), True]


@pytest.fixture(scope="module")
def forward(gpu: emulated_gpu.Gpu) -> Kept:
    arguments = scan_arguments(133)
    with gpu.holding(*[one for one in arguments if isinstance(one, torch.Tensor)]):
        outputs = gpu.modules.scan.fwd(*arguments)
        return kept(gpu, outputs)


def test_every_field_of_the_scans_struct(forward: Kept) -> None:
    assert noticed(forward) == ""
    assert unnoticed_fields(forward) == {
        # the template knows
        "is_variable_B",
        "is_variable_C",
        # strides of a constant B and C
        "B_d_stride",
        "C_d_stride",
        # the grid has the batch, and only the host divides by the groups
        "batch",
        "n_groups",
    }


def test_every_field_of_the_scans_backward_struct(gpu: emulated_gpu.Gpu) -> None:
    arguments = scan_arguments(133)
    tensors = [one for one in arguments if isinstance(one, torch.Tensor)]
    dout = torch.randn(2, 4, 140)[..., :133]
    with gpu.holding(*tensors, dout):
        out, x, _ = gpu.modules.scan.fwd(*arguments)
        gpu.modules.launch.forget()
        grads = gpu.modules.scan.bwd(*arguments[:8], dout, x, out, None, True, True)
        one = kept(gpu, grads)
    assert noticed(one) == ""
    # gradients of a constant B and C have no rows of their own here
    found = unnoticed_fields(one, gpu.modules.scan.FORWARD_FIELDS)
    assert found == {"dB_d_stride", "dC_d_stride"}


def test_a_grid_that_is_too_small_or_turned_around(forward: Kept) -> None:
    assert noticed(forward, grid=(2, 3, 1)) == "unwritten"
    assert noticed(forward, grid=(4, 2, 1)) == "MemoryFault"
    assert noticed(forward, grid=(2, 5, 1)) == "MemoryFault"


def test_another_number_of_threads(forward: Kept) -> None:
    assert noticed(forward, threads=64) == "LaunchError"
    assert noticed(forward, threads=16) != ""


@pytest.mark.parametrize(
    ("length", "rule"),
    [
        (129, (32, 4, False)),
        (257, (32, 8, False)),
        (513, (32, 16, False)),
        (133, (32, 8, True)),
        (1025, (64, 16, False)),
    ],
)
def test_a_template_that_is_too_small_for_the_length(
    gpu: emulated_gpu.Gpu, monkeypatch: pytest.MonkeyPatch, length: int, rule: Any
) -> None:
    """Only one chunk's states fit into x: a second chunk is noticed, and so is a row taken for whole vectors."""
    arguments = scan_arguments(length)
    tensors = [one for one in arguments if isinstance(one, torch.Tensor)]
    with gpu.holding(*tensors):
        good = gpu.modules.scan.fwd(*arguments)
    monkeypatch.setattr(gpu.modules.scan_struct, "scan_launch", lambda _: rule)
    monkeypatch.setattr(gpu.modules.repairs, "aligned", lambda *_: True)
    with gpu.holding(*tensors) as memory:
        try:
            bad = gpu.modules.scan.fwd(*arguments)
        except MemoryFault:
            return
        differs = any(not torch.allclose(a, b, rtol=1e-4) for a, b in zip(good, bad, strict=True))
        assert differs or any(memory.unwritten(one) for one in bad)


def test_shared_memory_that_is_too_small(gpu: emulated_gpu.Gpu) -> None:
    """With the largest state every byte is used: four less are missed."""
    arguments = scan_arguments(5, state=256, groups=1)
    with gpu.holding(*[one for one in arguments if isinstance(one, torch.Tensor)]):
        one = kept(gpu, gpu.modules.scan.fwd(*arguments))
    assert noticed(one) == ""
    assert noticed(one, shared=one.launch.shared - 4) == "MemoryFault"


def test_shared_memory_that_was_not_asked_for(gpu: emulated_gpu.Gpu) -> None:
    """Complex numbers backward take more than 48 KiB in the largest block: without the attribute it is refused."""
    arguments = scan_arguments(2048, groups=1)
    arguments[2] = torch.complex(arguments[2], arguments[2]).contiguous()
    arguments[3], arguments[4] = (torch.randn(2, 1, 2, 4096) for _ in range(2))
    # whole vectors are read from rows that are multiples of one
    arguments = [one.contiguous() if isinstance(one, torch.Tensor) else one for one in arguments]
    tensors = [one for one in arguments if isinstance(one, torch.Tensor)]
    dout = torch.randn(2, 4, 2048)
    with gpu.holding(*tensors, dout):
        out, x, _ = gpu.modules.scan.fwd(*arguments)
        gpu.modules.launch.forget()
        one = kept(gpu, gpu.modules.scan.bwd(*arguments[:8], dout, x, out, None, True, False))
    assert one.launch.shared > 48 * 1024
    without = one.launch.kernel._replace(shared_limit=48 * 1024)
    assert noticed(one, kernel=without) == "LaunchError"


def convolution_arguments(last: bool) -> list[Any]:
    draw = torch.Generator().manual_seed(5)

    def drawn(length: int) -> torch.Tensor:
        if last:
            return torch.randn((2, length + 1, 24), generator=draw)[:, :length, :16].transpose(1, 2)
        return torch.randn((2, 16, length + 3), generator=draw)[..., :length]

    weight, bias = torch.randn((16, 5), generator=draw)[:, :3], torch.randn(16, generator=draw)
    numbers = (torch.arange(70) // 30).to(torch.int32).expand(2, 70).contiguous() if last else None
    initial = drawn(2) if last else None
    return [drawn(70), weight, bias, numbers, initial, drawn(70), drawn(2) if last else None, True]


# of the update and of states that are not there
_ELSEWHERE = {
    *("conv_state_len", "conv_state_batch_stride", "conv_state_c_stride", "conv_state_l_stride"),
    *("conv_state_ptr", "cache_seqlens", "conv_state_indices_ptr"),
}


@pytest.mark.parametrize("last", [False, True])
def test_every_field_of_the_convolutions_struct(gpu: emulated_gpu.Gpu, last: bool) -> None:
    arguments = convolution_arguments(last)
    tensors = [one for one in arguments if isinstance(one, torch.Tensor)]
    with gpu.holding(*tensors):
        outputs = [torch.empty_like(one) for one in arguments[5:7] if one is not None]
        out, states = (*outputs, None)[:2]
        gpu.modules.conv.causal_conv1d_fwd(*arguments[:5], out, states, True)
        one = kept(gpu, outputs)
    assert noticed(one) == ""
    found = unnoticed_fields(one) - _ELSEWHERE
    # the grid has the batch, the template the width; one layout's rows, the other's channels lie close together
    if last:
        states_fields = {"initial_states_c_stride", "final_states_c_stride"}
        assert found == {"batch", "width", "x_c_stride", "out_c_stride", *states_fields}
        return
    states_fields = {
        f"{kind}_states_{what}"
        for kind in ("initial", "final")
        for what in ("ptr", "batch_stride", "l_stride", "c_stride")
    }
    rows = {"x_l_stride", "out_l_stride", "seq_idx_ptr"}
    assert found == {"batch", "dim", "width", *rows, *states_fields}

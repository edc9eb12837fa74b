"""mamba-ssm's scan kernels, compiled from upstream's files and launched by the runtime, executed without a GPU.

Results, states and every gradient against the float64 loop and its autograd; every output element must be written.
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

pytestmark = [pytest.mark.network, pytest.mark.long]


class Case(NamedTuple):
    """`matrices`: which of B and C vary with time. `has`: z, D, bias (b), softplus (s)."""

    length: int
    dtype: str
    kind: str
    matrices: str
    has: str
    groups: int = 1
    batch: int = 2
    dim: int = 4
    state: int = 3


CASES = [
    Case(1, "fp32", "real", "BC", "zDbs"),
    Case(37, "fp16", "real", "B", "bs"),
    Case(127, "bf16", "complex", "BC", "zDbs"),
    Case(128, "bf16", "real", "BC", "zDbs", groups=2),
    Case(128, "fp32", "complex", "", "zDs"),
    Case(129, "fp32", "real", "C", "zD"),
    Case(256, "fp16", "complex", "BC", "zDbs"),
    Case(257, "bf16", "real", "BC", "Db"),
    Case(512, "fp32", "real", "", "zDbs"),
    Case(512, "bf16", "complex", "C", "bs"),
    Case(513, "fp32", "real", "BC", "zDbs", groups=4),
    Case(1000, "fp16", "real", "BC", "zDbs"),
    Case(1023, "fp32", "complex", "BC", "Dbs"),
    Case(1024, "bf16", "real", "BC", "zDbs"),
    Case(1025, "fp32", "real", "BC", "zDbs"),
    Case(2048, "bf16", "real", "BC", "zDbs", state=2),
    Case(2049, "fp32", "real", "BC", "zDbs", state=2),
    Case(2500, "bf16", "complex", "BC", "zDbs", batch=1, state=2),
    Case(4096, "fp16", "real", "B", "bs", batch=1, state=2),
]


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulated_gpu.Gpu]:
    with emulated_gpu.gpu(tmp_path_factory.mktemp("kernels")) as found:
        yield found


def drawn(case: Case) -> dict[str, Any]:
    """Arguments of `selective_scan_cuda.fwd`."""
    draw = torch.Generator().manual_seed(case.length)
    dtype = DTYPES[case.dtype]
    size = (case.batch, case.dim, case.length)
    steps = case.length * (2 if case.kind == "complex" else 1)

    def matrix(name: str) -> Tensor:
        if name in case.matrices:
            shape = (case.batch, case.groups, case.state, steps)
            return torch.randn(shape, generator=draw).to(dtype)
        return torch.randn((case.dim, case.state), generator=draw, dtype=weight)

    weight = torch.complex64 if case.kind == "complex" else torch.float32
    A = -torch.rand((case.dim, case.state), generator=draw)
    return {
        "u": torch.randn(size, generator=draw).to(dtype),
        "delta": (torch.rand(size, generator=draw) - 0.5).abs().to(dtype),
        "A": A.to(weight)
        if case.kind == "real"
        else torch.complex(A, 3 * torch.rand(A.shape, generator=draw)),
        "B": matrix("B"),
        "C": matrix("C"),
        "D": torch.randn(case.dim, generator=draw) if "D" in case.has else None,
        "z": torch.randn(size, generator=draw).to(dtype) if "z" in case.has else None,
        "delta_bias": torch.rand(case.dim, generator=draw) if "b" in case.has else None,
    }


def close(name: str, found: Tensor, wanted: Tensor, roundings: float = 1) -> None:
    """Within float32's error in sums, and the result type's own rounding."""
    wanted = wanted.detach()
    error = (found.to(wanted.dtype) - wanted).abs()
    scale = wanted.abs().max().item() or 1.0
    allowed = 4e-6 * scale + roundings * ROUNDING.get(found.dtype, 0.0) * wanted.abs()
    assert (error <= allowed).all(), f"{name}: {(error / scale).max().item():.2e} of {scale:.3g}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(one) for one in case[:5]))
def test_scan(gpu: emulated_gpu.Gpu, case: Case) -> None:
    check_scan(gpu, case)


def check_scan(gpu: emulated_gpu.Gpu, case: Case, room: int = 0) -> None:
    given = drawn(case)
    for name in ("u", "delta", "B", "C", "z"):
        if room:
            given[name] = torch.nn.functional.pad(given[name], (0, room))[..., :-room]
    dout = torch.randn(given["u"].shape, generator=torch.Generator().manual_seed(7)).to(
        given["u"].dtype
    )
    wide = {
        name: None
        if one is None
        else one.to(torch.complex128 if one.is_complex() else torch.float64).requires_grad_()
        for name, one in given.items()
    }
    softplus = "s" in case.has
    out, last, gated = scan_reference.selective_scan(*wide.values(), softplus)
    (out if gated is None else gated).backward(dout.double())
    with gpu.holding(*given.values(), dout) as memory:
        found = gpu.modules.scan.fwd(*given.values(), softplus)
        assert [memory.unwritten(one) for one in found] == [0] * len(found)
        close("out", found[0], out)
        if "B" in case.matrices:  # a constant B is multiplied in later, with C
            close("last state", found[1][:, :, -1, 1::2], last)
        if gated is not None:
            close("gated", found[2], gated)
        dz = None
        grads = gpu.modules.scan.bwd(
            *given.values(), dout, found[1], found[0] if gated is not None else None, dz, softplus,
            gated is not None,
        )  # fmt: skip
    names = ["u", "delta", "A", "B", "C", "D", "delta_bias", *(["z"] if gated is not None else [])]
    for name, one in zip(names, grads, strict=False):
        if one is not None:
            # out was rounded once before it comes into dz
            close("d" + name, one, wide[name].grad, 4 if name == "z" else 1)
    if gated is not None:
        close("gated again", grads[8], gated, 4)


# batch 1, several groups: upstream's own launch adds to memory beyond dB and dC (releases up to 2.3.2)
GROUPED = Case(37, "fp32", "complex", "BC", "zDbs", groups=2, batch=1)


def test_complex_matrices_in_groups(gpu: emulated_gpu.Gpu) -> None:
    """The stride of dB's groups is halved where it is launched, as the kernel does not."""
    check_scan(gpu, GROUPED)
    check_scan(gpu, GROUPED._replace(matrices="B", groups=4, batch=2))


def test_upstream_adds_beyond_dB_where_complex_matrices_have_groups(
    gpu: emulated_gpu.Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the repair is for; a release without it is noticed here."""
    monkeypatch.setattr(gpu.modules.sources.installed(), "faults", frozenset())
    with pytest.raises(MemoryFault, match=r"'atom\.global\.add\.f32"):
        check_scan(gpu, GROUPED)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_rows_that_do_not_begin_at_whole_vectors(gpu: emulated_gpu.Gpu, dtype: str) -> None:
    """128 steps, cut out of rows of 131: upstream takes the kernel for whole vectors, which a GPU refuses."""
    check_scan(gpu, Case(128, dtype, "real", "BC", "zDbs"), room=3)

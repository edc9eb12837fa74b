"""The scan on a real GPU: ours, Triton's and the compiled kernels agree, and the choice is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from mambaops.payload.scan import (  # noqa: E402  (after the check for torch)
    causal_conv1d_fn,
    chunk_scan_combined,
    dispatch,
    selective_scan,
    selective_scan_loop,
)
from mambaops.payload.scan.kernel_loading import load  # noqa: E402
from mambaops.payload.scan.names import KERNELS  # noqa: E402
from mambaops.payload.scan.verdict import probe  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible to torch"),
]


def arguments(batch: int, dim: int, length: int, state: int = 16, dtype: Any = None) -> list[Any]:
    """u, delta, A, B, C, D, z, delta_bias on the GPU; A, D and delta_bias stay float32."""
    random = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Any:
        return torch.randn(shape, generator=random).to("cuda", dtype)

    weights = [
        -torch.arange(1.0, state + 1).repeat(dim, 1),
        torch.randn(dim, generator=random),
        torch.rand(dim, generator=random) * 4 - 6,
    ]
    A, D, bias = (t.cuda() for t in weights)
    u, delta, z = (rand(batch, dim, length) for _ in range(3))
    return [u, delta, A, rand(batch, state, length), rand(batch, state, length), D, z, bias]


def results(scan: Callable[..., Any], given: list[Any]) -> list[Any]:
    inputs = [t.clone().requires_grad_() for t in given]
    out = scan(*inputs, delta_softplus=True)
    weights = torch.linspace(-1, 1, out.numel(), device=out.device).view_as(out).to(out.dtype)
    return [out, *torch.autograd.grad((out * weights).sum(), inputs)]


def close(found: list[Any], wanted: list[Any], tolerance: float) -> None:
    """Within `tolerance` of the largest value of each."""
    for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
        one, other = one.detach().double().cpu(), other.detach().double().cpu()
        error = float((one - other).abs().max() / other.abs().max().clamp(min=1e-6))
        assert error < tolerance, f"result {index} is off by {error:.1e} of its largest value"


def exact(given: list[Any]) -> list[Any]:
    return results(selective_scan_loop, [t.double().cpu() for t in given])


def installed(name: str) -> Callable[..., Any]:
    try:
        return load(name)
    except Exception as error:
        pytest.skip(f"{name} cannot be imported here: {type(error).__name__}: {error}")


@pytest.mark.parametrize("shape", [(1, 64, 1), (2, 96, 37), (1, 256, 600), (3, 200, 300)])
def test_chunked_scan_on_the_gpu(shape: tuple[int, int, int]) -> None:
    given = arguments(*shape)
    close(results(selective_scan, given), exact(given), 1e-4)


def test_chunked_scan_in_bfloat16() -> None:
    given = arguments(2, 128, 300, dtype=torch.bfloat16)
    close(results(selective_scan, given), exact(given), 2e-2)


def test_chunked_scan_keeps_little_memory() -> None:
    """Against the size of all states, which every naive scan keeps several times."""
    given = [t.requires_grad_() for t in arguments(1, 1536, 608)]
    selective_scan(*given, delta_softplus=True).sum().backward()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    out = selective_scan(*given, delta_softplus=True)
    kept = torch.cuda.memory_allocated() - before
    assert out.requires_grad
    assert kept < 0.3 * 1536 * 608 * 16 * 4


@pytest.mark.parametrize("shape", [(1, 64, 1), (2, 90, 37), (1, 1536, 608), (8, 512, 100)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_triton_equals_the_chunked_scan(shape: tuple[int, int, int], dtype: Any) -> None:
    pytest.importorskip("triton")
    given = arguments(*shape, dtype=dtype)
    wanted = results(selective_scan, given)
    close(results(load("triton_scan"), given), wanted, 1e-4 if dtype == torch.float32 else 2e-2)


def test_compiled_scan_equals_ours() -> None:
    kernel = installed("selective_scan_fn")
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 2e-2)):
        given = arguments(2, 128, 300, dtype=dtype)
        close(results(kernel, given), results(selective_scan, given), tolerance)


def test_compiled_convolution_equals_ours() -> None:
    kernel = installed("causal_conv1d_fn")
    given = [torch.randn(shape, device="cuda") for shape in ((2, 64, 100), (64, 4), (64,))]
    found = []
    for convolve in (kernel, causal_conv1d_fn):
        inputs = [t.clone().requires_grad_() for t in given]
        out = convolve(*inputs, activation="silu")
        found.append([out, *torch.autograd.grad(out.square().sum(), inputs)])
    close(*found, 1e-4)


def test_compiled_mamba2_scan_equals_ours() -> None:
    kernel = installed("mamba_chunk_scan_combined")
    shapes = ((2, 200, 8, 64), (2, 200, 8), (8,), (2, 200, 1, 64), (2, 200, 1, 64))
    given = [torch.randn(shape, device="cuda") for shape in shapes]
    given[2] = -given[2].abs()
    found = []
    for scan in (kernel, chunk_scan_combined):
        inputs = [t.clone().requires_grad_() for t in given]
        out = scan(*inputs, chunk_size=64, dt_softplus=True)
        found.append([out, *torch.autograd.grad(out.square().sum(), inputs)])
    close(*found, 2e-2)  # Triton's matrix products may run in TF32


def test_every_installed_kernel_passes_its_probe() -> None:
    """What is installed here works here; what is not is named, not passed over."""
    found = probe(list(KERNELS), torch.cuda.current_device())
    broken = {name: verdict.reason for name, verdict in found.items() if verdict.broken}
    assert broken == {}
    assert any(v.works for v in found.values()) or all(
        "not installed" in v.reason for v in found.values()
    )


def test_transformers_trains_with_what_was_chosen() -> None:
    pytest.importorskip("transformers", minversion="5.15")
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    config = MambaConfig(vocab_size=200, hidden_size=64, state_size=16, num_hidden_layers=2)
    model = MambaForCausalLM(config).cuda().train()
    ids = torch.randint(3, 200, (2, 50), device="cuda")
    found = []
    for policy in ("reference", "auto"):
        report = dispatch.install(policy, families=["mamba"])
        assert report.device.startswith(torch.cuda.get_device_name())
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        found.append([loss, *torch.autograd.grad(loss, list(model.parameters()))])
    dispatch.uninstall()
    close(*found, 1e-3)

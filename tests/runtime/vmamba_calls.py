"""VMamba's modules with kernels emulated, against the scan in PyTorch in float64; a program that prints a line per case.

``python vmamba_calls.py '[{"mode": "oflex", "length": 37}]'`` with the distribution on the path.
"""

import importlib
import json
import sys

import torch
from emulated_calls import DTYPES, begin, distance, double
from mambaops_kernels import vmamba_entry


def case(mode, length, dtype="fp32", groups=1, shared=1, rows=1, wide=False, more=True, softplus=True, cut=0):  # fmt: skip
    """Distances of results and gradients from float64's, relative to their largest; and the launches."""
    backend = begin()
    module = importlib.import_module(f"selective_scan_cuda_{mode}")
    kind, batch, dim = DTYPES[dtype], 2, 4 * rows
    states = () if mode == "ndstate" else (3,)

    def row(*sizes):
        """`cut`: rows that begin within wider ones, at no whole vector."""
        return torch.randn(*sizes, length + cut).to(kind)[..., cut:]

    u, delta = row(batch, dim), row(batch, dim // shared)
    # a negative delta lets the states grow, and every rounding with them; behind a row's end delta is the bias alone
    delta = delta if softplus else delta.abs() * 0.3
    A, D, bias = -torch.rand(dim, *states), torch.randn(dim), torch.rand(dim // shared) * 0.1
    B, C = row(batch, groups, *states), row(batch, groups, *states)
    given = [u, delta, A, B, C, D if more else None, bias if more else None]
    tail = [softplus, rows, *([wide] if mode == "oflex" else [])]
    out, x = module.fwd(*given, *tail)
    exact = [double(one) for one in given]
    wanted, kept = vmamba_entry.reference_fwd(mode, *exact, *tail[:2], False)
    found = {
        "out": distance(out, wanted),
        "last": distance(x[:, :, -1, 1::2], kept[:, :, -1, 1::2]),
    }
    assert out.dtype == (torch.float32 if wide else kind)
    grad = torch.randn(batch, dim, length).to(out.dtype)
    gradients = module.bwd(*given, grad, x, softplus, rows)
    right = vmamba_entry.reference_bwd(mode, *exact, double(grad), kept, softplus, rows)
    for name, one, other in zip(
        ["du", "ddelta", "dA", "dB", "dC", "dD", "dbias"], gradients, right
    ):
        assert (one is None) == (other is None), name
        if one is not None:
            assert one.shape == other.shape, name
            found[name] = distance(one, other)
    return [found, [[one.family, list(one.values)] for one, _, _ in backend.launches]]


if __name__ == "__main__":
    for one in json.loads(sys.argv[1]):
        print(json.dumps(case(**one)), flush=True)

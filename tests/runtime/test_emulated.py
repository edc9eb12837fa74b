"""The kernels executed by the emulator with our launch rules and structs: results and gradients against float64."""

from __future__ import annotations

from typing import Any

import pytest
from kernel_runs import Run, of

pytest.importorskip("numpy")
pytestmark = pytest.mark.network

# a rounding of the type, on results of a few dozen additions in fp32
WITHIN = {"fp32": 2e-6, "fp16": 2e-3, "bf16": 1.2e-2}
SCANS: list[dict[str, Any]] = [
    {"length": 1},
    {"length": 37, "dtype": "bf16", "groups": 2},
    {"length": 128, "dtype": "fp16"},
    {"length": 129, "B": "constant"},
    {"length": 300, "C": "constant", "dtype": "bf16"},
    {"length": 40, "complex": True},
    {"length": 513, "B": "constant", "C": "constant", "z": False, "more": False},
    {"length": 1025, "batch": 1, "dim": 2, "state": 2, "softplus": False, "more": False},
]
MORE_SCANS: list[dict[str, Any]] = [
    *[{"length": n, "dtype": t} for n in (127, 256, 257, 512, 1024, 2048, 2049) for t in WITHIN],
    *[{"length": n, "complex": True, "dtype": t} for n in (128, 300, 1500) for t in WITHIN],
    *[
        {"length": 130, "complex": True, "B": b, "C": c}
        for b in ("constant", "variable")
        for c in ("constant", "variable")
    ],
    {"length": 4100, "batch": 1, "dim": 2, "state": 1, "z": False},
]
CONVS: list[dict[str, Any]] = [
    {"length": 37},
    {"length": 40, "dtype": "bf16", "width": 2, "silu": False, "bias": False},
    {"length": 1036, "dtype": "fp16", "width": 3, "weight": "fp16", "batch": 1},
    {"length": 1030, "dtype": "fp16", "width": 3, "weight": "fp16", "batch": 1},
    {"length": 70, "last": True, "dtype": "bf16", "weight": "bf16"},
    {"length": 50, "last": True, "rows": True, "width": 3},
    {"length": 131, "last": True, "initial": True, "final": True, "dim": 40},
]
MORE_CONVS: list[dict[str, Any]] = [
    *[
        {"length": n, "width": w, "dtype": t, "silu": s}
        for n in (1, 512, 527)
        for w in (2, 3, 4)
        for t in WITHIN
        for s in (True, False)
    ],
    *[
        {"length": n, "width": w, "dtype": t, "last": True, "initial": i, "final": not i}
        for n in (2, 64, 200)
        for w in (2, 3, 4)
        for t in WITHIN
        for i in (True, False)
    ],
    *[
        {"length": n, "rows": True, "last": True, "weight": w, "initial": True}
        for n in (65, 129)
        for w in WITHIN
    ],
]
UPDATES: list[dict[str, Any]] = [
    {"dtype": "fp32", "width": 4, "length": 1, "kept": 4},
    {"dtype": "bf16", "width": 3, "length": 2, "kept": 7},
    {"dtype": "fp16", "width": 2, "length": 3, "kept": 9, "circular": True},
]


def _check(run: Run, function: str, case: dict[str, Any]) -> list[Any]:
    done = run(f"import emulated_calls; emulated_calls.{function}({case!r})")
    found, launches = of(done)
    limit = WITHIN[case.get("dtype", "fp32")]
    wrong = {name: value for name, value in found.items() if not value <= limit}
    assert wrong == {}, (case, found)
    return launches


def _label(case: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in case.items())


@pytest.mark.parametrize("case", SCANS, ids=_label)
def test_scan_forward_and_backward(run: Run, case: dict[str, Any]) -> None:
    launches = _check(run, "scan", case)
    assert [family for family, _ in launches] == ["scan_fwd", "scan_bwd"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", MORE_SCANS, ids=_label)
def test_scan_forward_and_backward_everywhere(run: Run, case: dict[str, Any]) -> None:
    _check(run, "scan", case)


@pytest.mark.parametrize("case", CONVS, ids=_label)
def test_convolution_forward_and_backward(run: Run, case: dict[str, Any]) -> None:
    launches = _check(run, "conv", case)
    kind = "_channel_last" if case.get("last") else ""
    assert [family for family, _ in launches] == [f"conv_fwd{kind}", f"conv_bwd{kind}"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", MORE_CONVS, ids=_label)
def test_convolution_forward_and_backward_everywhere(run: Run, case: dict[str, Any]) -> None:
    _check(run, "conv", case)


@pytest.mark.parametrize("case", UPDATES, ids=_label)
def test_steps_of_decoding(run: Run, case: dict[str, Any]) -> None:
    launches = _check(run, "update", case)
    assert [family for family, _ in launches] == ["conv_update"]


def test_deterministic_gradients_of_weights(run: Run) -> None:
    case = {"length": 150, "last": True, "batch": 3}
    done = run(
        f"import emulated_calls; emulated_calls.conv({case!r})", CAUSAL_CONV1D_DETERMINISTIC="1"
    )
    found, launches = of(done)
    assert all(error < 2e-6 for error in found.values()), found  # also where one is no number
    assert launches[1][1][4] is True


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        # another template than the launch rule's
        ("rules._SCAN_LENGTHS = ((512, 32, 4), (1024, 64, 16))", "wrong"),
        # less shared memory than the kernel uses
        ("facts.Layout.__init__ = less(facts.Layout.__init__)", "out of bounds"),
        # a stride of the wrong tensor
        ("scan_struct.two = lambda t: (t.stride(1), t.stride(0))", "wrong"),
    ],
)
def test_planted_faults_are_noticed(run: Run, fault: str, said: str) -> None:
    done = run(
        "import emulated_calls\nfrom mambaops_kernels import facts, rules, scan_struct\n"
        "def less(made):\n"
        "    def init(self, *args):\n"
        "        made(self, *args); self.shared -= 2048\n"
        "    return init\n"
        f"{fault}\nemulated_calls.scan({{'length': 300, 'dim': 4}})",
        check=False,
    )
    if said == "wrong" and done.returncode == 0:
        # what is read is whatever lies there, also no number at all
        assert not all(error <= 0.01 for error in of(done)[0].values())
    else:
        assert "out of bounds" in done.stderr

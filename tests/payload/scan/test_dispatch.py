"""The choice of the scan, with packages on the path that fail in the ways real ones do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mambaops.payload.scan import ScanPolicyError, choices, dispatch, verdict
from mambaops.payload.scan.fallbacks import causal_conv1d_fn, kernel_takes
from mambaops.payload.scan.verdict import probe

pytest.importorskip("transformers", minversion="5.15", reason="the functions are replaced there")

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# What a build for CUDA does when it is handed CPU tensors.
NEEDS_CUDA = 'raise RuntimeError("Expected x.is_cuda() to be true, but got false.")'
MODULES = {
    "causal_conv1d_cuda.py": "",
    "causal_conv1d/__init__.py": f"""
def causal_conv1d_fn(x, weight, bias=None, seq_idx=None, initial_states=None,
                     return_final_states=False, final_states_out=None, activation=None):
    {NEEDS_CUDA}
def causal_conv1d_update(x, conv_state, weight, bias=None, activation=None, cache_seqlens=None):
    {NEEDS_CUDA}
""",
    "selective_scan_cuda.py": "",
    "mamba_ssm/__init__.py": "from mamba_ssm.ops import selective_scan_interface",
    "mamba_ssm/ops/__init__.py": "",
    "mamba_ssm/ops/selective_scan_interface.py": f"""
import selective_scan_cuda
def selective_scan_fn(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
                      return_last_state=False):
    {NEEDS_CUDA}
def mamba_inner_fn(xz, conv1d_weight, conv1d_bias, x_proj_weight, delta_proj_weight, out_proj_weight,
                   out_proj_bias, A, B=None, C=None, D=None, delta_bias=None, delta_softplus=True):
    {NEEDS_CUDA}
""",
    "mamba_ssm/ops/triton/__init__.py": "",
    "mamba_ssm/ops/triton/selective_state_update.py": f"""
def selective_state_update(state, x, dt, A, B, C, D=None, z=None, dt_bias=None, dt_softplus=False):
    {NEEDS_CUDA}
""",
    "mamba_ssm/ops/triton/ssd_combined.py": f"""
def mamba_chunk_scan_combined(x, dt, A, B, C, chunk_size, D=None, dt_bias=None, dt_softplus=False):
    {NEEDS_CUDA}
def mamba_split_conv1d_scan_combined(zxbcdt, conv1d_weight, conv1d_bias, dt_bias, A, D, chunk_size):
    {NEEDS_CUDA}
""",
}


def packages(folder: Path, **changed: str) -> Path:
    """The stub packages in `folder`; `changed` replaces modules by their last name."""
    for name, text in MODULES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changed.get(Path(name).stem, text))
    return folder


TRAIN = """
import json, os, torch
from mambaops.payload.scan import install
reports = [install()]
from transformers import MambaConfig, MambaForCausalLM, Mamba2Config, Mamba2ForCausalLM
ends = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2, vocab_size=50, num_hidden_layers=1)
one = MambaForCausalLM(MambaConfig(hidden_size=16, state_size=4, **ends))
two = Mamba2ForCausalLM(Mamba2Config(hidden_size=16, expand=2, num_heads=2, head_dim=16, n_groups=1,
                                     chunk_size=8, state_size=8, **ends))
ids = torch.randint(3, 50, (2, 11), generator=torch.Generator().manual_seed(0))
def use():
    for model in (one, two):
        model.train()
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        model.eval()
        assert model.generate(ids, max_new_tokens=3, do_sample=False).shape[1] > 11
use()
os.environ["MAMBA_FORCE_CUDA"] = "1"
reports.append(install())
use()
print(json.dumps([{"policy": r.policy, "device": r.device, "problems": r.problems,
                   "choices": {c.function: [c.taken, c.reason] for c in r.choices}} for r in reports]))
"""


@pytest.mark.slow
def test_transformers_alone_dies_of_installed_kernels(tmp_path: Path, run_python: Run) -> None:
    """The fault that `install` repairs: without it this very script fails."""
    done = run_python(TRAIN.replace("[install()]", "[]"), path=packages(tmp_path))
    assert done.returncode != 0
    assert "Expected x.is_cuda() to be true" in done.stderr


@pytest.mark.long
def test_cpu_training_works_where_kernels_are_installed(tmp_path: Path, run_python: Run) -> None:
    """By itself, and where the kernels are forced: CPU tensors never reach them."""
    done = run_python(TRAIN, path=packages(tmp_path))
    assert done.returncode == 0, done.stderr
    auto, forced = json.loads(done.stdout)
    assert (auto["policy"], forced["policy"]) == ("auto", "kernels")
    if auto["device"] == "cpu":
        reason = "the kernel is installed, but there is no GPU for it"
        assert auto["choices"]["selective_scan_fn"] == ["pytorch", reason]
        assert auto["problems"] == []
    assert "scan policy auto on" in done.stderr


def test_broken_packages_show_their_true_error(tmp_path: Path, run_python: Run) -> None:
    """One fails to import, the other kills its process: both are named, and training goes on."""
    undefined = "undefined symbol: _ZN3c104cuda9SetDeviceEi"
    folder = packages(
        tmp_path,
        causal_conv1d_cuda=f'raise ImportError("causal_conv1d_cuda.so: {undefined}")',
        selective_scan_cuda="import os; os.abort()",
    )
    done = run_python(TRAIN.replace("reports.append(install())", ""), path=folder)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)[0]
    choices = said["choices"]
    assert undefined in choices["causal_conv1d_fn"][1]
    assert "crashed with signal 6" in choices["selective_scan_fn"][1]
    assert any(undefined in problem for problem in said["problems"])
    assert undefined in done.stderr


def test_a_hang_is_ended_and_the_rest_still_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages(tmp_path, selective_scan_cuda="import time; time.sleep(600)")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("MAMBAOPS_PROBE_TIMEOUT", "1")
    found = probe(["causal_conv1d_fn", "selective_scan_fn", "causal_conv1d_update"], None)
    assert found["selective_scan_fn"].reason == "no answer for 1 s: it hangs"
    assert found["selective_scan_fn"].deadly
    assert found["causal_conv1d_fn"].works
    assert found["causal_conv1d_update"].works


def test_a_stand_in_is_not_taken_for_a_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages(tmp_path, causal_conv1d_cuda="__mambaops_standin__ = True")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    verdict = probe(["causal_conv1d_fn"], None)["causal_conv1d_fn"]
    assert not verdict.works
    assert "stand-in" in verdict.reason


def test_what_is_not_installed_is_answered_without_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    monkeypatch.setitem(sys.modules, "causal_conv1d", None)
    assert probe(["causal_conv1d_fn"], None)["causal_conv1d_fn"].reason == (
        "causal_conv1d is not installed"
    )


def test_values_stay_and_transformers_gets_its_functions_back() -> None:
    from transformers import MambaConfig, MambaForCausalLM
    from transformers.models.mamba import modeling_mamba

    dispatch.uninstall()  # a training test in the same process may have left ours there
    theirs = modeling_mamba.mamba_selective_scan
    torch.manual_seed(0)
    config = MambaConfig(
        vocab_size=50, hidden_size=16, state_size=4, num_hidden_layers=2, hidden_act="gelu"
    )
    model = MambaForCausalLM(config).train()
    ids = torch.randint(3, 50, (2, 20))

    def loss_and_gradient() -> tuple[torch.Tensor, torch.Tensor]:
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        return loss.detach(), torch.autograd.grad(loss, [*model.parameters()])[0]

    before = loss_and_gradient()
    heard: list[str] = []
    dispatch.install("reference", families=["mamba"], say=heard.append)
    try:
        assert modeling_mamba.mamba_selective_scan is not theirs
        for ours, wanted in zip(loss_and_gradient(), before, strict=True):
            torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-6)
    finally:
        dispatch.uninstall()
    assert modeling_mamba.mamba_selective_scan is theirs
    assert heard[0].startswith("scan policy reference on ")
    assert "policy reference" in heard[1]


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ScanPolicyError, match="auto, kernels, reference, got 'fast'"):
        dispatch.install("fast")


def test_packed_rows_without_their_index_are_refused() -> None:
    with pytest.raises(ValueError, match="seq_idx"):
        causal_conv1d_fn(torch.zeros(1, 8, 4), torch.zeros(8, 4), cu_seqlens=torch.tensor([0, 4]))


@pytest.mark.parametrize(
    ("name", "first", "args", "taken"),
    [
        ("causal_conv1d_fn", torch.zeros(1, 8, 4), (torch.zeros(8, 4),), True),
        ("causal_conv1d_fn", torch.zeros(1, 8, 4), (torch.zeros(8, 5),), False),
        ("causal_conv1d_fn", torch.zeros(1, 4, 6).transpose(1, 2), (torch.zeros(6, 4),), False),
        ("selective_scan_fn", torch.zeros(1, 8, 4), (None, torch.zeros(8, 300)), False),
        ("selective_scan_fn", torch.zeros(1, 8, 4).double(), (None, torch.zeros(8, 16)), False),
        ("selective_scan_fn", torch.zeros(1, 8, 4), (None, torch.zeros(8, 16)), True),
    ],
)
def test_shapes_that_the_kernels_refuse_are_ours(
    name: str, first: torch.Tensor, args: tuple[torch.Tensor, ...], taken: bool
) -> None:
    assert kernel_takes(name, first, args) is taken


def test_a_kernel_too_old_for_the_model_is_passed_over() -> None:
    """Falcon-Mamba passes norm weights that old kernels lack: dropping them would be wrong."""

    def old(xz: object, delta_softplus: bool = True) -> None: ...

    def new(xz: object, delta_softplus: bool = True, b_rms_weight: object = None) -> None: ...

    norms = {"delta_softplus": True, "b_rms_weight": torch.ones(4)}
    assert not dispatch._understands(old, norms)
    assert dispatch._understands(new, norms)
    assert dispatch._understands(old, {"delta_softplus": True, "b_rms_weight": None})


@pytest.mark.parametrize(
    ("kernel", "triton_ms", "taken"),
    [
        (False, None, "pytorch"),
        (False, 4.0, "pytorch"),
        (False, 2.0, "triton"),
        (True, 2.0, "kernel"),
    ],
)
def test_tritons_scan_is_the_last_resort_and_off_until_a_gpu_measured_it_faster(
    kernel: bool, triton_ms: float | None, taken: str
) -> None:
    measured = None if triton_ms is None else verdict._faster(triton_ms, 3.0)
    choice = choices._choice("selective_scan_fn", verdict.Verdict(kernel, "as said"), measured, 0)
    assert choice.taken == taken
    without = choices._choice(
        "selective_scan_fn", verdict.Verdict(kernel, "as said"), measured, None
    )
    assert without.taken == "pytorch", "no GPU, no Triton"

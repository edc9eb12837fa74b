"""What `check-model` says of layers is what they do, and names the line that mends it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers", minversion="5.15")

from model_configurations import CONFIGURATIONS, numbers, tiny  # noqa: E402

from mambaops.payload.scan import dispatch  # noqa: E402
from mambaops.payload.scan.names import FAMILIES  # noqa: E402
from mambaops.payload.train import check_model  # noqa: E402
from mambaops.payload.train.check_model_text import report_text  # noqa: E402
from mambaops.payload.train.errors import InputError  # noqa: E402


def recorded(family: str, model: Any, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Our names of the functions that training and writing really call."""
    import importlib

    import torch

    module = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    called: set[str] = set()

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: (called.add(name), function(*args, **kwargs))[1]

    for variable, name in FAMILIES[family].items():
        monkeypatch.setattr(module, variable, noted(name, getattr(module, variable)))
    numbers(model, torch.randint(3, 40, (2, 13)))
    return called


@pytest.mark.parametrize("family", CONFIGURATIONS)
def test_the_functions_of_the_layers_are_those_that_a_run_calls(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatch.uninstall()
    model = tiny(family)
    model.config.save_pretrained(tmp_path)
    report = check_model.check(str(tmp_path), "reference")
    dispatch.uninstall()
    said = {name for layer in report["layers"] for name in layer["functions"]}
    assert said == recorded(family, model, monkeypatch)
    assert sum(1 for layer in report["layers"] if layer["functions"]) >= 1


def test_qwen_is_told_both_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("causal_conv1d", "fla"):
        monkeypatch.setitem(sys.modules, package, None)
    tiny("qwen3_next").config.save_pretrained(tmp_path)
    report = check_model.check(str(tmp_path / "config.json"))
    dispatch.uninstall()
    linear, attention = report["layers"]
    assert (linear["first"], linear["last"], attention["functions"]) == (0, 0, [])
    assert report["functions"]["chunk_gated_delta_rule"]["reason"].startswith(
        "fla is not installed"
    )
    text = report_text(report)
    assert "without causal-conv1d AND flash-linear-attention this family is slow" in text
    assert f"{sys.executable} -m pip install flash-linear-attention" in text
    assert "`mambaops build-mamba` for causal_conv1d_fn, causal_conv1d_update" in text


def test_layers_that_do_the_same_are_told_once(tmp_path: Path) -> None:
    config = tiny("qwen3_next").config
    config.num_hidden_layers, config.layer_types = 4, ["linear_attention", "full_attention"] * 2
    config.save_pretrained(tmp_path)
    lines = report_text(check_model.check(str(tmp_path))).splitlines()
    dispatch.uninstall()
    heads = [line for line in lines if line.startswith("layers ")]
    assert heads == ["layers 0, 2: Qwen3NextGatedDeltaNet", "layers 1, 3: Qwen3NextAttention"]


def test_the_kernels_of_a_family_that_is_not_ours_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers falls back from these too, and says nothing of it."""
    monkeypatch.setitem(sys.modules, "causal_conv1d", None)
    transformers.Lfm2Config(num_hidden_layers=1).save_pretrained(tmp_path)
    report = check_model.check(str(tmp_path))
    assert [each["name"] for each in report["others"]] == [
        "causal_conv1d_fn",
        "causal_conv1d_update",
    ]
    text = report_text(report)
    assert "causal_conv1d_fn (of causal_conv1d): transformers takes PyTorch, slow" in text
    assert text.endswith("mend:\n  `mambaops build-mamba`")


def test_the_loop_of_transformers_is_named_and_ours_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny("mamba").config.save_pretrained(tmp_path)
    report = check_model.main([str(tmp_path)])
    dispatch.uninstall()
    assert "layers 0-1: MambaMixer" in capsys.readouterr().out
    row = report["functions"]["selective_scan_fn"]
    assert (row["alone"], row["installed"]) in [("slow loop", "ours"), ("kernel", "kernel")]


def test_shapes_that_the_kernels_refuse_are_noted(tmp_path: Path) -> None:
    config = transformers.MambaConfig(
        hidden_size=18, conv_kernel=5, num_hidden_layers=1, vocab_size=9
    )
    config.save_pretrained(tmp_path)
    notes = check_model.check(str(tmp_path))["layers"][0]["notes"]
    dispatch.uninstall()
    assert [note.split(":")[0] for note in notes] == [
        "36 channels are no multiple of 8",
        "convolution of width 5",
    ]


def test_what_is_no_model_is_an_error_and_another_family_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json is not there"):
        check_model.check(str(tmp_path / "none.json"))
    (tmp_path / "config.json").write_text('{"model_type": "mamba9"}')
    with pytest.raises(InputError, match="no configuration that transformers knows"):
        check_model.check(str(tmp_path))
    transformers.GPT2Config(n_layer=1).save_pretrained(tmp_path)
    assert "gpt2 is none of the families" in report_text(check_model.check(str(tmp_path)))

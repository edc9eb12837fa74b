"""The language model in 8 bits: by bitsandbytes and peft where they are, else a clear word."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from mambaops.payload.train import trainlog
from mambaops.payload.train.errors import InputError

Flags = Callable[..., list[str]]
MISSING = [name for name in ("bitsandbytes", "accelerate", "peft") if find_spec(name) is None]


@pytest.mark.skipif(not MISSING, reason="bitsandbytes, accelerate and peft are all installed")
def test_what_is_missing_is_named_with_its_command(
    flags: Flags, train: Callable[[list[str]], Any]
) -> None:
    with pytest.raises(InputError, match=f"--llm_8bit needs {', '.join(MISSING)}") as error:
        train(flags(llm_8bit=True))
    assert f"-m pip install {' '.join(MISSING)}`" in error.value.hint


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_it_learns_is_continued_and_restored(
    flags: Flags, train: Callable[[list[str]], Any], tmp_path: Path
) -> None:
    from mambaops.payload.train.restore import restore

    common = {"llm_8bit": True, "train_llm": "lora", "lora_rank": 2, "val_csv": ""}
    train(flags(epochs=3, **common))
    losses = [row[2] for row in trainlog.read_log(str(tmp_path / "out" / "stage2_train_log.csv"))]
    assert losses[-1] < losses[0]
    train(flags(epochs=4, resume="auto", **common))
    path = str(tmp_path / "out" / "vision_bridge_vlm_final.pt")
    names = torch.load(path)["model_state_dict"]
    assert any("in_proj.lora_A" in name for name in names)
    assert any("out_proj.parametrizations" in name for name in names)
    assert not any(
        n.startswith("lm.") and n.endswith((".SCB", ".base_layer.weight")) for n in names
    )
    weights = dict(restore(path).model.lm.named_parameters())
    assert {str(p.dtype) for n, p in weights.items() if "in_proj.base" in n} == {"torch.int8"}
    with pytest.raises(InputError, match="excludes --train_llm full"):
        train(flags(llm_8bit=True, train_llm="full", overwrite=True))

"""A trained model for other programs: merged as transformers reads it, or as peft's adapter."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mambaops.payload.train import export
from mambaops.payload.train.errors import InputError
from mambaops.payload.train.restore import restore

Flags = Callable[..., list[str]]


@pytest.fixture
def lora(flags: Flags, train: Callable[[list[str]], Any], tmp_path: Path) -> Callable[..., str]:
    def make(**more: object) -> str:
        train(flags(train_llm="lora", lora_rank=3, epochs=1, lr=0.1, **more))
        return str(tmp_path / "out" / "vision_bridge_vlm_final.pt")

    return make


@pytest.fixture
def trained(lora: Callable[..., str]) -> str:
    return lora()


@torch.no_grad()
def test_merged_it_says_the_same_without_lora(trained: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path / "merged"
    export.main(["--checkpoint", trained, "--output", str(folder)])
    before, after = restore(trained), restore(str(folder / "vision_bridge_vlm_final.pt"))
    images, ids = torch.randn(2, 3, 16, 16), torch.randint(3, 300, (2, 5))
    labels = ids.clone()
    torch.testing.assert_close(after.model(images, ids, labels), before.model(images, ids, labels))
    plain = AutoModelForCausalLM.from_pretrained(folder / "language-model")
    torch.testing.assert_close(plain(ids).logits, before.model.lm(ids).logits)
    text = "左上方"
    loaded = AutoTokenizer.from_pretrained(folder / "language-model")
    assert loaded(text)["input_ids"] == before.tokenizer(text)["input_ids"]
    with pytest.raises(InputError, match="is there already"):
        export.main(["--checkpoint", trained, "--output", str(folder)])


@torch.no_grad()
def test_the_adapter_is_what_was_added(trained: str, demo: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "adapter"
    export.main(["--checkpoint", trained, "--output", str(folder), "--adapter"])
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    parts = load_file(folder / "adapter_model.safetensors")
    plain = AutoModelForCausalLM.from_pretrained(demo / "tiny")
    for name in config["target_modules"]:
        up, down = (parts[f"base_model.model.{name}.lora_{x}.weight"] for x in "BA")
        rank = config["rank_pattern"].get(name, config["r"])
        assert (
            down.shape[0] == rank
            and config["alpha_pattern"].get(name, config["lora_alpha"]) == rank
        )
        plain.get_submodule(name).weight += up @ down
    ids = torch.randint(3, 300, (2, 5))
    torch.testing.assert_close(plain(ids).logits, restore(trained).model.lm(ids).logits)


def test_peft_reads_the_adapter(
    lora: Callable[..., str], demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trained without out_proj, since peft refuses that in a Mamba; with it, the export says so."""
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    checkpoint, ids = lora(lora_layers="in_proj,x_proj"), torch.randint(3, 300, (2, 5))
    export.main(["--checkpoint", checkpoint, "--output", str(tmp_path / "a"), "--adapter"])
    assert "peft refuses" not in capsys.readouterr().out
    plain = AutoModelForCausalLM.from_pretrained(demo / "tiny").eval()
    with torch.no_grad():
        before, wanted = plain(ids).logits, restore(checkpoint).model.lm(ids).logits
        adapted = peft.PeftModel.from_pretrained(plain, tmp_path / "a").eval()
        torch.testing.assert_close(adapted(ids).logits, wanted)
        torch.testing.assert_close(adapted.merge_and_unload()(ids).logits, wanted)
    assert not torch.allclose(before, wanted)

    export.main(
        ["--checkpoint", lora(overwrite=True), "--output", str(tmp_path / "b"), "--adapter"]
    )
    assert "--lora_layers in_proj,x_proj" in capsys.readouterr().out
    with pytest.raises(ValueError, match="out_proj"):
        peft.PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(demo / "tiny"), tmp_path / "b"
        )


def test_without_lora_there_is_no_adapter(
    flags: Flags, train: Callable[[list[str]], Any], tmp_path: Path
) -> None:
    train(flags(train_llm="none", epochs=1, max_steps=1))
    path = str(tmp_path / "out" / "vision_bridge_vlm_final.pt")
    with pytest.raises(InputError, match="nothing was trained by LoRA"):
        export.main(["--checkpoint", path, "--output", str(tmp_path / "a"), "--adapter"])

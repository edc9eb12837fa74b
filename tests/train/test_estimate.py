"""What `--estimate` says, against tensors that are really there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mambaops.payload.train import captioner, demo_data, estimate, fake_step, lm, tiny_model, vlm
from mambaops.payload.train.errors import InputError
from mambaops.payload.train.options import parse

pytestmark = pytest.mark.long

Flags = Callable[..., list[str]]


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Mamba of five layers: three are extrapolated."""
    folder = tmp_path_factory.mktemp("deep")
    sentences = [scene.sentence for scene in demo_data.all_scenes()[:50]]
    tiny_model.write_tiny_model(str(folder), sentences, hidden=32, layers=5, state=4)
    return folder


def really(words: list[str]) -> float:
    """The highest sum of a forward and backward pass on real tensors, the weights left out."""
    settings = parse(words)
    language = lm.load(settings.mamba_model, settings.language_mode, torch.device("cpu"))
    lm.checkpointed(language.model, settings.gradient_checkpointing)
    model, size, channels = captioner.assemble(language, settings)
    step = fake_step.Step(settings.batch_size, size, channels, 12, 8, settings.amp == "bf16")
    layers = getattr(language.model, language.model.base_model_prefix).layers
    return max(fake_step._phases(model, step, layers))


@pytest.mark.parametrize(
    "more",
    [
        {"amp": "bf16"},
        {"train_llm": "lora"},
        {"train_llm": "none", "gradient_checkpointing": True, "batch_size": 3},
    ],
    ids=["everything", "lora", "recomputed"],
)
def test_a_step_is_what_real_tensors_take(flags: Flags, deep: Path, more: dict[str, Any]) -> None:
    common = {"mamba_model": deep, "csv": "", "max_text_len": 20, "train_llm": "full", **more}
    words = flags(**common)
    settings = parse(words)
    found, notes = estimate._estimate(settings, torch.device("cpu"), 12, 8)
    assert f"--train_llm {common['train_llm']}" in notes
    update = 0.5 * found.optimizer  # gradients, where a step takes no more
    assert found.step == pytest.approx(max(really(words), update), rel=0.03, abs=0.1 * update)


def test_a_view_of_a_weight_takes_nothing() -> None:
    """A linear layer reads its weight through a view: what is there already must not be counted again."""
    layer = torch.nn.Linear(300, 1000)
    there = list(layer.parameters())
    with fake_step._Alive(there) as alive:
        result = layer(torch.ones(2, 300))
    assert max(alive.course) == result.nbytes + 2 * 300 * 4
    assert [p.data_ptr() for p in there] == [p.data_ptr() for p in layer.parameters()]


def test_the_parts_are_those_of_the_model(
    flags: Flags, deep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """AdamW keeps two numbers for each that learns; LoRA's are few; nothing is written."""
    said: Any = vlm.main(flags(mamba_model=deep, train_llm="full", estimate=True))
    assert said["optimizer"] == pytest.approx(2 * said["weights"], rel=0.01)
    assert said["total"] == pytest.approx(
        said["weights"] + said["optimizer"] + said["step"] + said["program"]
    )
    shown = capsys.readouterr().out
    assert "together, about" in shown and "it fits (with 15% to spare" in shown
    assert "no GPU has confirmed" not in shown
    adapted: Any = vlm.main(flags(mamba_model=deep, train_llm="lora", estimate=True))
    assert adapted["optimizer"] < 0.7 * said["optimizer"]
    assert adapted["weights"] > said["weights"]
    assert not Path("out").exists()


def test_what_leaves_no_room_does_not_fit() -> None:
    """Measured runs took up to an eighth more than was said."""
    parts = {"device": "cuda", "weights": 4.0, "optimizer": 3.0, "step": 2.0, "program": 1.0}
    assert estimate.Estimate(**parts, free=12.0).fits  # type: ignore[arg-type]
    assert not estimate.Estimate(**parts, free=11.0).fits  # type: ignore[arg-type]


def test_for_a_gpu_it_says_that_it_is_an_estimate(
    flags: Flags, deep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common: dict[str, Any] = {
        "mamba_model": deep,
        "train_llm": "none",
        "estimate": True,
        "csv": "",
        "max_text_len": 20,
    }
    half: Any = vlm.main(flags(device="cuda", **common))
    assert "no GPU has confirmed it" in capsys.readouterr().out
    cpu: Any = vlm.main(flags(**common))
    assert half["weights"] < cpu["weights"], "a frozen model is held in BF16 there"


def test_an_unknown_model_is_an_input_error(flags: Flags, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent"):
        vlm.main(flags(mamba_model=tmp_path / "absent", estimate=True, csv=""))

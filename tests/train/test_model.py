"""The model: what the loss sees, grid pooling, every family of language models, writing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mambaops.payload.train import captioner, lm
from mambaops.payload.train.bridge import Bridge, grid_shape

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("tokens", "height", "width", "wanted"),
    [
        (96, 16, 16, (8, 12)),
        (64, 16, 16, (8, 8)),
        (144, 14, 14, (12, 12)),
        (97, 16, 16, (8, 12)),
        (96, 4, 4, (4, 4)),
        (1, 16, 16, (1, 1)),
        (96, 24, 12, (12, 8)),
    ],
)
def test_grid_shape(tokens: int, height: int, width: int, wanted: tuple[int, int]) -> None:
    assert grid_shape(tokens, height, width) == wanted


@pytest.fixture(scope="module")
def model(demo: Path) -> Any:
    torch.manual_seed(0)
    language = lm.load(str(demo / "tiny"), "full", CPU)
    vision, size, _ = captioner.build_vision("conv", 16, 3, [8, 16])
    return captioner.build(language, vision, size, 4, 0).eval()


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(3, 300, (2, 7))
    labels = ids.clone()
    labels[:, :3] = -100
    labels[1, 5:] = -100
    return torch.randn(2, 3, 16, 16), ids, labels


@torch.no_grad()
def test_padding_and_labels_of_the_prompt_do_not_change_the_loss(model: Any) -> None:
    images, ids, labels = inputs()
    loss = model(images, ids, labels)
    padded = ids.clone()
    padded[1, 5:] = 9  # after the last label: right padding
    torch.testing.assert_close(model(images, padded, labels), loss)
    wider = torch.cat([ids, ids[:, :2]], 1)
    none = torch.full((2, 2), -100)
    torch.testing.assert_close(model(images, wider, torch.cat([labels, none], 1)), loss)
    changed = ids.clone()
    changed[:, 1] = 5  # the question itself is seen
    assert float((model(images, changed, labels) - loss).abs()) > 1e-4


@torch.no_grad()
def test_the_loss_is_that_of_transformers_own_head(model: Any) -> None:
    images, ids, labels = inputs()
    embeds = model.embed(images, ids)
    none = torch.full((2, model.bridge.tokens), -100)
    theirs = model.lm(
        inputs_embeds=embeds, labels=torch.cat([none, labels], 1), use_cache=False
    ).loss
    count = int((labels != -100).sum())
    torch.testing.assert_close(model(images, ids, labels) / count, theirs)


def test_the_picture_reaches_the_loss(model: Any) -> None:
    images, ids, labels = inputs()
    images.requires_grad_(True)
    model(images, ids, labels).backward()
    assert images.grad is not None
    assert float(images.grad.abs().amax((1, 2, 3)).min()) > 0


@torch.no_grad()
def test_spread_tells_a_collapsed_bridge(model: Any) -> None:
    images = torch.randn(6, 3, 16, 16)
    assert captioner.spread(model, images) > 0.01
    assert captioner.spread(model, images[:1].expand(6, -1, -1, -1)) < 1e-5


def test_no_decay_for_what_mamba_exempts(model: Any) -> None:
    from mambaops.payload.train.engine import Options, parameter_groups

    decay, plain = parameter_groups(model, Options(weight_decay=0.1))
    chosen = {id(p) for p in decay["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in chosen}
    assert not [n for n in names if n.endswith(("A_log", ".D", "bias", "pos_embed")) or "norm" in n]
    assert "bridge.forwards.in_proj.weight" in names
    total = len(decay["params"]) + len(plain["params"])
    assert total == len([p for p in model.parameters() if p.requires_grad])


def test_the_bridge_has_a_rate_of_its_own(model: Any) -> None:
    from mambaops.payload.train.engine import Options, parameter_groups

    rates = (("bridge.", 1e-3), ("vision.", 1e-3))
    groups = parameter_groups(model, Options(lr=2e-5, rates=rates))
    at = {id(p): group for group in groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        wanted = 2e-5 if name.startswith("lm.") else 1e-3
        assert at[id(parameter)]["lr"] == wanted
        assert at[id(parameter)]["share"] * 2e-5 == pytest.approx(wanted)


def configs() -> dict[str, Any]:
    from transformers import FalconMambaConfig, Mamba2Config, MambaConfig

    common = {
        "vocab_size": 1024,
        "num_hidden_layers": 1,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return {
        "mamba": MambaConfig(hidden_size=48, state_size=4, **common),
        "falcon_mamba": FalconMambaConfig(hidden_size=32, state_size=4, **common),
        "mamba2": Mamba2Config(
            hidden_size=32,
            expand=2,
            num_heads=4,
            head_dim=16,
            n_groups=1,
            state_size=8,
            chunk_size=16,
            **common,
        ),
    }


@pytest.mark.parametrize("family", ["mamba", "falcon_mamba", "mamba2"])
def test_every_family_trains_and_writes_at_its_own_width(
    family: str, demo: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    from mambaops.payload.train.banner import install_scan

    config = configs()[family]
    config.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(demo / "tiny").save_pretrained(tmp_path)
    language = lm.load(str(tmp_path), "auto", CPU)
    assert (language.is_random, language.mode, language.width) == (True, "full", config.hidden_size)
    assert "pytorch" in install_scan("reference", family)
    vision, size, _ = captioner.build_vision("conv", 16, 3, [8, 16])
    made = captioner.build(language, vision, size, 4, 0)
    images, ids, labels = inputs()
    loss = made(images, ids, labels)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in made.bridge.parameters())
    written = made.eval().write(images, [5, 6], eos=2, max_new_tokens=3)
    assert [len(ids) <= 3 for ids in written] == [True, True]


def test_the_bridge_looks_both_ways() -> None:
    torch.manual_seed(0)
    bridge = Bridge(features=6, dim=16, out=8, grid=(2, 3))
    features = torch.randn(1, 2, 3, 6, requires_grad=True)
    (
        bridge(features)[0, 0] * torch.arange(8.0)
    ).sum().backward()  # the first token sees the last cell
    assert features.grad is not None
    assert float(features.grad[0, 1, 2].abs().sum()) > 0


def test_a_pretrained_vision_tower_from_a_folder(tmp_path: Path) -> None:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    config = SiglipVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    SiglipVisionModel(config).save_pretrained(tmp_path)
    tower, size, channels = captioner.build_vision(str(tmp_path), 0, 1, [])
    assert (size, channels, tower.grid(size)) == (32, 3, (4, 4))
    assert tower(torch.randn(2, 3, 32, 32)).shape == (2, 4, 4, 32)


def test_a_vision_tower_gets_pixels_as_it_was_trained_with(tmp_path: Path) -> None:
    """Its own mean and deviation, from its folder; the kind's where the folder says none."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        image_size=16, patch_size=8,
    )  # fmt: skip
    CLIPVisionModel(config).save_pretrained(tmp_path)
    seen: list[torch.Tensor] = []
    image = torch.rand(1, 3, 16, 16)
    for text, mean, std in (
        ("", 0.48145466, 0.26862954),
        ('{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}', 0.1, 0.4),
    ):
        if text:
            (tmp_path / "preprocessor_config.json").write_text(text)
        tower, _size, _channels = captioner.build_vision(str(tmp_path), 0, 3, [])
        tower.tower.register_forward_pre_hook(
            lambda _m, _a, kwargs: seen.append(kwargs["pixel_values"]), with_kwargs=True
        )
        tower(image * 2 - 1)
        torch.testing.assert_close(seen[-1][:, 0], (image[:, 0] - mean) / std)
        assert "mean" not in tower.state_dict(), "older checkpoints have none"


@pytest.mark.parametrize(
    ("count", "is_random", "free", "wanted"),
    [
        (10**6, True, 0, "full"),
        (lm.TINY - 1, False, 0, "full"),
        (130_000_000, False, 8 * 2**30, "lora"),
        (2_800_000_000, False, 3 * 2**30, "none"),
    ],
)
def test_a_pretrained_model_learns_by_lora_where_memory_allows(
    demo: Path, count: int, is_random: bool, free: float, wanted: str
) -> None:
    model = lm.load(str(demo / "tiny"), "none", CPU).model
    assert lm.auto_mode(model, count, is_random, CPU, free) == wanted
    assert lm.auto_mode(torch.nn.Linear(2, 2), lm.TINY, False, CPU, 1e18) == "none"


def test_low_rank_additions_start_at_nothing_and_alone_learn(demo: Path) -> None:
    frozen = lm.load(str(demo / "tiny"), "none", CPU).model
    adapted = lm.load(str(demo / "tiny"), "lora", CPU, lora=lm.Lora(2)).model
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(adapted(ids).logits, frozen(ids).logits)
    learning = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert learning
    assert all(".parametrizations.weight.0." in name for name in learning)

"""The whole model: picture -> visual tokens -> language model, with the loss on the answer only."""

from __future__ import annotations

from typing import Any, List, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mambaops.payload.train.bridge import Bridge, grid_shape
from mambaops.payload.train.data import IGNORED
from mambaops.payload.train.errors import InputError
from mambaops.payload.train.lm import LanguageModel
from mambaops.payload.train.options import Settings
from mambaops.payload.train.vision import ConvEncoder, load_tower


class Captioner(nn.Module):
    """Vision encoder, bridge and language model; the pieces' names are the checkpoint's keys."""

    def __init__(self, vision: Any, bridge: Bridge, lm: Any) -> None:
        super().__init__()
        self.vision, self.bridge, self.lm = vision, bridge, lm

    def encode(self, images: Tensor) -> Tensor:
        """Visual tokens [B, T, hidden] of images [B, C, S, S]."""
        return self.bridge(self.vision(images))  # type: ignore[no-any-return]

    def embed(self, images: Tensor, ids: Tensor) -> Tensor:
        """Visual tokens, then the text's embeddings: [B, T + L, hidden]."""
        text = self.lm.get_input_embeddings()(ids)
        return torch.cat([self.encode(images).to(text.dtype), text], dim=1)

    def forward(self, images: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
        """SUM of the cross-entropies of the answer's tokens (the others are -100 in `labels`)."""
        return self._token_losses(images, ids, labels).sum()

    def row_losses(self, images: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
        """The same sum for each row: float32 [B]."""
        losses = self._token_losses(images, ids, labels)
        rows = (labels != IGNORED).nonzero()[:, 0]
        return torch.zeros(len(ids), device=losses.device).index_add(0, rows, losses)

    def _token_losses(self, images: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of every answer token, row after row.

        Only the answer's places go through the vocabulary: a [B, L, vocab] tensor is never made.
        The text is padded on the right, which a causal model does not see: no mask is needed.
        """
        kept = labels != IGNORED
        return self.losses_at(self.hidden(images, ids)[kept], labels[kept])

    def hidden(self, images: Tensor, ids: Tensor) -> Tensor:
        """What predicts each text token: [B, L, hidden]."""
        inner = getattr(self.lm, self.lm.base_model_prefix)
        states = inner(inputs_embeds=self.embed(images, ids), use_cache=False).last_hidden_state
        begin = self.bridge.tokens
        return states[:, begin - 1 : begin - 1 + ids.shape[1]]  # type: ignore[no-any-return]

    def losses_at(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Cross-entropies float32 [N] of tokens [N] predicted from [N, hidden]."""
        head = self.lm.get_output_embeddings()
        logits = head(hidden.to(head.weight.dtype)).float()
        return functional.cross_entropy(logits, tokens, reduction="none")

    @torch.no_grad()
    def write(
        self, images: Tensor, prompt: List[int], *, eos: int, max_new_tokens: int
    ) -> List[List[int]]:
        """Greedy answers to one prompt about several pictures, as token ids without the end mark."""
        ids = torch.tensor([prompt], device=images.device).expand(len(images), -1)
        self.lm.config.use_cache = True
        output = self.lm.generate(
            inputs_embeds=self.embed(images, ids),
            attention_mask=torch.ones(
                len(images),
                self.bridge.tokens + len(prompt),
                dtype=torch.long,
                device=images.device,
            ),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=eos,
            pad_token_id=eos,
        )
        return [_until(row, eos) for row in output.tolist()]


def _until(ids: List[int], end: int) -> List[int]:
    return ids[: ids.index(end)] if end in ids else ids


def build_vision(
    kind: str, image_size: int, channels: int, widths: List[int], *, empty: bool = False
) -> Tuple[Any, int, int]:
    """The encoder, and the picture size and channels that it takes; `empty`: without a model's weights.

    Raises:
        InputError: --image_size is no multiple of the pretrained encoder's patch.
    """
    if kind == "conv":
        return ConvEncoder(channels or 1, widths), image_size or 512, channels or 1
    tower = load_tower(kind, empty=empty)
    if image_size and image_size != tower.image_size:
        raise InputError(
            f"--vision {kind} takes {tower.image_size} pixels, --image_size is {image_size}"
        )
    return tower, tower.image_size, tower.channels


def build(
    lm: LanguageModel, vision: Any, image_size: int, max_visual_tokens: int, dim: int
) -> Captioner:
    """Put the pieces together; every width comes from the pieces' own configurations."""
    grid = grid_shape(max_visual_tokens, *vision.grid(image_size))
    bridge = Bridge(vision.width, dim or min(512, lm.width), lm.width, grid, lm.embedding_scale)
    return Captioner(vision, bridge, lm.model)


def assemble(
    language: LanguageModel, settings: Settings, *, empty: bool = False
) -> Tuple[Captioner, int, int]:
    """The whole model that the settings ask for, frozen where they say so; picture size and channels."""
    vision, size, channels = build_vision(
        settings.vision,
        settings.image_size,
        settings.image_channels,
        settings.widths,
        empty=empty,
    )
    freeze_vision(vision, settings)
    model = build(language, vision, size, settings.max_visual_tokens, settings.bridge_dim)
    return model, size, channels


def freeze_vision(vision: Any, settings: Settings) -> None:
    """`auto`: a conv encoder learns, a pretrained one stays as it is."""
    learns = settings.train_vision == "full" or (
        settings.train_vision == "auto" and settings.vision == "conv"
    )
    for parameter in vision.parameters():
        parameter.requires_grad_(learns)


@torch.no_grad()
def spread(model: Captioner, images: Tensor) -> float:
    """How much the visual tokens differ from picture to picture, relative to their size.

    About 0 means that the bridge says the same of every picture (a collapsed stage 1).
    """
    tokens = model.encode(images).float()
    return float(tokens.std(dim=0).mean() / tokens.pow(2).mean().sqrt().clamp_min(1e-12))

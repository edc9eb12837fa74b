"""A small random Mamba and a tokenizer for given sentences, made on the fly: no download, no licence."""

from __future__ import annotations

import os
from typing import Iterable, List

SPECIAL = ("<pad>", "<s>", "</s>")
VOCABULARY = 1024  # rows; ln(1024) = 6.9 is the loss of a model that knows nothing


def train_tokenizer(sentences: Iterable[str], rows: int = VOCABULARY) -> object:
    """A byte-level BPE over single Chinese characters and words.

    Characters are set apart first: a merge over a whole phrase ("三个红色") would be a token that an
    unseen combination lacks.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    apart = pre_tokenizers.Split(Regex(r"\p{Han}|\p{P}"), "isolated")
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [apart, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=rows,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(sentences, trainer)
    pad, begin, end = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=pad, bos_token=begin, eos_token=end
    )


def write_tiny_model(
    folder: str,
    sentences: List[str],
    *,
    hidden: int = 96,
    layers: int = 2,
    state: int = 8,
    seed: int = 0,
    rows: int = VOCABULARY,
) -> str:
    """Save a random Mamba with its tokenizer into `folder`, as transformers reads them; the folder."""
    import torch
    from transformers import MambaConfig, MambaForCausalLM

    tokenizer = train_tokenizer(sentences, rows)
    config = MambaConfig(
        vocab_size=rows,
        hidden_size=hidden,
        state_size=state,
        num_hidden_layers=layers,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        use_cache=True,
    )
    os.makedirs(folder, exist_ok=True)
    config.save_pretrained(folder)
    torch.manual_seed(seed)
    MambaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
    return folder

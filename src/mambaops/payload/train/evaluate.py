"""`python -m mambaops.payload.train.evaluate`: how well a checkpoint describes the pictures of a table.

Loss, exact match, and BLEU-4, ROUGE-L and CIDEr over single characters (Chinese has no spaces) by
pycocoevalcap. METEOR and SPICE need Java and English: they are not used.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any, Dict, List, Sequence

from mambaops.payload.train.errors import guarded
from mambaops.payload.train.hub import obey_offline


def evaluate(
    checkpoint: str,
    table: str,
    *,
    mamba_model: str = "",
    device: str = "auto",
    max_new_tokens: int = 0,
    batch_size: int = 32,
    shuffle_images: bool = False,
    limit: int = 0,
    image_root: str = "",
) -> Dict[str, Any]:
    """Scores of a checkpoint on a caption table.

    Args:
        shuffle_images: give every row another row's picture (a control: the score must fall).
        limit: rows to look at; 0: all.

    Returns:
        rows, loss (per answer token), exact_match, bleu4, rouge_l, cider (None without pycocoevalcap),
        and `examples`: the first five as [written, wanted].
    """
    from mambaops.payload.train.restore import restore

    writer = restore(checkpoint, mamba_model=mamba_model, device=device)
    rows = writer.rows(table, limit, image_root)
    pictures = shuffled(len(rows)) if shuffle_images else list(range(len(rows)))
    loss, written = writer.score(rows, pictures, batch_size, max_new_tokens)
    wanted = [row.answer for row in rows]
    scores: Dict[str, Any] = {"rows": len(rows), "loss": loss}
    scores["exact_match"] = sum(a.strip() == b.strip() for a, b in zip(written, wanted)) / len(rows)
    scores.update(caption_scores(written, wanted))
    scores["examples"] = [list(pair) for pair in zip(written, wanted)][:5]
    return scores


def shuffled(length: int) -> List[int]:
    """A fixed reordering in which no picture keeps its row (for two rows and more)."""
    step = max(1, length // 3)
    return [(number + step) % length for number in range(length)]


def characters(text: str) -> str:
    """The text as pycocoevalcap wants it: one token per character, words of Latin letters too."""
    return " ".join("".join(text.split())) or "。"


def caption_scores(written: Sequence[str], wanted: Sequence[str]) -> Dict[str, Any]:
    """BLEU-4, ROUGE-L, CIDEr on characters; None for each where pycocoevalcap is not installed."""
    try:
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.cider.cider import Cider
        from pycocoevalcap.rouge.rouge import Rouge
    except ImportError as error:
        print(
            f"no BLEU, ROUGE, CIDEr: {error} (`{sys.executable} -m pip install pycocoevalcap`)",
            file=sys.stderr,
        )
        return {"bleu4": None, "rouge_l": None, "cider": None}
    truth = {number: [characters(text)] for number, text in enumerate(wanted)}
    guess = {number: [characters(text)] for number, text in enumerate(written)}
    bleu, _each = Bleu(4).compute_score(truth, guess, verbose=0)
    rouge, _each = Rouge().compute_score(truth, guess)
    cider, _each = Cider().compute_score(truth, guess)
    return {"bleu4": float(bleu[3]), "rouge_l": float(rouge), "cider": float(cider)}


def describe(scores: Dict[str, Any]) -> str:
    """One line of scores."""
    names = ("loss", "exact_match", "bleu4", "rouge_l", "cider")
    parts = [f"{name} {scores[name]:.4f}" for name in names if scores[name] is not None]
    return f"{scores['rows']} rows, " + ", ".join(parts)


def main(argv: Sequence[str]) -> Dict[str, Any]:
    """Print the scores."""
    parser = argparse.ArgumentParser(prog="evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--csv", required=True, help="caption table")
    parser.add_argument("--image_root", default="")
    parser.add_argument(
        "--mamba_model", default="", help="folder of the language model, if it moved"
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cuda", "cpu"))
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument(
        "--max_new_tokens", type=int, default=0, help="0: as long as the trained text"
    )
    parser.add_argument("--limit", type=int, default=0, help="rows; 0: all")
    parser.add_argument(
        "--shuffle_images", action="store_true", help="a control: the score must fall"
    )
    flags = vars(parser.parse_args(argv))
    scores = evaluate(flags.pop("checkpoint"), flags.pop("csv"), **flags)
    print(describe(scores))
    for written, wanted in scores["examples"]:
        print(f"  {'=' if written.strip() == wanted.strip() else '!'} {written}   ({wanted})")
    return scores


if __name__ == "__main__":
    obey_offline()
    sys.exit(guarded(lambda: main(sys.argv[1:])))

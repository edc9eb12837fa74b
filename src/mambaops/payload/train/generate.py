"""`python -m mambaops.payload.train.generate`: what a trained checkpoint says about pictures."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Dict, Sequence

from mambaops.payload.train.errors import InputError, guarded
from mambaops.payload.train.hub import obey_offline


def main(argv: Sequence[str]) -> Dict[str, Any]:
    """Print one caption per picture (with its path where there are several)."""
    parser = argparse.ArgumentParser(prog="generate", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, help="vision_bridge_vlm_final.pt")
    parser.add_argument("--image", required=True, action="append", help="may be repeated")
    parser.add_argument("--question", default="", help="default: the one trained with")
    parser.add_argument(
        "--mamba_model", default="", help="folder of the language model, if it moved"
    )
    parser.add_argument(
        "--max_new_tokens", type=int, default=0, help="0: as long as the trained text"
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cuda", "cpu"))
    flags = parser.parse_args(argv)
    from mambaops.payload import paths
    from mambaops.payload.train.restore import restore
    from mambaops.payload.train.table import Row

    images = [paths.to_wsl(image) for image in flags.image]
    for image in images:
        if not os.path.isfile(image):
            raise InputError(f"image {image} is not there ({paths.why_missing(image)})")
    writer = restore(flags.checkpoint, mamba_model=flags.mamba_model, device=flags.device)
    question = flags.question or writer.config["question"]
    rows = [Row(image=image, answer="", question=question) for image in images]
    captions = [
        writer.write([row], writer.image(row)[None], flags.max_new_tokens)[0] for row in rows
    ]
    for image, text in zip(images, captions):
        print(text if len(images) == 1 else f"{image}\t{text}")
    pairs = zip(images, captions)
    return {"captions": [{"image": image, "caption": text} for image, text in pairs]}


if __name__ == "__main__":
    obey_offline()
    sys.exit(guarded(lambda: main(sys.argv[1:])))

"""`python -m mambaops.payload.train.vlm`: train the picture -> report model (stage 1 and stage 2).

Files in --output_dir: vision_bridge_vlm_final.pt (every epoch), vision_bridge_vlm_best_val.pt,
vision_bridge_vlm_step{N}.pt (--save_every_steps), stage2_last.pt (resume), stage2_config.json,
stage2_train_log.csv, stage2_heartbeat.txt, stage2_curve.png; stage 1: vision_bridge_best_val.pt,
vision_bridge_final.pt and stage1_*. Exit codes are those of `errors`.
"""

from __future__ import annotations

import os
import sys
from typing import List

from mambaops.payload.train.errors import guarded
from mambaops.payload.train.hub import obey_offline
from mambaops.payload.train.options import parse


def main(argv: List[str]) -> None:
    """Set what must be set before PyTorch is imported, then train."""
    # two OpenMP runtimes in one process (conda, Windows) abort otherwise
    os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "TRUE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers are forked
    obey_offline()
    if "--demo" in argv:
        from mambaops.payload.train import demo

        demo.main([word for word in argv if word != "--demo"])
        return
    settings = parse(argv)
    from mambaops.payload.train import session

    session.train(settings)


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(sys.argv[1:])))

"""`python -m mambaops.payload.train.vlm`: train the picture -> report model (stage 1 and stage 2).

Files in --output_dir: vision_bridge_vlm_final.pt (every epoch), vision_bridge_vlm_best_val.pt,
vision_bridge_vlm_step{N}.pt (--save_every_steps), stage2_last.pt (resume), stage2_config.json,
stage2_train_log.csv, stage2_heartbeat.txt, stage2_curve.png; stage 1: vision_bridge_best_val.pt,
vision_bridge_final.pt and stage1_*. Exit codes are those of `errors`.
"""

from __future__ import annotations

import os
import sys
from typing import Dict, List

from mambaops.payload.train.errors import guarded
from mambaops.payload.train.hub import obey_offline
from mambaops.payload.train.options import Settings, parse


def main(argv: List[str]) -> Dict[str, object]:
    """Set what must be set before PyTorch is imported, then train; where the results are."""
    # two OpenMP runtimes in one process (conda, Windows) abort otherwise
    os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "TRUE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers are forked
    obey_offline()
    if "--demo" in argv:
        from mambaops.payload.train import demo

        return _results(demo.main([word for word in argv if word != "--demo"]))
    settings = parse(argv)
    if settings.estimate:
        from mambaops.payload.train import estimate

        return estimate.report(settings)
    from mambaops.payload.train import session

    session.train(settings)
    return _results(settings)


def _results(settings: Settings) -> Dict[str, object]:
    folder = os.path.abspath(settings.output_dir)
    log = os.path.join(folder, f"stage{settings.stage}_train_log.csv")
    return {"stage": settings.stage, "folder": folder, "log": log}


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(sys.argv[1:])))

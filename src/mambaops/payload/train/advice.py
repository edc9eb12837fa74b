"""What to change when a step does not fit into memory: only what this run can change, best first."""

from __future__ import annotations

from typing import List

from mambaops.payload.train.options import Settings


def memory_advice(settings: Settings, checkpointing: bool, llm_mode: str, scan: str) -> str:
    """An ordered list of flags; each entry says what it costs."""
    items: List[str] = []
    if settings.batch_size > 1:
        steps = settings.gradient_accumulation_steps * settings.batch_size
        items.append(
            f"--batch_size 1 --gradient_accumulation_steps {steps}   (same result, slower)"
        )
    if not checkpointing:
        items.append("--gradient_checkpointing   (same result, about a third slower)")
    if settings.max_visual_tokens > 64:
        items.append("--max_visual_tokens 64   (coarser picture)")
    if settings.max_text_len > 384:
        items.append("--max_text_len 384   (longer answers are cut)")
    if llm_mode == "full":
        items.append("--train_llm lora, then --train_llm none   (less of the model learns)")
    if "loop" in scan:
        items.append("--scan reference   (the chunked scan keeps 8 times less than the loop)")
    items.append("look for other programs on the GPU: nvidia-smi")
    items.append("a smaller --mamba_model, such as a 130M one")
    return "in this order:\n" + "\n".join(f"  {k}. {item}" for k, item in enumerate(items, 1))

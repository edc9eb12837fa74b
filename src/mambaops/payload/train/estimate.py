"""How much memory a step will take, before anything is loaded: `--estimate`.

On a CPU that is the process's memory at its highest (docs/training.md has the measured cases); for a GPU it is an
estimate that no GPU has confirmed, with our own scan, which keeps more than the kernels do.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Dict, Iterable, List, Tuple

import torch
from torch import nn

from mambaops.payload.train import banner, lm
from mambaops.payload.train.captioner import assemble
from mambaops.payload.train.data import CaptionDataset
from mambaops.payload.train.engine import Options, parameter_groups
from mambaops.payload.train.memory import free_memory, resident_memory
from mambaops.payload.train.options import Settings
from mambaops.payload.train.table import read_table

CUDA_CONTEXT = 0.5 * 2**30  # what CUDA takes for itself, about
MARGIN = 1.15  # measured runs took up to this much of what is said (docs/training.md)


@dataclass(frozen=True)
class Estimate:
    """Bytes on a device. `step` is what a step takes beside the rest: activations, or gradients where they are more."""

    device: str
    weights: float
    optimizer: float
    step: float
    program: float
    free: float  # infinite where nothing tells

    @property
    def total(self) -> float:
        return self.weights + self.optimizer + self.step + self.program

    @property
    def fits(self) -> bool:
        """With the margin. On a CPU the program's own part is taken already."""
        own = self.program if self.device == "cpu" else 0.0
        return self.total * MARGIN < self.free + own


class _Shape(lm.LanguageModel):
    """A language model without values."""

    @property
    def embedding_scale(self) -> float:
        return 1.0


def report(settings: Settings) -> Dict[str, Any]:
    """Print the estimate; the same as a mapping.

    Raises:
        InputError: no such model or table.
    """
    kind = settings.device
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    prompt, answer = _lengths(settings)
    found, notes = _estimate(settings, torch.device(kind), prompt, answer)
    where = "the longest row" if settings.csv else "no table: --max_text_len"
    print(
        f"memory of {settings.mamba_model} on {kind}: batch {settings.batch_size}, {prompt + answer} tokens "
        f"of text ({where}), {notes}"
    )
    print("\n".join(_lines(found)))
    free = found.free if found.free != float("inf") else None
    return {**asdict(found), "free": free, "total": found.total, "fits": found.fits}


def _lengths(settings: Settings) -> Tuple[int, int]:
    """(prompt, answer) tokens of the longest row; without a table half of --max_text_len each."""
    if not settings.csv:
        return settings.max_text_len // 2, settings.max_text_len - settings.max_text_len // 2
    rows = read_table(settings.csv, settings.question, settings.image_root)
    data = CaptionDataset(
        rows, lm.load_tokenizer(settings.mamba_model), settings.max_text_len, 1, 1
    )
    longest = data.text(data.audit().longest)
    return len(longest["prompt"]), len(longest["answer"])


def _program(settings: Settings) -> float:
    """Memory of the process without a model: what a run imports, and what a smallest step brings along."""
    names = ["mambaops.payload.train.session", "PIL.Image"]
    if settings.tensorboard and find_spec("tensorboard"):
        names.append("torch.utils.tensorboard")
    if find_spec("matplotlib"):
        names.append("matplotlib.figure")
    for name in names:
        import_module(name)
    with torch.device("meta"):  # without values; imports the family's classes
        lm.shape_of(settings.mamba_model)
    small = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(1, 8), nn.GELU(), nn.Linear(6, 1))
    small(torch.zeros(1, 3, 8, 8)).sum().backward()
    torch.optim.AdamW(small.parameters()).step()
    return resident_memory()


def _estimate(
    settings: Settings, device: torch.device, prompt: int, answer: int
) -> Tuple[Estimate, str]:
    """The estimate, and what it is for in words."""
    cuda = device.type == "cuda"
    free = float("inf") if cuda and not torch.cuda.is_available() else free_memory(device)
    program = CUDA_CONTEXT if cuda else _program(settings)
    # after the program was measured: a run does not need them
    from torch._subclasses.fake_tensor import FakeTensorMode

    from mambaops.payload.train.fake_step import Step, highest

    half = settings.amp == "bf16" or (settings.amp == "auto" and cuda)
    with FakeTensorMode(allow_non_fake_inputs=True):
        language = _language(settings, device, free)
        checkpointed = lm.checkpointed(language.model, settings.gradient_checkpointing)
        model, size, channels = assemble(language, settings, empty=True)
        step = Step(settings.batch_size, size, channels, prompt, answer, half)
        learning = [p for group in parameter_groups(model, Options()) for p in group["params"]]
        update = bytes_of(learning) + max(bytes_of([p]) for p in learning)
        found = Estimate(
            device=device.type,
            weights=bytes_of(model.parameters()) + bytes_of(model.buffers()),
            optimizer=2 * bytes_of(learning),
            step=max(highest(model, step), update),
            program=program,
            free=free,
        )
    notes = f"{model.bridge.tokens} visual ones, --train_llm {language.mode}, "
    return found, notes + f"activation checkpointing {'on' if checkpointed else 'off'}"


def _language(settings: Settings, device: torch.device, free: float) -> lm.LanguageModel:
    name, mode = settings.mamba_model, settings.language_mode
    model, is_random = lm.shape_of(name)
    if mode == "auto":
        mode = lm.auto_mode(model, lm.size_of(model), is_random, device, free, settings.lora)
    if device.type == "cuda" and mode != "full":  # fake tensors cannot be converted
        model, _random = lm.shape_of(name, torch.bfloat16)
    banner.install_scan(settings.scan, model.config.model_type)
    lm.adapt(model, name, mode, is_random, device, free, settings.lora)
    return _Shape(model, None, mode, is_random, name)


def bytes_of(tensors: Iterable[Any]) -> float:
    return float(sum(t.numel() * t.element_size() for t in tensors))


def _lines(found: Estimate) -> List[str]:
    parts = {
        "weights": found.weights,
        "AdamW's two states": found.optimizer,
        "a step": found.step,
        "the program itself": found.program,
        "together, about": found.total,
    }
    lines = [f"  {name:20s}{value / 2**30:8.2f} GiB" for name, value in parts.items()]
    if found.free != float("inf"):
        verdict = "it fits" if found.fits else "IT DOES NOT FIT"
        verdict += f" (with {MARGIN - 1:.0%} to spare, which a run may take)"
        lines.append(f"  {'free here':20s}{found.free / 2**30:8.2f} GiB: {verdict}")
    if found.device == "cuda":
        lines.append(
            "  an estimate: no GPU has confirmed it (with mambaops' scan; kernels keep less)"
        )
    return lines

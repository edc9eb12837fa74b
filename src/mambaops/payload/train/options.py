"""The captioner's flags: one frozen record, whose fields are the flags.

Each value comes from the first that has it: the flag, the file of `--config`, the environment
(`MAMBA_MODEL`), `config/paths.yaml`, the default. Every flag may be written with `_` or `-`.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Dict, List, Optional, Sequence, Tuple

from mambaops.payload import paths
from mambaops.payload.train import config_file
from mambaops.payload.train.errors import InputError

DEFAULT_MODEL = "state-spaces/mamba-2.8b-hf"
DEFAULT_QUESTION = "请描述这张图像。"
ADAPTED = ("in_proj", "x_proj", "out_proj")


@dataclass(frozen=True)
class Lora:
    """Low-rank additions: their rank, and the last part of the names of the layers that get them."""

    rank: int = 16
    layers: Tuple[str, ...] = ADAPTED


USUAL_LORA = Lora()


def _flag(default: Any, text: str, choices: Sequence[Any] = ()) -> Any:
    return field(default=default, metadata={"help": text, "choices": tuple(choices)})


@dataclass(frozen=True)
class Settings:
    """Everything that a run of the captioner is told."""

    stage: int = _flag(
        2, "1: bridge (and a conv encoder) on a frozen language model; 2: the report model", (1, 2)
    )
    epochs: int = _flag(20, "passes over the table")
    batch_size: int = _flag(1, "pictures per micro-batch and process")
    gradient_accumulation_steps: int = _flag(1, "micro-batches per update")
    lr: float = _flag(
        0.0, "rate of the language model; 0: 2e-5, 2e-4 for LoRA, 1e-3 for a random one"
    )
    bridge_lr: float = _flag(
        0.0, "rate of bridge and conv encoder; 0: 1e-3, or --lr where that is more (stage 1: --lr)"
    )
    weight_decay: float = _flag(0.01, "AdamW's decay of matrices")
    warmup: float = _flag(0.03, "share of all steps in which the learning rate rises")
    clip: float = _flag(1.0, "largest gradient norm; 0 never clips")
    max_visual_tokens: int = _flag(96, "places in front of the text; fewer are faster")
    max_text_len: int = _flag(512, "tokens of question and answer together")
    num_workers: int = _flag(4, "processes that read pictures; 0 reads in the main one")
    csv: str = _flag("", "caption table (overrides paths.yaml's caption_csv_train)")
    val_csv: str = _flag("", "table for validation (overrides caption_csv_val)")
    image_root: str = _flag("", "folder that relative image paths start from; default: the table's")
    check_images: bool = _flag(False, "read every picture before the start, not a sample")
    max_missing: float = _flag(0.05, "share of images that may be missing before it is an error")
    question: str = _flag("", "question for rows without one")
    paths_yaml: str = _flag("config/paths.yaml", "file of paths, Windows or POSIX")
    output_dir: str = _flag("outputs", "where everything is written")
    from_scratch: bool = _flag(False, "load no stage-1 file and resume nothing")
    vision_checkpoint: str = _flag("", "weights for vision and bridge to start from")
    resume: str = _flag("", "auto, or a *_last.pt file: go on where a run stopped")
    overwrite: bool = _flag(False, "replace the run that is in --output_dir")
    mamba_model: str = _flag("", f"folder or hub name; default MAMBA_MODEL, then {DEFAULT_MODEL}")
    train_llm: str = _flag(
        "auto", "how much of the language model learns", ("none", "lora", "full", "auto")
    )
    lora_rank: int = _flag(16, "rank of --train_llm lora")
    lora_layers: str = _flag(
        ",".join(ADAPTED), "layers that LoRA adapts (peft takes in_proj,x_proj of a Mamba only)"
    )
    llm_8bit: bool = _flag(
        False, "hold the frozen model's largest weights in 8 bits (bitsandbytes, peft)"
    )
    vision: str = _flag("conv", "conv, siglip, or a folder or hub name of a vision model")
    train_vision: str = _flag(
        "auto", "auto: conv learns, a pretrained one does not", ("none", "full", "auto")
    )
    image_size: int = _flag(0, "pixels per side; 0: what the encoder wants, 512 for conv")
    image_channels: int = _flag(3, "colour channels for conv: 3, or 1 for grey", (1, 3))
    conv_widths: str = _flag(
        "32,64,128,256,512", "channels of conv's stages, each halving the picture"
    )
    bridge_dim: int = _flag(0, "width of the bridge; 0: the model's, 512 at most")
    scan: str = _flag(
        "",
        "auto, kernels or reference; default auto, kernels under MAMBA_FORCE_CUDA=1",
        ("", "auto", "kernels", "reference"),
    )
    amp: str = _flag("auto", "BF16 autocast: auto is on for CUDA", ("auto", "bf16", "off"))
    gradient_checkpointing: Optional[bool] = _flag(
        None, "recompute activations; default: for more than 100 M parameters"
    )
    shard: bool = _flag(
        False, "several processes: split the model over them (FSDP2) instead of repeating it"
    )
    device: str = _flag("auto", "auto, cuda or cpu", ("auto", "cuda", "cpu"))
    seed: int = _flag(0, "everything random follows from it")
    deterministic: bool = _flag(False, "ask PyTorch for deterministic algorithms")
    max_steps: int = _flag(0, "stop after so many updates; 0: never")
    log_every_steps: int = _flag(20, "updates between two lines")
    save_every_steps: int = _flag(
        0, "updates between two saves within an epoch; 0: only at its end"
    )
    keep_steps: int = _flag(3, "files of --save_every_steps that are kept; 0: all")
    length_audit_samples: int = _flag(0, "rows in the printed length statistics; 0: all")
    estimate: bool = _flag(False, "say how much memory a step would take, and stop")
    tensorboard: bool = _flag(True, "write TensorBoard events where it is installed")
    safetensors: bool = _flag(False, "write the final weights as .safetensors too")

    def rates(self, mode: str, is_random: bool) -> Tuple[float, float]:
        """(rate of the language model, of bridge and conv encoder) for a --train_llm mode.

        The bridge begins at random, also in front of a pretrained model: a rate that suits the model would
        leave it there.
        """
        usual = {"lora": 2e-4, "full": 1e-3 if is_random else 2e-5}.get(mode, 1e-3)
        rate = self.lr or usual
        front = rate if self.stage == 1 and self.lr else max(rate, 1e-3)
        return rate, self.bridge_lr or front

    @property
    def language_mode(self) -> str:
        """--train_llm; stage 1 trains the bridge alone unless told otherwise."""
        return "none" if self.stage == 1 and self.train_llm == "auto" else self.train_llm

    @property
    def lora(self) -> Lora:
        return Lora(self.lora_rank, tuple(self.lora_layers.split(",")))

    @property
    def widths(self) -> List[int]:
        return [int(width) for width in self.conv_widths.split(",")]

    def file(self, name: str) -> str:
        return os.path.join(self.output_dir, name)


# the first flag of each group of `--help`
_GROUPS = {
    "stage": "what to train, and for how long",
    "csv": "data",
    "output_dir": "files",
    "mamba_model": "model",
    "scan": "machine",
    "max_steps": "watching and saving",
}


def parser() -> argparse.ArgumentParser:
    """An argument parser made of `Settings`' fields, in groups."""
    made = argparse.ArgumentParser(
        prog="python -m mambaops.payload.train.vlm",
        description="Train a picture -> report model on a Mamba language model.",
        epilog="--demo runs the demonstration on generated pictures instead (see --demo --help).",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    group: Any = made
    for item in fields(Settings):
        if item.name in _GROUPS:
            group = made.add_argument_group(_GROUPS[item.name])
        _add(group, item.name, item.default, dict(item.metadata))
    made.add_argument(
        "--config", help="YAML or JSON file of flags (a run's stage2_config.json too)"
    )
    return made


def _add(made: Any, name: str, default: Any, about: Dict[str, Any]) -> None:
    text = about["help"].replace("%", "%%")
    assert default is not MISSING
    if default is None or isinstance(default, bool):
        made.add_argument(f"--{name}", action="store_true", help=text)
        made.add_argument(f"--no_{name}", dest=name, action="store_false", help=argparse.SUPPRESS)
        return
    shown = "" if default in ("", 0) else f" (default {default})"
    choices = about["choices"] or None
    made.add_argument(f"--{name}", type=type(default), choices=choices, help=text + shown)


def parse(argv: Sequence[str]) -> Settings:
    """Flags, environment and paths.yaml to settings.

    Raises:
        InputError: an impossible value, or a paths.yaml that cannot be read.
    """
    words = [
        "--" + w[2:].replace("-", "_") if w.startswith("--") and "=" not in w else w for w in argv
    ]
    given = vars(parser().parse_args(words))
    given = {**config_file.read(given.pop("config", "")), **given}
    listed = _listed(given.get("paths_yaml", ""))
    mapping = paths.read_mapping()
    for name, key in (("csv", "caption_csv_train"), ("val_csv", "caption_csv_val")):
        given.setdefault(name, str(listed.get(key) or ""))
    given.setdefault(
        "mamba_model",
        str(os.environ.get("MAMBA_MODEL") or listed.get("mamba_hf_model") or DEFAULT_MODEL),
    )
    given.setdefault("question", _question(str(listed.get("caption_prompt_json") or "")))
    for name in (
        "csv",
        "val_csv",
        "image_root",
        "mamba_model",
        "vision",
        "output_dir",
        "vision_checkpoint",
        "resume",
    ):
        if given.get(name):
            given[name] = paths.to_wsl(given[name], mapping)
    return _checked(Settings(**given))


def _listed(path: str) -> Dict[str, object]:
    """paths.yaml's values; a missing default file is no error, a missing named one is."""
    usual = "config/paths.yaml"
    chosen = path or usual
    if not os.path.exists(chosen):
        if path not in ("", usual):
            raise InputError(f"--paths_yaml {path} is not there")
        return {}
    try:
        values = paths.read_paths_yaml(chosen)
    except ValueError as error:
        raise InputError(str(error)) from error
    for key, value in values.items():
        if isinstance(value, str) and os.path.isabs(value) and not os.path.exists(value):
            print(f"{chosen}: {key}: {value} does not exist ({paths.why_missing(value)})")
    return values


def _question(path: str) -> str:
    """The question of caption_prompt_json: a string, or an object's prompt or question."""
    if not path or not os.path.exists(path):
        return DEFAULT_QUESTION
    import json

    with open(path, encoding="utf-8-sig") as file:
        try:
            value = json.load(file)
        except ValueError as error:
            raise InputError(f"{path} is no JSON: {error}") from error
    if isinstance(value, dict):
        value = value.get("prompt") or value.get("question")
    if not isinstance(value, str) or not value:
        raise InputError(f"{path} holds no question: wanted a string, or an object with `prompt`")
    return value


def _checked(settings: Settings) -> Settings:
    positive = (
        "epochs",
        "batch_size",
        "gradient_accumulation_steps",
        "max_visual_tokens",
        "max_text_len",
    )
    for name in positive:
        if getattr(settings, name) < 1:
            raise InputError(f"--{name} is {getattr(settings, name)}; it must be 1 or more")
    if settings.from_scratch and (settings.resume or settings.vision_checkpoint):
        raise InputError("--from_scratch excludes --resume and --vision_checkpoint")
    if settings.lora_rank < 1 or not set(settings.lora.layers) <= set(ADAPTED):
        raise InputError(
            f"--lora_rank {settings.lora_rank} --lora_layers {settings.lora_layers}: wanted a rank of 1 "
            f"or more, and layers out of {','.join(ADAPTED)}"
        )
    try:
        assert settings.widths
    except (ValueError, AssertionError):
        raise InputError(
            f"--conv_widths is {settings.conv_widths}; wanted e.g. 32,64,128"
        ) from None
    return settings

"""Which kernels a model launches, by its `config.json`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.runtime.selection import DTYPES, WIDTHS, Selection

# transformers' names, and the one that mamba_ssm's own checkpoints say in `ssm_cfg`
_SECOND = ("mamba2", "bamba", "zamba2", "falcon_h1", "granitemoehybrid", "nemotron_h")
_FIRST = ("mamba", "falcon_mamba", "jamba", "zamba", "mamba1")
_WIDTHS = ("conv_kernel", "mamba_d_conv", "d_conv", "mamba_conv_kernel", "conv_kernel_size")
_NAMES = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float": "fp32"}


def config_of(model: str) -> dict[str, Any]:
    """The `config.json` of a model: a file, a folder that holds one, or a name on Hugging Face.

    Raises:
        UsageError: a path with no such file, or one that is no JSON object.
        MambaopsError: the name is not known there, or it cannot be reached.
    """
    path = Path(model).expanduser()
    path = path / "config.json" if path.is_dir() else path
    if path.is_file():
        return _read(path, model)
    if model.count("/") != 1 or model.startswith((".", "/", "~")) or model.endswith(".json"):
        raise UsageError(
            f"`{model}` is no file, no folder and no model's name",
            hint="`--for state-spaces/mamba-130m-hf`, `--for ./my-model` or `--for config.json`",
        )
    return _published(model)


def selection_for(config: Mapping[str, Any]) -> Selection:
    """What a model of this configuration launches, forward and backward, for every sequence length.

    Raises:
        UsageError: it is no Mamba's, or its convolution has a width that there is no kernel for.
    """
    parts = list(_parts(config))
    # mamba_ssm's own checkpoints name no type: Mamba (the first), unless their layer says otherwise
    types = [str(part.get(key, "")).lower() for part in parts for key in ("model_type", "layer")]
    second = any(one in _SECOND for one in types)
    if not second and not any(one in _FIRST or "d_model" in parts[0] for one in types):
        told = ", ".join(filter(None, types)) or "not said"
        raise UsageError(
            f"its type is {told}: none of the Mamba models whose kernels are known",
            hint="`--dtypes bf16,fp32` compiles what Mamba's blocks usually launch, `--all` everything",
        )
    width = next((part[key] for part in parts for key in _WIDTHS if key in part), 4)
    if width not in WIDTHS:
        raise UsageError(f"its convolution has width {width}, and there are kernels for 2, 3 and 4")
    return Selection(dtypes=_dtypes(parts), width=width, scan=not second)


def _dtypes(parts: list[Mapping[str, Any]]) -> tuple[str, ...]:
    said = [part[key] for part in parts for key in ("dtype", "torch_dtype") if part.get(key)]
    found = {_NAMES.get(str(one).removeprefix("torch.")) for one in said}
    # not said: whoever loads it chooses
    return tuple(sorted(filter(None, found))) or DTYPES


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The configuration, and those of a language model inside it."""
    yield config
    for value in config.values():
        if isinstance(value, dict):
            yield from _parts(value)


def _read(path: Path, model: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"`{model}`: {path.name} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"`{model}`: {path.name} is no configuration")
    return found


def _published(model: str) -> dict[str, Any]:
    from mambaops.download.fetch import fetch
    from mambaops.download.state import Memory
    from mambaops.knowledge.addresses import addresses

    hub = os.environ.get("HF_ENDPOINT") or addresses().huggingface.endpoint
    with tempfile.TemporaryDirectory(prefix="mambaops-config-") as folder:
        # a memory of its own: the file may change from one day to the next
        memory = Memory(Path(folder) / "memory")
        try:
            got = fetch(
                f"{hub.rstrip('/')}/{model}/resolve/main/config.json", Path(folder), memory=memory
            )
        except MambaopsError as error:
            raise MambaopsError(
                f"the configuration of `{model}` could not be fetched: {error.message}",
                hint="HF_ENDPOINT names a mirror; a config.json of yours works as well",
            ) from error
        return _read(got.path, model)

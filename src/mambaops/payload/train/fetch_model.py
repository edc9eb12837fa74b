"""`python -m mambaops.payload.train.fetch_model`: get a model once, check it, use it without a network.

It says beforehand whether the folder or the cache holds the model, downloads only what is missing
(huggingface_hub, so `HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME` and the offline variables count), and reads every
weight file's header: a cut-off file is found here, not at the first step of training.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import struct
import sys
from typing import Any, Dict, List, Sequence

from mambaops.payload import paths
from mambaops.payload.train.errors import InputError, TrainError, guarded
from mambaops.payload.train.hub import cached_snapshot, is_offline, obey_offline

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
# other frameworks' copies of the same weights
UNWANTED = ("*.h5", "*.msgpack", "*.ot", "*.onnx", "*.gguf", "onnx/*", "original/*")


def problems(folder: str) -> List[str]:
    """What is missing or damaged in a model folder; nothing for one that can be loaded."""
    if not os.path.isdir(folder):
        return [f"{folder} is no folder"]
    found = _config_problems(folder)
    if not any(os.path.exists(os.path.join(folder, name)) for name in TOKENIZERS):
        found.append(f"no tokenizer ({', '.join(TOKENIZERS)})")
    return found + _weight_problems(folder)


def _config_problems(folder: str) -> List[str]:
    path = os.path.join(folder, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            return [] if "model_type" in json.load(file) else ["config.json names no model_type"]
    except FileNotFoundError:
        return ["config.json is missing"]
    except (ValueError, OSError) as error:
        return [f"config.json cannot be read: {error}"]


def _weight_problems(folder: str) -> List[str]:
    names = _weight_files(folder)
    if not names:
        return ["no weights (*.safetensors or pytorch_model*.bin)"]
    found = []
    for name in names:
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            found.append(f"{name} is missing (the index lists it)")
        elif name.endswith(".safetensors"):
            found += _safetensors_problems(path)
        else:
            found += _zip_problems(path)
    return found


def _weight_files(folder: str) -> List[str]:
    """The files that hold weights: an index's list, or what lies there; safetensors before .bin."""
    for single, index in (
        ("model.safetensors", "model.safetensors.index.json"),
        ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ):
        if os.path.exists(os.path.join(folder, index)):
            with open(os.path.join(folder, index), encoding="utf-8") as file:
                return sorted(set(json.load(file)["weight_map"].values()))
        if os.path.exists(os.path.join(folder, single)):
            return [single]
    return []


def _safetensors_problems(path: str) -> List[str]:
    """The header says how long the file must be."""
    size, name = os.path.getsize(path), os.path.basename(path)
    with open(path, "rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(size - 8, 100_000_000):
            return [f"{name} is no safetensors file ({size} bytes)"]
        try:
            header: Dict[str, Any] = json.loads(file.read(length))
        except ValueError:
            return [f"{name} has a damaged header"]
    ends = [about["data_offsets"][1] for key, about in header.items() if key != "__metadata__"]
    wanted = 8 + length + max(ends, default=0)
    if size != wanted:
        return [f"{name} has {size} bytes, its header describes {wanted}: cut off, fetch it again"]
    return []


def _zip_problems(path: str) -> List[str]:
    import zipfile

    if zipfile.is_zipfile(path):  # looks for the directory at the end: a cut-off file has none
        return []
    with open(path, "rb") as file:  # PyTorch before 1.6 wrote a plain pickle
        return (
            []
            if file.read(1) == b"\x80"
            else [f"{os.path.basename(path)} is cut off or no weights"]
        )


def whereabouts(model: str, folder: str) -> List[str]:
    """Lines that say whether the folder and the cache hold the model."""
    lines = []
    if folder:
        bad = problems(folder)
        lines.append(f"folder {folder}: " + ("complete" if not bad else "; ".join(bad)))
    cached = cached_snapshot(model)
    if not cached:
        lines.append(f"cache: does not hold {model}")
    else:
        bad = problems(cached)
        lines.append(f"cache: {cached}: " + ("complete" if not bad else "; ".join(bad)))
    return lines


def fetch(model: str, folder: str) -> str:
    """Make the model be in `folder` (or, with "", in the cache) and return where it is.

    Raises:
        TrainError: it cannot be had, or what came is not complete.
    """
    if folder and not problems(folder):
        return folder
    cached = cached_snapshot(model)
    if folder and cached and not problems(cached):
        return _copy(cached, folder)
    if cached and not folder and not problems(cached):
        return cached
    got = _download(model, folder)
    bad = problems(got)
    if bad:
        raise TrainError(f"{model} was fetched into {got} and is not complete: " + "; ".join(bad))
    return got


def _copy(cached: str, folder: str) -> str:
    """The cache's files into `folder`, aside first; links in the cache become files."""
    aside = folder.rstrip("/\\") + ".part"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(cached, aside)
    if os.path.isdir(folder):
        for name in os.listdir(aside):
            os.replace(os.path.join(aside, name), os.path.join(folder, name))
        shutil.rmtree(aside)
    else:
        os.makedirs(os.path.dirname(os.path.abspath(folder)), exist_ok=True)
        os.replace(aside, folder)
    return folder


def _download(model: str, folder: str) -> str:
    from huggingface_hub import snapshot_download

    endpoint = os.environ.get("HF_ENDPOINT", "")
    if is_offline():
        raise TrainError(
            f"{model} is not here, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to fetch it",
            hint="unset them where there is a network, or copy the folder from another machine",
        )
    try:
        return str(
            snapshot_download(model, local_dir=folder or None, ignore_patterns=_ignored(model))
        )
    except Exception as error:  # the hub's client raises its own, httpx's and requests' kinds
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        where = f" from {endpoint}" if endpoint else ""
        raise TrainError(
            f"{model} could not be fetched{where}: {type(error).__name__}: {first}",
            hint="set HF_ENDPOINT to a mirror that this machine reaches, or fetch it on another machine and "
            "copy the folder; what came so far is kept and continued",
        ) from error


def _ignored(model: str) -> List[str]:
    """Other frameworks' weights, and PyTorch's pickles where the repository has safetensors."""
    from huggingface_hub import HfApi

    files = HfApi().list_repo_files(model)
    has_safetensors = any(name.endswith(".safetensors") for name in files)
    return [*UNWANTED, *(["*.bin", "*.pt", "*.pth"] if has_safetensors else [])]


def main(argv: Sequence[str]) -> Dict[str, str]:
    """Say what is here, fetch what is not, check everything."""
    parser = argparse.ArgumentParser(prog="fetch_model", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="hub name, or a folder to check")
    parser.add_argument("-o", "--output", default="", help="folder; default: the cache")
    parser.add_argument("--check", action="store_true", help="only look, fetch nothing")
    flags = parser.parse_args(argv)
    model, folder = paths.to_wsl(flags.model), paths.to_wsl(flags.output)
    if os.path.isdir(model):
        folder, model = model, os.path.basename(model)
        flags.check = True
    elif model.count("/") > 1 or model.startswith("."):
        raise InputError(f"{model} is neither a folder nor a hub name (owner/name)")
    for line in whereabouts(model, folder):
        print(line)
    if flags.check:
        there = [f for f in (folder, cached_snapshot(model)) if f and not problems(f)]
        if not there:
            raise TrainError(
                f"{model} is not complete here",
                hint=f"`mambaops fetch-model --model {shlex.quote(model)}`",
            )
        return {"model": model, "folder": os.path.abspath(there[0])}
    where = fetch(model, folder)
    print(f"{model} is complete in {where}; train with --mamba_model {where}")
    return {"model": model, "folder": os.path.abspath(where)}


if __name__ == "__main__":
    obey_offline()
    sys.exit(guarded(lambda: main(sys.argv[1:])))

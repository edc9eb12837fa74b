"""Whether model files are here, and what to do where they are not. Stdlib only until asked to load."""

from __future__ import annotations

import os
import shlex
import sys

from mambaops.payload.train.errors import InputError

EXAMPLE = "state-spaces/mamba-130m-hf"
_TRUE = ("1", "true", "yes", "on")


def is_offline() -> bool:
    """HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").lower() in _TRUE for name in names)


def obey_offline() -> None:
    """One of the two variables means both; to be called before transformers is imported."""
    if is_offline():
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"


def cached_snapshot(name: str) -> str:
    """The cache's folder of a hub model, or "" where the cache has no configuration of it."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(name, "config.json")
    except ValueError:  # no repository name, such as a path
        return ""
    return os.path.dirname(found) if isinstance(found, str) else ""


def explain_missing(name: str, flag: str, error: BaseException) -> InputError:
    """The error for a model that could not be loaded, with the recipe for a machine without network."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    where = "the folder is not there" if os.path.isabs(name) or name.startswith(".") else "offline"
    state = "" if not is_offline() else " (HF_HUB_OFFLINE is set)"
    if os.path.isdir(name):
        where = "the folder is there, but not complete"
    wanted = name if "/" in name and not os.path.isabs(name) else EXAMPLE
    folder = "models/" + shlex.quote(wanted.rpartition("/")[2])
    return InputError(
        f"model {name} cannot be loaded: {where}{state}: {first}",
        hint=f"where there is a network: `mambaops fetch-model --model {shlex.quote(wanted)} -o {folder}`\n"
        f"      copy the folder here and give {flag} {folder} (or MAMBA_MODEL={folder});\n"
        "      behind a mirror set HF_ENDPOINT",
    )


def quiet_loading() -> None:
    """No bars of transformers where nobody watches them."""
    if not sys.stderr.isatty():
        from transformers.utils import logging

        logging.disable_progress_bar()

"""Import a kernel's Python function from wherever its package keeps it."""

from __future__ import annotations

import importlib
from typing import Any, Callable

from .names import KERNELS


def load(name: str) -> Callable[..., Any]:
    """The function `name` of `names.KERNELS`.

    Raises:
        whatever importing its package raises: the true error, which transformers hides.
    """
    kernel = KERNELS[name]
    if name == "triton_scan":
        return importlib.import_module(".triton_scan", __package__).selective_scan
    for package in kernel.packages:
        importlib.import_module(package)
    if kernel.extension:
        importlib.import_module(kernel.extension)
    return getattr(importlib.import_module(kernel.home), name)

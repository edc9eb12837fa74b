"""The steps that bring a machine to a profile, one module each. A new one is found by itself."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from mambaops.steps.step import Step


@functools.cache
def all_steps() -> tuple[Step, ...]:
    """Every step, by id."""
    found: list[Step] = []
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        step = getattr(module, "STEP", None)
        if isinstance(step, Step):
            found.append(step)
    return tuple(sorted(found, key=lambda step: step.id))

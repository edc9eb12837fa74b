"""One file per kind of step. `ACTS` names what each step of a plan does when it is needed.

A step that has no entry is a check only: when it is not done it blocks.
"""

from __future__ import annotations

from collections.abc import Callable

from mambaops.decide.assess import Case
from mambaops.steps import (
    build_wheel,
    create_venv,
    find_wheels,
    install_toolkit,
    install_torch,
    install_wheels,
    prepare_build,
    sources,
    verify,
)
from mambaops.steps.context import Context

Act = Callable[[Context, Case], None]

ACTS: dict[str, Act] = {
    "create-venv": create_venv.act,
    "install-torch": install_torch.act,
    "find-wheels": find_wheels.act,
    "install-toolkit": install_toolkit.act,
    "prepare-build": prepare_build.act,
    "patch-cpp-extension": sources.patch_cpp_extension,
    "fetch-sources": sources.fetch_sources,
    "patch-setup": sources.patch_setup,
    "build-wheel": build_wheel.act,
    "install-wheels": install_wheels.act,
    "verify": verify.act,
}


def act_of(step: str) -> Act:
    """What a step does; `build-wheel:mamba-ssm` is `build-wheel` for every package that is missing."""
    return ACTS[step.partition(":")[0]]

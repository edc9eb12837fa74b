"""One function per step: is it done, needed or blocked, and why? Pure.

The plan shows what these say before anything happens; the runner asks them again before each step acts
and after it has acted. So what is shown and what is done are decided in one place. They stand in the
modules beside this one, by what they look at; here they have one name each.
"""

from __future__ import annotations

from mambaops.decide.case import Assess, Case, Verdict, blocked, done, needed
from mambaops.decide.environment import conda_tool, create_venv, install_torch
from mambaops.decide.machine import check_machine, check_space, mismatches
from mambaops.decide.packages import (
    build_wheel,
    fetch_sources,
    find_wheels,
    install_wheels,
    may_find_prebuilt,
    missing_build_requirements,
    missing_requirements,
    patch_setup,
    prepare_build,
    to_build,
    verify,
    wants_prebuilt,
    ways,
)
from mambaops.decide.toolkit import (
    check_compiler,
    fitting_toolkit,
    host_compiler,
    install_toolkit,
    patch_cpp_extension,
)

__all__ = [
    "Assess",
    "Case",
    "Verdict",
    "blocked",
    "build_wheel",
    "check_compiler",
    "check_machine",
    "check_space",
    "conda_tool",
    "create_venv",
    "done",
    "fetch_sources",
    "find_wheels",
    "fitting_toolkit",
    "host_compiler",
    "install_toolkit",
    "install_torch",
    "install_wheels",
    "may_find_prebuilt",
    "mismatches",
    "missing_build_requirements",
    "missing_requirements",
    "needed",
    "patch_cpp_extension",
    "patch_setup",
    "prepare_build",
    "to_build",
    "verify",
    "wants_prebuilt",
    "ways",
]

"""What the tests of verify share: a case about a small environment, and what our scripts print there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from compiled_profiles import compiled
from recorded import varied
from target_environment import TargetEnvironment

from mambaops.decide.case import Case, make_case
from mambaops.decide.situation import Flags, Situation
from mambaops.profiles.model import with_added
from mambaops.verify.checks import verify
from mambaops.verify.model import Check


def case_of(
    env: TargetEnvironment,
    *,
    arch: str = "9.0",
    cross: bool = False,
    machine: str = "no-gpu",
    added: dict[str, str] | None = None,
    only: tuple[str, ...] | None = None,
    **facts: Any,
) -> Case:
    """`facts` change the machine.

    Args:
        added: further packages of the profile, with their files.
        only: the packages of the profile that stay; all.
    """
    target = env.facts(machine)
    situation = Situation(facts=varied(machine, facts), target=target)
    profile = with_added(compiled("local"), added or {})
    if only is not None:
        kept = {name: spec for name, spec in profile.packages.items() if name in only}
        profile = msgspec.structs.replace(profile, packages=kept)
    return make_case(profile, situation, Flags(arch=arch, cross=cross))


def checked(case: Case, python: Path) -> dict[str, Check]:
    """Every check by its name; none comes twice."""
    found = verify(case, python).checks
    assert len({one.id for one in found}) == len(found)
    return {one.id: one for one in found}


def lines(*checks: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in checks)


def imported(*modules: str) -> str:
    """What smoke.py prints where everything can be imported."""
    rest = {"outcome": "ok", "reason": "", "version": "1", "file": "f", "seconds": 0.1}
    return lines(*({"module": name, **rest} for name in modules))


IMPORTED = imported(
    "torch", "causal_conv1d_cuda", "causal_conv1d", "selective_scan_cuda", "mamba_ssm"
)
GOOD = lines({"id": "scan-float32", "outcome": "ok", "value": 1e-6})
HOPPER = {"gpus": [{"index": 0, "name": "NVIDIA H100", "compute_capability": "9.0"}]}

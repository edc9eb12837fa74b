"""Golden plans: every profile on recorded machines. `PYTHONPATH=tests/support python tests/plan/test_golden_plans.py` refreshes them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from recorded import facts_of

from mambaops.core.errors import MachineError
from mambaops.decide.situation import Flags, elsewhere
from mambaops.plan import make_plan
from mambaops.profiles.model import load_profile, names

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
# profile -> recorded machines that it is planned for; every profile also on a plain machine
PAIRS = [
    ("local", "no-gpu"),
    ("local", "hopper"),
    ("local", "debian10-a800"),
    ("local", "v100"),
    ("local", "p40"),
    ("local", "broken-driver"),
    ("local", "no-gxx"),
    ("local", "no-python-h"),
    ("local", "disk-full"),
    ("local", "container-4gib"),
    ("local", "gcc15"),
    ("hopper", "hopper"),
    ("wsl-5090", "wsl-5090-bare"),
    ("wsl-5090", "wsl-5090-nvcc126"),
    ("wsl-5090", "wsl-5090-ready"),
    ("wsl-5090-ptx", "wsl-5090-nvcc126"),
    ("debian-a800", "debian10-a800"),
    ("ubuntu20-graph-mamba", "ubuntu20-graph-mamba"),
    ("ubuntu22-cu118", "ubuntu22-cu118"),
    ("digress", "digress"),
    ("windows-5090", "windows-5090"),
]
PAIRS += [(name, "no-gpu") for name in names() if name != "local"]


def plan_text(profile: str, machine: str) -> str:
    loaded = load_profile(profile)
    situation = elsewhere(loaded.name, facts_of(machine))
    try:
        plan = make_plan(loaded, situation, Flags())
    except MachineError as error:
        return json.dumps({"error": error.message, "hint": error.hint}, indent=2) + "\n"
    return msgspec.json.format(msgspec.json.encode(plan), indent=2).decode() + "\n"


@pytest.mark.parametrize(("profile", "machine"), PAIRS, ids=["-on-".join(pair) for pair in PAIRS])
def test_the_plan_is_the_golden_one(profile: str, machine: str) -> None:
    golden = GOLDEN / f"{profile}-on-{machine}.json"
    assert plan_text(profile, machine) == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize(("profile", "machine"), PAIRS, ids=["-on-".join(pair) for pair in PAIRS])
def test_every_step_has_a_reason_and_every_blocked_one_a_hint(profile: str, machine: str) -> None:
    plan = json.loads(plan_text(profile, machine))
    if "error" in plan:
        assert plan["hint"]
        return
    assert all(step["reason"] for step in plan["steps"])
    assert all(step["hint"] for step in plan["steps"] if step["status"] == "blocked")


def test_every_step_names_a_command_that_exists() -> None:
    from mambaops.cli import collection

    tasks = set(collection().task_names)
    plan = json.loads(plan_text("ubuntu22-cu118", "ubuntu22-cu118"))
    assert {step["command"].split()[1] for step in plan["steps"]} <= tasks


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for one, other in PAIRS:
        (GOLDEN / f"{one}-on-{other}.json").write_text(plan_text(one, other), encoding="utf-8")
        print(one, other)

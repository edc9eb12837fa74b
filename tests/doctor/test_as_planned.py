"""The doctor and the plan judge alike: what one refuses the other shows as failed."""

from __future__ import annotations

import pytest
import recorded
from compiled_profiles import compiled
from recorded import names, varied

from mambaops.decide.case import make_case
from mambaops.decide.situation import elsewhere
from mambaops.doctor.examine import examine
from mambaops.facts.complete import complete
from mambaops.facts.model import Facts
from mambaops.plan import plan_of

GIB = 1024**3
# where the plan of `local` compiles; the others have no GPU, no torch that fits, or no room on the disk
COMPILING = [
    name
    for name in names()
    if recorded.facts_of(name).gpus and name not in ("jetson-orin", "disk-full")
]
OLD = [{"name": "g++", "path": "/usr/bin/g++", "version": "10.2.1"}]
BOTH = [*OLD, {"name": "g++-12", "path": "/usr/bin/g++-12", "version": "12.2.0"}]


def refused(facts: Facts) -> dict[str, bool]:
    """What the plan of `local` blocks, by its step."""
    plan = plan_of(make_case(compiled("local"), elsewhere("local", facts)))
    steps = {step.id: step for step in plan.steps}
    compiler, space = steps.get("check-compiler"), steps["check-space"]
    # where a prebuilt wheel may fit, what stands in the way of a build is said and not yet in the way
    perhaps = "only if no prebuilt wheel fits: "
    return {
        "compiler": compiler is not None
        and (compiler.status == "blocked" or compiler.reason.startswith(perhaps)),
        "memory": space.status == "blocked" and "of memory" in space.reason,
    }


def failed(facts: Facts) -> dict[str, bool]:
    """What the doctor shows as failed for the same profile."""
    found = examine(facts, compiled("local"))
    ids = {check.id for check in found if check.state == "failed"}
    compiler = {"compiler-missing", "compiler-broken", "compiler-too-old"}
    return {"compiler": bool(ids & compiler), "memory": "memory-low" in ids}


@pytest.mark.parametrize("name", COMPILING)
@pytest.mark.parametrize("available", [1, 64])
@pytest.mark.parametrize("total", [2, 64])
def test_memory(name: str, total: int, available: int) -> None:
    memory = {"memory_total": total * GIB, "memory_available": available * GIB, "swap_total": 0}
    facts = complete(varied(name, {"host": memory}))
    assert failed(facts)["memory"] == refused(facts)["memory"]


@pytest.mark.parametrize("compilers", [OLD, BOTH, BOTH[1:]])
@pytest.mark.parametrize("name", ["hopper", "rhel8", "wsl-5090-bare", "v100", "ubuntu22-cu118"])
def test_compilers(name: str, compilers: list[dict[str, str]]) -> None:
    facts = complete(varied(name, {"compilers": compilers}))
    assert failed(facts)["compiler"] == refused(facts)["compiler"]


def test_an_older_compiler_beside_a_new_one_is_no_hindrance() -> None:
    facts = complete(varied("hopper", {"compilers": BOTH}))
    assert (failed(facts)["compiler"], refused(facts)["compiler"]) == (False, False)

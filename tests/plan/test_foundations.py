"""What a step brings along when it is run alone: everything without which it would be of no use."""

from __future__ import annotations

import pytest

from mambaops.plan.order import with_foundations
from mambaops.steps import all_steps

BUILD = {
    "check-compiler", "check-space", "create-venv", "fetch-sources", "install-headers", "install-toolkit", "install-torch",
    "patch-cpp-extension", "patch-setup", "prepare-build",
}  # fmt: skip


@pytest.mark.parametrize(
    ("step", "brings"),
    [
        ("create-venv", set()),
        ("install-torch", {"create-venv"}),
        ("find-wheels", {"create-venv", "install-torch"}),
        ("prepare-build", {"create-venv"}),
        ("patch-cpp-extension", {"create-venv", "install-torch"}),
        ("install-toolkit", {"check-compiler", "create-venv", "install-torch"}),
        ("fetch-sources", {"create-venv", "install-torch", "prepare-build"}),
        ("build-wheel:mamba-ssm", BUILD),
        ("install-wheels", set()),
        ("verify", set()),
    ],
)
def test_a_step_brings_its_foundations(step: str, brings: set[str]) -> None:
    assert with_foundations([step], all_steps()) - {step} == brings


def test_of_several_packages_only_the_named_one_is_built() -> None:
    found = with_foundations(["build-wheel:mamba-ssm"], all_steps())
    assert "build-wheel:causal-conv1d" not in found
    assert "build-wheel" not in found


def test_a_name_that_is_no_step_brings_nothing() -> None:
    assert with_foundations(["nothing"], all_steps()) == {"nothing"}

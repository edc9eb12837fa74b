"""Where torch is asked for, in which order, and with which words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from acts import case_on, context_of, said
from loopback import Server, serve, status
from recorded import varied
from target_environment import TargetEnvironment

from mambaops.core.errors import MambaopsError
from mambaops.decide.case import Case
from mambaops.decide.situation import Flags
from mambaops.knowledge.addresses import torch_index
from mambaops.state.places import places
from mambaops.steps.install_torch import STEP, _is_default
from mambaops.steps.step import Step

WELL = {"-m": ("", "", 0)}
NOT_THERE = {
    "-m": ("", "Looking in indexes\nERROR: No matching distribution found for torch\nERROR: b\n", 1)
}
INSTALL = ["-m", "pip", "install"]


@pytest.fixture
def index() -> Iterator[Server]:
    with serve(b"", status(200)) as server:
        yield server


@pytest.fixture
def dead() -> str:
    """An address where nothing listens any more."""
    with serve(b"") as server:
        return server.url("whl")


def environment(
    case: Case, tmp_path: Path, pip: Mapping[str, tuple[str, str, int]] = WELL
) -> TargetEnvironment:
    env = TargetEnvironment(places(case.profile.name).env, tmp_path / "shared")
    env.take_over(pip)
    return env


def act(step: Step, case: Case) -> Path:
    """The step's act; the folder of its run."""
    assert step.act is not None
    context = context_of(case)
    step.act(context, case)
    return context.run.folder


def test_the_configured_index_is_asked_for_the_build_that_it_serves(
    tmp_path: Path, torch_at: Callable[..., None], index: Server
) -> None:
    torch_at(index.url("whl"))
    case = case_on("hopper")
    env = environment(case, tmp_path)
    folder = act(STEP, case)
    assert env.calls() == [[*INSTALL, "torch==2.14.1"]]
    assert index.requests == []
    assert said == ["torch 2.14.1+cu130: the configured package index serves this build"]
    assert (folder / "install-torch.log").exists()


def test_another_build_of_the_same_release_is_not_what_is_wanted_to_pip_either(
    tmp_path: Path, torch_at: Callable[..., None], index: Server
) -> None:
    torch_at(index.url("whl"))
    torch = {"version": "2.14.1+cpu", "cuda": None, "path": "/x/torch"}
    case = case_on("hopper", target=varied("hopper", {"torch": torch}))
    env = environment(case, tmp_path)
    act(STEP, case)
    again = [*INSTALL, "--force-reinstall", "--no-deps", "torch==2.14.1"]
    assert env.calls() == [again, [*INSTALL, "torch==2.14.1"]]


def test_every_other_build_comes_from_torchs_own_index(
    tmp_path: Path, torch_at: Callable[..., None], index: Server
) -> None:
    """With what is pinned to it, within the profile's bounds."""
    torch_at(index.url("whl/{tag}"))
    case = case_on("ubuntu22-cu118", "ubuntu22-cu118")
    env = environment(case, tmp_path)
    folder = act(STEP, case)
    own = index.url("whl/cu118")
    assert env.calls() == [
        [*INSTALL, "torch==2.3.0+cu118", "torchvision", "torchaudio", "--constraint",
         str(folder / "constraints.txt"), "--extra-index-url", own]
    ]  # fmt: skip
    bounds = "".join(f"{one}\n" for one in case.profile.constraints)
    assert (folder / "constraints.txt").read_text(encoding="utf-8") == bounds
    assert said == [f"torch 2.3.0+cu118: from {own}"]


def test_a_nightly_is_tried_first(
    tmp_path: Path, torch_at: Callable[..., None], index: Server
) -> None:
    torch_at(index.url("whl/{tag}"), index.url("nightly/{tag}"))
    case = case_on("wsl-5090-bare", "wsl-5090")
    env = environment(case, tmp_path, NOT_THERE)
    env.after_pip(WELL)
    act(STEP, case)
    nightly, own = index.url("nightly/cu128"), index.url("whl/cu128")
    assert env.calls() == [
        [*INSTALL, "--pre", "torch", "torchvision", "torchaudio", "--index-url", nightly],
        [*INSTALL, "torch==2.11.0+cu128", "torchvision", "torchaudio", "--extra-index-url", own],
    ]
    assert said == [
        f"torch 2.11.0+cu128: nightly, from {nightly}",
        "  not there: No matching distribution found for torch",
        f"torch 2.11.0+cu128: from {own}",
    ]


def test_no_index_that_can_be_reached(
    tmp_path: Path, torch_at: Callable[..., None], dead: str
) -> None:
    torch_at(dead)
    case = case_on("wsl-5090-bare", "wsl-5090")
    env = environment(case, tmp_path)
    with pytest.raises(MambaopsError) as caught:
        act(STEP, case)
    assert caught.value.message == (
        "torch 2.11.0+cu128 could not be installed: no index that has it can be reached"
    )
    assert said == [
        f"{dead}/nightly cannot be reached (ConnectionError)",
        f"{dead} cannot be reached (ConnectionError)",
    ]
    assert env.calls() == []


def test_an_index_that_sends_on_to_where_nothing_answers(
    tmp_path: Path, torch_at: Callable[..., None], dead: str
) -> None:
    case = case_on("ubuntu22-cu118", "ubuntu22-cu118")
    env = environment(case, tmp_path)
    with serve(b"", status(302, Location=dead)) as moved:
        torch_at(moved.url("whl"))
        with pytest.raises(MambaopsError, match="no index that has it can be reached"):
            act(STEP, case)
    assert env.calls() == []


def test_any_build_does_for_the_processor(
    tmp_path: Path, torch_at: Callable[..., None], index: Server
) -> None:
    torch_at(index.url("whl/{tag}"))
    case = case_on("no-gpu", "ubuntu22-cu118")
    env = environment(case, tmp_path, {"-m": ("", "the disk is full\n", 1)})
    with pytest.raises(MambaopsError) as caught:
        act(STEP, case)
    own, bounds = index.url("whl/cpu"), env.calls()[0][4:6]
    assert bounds[0] == "--constraint"
    assert env.calls() == [
        [*INSTALL, "torch==2.13.0+cpu", *bounds, "--extra-index-url", own],
        [*INSTALL, "torch==2.13.0", *bounds],
    ]
    assert caught.value.message.startswith("torch 2.13.0+cpu could not be installed: `")
    assert caught.value.message.endswith("exited 1")
    assert said[2] == (
        "torch 2.13.0+cpu: from the configured package index (any build runs on the CPU)"
    )


def test_the_script_tries_the_nightly_first() -> None:
    case = case_on("wsl-5090-bare", "wsl-5090")
    assert STEP.script is not None
    first, _ = STEP.script(case)
    assert first.endswith(f"--index-url {torch_index('12.8', nightly=True)} ||")


def test_torch_stands_on_its_environment() -> None:
    assert STEP.stands_on == ("create-venv",)


def test_of_a_release_that_is_not_known_no_build_is_the_usual_one() -> None:
    assert _is_default(case_on("hopper"))
    assert not _is_default(case_on("hopper", flags=Flags(torch="99.0+cu130", arch="9.0")))

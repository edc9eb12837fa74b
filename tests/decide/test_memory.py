"""What is remembered of an environment, and what is read off an older one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from recorded import facts_of, varied

from mambaops.decide.memory import Made, after, covers, put_here, remembered

KERNELS = Made(profile="local", archs=("8.0",), asked=True, torch="2.9.1", torch_cuda="12.6")
OF_NOTHING = Made(profile="local", torch="2.9.1", torch_cuda="12.6")
WHEEL = {"name": "mamba-ssm", "version": "2.3.2+cu130torch2.14.sm80sm90aptx.x01234567", "path": "/"}
NOTHING = {"profile": "", "archs": [], "asked": False, "torch": "", "torch_cuda": None}


@pytest.mark.parametrize(
    ("made", "wheels", "found"),
    [
        (KERNELS, True, KERNELS),
        (OF_NOTHING, True, msgspec.structs.replace(OF_NOTHING, archs=("8.0", "9.0a+PTX"))),
        (OF_NOTHING, False, OF_NOTHING),
        (None, False, msgspec.convert(NOTHING, Made)),
        (None, True, Made(archs=("8.0", "9.0a+PTX"))),
    ],
)
def test_what_is_not_remembered_is_read_off_the_wheels(
    made: Made | None, wheels: bool, found: Made
) -> None:
    target = varied("hopper", {"packages": {"mamba-ssm": WHEEL} if wheels else {}})
    assert remembered(made, target) == found
    assert wheels or remembered(made, None) == found


@pytest.mark.parametrize(
    ("archs", "capabilities", "run"),
    [
        (("9.0",), ("9.0",), True),
        (("8.0",), ("8.6",), True),
        (("8.0",), ("9.0",), False),
        (("8.0+PTX",), ("8.6",), True),
        (("8.0+PTX",), ("9.0",), True),
        (("9.0+PTX",), ("8.0",), False),
        (("9.0a",), ("9.0",), True),
        (("9.0a",), ("8.0",), False),
        (("10.0f",), ("10.0",), True),
        (("9.0a",), ("12.0",), False),
        (("8.0", "9.0"), ("8.0", "9.0"), True),
        (("9.0",), ("8.0", "9.0"), False),  # one of two GPUs
        (("9.0",), ("9.0", None), True),  # of one nobody can tell what it is
    ],
)
def test_code_that_runs_on_every_gpu(
    archs: tuple[str, ...], capabilities: tuple[str | None, ...], run: bool
) -> None:
    one = facts_of("hopper").gpus[0]
    gpus = [msgspec.structs.replace(one, compute_capability=each) for each in capabilities]
    assert covers(archs, msgspec.structs.replace(facts_of("hopper"), gpus=gpus)) is run


@pytest.mark.parametrize(
    ("made", "version", "cuda", "builds", "ours"),
    [
        (KERNELS, "2.9.1+cu126", "12.6", [], True),
        (KERNELS, "2.9.1+cu130", "13.0", [], False),
        (KERNELS, "2.8.0+cu126", "12.6", [], False),
        (Made(archs=("8.0",)), "2.8.0+cu126", "12.6", [], True),  # of no torch: the list tells
        (None, "2.8.0+cu126", "12.6", [], True),
        (None, "2.7.0+cu126", "12.6", [], False),
        (None, "2.8.0+cu126", "12.6", ["12.6", "13.0"], True),
        (None, "2.8.0+cu126", "12.6", ["13.0"], False),
        (None, "2.8.0+cpu", None, ["13.0"], True),
        (None, None, None, [], True),  # there is none to replace
    ],
)
def test_a_torch_that_was_put_there(
    made: Made | None, version: str | None, cuda: str | None, builds: list[str], ours: bool
) -> None:
    torch = {"version": version, "cuda": cuda, "path": "/x"} if version else None
    changes: dict[str, Any] = {"torch": torch}
    assert put_here(made, varied("hopper", changes), ["2.9.1", "2.8.0"], builds) is ours


@pytest.mark.parametrize(
    ("step", "torch", "cuda"),
    [("create-venv", "", None), ("install-torch", "2.9.1", "12.6"), ("install-wheels", "", None)],
)
@pytest.mark.parametrize(("flag", "asked"), [("9.0", True), ("", False)])
def test_what_is_remembered_first(
    step: str, torch: str, cuda: str | None, flag: str, asked: bool
) -> None:
    wanted = Made(profile="local", archs=("9.0",), torch="2.9.1", torch_cuda="12.6")
    assert after(step, None, wanted, flag) == Made(
        profile="local", archs=("9.0",), asked=asked, torch=torch, torch_cuda=cuda
    )

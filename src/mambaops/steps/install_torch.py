"""torch in the target environment: the chosen release and CUDA build, from where it is to be had.

The default package index serves one CUDA build of each release; every other one, and the CPU build, come
from PyTorch's own index. Where that cannot be reached, the user's configured index is taken, said aloud.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from mambaops.core.errors import CommandFailed, MambaopsError
from mambaops.decide.case import Case
from mambaops.decide.environment import same_torch
from mambaops.decide.memory import put_here
from mambaops.decide.torch import companions
from mambaops.decide.verdict import Verdict, blocked, done, needed
from mambaops.knowledge.addresses import torch_index
from mambaops.knowledge.torch_builds import torch_row
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.steps.context import Context

REACH_SECONDS = 3.0


def assess(case: Case) -> Verdict:
    """torch in the target environment, of the chosen release and CUDA build."""
    wanted = case.choice.torch_version
    why = case.choice.reasons.get("torch", "")
    if case.target is None or case.target.torch is None:
        return needed(f"torch {wanted}: {why}")
    found = case.target.torch
    unfit = case.choice.reasons.get("torch there", "")
    if same_torch(found.version, found.cuda, case.choice) and not unfit:
        return done(f"torch {found.version} is there")
    told = f"torch {found.version} (CUDA {found.cuda or 'none'}) is there, {wanted} wanted: {unfit or why}"
    return needed(told) if _may_replace(case) else _not_ours(case, told)


def _may_replace(case: Case) -> bool:
    """Asked for, or what mambaops has put there itself."""
    assert case.target is not None
    spec = case.profile.torch
    listed = [*spec.versions, spec.cpu]
    asked = bool(case.flags.torch) or case.flags.replace_torch
    return asked or put_here(case.situation.made, case.target, listed, spec.cuda)


def _not_ours(case: Case, told: str) -> Verdict:
    assert case.target is not None
    assert case.target.torch is not None
    there = case.target.torch.version.split("+")[0]
    for_cpu = case.target.torch.cuda is None and case.choice.torch_cuda is not None
    same = "by the CUDA build of its own release" if for_cpu else "builds for the one that is there"
    return blocked(
        f"{told}; it was not put there by mambaops, and is not replaced unasked",
        f"`mambaops install-torch --profile {case.profile.name}` replaces it, `--torch {there}` {same}",
    )


def act(context: Context, case: Case) -> None:
    """Install it, replacing another torch that the profile does not want.

    Raises:
        MambaopsError: no index has it, or pip failed.
    """
    last: CommandFailed | None = None
    for words, why in _attempts(context, case):
        context.say(f"torch {case.choice.torch_version}: {why}")
        try:
            if _same_release(case):
                # to pip 2.0.0+cpu is a 2.0.0 like any other: nothing would be done
                context.install(STEP.id, ["--force-reinstall", "--no-deps", *words])
            context.install(STEP.id, words)
            return
        except CommandFailed as error:
            last = error
            context.say(f"  not there: {_reason(error)}")
    from mambaops.download.http import CARRIED_HINT

    raise MambaopsError(
        f"torch {case.choice.torch_version} could not be installed"
        + (f": {_reason(last)}" if last else ": no index that has it can be reached"),
        hint=f"the whole log is {context.run.log(STEP.id)}; another release: `--torch VERSION`; "
        f"{CARRIED_HINT}",
    )


def _same_release(case: Case) -> bool:
    """Is another build of the wanted release there, for the CPU or another CUDA?"""
    found = case.target.torch if case.target else None
    return found is not None and found.version.split("+")[0] == case.choice.torch


def _reason(error: CommandFailed) -> str:
    lines = [line for line in error.output.splitlines() if line.startswith("ERROR")]
    return lines[0].removeprefix("ERROR: ") if lines else error.message.splitlines()[0]


def _attempts(context: Context, case: Case) -> list[tuple[list[str | Path], str]]:
    """(pip words, why) in the order in which they are tried."""
    choice = case.choice
    wanted: list[str | Path] = [f"torch=={choice.torch}", *_companions(case)]
    wanted += _constraints(context, case)
    attempts: list[tuple[list[str | Path], str]] = []
    own = torch_index(choice.torch_cuda)
    if case.profile.torch.channel == "nightly":
        nightly = torch_index(choice.torch_cuda, nightly=True)
        words: list[str | Path] = ["--pre", "torch", *_names(case), "--index-url", nightly]
        attempts += [(words, f"nightly, from {nightly}")] if _reachable(context, nightly) else []
    if _is_default(case):
        return [*attempts, (wanted, "the configured package index serves this build")]
    if _reachable(context, own):
        local = choice.torch_version
        words = [f"torch=={local}", *wanted[1:], "--extra-index-url", own]
        attempts.append((words, f"from {own}"))
    if choice.torch_cuda is None:
        attempts.append((wanted, "from the configured package index (any build runs on the CPU)"))
    return attempts


def _companions(case: Case) -> list[str]:
    return companions(case.profile, case.choice.torch, case.choice.torch_cuda)


def _names(case: Case) -> list[str]:
    return [text.split("=")[0] for text in _companions(case)]


def _is_default(case: Case) -> bool:
    row = torch_row(case.choice.torch)
    return row is not None and row.default_cuda == case.choice.torch_cuda


def _constraints(context: Context, case: Case) -> list[str | Path]:
    """The profile's bounds, as a pip constraints file in the run's folder."""
    if not case.profile.constraints:
        return []
    path = context.run.folder / "constraints.txt"
    path.write_text("\n".join(case.profile.constraints) + "\n", encoding="utf-8")
    return ["--constraint", path]


def _reachable(context: Context, index: str) -> bool:
    """Does an index answer within a few seconds? Said aloud when it does not."""
    import requests

    try:
        requests.head(index, timeout=REACH_SECONDS, allow_redirects=True)
    except requests.RequestException as error:
        context.say(f"{index} cannot be reached ({type(error).__name__})")
        return False
    return True


def script(case: Case) -> list[str]:
    choice = case.choice
    wanted = [f"torch=={choice.torch}", *_companions(case)]
    words = " ".join(shlex.quote(one) for one in wanted)
    index = torch_index(choice.torch_cuda)
    if case.profile.torch.channel == "nightly":
        nightly = torch_index(choice.torch_cuda, nightly=True)
        names = " ".join(one.split("=")[0] for one in wanted)
        return [
            f'"$PY" -m pip install --pre {names} --index-url {nightly} ||',
            f'  "$PY" -m pip install {words} --extra-index-url {index}',
        ]
    return [f'"$PY" -m pip install {words} --extra-index-url {index}']


STEP = Step(
    id="install-torch",
    help="Install the chosen torch, of the CUDA build that the driver and the GPU take.",
    assess=assess,
    act=act,
    script=script,
    stands_on=("create-venv",),
    after=("install-headers",),
)

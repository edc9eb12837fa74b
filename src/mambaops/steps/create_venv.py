"""The target environment: a venv by virtualenv (it carries pip with it), or a conda environment."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mambaops.core.errors import CommandFailed, MambaopsError, UsageError
from mambaops.decide.case import Case
from mambaops.decide.environment import conda_tool
from mambaops.decide.verdict import Verdict, blocked, done, needed
from mambaops.facts.model import Facts
from mambaops.knowledge.addresses import addresses
from mambaops.knowledge.tables import minor_of
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.steps.context import Context


def assess(case: Case) -> Verdict:
    """The target environment, with the right Python."""
    wanted = case.choice.python
    if case.target is None:
        if case.profile.target.kind == "conda" and not conda_tool(case.facts):
            return blocked(
                f"profile `{case.profile.name}` needs a conda environment, and there is neither "
                "conda, mamba nor micromamba",
                _how_to_get_conda(case.facts),
            )
        return needed(f"no environment at {case.situation.env}; Python {wanted}")
    found = minor_of(case.target.python.version)
    if found != wanted:
        return blocked(
            f"{case.situation.env} has Python {found}, wanted is {wanted}",
            "`mambaops create-venv --recreate` makes it anew",
        )
    if not {"pip"} & {*case.target.distributions, *case.target.packages}:
        return needed(f"{case.situation.env} has no pip: its making was ended half-way")
    return done(f"Python {case.target.python.version} at {case.situation.env}")


def _how_to_get_conda(facts: Facts) -> str:
    """The lines that bring micromamba, one program without root."""
    platform = {"aarch64": "linux-aarch64"}.get(facts.host.machine, "linux-64")
    address = addresses().conda.micromamba.format(platform=platform)
    return (
        "micromamba is one program in your home (no root):\n"
        "  mkdir -p ~/.local\n"
        f"  curl -fL {address} | tar -xj -C ~/.local bin/micromamba\n"
        '  export PATH="$HOME/.local/bin:$PATH"'
    )


def act(context: Context, case: Case) -> None:
    """Create it; what is half-made is removed again, and what is in the way and does not work is put aside.

    Raises:
        MambaopsError: no such Python, no network for conda, the place cannot be written to.
    """
    from mambaops.state.settle import put_aside

    make, env = _maker(context, case), context.where.env
    try:
        if env.exists() and not context.where.python.exists():
            context.say(f"{env} holds no Python that works; it is now {put_aside(env)}")
        _make(context, case, make)
    except OSError as error:
        raise _unwritable(env, error) from error


def renew(context: Context, case: Case) -> None:
    """Make it anew: the one that is there is kept until the new one is whole, and comes back if it is not.

    Raises:
        UsageError: what lies there is no environment. MambaopsError: as `act`.
    """
    from mambaops.state.settle import replacing

    env = context.where.env
    if not env.exists():
        act(context, case)
        return
    _check_environment(context)
    make = _maker(context, case)
    try:
        with replacing(context.where, context.say):
            _make(context, case, make)
    except OSError as error:
        raise _unwritable(env, error) from error
    context.say(f"{env} was made anew")


def _make(context: Context, case: Case, make: Callable[[], None]) -> None:
    from mambaops.state.memory import remember
    from mambaops.state.settle import making

    with making(context.where):
        make()
        # whole only with what it is for: the next command may name nothing
        remember(context.where, case, STEP.id)


def _maker(context: Context, case: Case) -> Callable[[], None]:
    """What makes it. Which Python that takes is found out now, before anything is changed."""
    if case.profile.target.kind == "conda":
        return lambda: _conda(context, case)
    python = find_python(case.choice.python, context)
    return lambda: _venv(context, python)


def _unwritable(env: Path, error: OSError) -> MambaopsError:
    return MambaopsError(
        f"the environment cannot be made at {env}: {error.strerror or error}",
        hint="put it elsewhere: `export MAMBAOPS_HOME=/a/folder/of/yours`",
    )


def _venv(context: Context, python: Path) -> None:
    from mambaops.core import interpreters, process

    argv: list[str | Path] = [interpreters.ours(), "-m", "virtualenv", "--quiet", "--no-download"]
    argv += ["--no-periodic-update", "-p", python, context.where.env]
    process.run(argv, log=context.run.log(STEP.id), timeout=300)


def find_python(version: str, context: Context) -> Path:
    """An interpreter of that minor version that is here, or one that uv fetches.

    Raises:
        MambaopsError: there is none, and none could be fetched.
    """
    from mambaops.core import interpreters, process

    if found := interpreters.of_version(version):
        return found
    uv: list[str | Path] = [interpreters.ours(), "-m", "uv", "python"]
    log = context.run.log(STEP.id)
    context.say(f"Python {version} is not here; fetching one with uv")
    try:
        process.run([*uv, "install", version], log=log, timeout=900)
        return Path(process.run([*uv, "find", version], log=log).stdout.strip())
    except CommandFailed as error:
        raise MambaopsError(
            f"there is no Python {version} on this machine, and uv could not fetch one: "
            f"{error.output.splitlines()[-1] if error.output else error.message}",
            hint=f"install Python {version} (with its headers) and run it again, "
            "or `--python` another version that the profile allows",
        ) from error


def _conda(context: Context, case: Case) -> None:
    from mambaops.core import process

    tool, spec = conda_tool(case.facts), case.profile.target
    assert tool is not None  # the assessment blocks without one
    argv: list[str | Path] = [tool, "create", "--yes", "--prefix", context.where.env]
    for channel in spec.channels:
        argv += ["--channel", channel]
    argv += ["--override-channels"] if spec.channels else []
    argv += [f"python={case.choice.python}", *spec.conda_packages]
    try:
        process.run(argv, log=context.run.log(STEP.id), timeout=3600)
    except CommandFailed as error:
        raise MambaopsError(
            f"`{tool} create` failed: {error.output.splitlines()[-1] if error.output else error}",
            hint=f"the whole log is {context.run.log(STEP.id)}",
        ) from error


def undo(context: Context, case: Case) -> None:
    """Remove the environment, and only that.

    Raises:
        UsageError: the folder is no environment of ours.
    """
    from mambaops.state.settle import remove

    env = context.where.env
    if not env.exists():
        context.say(f"there is no environment at {env}")
        return
    _check_environment(context)
    remove(context.where)
    context.say(f"removed {env}")


def _check_environment(context: Context) -> None:
    env = context.where.env
    if not (env / "pyvenv.cfg").exists() and not context.where.is_conda:
        raise UsageError(
            f"{env} is no Python environment: it is not removed",
            hint="look what it is, and move it away",
        )


def script(case: Case) -> list[str]:
    target = case.profile.target
    if target.kind == "conda":
        channels = " ".join(f"-c {one}" for one in target.channels)
        packages = " ".join(shlex.quote(one) for one in target.conda_packages)
        return [
            f'conda create --yes --prefix "$ENV" {channels} python={case.choice.python} {packages}'
        ]
    return [f'python{case.choice.python} -m venv "$ENV"', '"$PY" -m pip install --upgrade pip']


STEP = Step(
    id="create-venv",
    help="Create the target environment: a venv or a conda environment.",
    assess=assess,
    act=act,
    script=script,
    undo=undo,
    renew=renew,
    after=("check-space",),
)

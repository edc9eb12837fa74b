"""A C compiler for Triton, without root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mambaops.cli.task import Context, emit, say, task

if TYPE_CHECKING:
    from mambaops.install.c_compiler import CCompiler


@task(
    name="install-cc",
    group="system",
    examples=(
        "mambaops install-cc",
        "mambaops install-cc --profile wsl-5090",
    ),
    help={"profile": "whose environment", "json": "print what was done as JSON"},
)
def install_cc(c: Context, profile: str = "local", json: bool = False) -> None:
    """Give a profile's environment a C compiler and Python.h for Triton, without root: what the machine lacks.

    Triton compiles the launcher of each kernel when it is first called (mamba_ssm's layer norm, Mamba-2,
    decoding). Programs that import the kernels of mambaops find it by themselves; others by CC.
    """
    from mambaops.core.errors import UsageError
    from mambaops.facts.collect import collect
    from mambaops.install.c_compiler import install_c_compiler
    from mambaops.profiles.load import load_profile
    from mambaops.run.lock import locked
    from mambaops.state.places import places

    name = load_profile(profile).name
    where = places(name)
    if not where.python.exists():
        raise UsageError(
            f"profile `{name}` has no environment yet: {where.env}", hint="`mambaops create-venv`"
        )
    with locked(where, say):
        log = where.lock.with_name(f"{name}-install-cc.log")
        done = install_c_compiler(collect(where.env), where.env, log=log, say=say)
    emit(done, as_json=json, text=_told)


def _told(done: CCompiler) -> str:
    if done.action == "present":
        return f"nothing to do: Triton can compile with {done.path}"
    brought = "".join(f"{one}\n" for one in done.brought)
    return f"{brought}installed, and a module compiled: {done.path}\nexport CC={done.path}"

"""Steps that concern the system: its packages, names, WSL, containers, libraries."""

from __future__ import annotations

from typing import Any

from mambaops.cli.task import Context, emit, say, task


@task(
    name="apt-prerequisites",
    group="system",
    examples=(
        "mambaops apt-prerequisites --check",
        "mambaops apt-prerequisites --sudo",
    ),
    help={
        "check": "exit 1 where something is missing, install nothing",
        "sudo": "install them, as root or through sudo",
        "yes": "the same, for root",
    },
)
def apt_prerequisites(
    c: Context, check: bool = False, sudo: bool = False, yes: bool = False, json: bool = False
) -> int:
    """Say which packages of the system a build lacks; install them with --sudo.

    Exit 1 where some are missing.
    """
    import os

    from mambaops.cli import system_output as show
    from mambaops.system import permission, prerequisites

    missing = prerequisites.check()
    emit(missing, as_json=json, text=show.missing, rows="missing")
    if not missing:
        return 0
    commands = prerequisites.commands(missing)
    allowed = sudo or (yes and os.geteuid() == 0)
    if check or not allowed:
        say("install them with `mambaops apt-prerequisites --sudo`, or yourself:")
        say(permission.pasted(commands, as_root=True))
        return 1
    permission.run_all(commands, needs_root=True, sudo=True, say=say)
    return 1 if prerequisites.check() else 0


@task(
    name="check-network",
    group="diagnose",
    examples=(
        "mambaops check-network",
        "mambaops check-network example.org --timeout 2",
    ),
    operand="host",
    help={"host": "names to look up, may be repeated", "timeout": "seconds for all of them"},
    iterable=["host"],
)
def check_network(c: Context, host: list[str], timeout: float = 5.0, json: bool = False) -> int:
    """Look up the names that downloads need; say how to name another resolver. Changes nothing."""
    from mambaops.cli import system_output as show
    from mambaops.system import network

    report = network.check_resolver(host or network.default_hosts(), timeout=timeout)
    emit(report, as_json=json, text=show.network)
    return 0 if report.ok else 1


@task(
    name="wsl-run",
    group="system",
    examples=(
        "mambaops wsl-run -- nvidia-smi",
        "mambaops wsl-run --folder 'D:\\mamba' -- mambaops build-mamba --profile wsl-5090",
    ),
    rest="words",
    json=False,
    help={
        "distribution": "name from `wsl --list`",
        "folder": "start there; a Windows path will do",
    },
)
def wsl_run(c: Context, distribution: str = "", folder: str = "") -> int:
    """From Windows: run the words after `--` in WSL, in a login shell.

    `mambaops wsl-run --folder D:\\mamba -- mambaops build-mamba --profile wsl-5090`
    """
    from mambaops.cli.passthrough import remainder
    from mambaops.system import wsl

    words = remainder(c)
    done = wsl.run_in_wsl(words, distribution=distribution, folder=folder, say=print)
    return done.returncode


@task(
    name="container",
    group="build",
    examples=(
        "mambaops container --profile ubuntu20-graph-mamba --arch 8.0",
        "mambaops container --build --output image",
    ),
    rest="words",
    needs={"runtime": ("build", "run", "dry_run")},
    help={
        "profile": "what to build",
        "output": "folder for the Dockerfile and the wheels",
        "force": "replace what is there, also where mambaops did not write it",
        "arch": "GPU architectures to build for",
        "runtime": "docker or podman (default: the first on PATH)",
        "build": "build the image and copy its wheels out",
        "run": "start the image with the GPUs (a command may follow `--`)",
        "dry_run": "write the files, print the commands, run nothing",
    },
)
def container(
    c: Context,
    profile: str = "ubuntu20-graph-mamba",
    output: str = "container",
    arch: str = "",
    runtime: str = "",
    build: bool = False,
    run: bool = False,
    dry_run: bool = False,
    force: bool = False,
) -> None:
    """Build a profile's wheels on an old glibc: write a Dockerfile for it, build it, run it."""
    from mambaops.cli.output import relay
    from mambaops.cli.passthrough import remainder
    from mambaops.system.container_steps import carry_out

    carry_out(
        profile,
        output,
        arch=arch,
        runtime=runtime,
        build=build and not dry_run,
        run=run and not dry_run,
        words=remainder(c),
        say=say,
        relay=relay,
        force=force,
    )


@task(
    name="env",
    group="system",
    examples=(
        'eval "$(mambaops env --profile wsl-5090)"',
        "mambaops env wsl-5090 --shell fish",
    ),
    operand="profile",
    help={"profile": "profile by name", "shell": "bash, zsh, fish, powershell or cmd"},
)
def env(c: Context, profile: str = "local", shell: str = "bash", json: bool = False) -> None:
    """Print a profile's run-time variables for a shell: `eval "$(mambaops env --profile wsl-5090)"`."""
    from mambaops.profiles.load import load_profile
    from mambaops.system.runtime_env import lines

    variables: dict[str, Any] = dict(load_profile(profile).runtime_env)
    text = lines(variables, shell).rstrip("\n")
    emit({"variables": variables}, as_json=json, text=lambda _: text)


@task(
    name="openblas-check",
    group="diagnose",
    examples=(
        "mambaops openblas-check",
        "mambaops openblas-check --module causal_conv1d",
    ),
    operand="module",
    help={"python": "interpreter to ask (default: the active one)", "module": "what to import"},
)
def openblas_check(
    c: Context, python: str = "", module: str = "mamba_ssm", json: bool = False
) -> int:
    """Say which shared library an import lacks: e.g. libopenblas.so.0, and where it is."""
    from mambaops.cli import system_output as show
    from mambaops.core import interpreters
    from mambaops.system import openblas

    report = openblas.check(interpreters.to_look_at(python), module)
    emit(report, as_json=json, text=show.library)
    return 0 if report.ok else 1

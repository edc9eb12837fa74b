"""Steps that concern the system: toolkits, shell files, cuDNN, packages, names, WSL, containers."""

from __future__ import annotations

from typing import Any

from invoke import Context

from mambaops.cli.task import emit, say, task

_ROUTES = {
    "cuda": "toolkit version, e.g. 12.8",
    "route": "take this one: apt-network, apt-local, conda-env, conda-micromamba, runfile-system, runfile-folder",
    "sudo": "allow root commands through sudo",
    "dry_run": "print the commands of the route and stop",
    "list": "print every route with its commands and stop",
    "facts": "facts file of another machine (for --list and --dry-run)",
    "folder": "where a toolkit without root goes",
}


@task(name="get-nvcc", help=_ROUTES)
def get_nvcc(
    c: Context,
    cuda: str = "",
    route: str = "",
    sudo: bool = False,
    dry_run: bool = False,
    list: bool = False,
    facts: str = "",
    folder: str = "",
    json: bool = False,
) -> None:
    """Get a CUDA toolkit without its driver: by apt, deb file, conda or runfile, what fits this machine.

    Root commands run with --sudo only. From CUDA 13 on `build-mamba` takes nvcc from the package index.
    """
    from pathlib import Path

    from mambaops.cli import system_output as show
    from mambaops.core.errors import UsageError
    from mambaops.core.paths import state_dir
    from mambaops.facts import collect, model
    from mambaops.system import routes, toolkit
    from mambaops.system.route import script

    if not cuda:
        raise UsageError("which toolkit? --cuda 12.8")
    machine = model.load(Path(facts)) if facts else collect.collect()
    place = folder or str(state_dir() / "toolkits" / f"cuda-{cuda}")
    found = routes.toolkit_routes(machine, cuda, sudo=sudo, folder=place)
    if note := routes.floor_note(machine, cuda):
        say(f"note: {note}")
    if list:
        emit(found, as_json=json, text=lambda all: show.routes(all, machine))
        return
    if dry_run or facts:
        print(script(toolkit.chosen(found, route), machine))
        return
    home = toolkit.obtain(toolkit.chosen(found, route), cuda, sudo=sudo, say=say)
    emit({"home": str(home)}, as_json=json, text=lambda value: value["home"])


@task(
    name="shell-env",
    help={
        "home": "the toolkit (default: CUDA_HOME, PATH's nvcc, /usr/local/cuda)",
        "write": "put the lines into this start-up file, as a block",
        "remove": "take the block out of this start-up file",
        "shell": "bash, zsh or fish (default: yours)",
    },
)
def shell_env(
    c: Context, home: str = "", write: str = "", remove: str = "", shell: str = ""
) -> None:
    """Print CUDA_HOME, PATH and LD_LIBRARY_PATH for a toolkit, or keep them in a start-up file.

    `eval "$(mambaops shell-env)"` sets them now; `--write ~/.bashrc` for every new shell.
    """
    import os
    from pathlib import Path

    from mambaops.core.errors import UsageError
    from mambaops.system import shell_env as env

    if write and remove:
        raise UsageError("--write and --remove exclude each other")
    if remove:
        env.remove(Path(remove).expanduser())
        say(f"the block is out of {remove}; open a new shell")
        return
    kind = shell or env.shell_of(os.environ)
    toolkit = env.find_home(home, os.environ)
    if not write:
        print(env.exports(toolkit, kind), end="")
        return
    changed = env.write(Path(write).expanduser(), toolkit, kind)
    say(f"{write} {'points to' if changed else 'pointed already to'} {toolkit}; open a new shell")


@task(name="cudnn-check", help={"home": "the toolkit (default: CUDA_HOME, PATH's nvcc, …)"})
def cudnn_check(c: Context, home: str = "", json: bool = False) -> None:
    """Say which cuDNN a toolkit holds, and that mamba needs none of its own."""
    import os

    from mambaops.cli import system_output as show
    from mambaops.system import cudnn
    from mambaops.system.shell_env import find_home

    found = cudnn.installed(find_home(home, os.environ))
    emit(found, as_json=json, text=show.cudnn)
    say(f"note: {cudnn.NOT_NEEDED}")


@task(
    name="cudnn-install",
    help={
        "archive": "NVIDIA's cudnn-linux-….tar.xz",
        "home": "the toolkit to copy it into",
        "deb": "install it from NVIDIA's apt repository instead, for this CUDA, e.g. 12.8",
        "sudo": "allow root commands through sudo",
    },
)
def cudnn_install(
    c: Context, archive: str = "", home: str = "", deb: str = "", sudo: bool = False
) -> None:
    """Copy NVIDIA's cuDNN archive into a toolkit, readable for all; or install it with apt (--deb)."""
    import os
    from pathlib import Path

    from mambaops.core.errors import UsageError
    from mambaops.system import cudnn
    from mambaops.system.shell_env import find_home

    if bool(archive) == bool(deb):
        raise UsageError("either --archive cudnn-linux-x86_64-….tar.xz or --deb 12.8")
    say(f"note: {cudnn.NOT_NEEDED}")
    if deb:
        _cudnn_deb(deb, sudo)
        return
    toolkit = find_home(home, os.environ)
    if note := cudnn.mismatch(Path(archive).name, toolkit):
        say(f"note: {note}")
    print("\n".join(str(path) for path in cudnn.install(Path(archive), toolkit)))


def _cudnn_deb(cuda: str, sudo: bool) -> None:
    from mambaops.core.paths import state_dir
    from mambaops.facts.collect import collect
    from mambaops.system import cudnn, permission

    commands = cudnn.deb_commands(collect(), cuda, str(state_dir() / "toolkits" / "cudnn"))
    permission.run_all(commands, needs_root=True, sudo=sudo, say=say)


@task(
    name="apt-prerequisites",
    help={
        "check": "exit 1 where something is missing, install nothing",
        "sudo": "install with sudo",
    },
)
def apt_prerequisites(
    c: Context, check: bool = False, sudo: bool = False, json: bool = False
) -> int:
    """Say which packages of the system a build lacks, and install them where that is allowed."""
    import os

    from mambaops.cli import system_output as show
    from mambaops.system import permission, prerequisites

    missing = prerequisites.check()
    emit(missing, as_json=json, text=show.missing)
    if not missing:
        return 0
    commands = prerequisites.commands(missing)
    if check or not (sudo or os.geteuid() == 0):
        say("install them with:\n" + permission.pasted(commands, as_root=True))
        return 1
    permission.run_all(commands, needs_root=True, sudo=sudo, say=say)
    return 1 if prerequisites.check() else 0


@task(
    name="check-network",
    help={"host": "names to look up, may be repeated", "timeout": "seconds for all of them"},
    iterable=["host"],
)
def check_network(c: Context, host: list[str], timeout: float = 5.0, json: bool = False) -> int:
    """Look up the names that downloads need, and say how to name another resolver; changes nothing."""
    from mambaops.cli import system_output as show
    from mambaops.system import network

    report = network.check_resolver(host or network.default_hosts(), timeout=timeout)
    emit(report, as_json=json, text=show.network)
    return 0 if report.ok else 1


@task(
    name="wsl-run",
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
    help={
        "profile": "what to build",
        "output": "folder for the Dockerfile and the wheels",
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
) -> None:
    """Write a Dockerfile whose image builds the profile's wheels on an old glibc; build it, run it."""
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
    )


@task(
    name="env",
    help={"profile": "profile by name", "shell": "bash, zsh, fish, powershell or cmd"},
)
def env(c: Context, profile: str = "local", shell: str = "bash", json: bool = False) -> None:
    """Print a profile's run-time variables for a shell: `eval "$(mambaops env --profile wsl-5090)"`."""
    from mambaops.profiles.load import load_profile
    from mambaops.system.runtime_env import lines

    variables: dict[str, Any] = dict(load_profile(profile).runtime_env)
    emit(variables, as_json=json, text=lambda value: lines(value, shell).rstrip("\n"))


@task(
    name="openblas-check",
    help={"python": "interpreter to ask (default: the active one)", "module": "what to import"},
)
def openblas_check(
    c: Context, python: str = "", module: str = "mamba_ssm", json: bool = False
) -> int:
    """Import a module and, where a shared library like libopenblas.so.0 is missing, say where it is."""
    from mambaops.cli import system_output as show
    from mambaops.core import interpreters
    from mambaops.system import openblas

    report = openblas.check(interpreters.to_look_at(python), module)
    emit(report, as_json=json, text=show.library)
    return 0 if report.ok else 1

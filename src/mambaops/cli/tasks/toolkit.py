"""A CUDA toolkit, cuDNN, and the shell's variables for them."""

from __future__ import annotations

from mambaops.cli.task import Context, emit, say, task

_ROUTES = {
    "cuda": "toolkit version, e.g. 12.8",
    "route": "take this one: apt-network, apt-local, conda-env, conda-micromamba, runfile-system, runfile-folder",
    "sudo": "allow commands that change the system, as root or through sudo",
    "dry_run": "print the commands of the route and stop",
    "list": "print every route with its commands and stop",
    "facts": "facts file of another machine (for --list and --dry-run)",
    "folder": "where a toolkit without root goes",
    "force": "replace what is there, also where mambaops did not write it",
}


@task(
    name="get-nvcc",
    group="system",
    examples=(
        "mambaops get-nvcc 12.8 --list",
        "mambaops get-nvcc 12.8 --dry-run",
    ),
    operand="cuda",
    excludes=(("list", "dry_run"),),
    help=_ROUTES,
)
def get_nvcc(
    c: Context,
    cuda: str = "",
    route: str = "",
    sudo: bool = False,
    dry_run: bool = False,
    list: bool = False,
    facts: str = "",
    folder: str = "",
    force: bool = False,
    json: bool = False,
) -> None:
    """Get a CUDA toolkit without its driver: by apt, deb file, conda or runfile, what fits this machine.

    Root commands run with --sudo only. From CUDA 13 on `build-mamba` takes nvcc from the package index.
    """
    from pathlib import Path

    from mambaops.cli import system_output as show
    from mambaops.core.outputs import folder_to_write
    from mambaops.core.paths import state_dir
    from mambaops.facts import collect, model
    from mambaops.system import routes, toolkit
    from mambaops.system.route import script

    _check_version(cuda)
    machine = model.load(Path(facts)) if facts else collect.collect()
    place = folder or str(state_dir() / "toolkits" / f"cuda-{cuda}")
    found = routes.toolkit_routes(machine, cuda, sudo=sudo, folder=place)
    if note := routes.floor_note(machine, cuda):
        say(f"note: {note}")
    if list:
        emit(found, as_json=json, text=lambda all: show.routes(all, machine), rows="routes")
        return
    if dry_run or facts:
        lines = script(toolkit.chosen(found, route), machine)
        emit({"script": lines}, as_json=json, text=lambda one: one["script"])
        return
    if folder:
        folder_to_write(Path(folder), force=force, ours=toolkit.is_begun)
    home = toolkit.obtain(toolkit.chosen(found, route), cuda, sudo=sudo, say=say)
    emit({"home": str(home)}, as_json=json, text=lambda value: value["home"])


def _check_version(cuda: str) -> None:
    from mambaops.core.errors import UsageError

    if not cuda:
        raise UsageError("which toolkit? --cuda 12.8")
    if not all(part.isascii() and part.isdecimal() for part in cuda.split(".")):
        raise UsageError(f"`{cuda}` is no version of a CUDA toolkit", hint="e.g. --cuda 12.8")


@task(
    name="shell-env",
    group="system",
    examples=(
        'eval "$(mambaops shell-env)"',
        "mambaops shell-env --write ~/.bashrc",
    ),
    operand="home",
    excludes=(("write", "remove"),),
    help={
        "home": "the toolkit (default: CUDA_HOME, PATH's nvcc, /usr/local/cuda)",
        "write": "put the lines into this start-up file, as a block",
        "remove": "take the block out of this start-up file",
        "shell": "bash, zsh or fish (default: yours)",
    },
)
def shell_env(
    c: Context,
    home: str = "",
    write: str = "",
    remove: str = "",
    shell: str = "",
    json: bool = False,
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
        lines = env.exports(toolkit, kind).rstrip("\n")
        found = {"home": str(toolkit), "shell": kind, "lines": lines.splitlines()}
        emit(found, as_json=json, text=lambda _: lines)
        return
    changed = env.write(Path(write).expanduser(), toolkit, kind)
    say(f"{write} {'points to' if changed else 'pointed already to'} {toolkit}; open a new shell")


@task(
    name="cudnn-check",
    group="diagnose",
    examples=(
        "mambaops cudnn-check",
        "mambaops cudnn-check /usr/local/cuda-12.8",
    ),
    operand="home",
    help={"home": "the toolkit (default: CUDA_HOME, PATH's nvcc, …)"},
)
def cudnn_check(c: Context, home: str = "", json: bool = False) -> None:
    """Say which cuDNN a toolkit holds, and that mamba needs none of its own."""
    import os

    from mambaops.cli import system_output as show
    from mambaops.system import cudnn
    from mambaops.system.shell_env import find_home

    found = cudnn.installed(find_home(home, os.environ))
    emit(found, as_json=json, text=show.cudnn, rows="cudnn")
    say(f"note: {cudnn.NOT_NEEDED}")


@task(
    name="cudnn-install",
    group="system",
    examples=(
        "mambaops cudnn-install cudnn-linux-x86_64-9.1.0.70_cuda12-archive.tar.xz",
        "mambaops cudnn-install --deb 12.8 --sudo",
    ),
    operand="archive",
    needs={"sudo": "deb"},
    help={
        "archive": "NVIDIA's cudnn-linux-….tar.xz",
        "home": "the toolkit to copy it into",
        "force": "replace another cuDNN that the toolkit holds",
        "deb": "install it from NVIDIA's apt repository instead, for this CUDA, e.g. 12.8",
        "sudo": "allow commands that change the system, as root or through sudo",
    },
)
def cudnn_install(
    c: Context,
    archive: str = "",
    home: str = "",
    deb: str = "",
    sudo: bool = False,
    json: bool = False,
    force: bool = False,
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
    if not home and not sudo:
        raise UsageError(f"which toolkit? {toolkit} was not named", hint=f"--home {toolkit}")
    for there in cudnn.installed(toolkit) if not force else []:
        raise UsageError(
            f"{toolkit} holds cuDNN {there.version} already: it is not replaced",
            hint="give `--force` where it may go",
        )
    if note := cudnn.mismatch(Path(archive).name, toolkit):
        say(f"note: {note}")
    files = [str(path) for path in cudnn.install(Path(archive), toolkit)]
    emit(files, as_json=json, text="\n".join, rows="files")


def _cudnn_deb(cuda: str, sudo: bool) -> None:
    from mambaops.core.paths import state_dir
    from mambaops.facts.collect import collect
    from mambaops.system import cudnn, permission

    commands = cudnn.deb_commands(collect(), cuda, str(state_dir() / "toolkits" / "cudnn"))
    permission.run_all(commands, needs_root=True, sudo=sudo, say=say)

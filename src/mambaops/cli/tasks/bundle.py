"""Carry an environment to a machine without a network."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mambaops.cli.call import pasted
from mambaops.cli.task import Context, emit, say, task


@task(
    group="wheels",
    examples=(
        "mambaops bundle --profile hopper --output hopper.tar",
        "mambaops bundle --facts there.json --with-toolkit",
    ),
    operand="profile",
    iterable=["models", "add"],
    help={
        "add": "package beside the profile's: a name, or a package file (./mine.toml)",
        "profile": "profile by name, or the path of a YAML file",
        "output": "the tar to write (default: PROFILE.tar)",
        "force": "replace what is there, also where mambaops did not write it",
        "facts": "the other machine: a file made there by `mambaops facts --json` (default: this one)",
        "arch": "GPU architectures of the other machine",
        "torch": "torch release instead of the profile's",
        "python": "Python version instead of the profile's",
        "with-toolkit": "carry nvcc and build tools too, and sources where no wheel fits",
        "models": "folder or Hugging Face name of a model to carry; may be given several times",
    },
)
def bundle(
    c: Context,
    profile: str = "local",
    output: str = "",
    facts: str = "",
    arch: str = "",
    torch: str = "",
    python: str = "",
    with_toolkit: bool = False,
    models: Sequence[str] | None = None,
    add: Sequence[str] | None = None,
    force: bool = False,
    json: bool = False,
) -> None:
    """Collect everything that an environment needs in one file.

    For the other machine's Python, CPU and glibc: torch with all its dependencies, the packages, checksums, and
    a script that installs it with the network off. Interrupted, the same command goes on.
    """
    from pathlib import Path

    from mambaops.bundle.collect import collect, place_of
    from mambaops.bundle.plan import spec_for
    from mambaops.cli.flags import flags_of
    from mambaops.cli.request import Request
    from mambaops.download.progress import for_stderr
    from mambaops.run.planning import planned

    if output:
        place_of(Path(output), force=force)  # before anything is looked for
    request = Request(
        profile=profile,
        arch=arch,
        torch=torch,
        python=python,
        cross=bool(facts),
        add=list(add or ()),
    )
    flags = flags_of(request)
    case, _ = planned(profile, flags, facts)
    spec = spec_for(case, with_toolkit=with_toolkit, models=models or (), say=say)
    path = Path(output or f"{spec.name}.tar")
    made = collect(spec, path, progress=for_stderr(), say=say, force=force)
    emit(
        made,
        as_json=json,
        text=lambda one: pasted(
            f"{one.path}\n  {one.size / 1e6:.1f} MB, {len(one.manifest.files)} files, sha256 {one.sha256}\n"
            f"there: `mambaops install-bundle {one.path.name}`\n"
            f"   or: `tar -xf {one.path.name} && sh {one.path.stem}/install.sh --into {one.path.stem}-env`"
        ),
    )


@task(
    name="install-bundle",
    group="wheels",
    examples=(
        "mambaops install-bundle hopper.tar",
        "mambaops install-bundle hopper.tar --into ./env",
    ),
    operand="file",
    positional=["file"],
    help={
        "file": "the tar, or the folder that it was unpacked into",
        "into": "folder of the environment (default: the profile's own under .mambaops)",
        "python": "interpreter to make it with",
        "existing": "it may be an environment with packages that did not come from a bundle",
        "keep-files": "leave the unpacked bundle beside the environment",
    },
)
def install_bundle(
    c: Context,
    file: str,
    into: str = "",
    python: str = "",
    keep_files: bool = False,
    existing: bool = False,
    json: bool = False,
) -> None:
    """Install a bundle, without a network.

    Every file is checked first; an interrupted installation is gone on with; the packages are imported in the end.
    """
    from pathlib import Path

    from mambaops.bundle.install import install_bundle as install
    from mambaops.bundle.install import name_of
    from mambaops.state.places import places

    archive = Path(file)
    name = name_of(archive)
    folder = Path(into) if into else places(name).env
    done = install(
        archive, folder, python=python, keep_files=keep_files, existing=existing, say=say
    )
    prove = "" if into else "\n" + pasted(f"prove it: `mambaops verify --profile {done.name}`")
    emit(
        done,
        as_json=json,
        text=lambda one: (
            f"{one.packages} packages are in {one.environment}\ninterpreter: {one.python}{prove}"
        ),
    )


@task(
    group="wheels",
    operand="profile",
    excludes=(
        *itertools.combinations(("pip", "uv", "docker", "notebook"), 2),
        ("profile", "python"),
    ),
    examples=(
        "mambaops export wsl-5090 --uv --index https://wheels.lab/cu128-torch2.8-sm120/simple/",
        "mambaops export --docker --output image",
    ),
    help={
        "profile": "the environment that this profile describes",
        "python": "another environment: its interpreter, or its folder",
        "pip": "a requirements file, for `pip install --no-deps -r`",
        "uv": "a pyproject.toml, for uv's command sync",
        "docker": "a folder with a Dockerfile and all that its image is made of; the build looks whether it has the pins",
        "notebook": "a folder with a notebook whose cells install the pins and prove them",
        "index": "where the kernels' wheels come from: an index that the command index wrote (default: the store's folder; with --docker and --notebook they are carried in the folder)",
        "output": "file to write (default: stdout); with --docker and --notebook the folder (default: PROFILE-docker, PROFILE-notebook)",
        "force": "replace what is there, also where mambaops did not write it",
    },
)
def export(
    c: Context,
    profile: str = "local",
    python: str = "",
    pip: bool = False,
    uv: bool = False,
    docker: bool = False,
    notebook: bool = False,
    index: str = "",
    output: str = "",
    force: bool = False,
    json: bool = False,
) -> None:
    """Pin an environment as it was proven, for a project of your own.

    Every package with its version, and where it comes from: the default index, PyTorch's, or the kernels'.
    """

    from mambaops.bundle.export import exported
    from mambaops.cli.exporting import check_output, environment, made_here, written
    from mambaops.core.errors import UsageError

    formats = {"pip": pip, "uv": uv, "docker": docker, "notebook": notebook}
    form = next((one for one, asked in formats.items() if asked), "")
    if not form:
        either = ", ".join(f"--{one}" for one in formats)
        raise UsageError("for whom?", hint=f"`mambaops export --pip`; there are {either}")
    check_output(form, output, force=force)
    name, facts, proof, env = environment(profile, python)
    say(proof)
    made, places = made_here("" if python else name, facts, index)
    if index and "runtime" in made.values():
        say(
            f"note: kernels that are compiled on first use come from {places['runtime']}, not the index"
        )
    found = exported(name, facts, made=made, places=places, proof=proof, env=env)
    row = written(found, form, output, force=force)
    emit(row, as_json=json, text=lambda row: row["file"] or row["text"].rstrip("\n"))

"""The container route: a Dockerfile for a profile, an image whose wheels fit an old glibc, its GPUs.

The Dockerfile is text made by a pure function. The image holds mambaops as it is here, an interpreter,
the profile's environment, the toolkit and the wheels that were built; they are copied out to the host.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mambaops.core.errors import MachineError, UsageError
from mambaops.core.files import write_text
from mambaops.core.paths import CHECKOUT, PACKAGE, data_dir
from mambaops.core.process import run, which
from mambaops.knowledge.addresses import addresses
from mambaops.knowledge.containers import containers
from mambaops.patching.archs import parse_archs
from mambaops.profiles.model import Profile

RUNTIMES = ("docker", "podman")
CONTROLLER = (
    ">=3.10,<3.14"  # Pythons that mambaops itself runs with, and that all it needs has wheels for
)
CONTEXT = "mambaops-context"  # what is sent to the image's build, beside the Dockerfile


def image_name(profile: Profile) -> str:
    return f"mambaops-{profile.name}"


def base_image(profile: Profile) -> str:
    """The image of the first distribution that the profile expects and that has one. Pure."""
    images = containers().images
    return next(
        (images[name] for name in profile.expect.distribution if name in images), images["default"]
    )


def dockerfile(profile: Profile, *, arch: str) -> str:
    """The Dockerfile's text. Pure.

    Args:
        arch: architectures to build for ("8.0;9.0"): while an image is built no GPU is there to ask.

    Raises:
        UsageError: neither `arch` nor the profile names an architecture.
    """
    arch = arch or ("" if profile.build.arch == "gpu" else profile.build.arch)
    if not arch and profile.packages:
        raise UsageError(
            f"profile {profile.name} builds for the GPU it finds, and an image is built without one",
            hint='name it: --arch "8.0"',
        )
    if arch:
        parse_archs(arch)
    base, packages = base_image(profile), " ".join(containers().packages["apt"])
    return "\n".join(
        [
            f"# {profile.title}: made by `mambaops container --profile {profile.name}`",
            f"FROM {base}",
            'SHELL ["/bin/bash", "-o", "pipefail", "-c"]',
            "ENV DEBIAN_FRONTEND=noninteractive",
            f"RUN apt-get update && apt-get install -y --no-install-recommends {packages} \\",
            "  && rm -rf /var/lib/apt/lists/*",
            *_interpreter(profile),
            f"COPY {CONTEXT}/requirements.txt /opt/mambaops/requirements.txt",
            # the image's own Python where it is new enough: uv's come from yet another address
            f"RUN uv venv --python '{CONTROLLER}' /opt/controller \\",
            "  && uv pip install --python /opt/controller/bin/python -r /opt/mambaops/requirements.txt",
            f"COPY {CONTEXT}/mambaops /opt/mambaops/mambaops",
            "ENV PYTHONPATH=/opt/mambaops MAMBAOPS_HOME=/opt/state MAMBAOPS_CACHE=/out",
            *(f"ENV {name}={shlex.quote(value)}" for name, value in profile.runtime_env.items()),
            "RUN printf '#!/bin/sh\\nexec /opt/controller/bin/python -m mambaops \"$@\"\\n' \\",
            "  > /usr/local/bin/mambaops && chmod +x /usr/local/bin/mambaops",
            f"RUN {shlex.join(build_words(profile, arch))}",
            "WORKDIR /workspace",
            'CMD ["bash"]',
            "",
        ]
    )


def build_words(profile: Profile, arch: str) -> list[str]:
    """The command that builds the profile's wheels where no GPU is, and may change its image. Pure."""
    words = ["mambaops", "build-mamba", "--profile", profile.name, "--cross", "--sudo"]
    return words + (["--arch", arch] if arch else [])


def _interpreter(profile: Profile) -> list[str]:
    """uv brings the controller's Python (Ubuntu 20.04 has 3.8); miniforge too where conda is wanted."""
    known = addresses()
    lines = [
        # the image's own certificates, a company's among them, and not those that uv was built with
        "ENV PATH=/root/.local/bin:$PATH UV_NATIVE_TLS=1 UV_SYSTEM_CERTS=1",
        f"RUN curl -fLsS --retry 5 {known.uv.installer} | sh",
    ]
    if profile.target.kind == "conda":
        address = known.conda.miniforge.format(machine="$(uname -m)")
        lines += [
            f'RUN curl -fL --retry 5 -o /tmp/miniforge.sh "{address}" \\',
            "  && bash /tmp/miniforge.sh -b -p /opt/conda && rm /tmp/miniforge.sh",
            "ENV PATH=/opt/conda/bin:$PATH",
        ]
    return lines


# -- commands -------------------------------------------------------------------------------------------
def build_command(profile: Profile, runtime: str, folder: Path) -> list[str]:
    # podman's own format drops SHELL, and with it `pipefail`: a failed download would be no error
    form = ["--format", "docker"] if runtime == "podman" else []
    named = ["-t", image_name(profile), "-f", f"{folder}/Dockerfile"]
    return [runtime, "build", *form, *named, str(folder)]


def copy_commands(profile: Profile, runtime: str, folder: Path) -> list[list[str]]:
    """Take the built wheels out of the image: a container that never runs, copied from, removed."""
    name = f"{image_name(profile)}-out"
    return [
        [runtime, "create", "--name", name, image_name(profile)],
        [runtime, "cp", f"{name}:/out/wheels/.", f"{folder}/wheels"],
        [runtime, "rm", name],
    ]


def run_command(
    profile: Profile, runtime: str, folder: Path, words: Sequence[str], *, terminal: bool
) -> list[str]:
    """Start the image with its GPUs and `folder` as /workspace."""
    screen = ["-it"] if terminal else []
    mount = ["-v", f"{folder.absolute()}:/workspace"]
    return [
        *(runtime, "run", "--rm", *screen),
        *containers().gpus[runtime],
        *mount,
        image_name(profile),
        *(words or ["bash"]),
    ]


# -- doing ----------------------------------------------------------------------------------------------
def chosen_runtime(name: str) -> str:
    """The runtime that was named, or the first that is on PATH.

    Raises:
        UsageError: an unknown one. MachineError: none is on PATH.
    """
    if name and name not in RUNTIMES:
        raise UsageError(f"runtime `{name}` is not known; known: {', '.join(RUNTIMES)}")
    wanted = [name] if name else list(RUNTIMES)
    found = next((item for item in wanted if which(item) is not None), None)
    if found is None:
        raise MachineError(
            f"{' or '.join(wanted)} is not on PATH",
            hint="install one, or run --dry-run here and the commands where one is",
        )
    return found


def is_ours(dockerfile: Path) -> bool:
    """Was it written here?"""
    first = dockerfile.read_bytes().split(b"\n", 1)[0]
    return b": made by `mambaops container" in first


def is_context(folder: Path) -> bool:
    """Is it what `write_context` puts beside the Dockerfile?"""
    return (folder / "mambaops" / "__main__.py").is_file()


def write_context(profile: Profile, folder: Path, *, arch: str, file: Path | None = None) -> Path:
    """Dockerfile and what it copies, into `folder`; returns the Dockerfile.

    Args:
        file: the person's own profile, which is known in the image by its name.

    Raises:
        UsageError: see `dockerfile` and `_own_files`.
    """
    text = dockerfile(profile, arch=arch)
    own = _own_files(profile, file) if file else {}
    place = folder / CONTEXT
    if place.exists():
        shutil.rmtree(place)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".git")
    shutil.copytree(PACKAGE, place / "mambaops", ignore=ignored)
    for name in ("env_profiles", "patches"):
        shutil.copytree(
            data_dir(name), place / "mambaops" / name, ignore=ignored, dirs_exist_ok=True
        )
    for name, source in own.items():
        target = place / "mambaops" / "env_profiles" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    (place / "requirements.txt").write_text("\n".join(_requirements()) + "\n", encoding="utf-8")
    return write_text(folder / "Dockerfile", text)


def _own_files(profile: Profile, file: Path) -> dict[str, Path]:
    """Name among the image's profiles -> file, of an own profile and the package files that it names.

    Raises:
        UsageError: a package file that does not lie below the profile's folder.
    """
    home, found = file.resolve().parent, {f"{profile.name}.yaml": file}
    for name, spec in profile.packages.items():
        if not spec.file:
            continue
        path = Path(spec.file)
        if home not in path.parents:
            raise UsageError(
                f"packages.{name}: {path} does not lie below {home}, and an image has neither",
                hint="put the package file beside the profile and name it by a relative path",
            )
        found[str(path.relative_to(home))] = path
    return found


def _requirements() -> list[str]:
    """What the controller needs, extras left out: as the checkout says, else the installed metadata.

    The metadata of a checkout that was pulled is as old as its installation.
    """
    import tomli

    project = CHECKOUT / "pyproject.toml"
    if project.is_file():
        told = tomli.loads(project.read_text(encoding="utf-8"))["project"]
        if told["name"] == "mambaops":
            return [str(line) for line in told["dependencies"]]
    from importlib.metadata import requires

    return [line for line in requires("mambaops") or [] if not re.search(r"extra\s*==", line)]


def build(
    profile: Profile,
    runtime: str,
    folder: Path,
    *,
    say: Callable[[str], None],
    relay: Callable[[str], None],
) -> list[Path]:
    """Build the image and copy its wheels to `folder/wheels`; returns them.

    Args:
        relay: takes what the runtime says, whose commands are those of the image.

    Raises:
        CommandFailed: the build failed; the last lines are in it.
        MachineError: the runtime's engine does not answer, or no wheel came out.
    """
    engine = run([runtime, "info"], check=False, timeout=30)
    if not engine.ok:
        reason = (engine.stderr.strip() or engine.stdout.strip()).splitlines()[-1:]
        raise MachineError(
            f"`{runtime} info` fails: {reason[0] if reason else 'no answer'}",
            hint=f"start its engine (sudo systemctl start {runtime}), or take the folder elsewhere",
        )
    (folder / "wheels").mkdir(parents=True, exist_ok=True)
    # a container that an interrupted run left holds the name
    run([runtime, "rm", "-f", f"{image_name(profile)}-out"], check=False, timeout=60)
    for command in [
        build_command(profile, runtime, folder),
        *copy_commands(profile, runtime, folder),
    ]:
        say(f"$ {shlex.join(command)}")
        run(command, on_line=relay, merge=True)
    wheels = sorted((folder / "wheels").glob("*.whl"))
    if not wheels:
        raise MachineError(f"the image was built, but no wheel came out into {folder / 'wheels'}")
    return wheels

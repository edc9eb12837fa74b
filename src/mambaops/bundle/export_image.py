"""A proven environment as an image: a Dockerfile, the pins, and what looks whether the image has them. Pure."""

from __future__ import annotations

import json
import shlex

from mambaops.bundle.export import Exported, about, pins_text, pip_options
from mambaops.bundle.export_proof import PINS_CHECK, Proof, check_words
from mambaops.core.errors import UsageError
from mambaops.knowledge.containers import containers

MADE = ": made by `mambaops export --docker`"
PLACE = "/opt/mambaops"
PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}


def to_docker(found: Exported, proof: Proof) -> dict[str, str]:
    """Texts by file name. The wheels of `Exported.places` that are folders lie beside them, in those folders.

    Raises:
        UsageError: the environment is none of Linux.
    """
    if found.platform != "linux" or found.machine not in PLATFORMS:
        raise UsageError(
            f"no image has the wheels of {found.platform} {found.machine}",
            hint="export it for pip or uv, or as a notebook",
        )
    lines = [*_head(found, proof), *_system(found), *_environment(found, proof), ""]
    return {
        "Dockerfile": "\n".join(lines),
        ".dockerignore": "Dockerfile\n.dockerignore\n",
        "pins.txt": pins_text(found),
        PINS_CHECK: proof.check,
        **proof.results,
    }


def _head(found: Exported, proof: Proof) -> list[str]:
    first, *more = about(found)
    image = f"mambaops-{found.name}"
    build = f"docker build --platform {PLATFORMS[found.machine]} -t {image} THIS-FOLDER"
    start = shlex.join(["docker", "run", "--rm", *containers().gpus["docker"], image])
    prove = [f"# prove it: {start} python {PLACE}/{name}" for name in proof.results]
    return [f"# {first}{MADE}", *(f"# {line}" for line in more), f"# {build}", *prove]


def _system(found: Exported) -> list[str]:
    """The Python that the wheels are for; Triton compiles its launchers with gcc when it is first used."""
    table = containers()
    lines = [f"FROM {table.python.format(version=found.python)}"]
    if any(pin.name == "triton" for pin in found.pins):
        packages = " ".join(table.packages["triton"])
        lines += [
            f"RUN apt-get update && apt-get install -y --no-install-recommends {packages} \\",
            "  && rm -rf /var/lib/apt/lists/*",
        ]
    return lines


def _environment(found: Exported, proof: Proof) -> list[str]:
    options = [word for option in pip_options(found) for word in option]
    pip = ["python", "-m", "pip", "install", "--no-cache-dir", "--no-deps"]
    return [
        f"WORKDIR {PLACE}",
        "COPY . .",
        "# another index than the default one: --build-arg PIP_INDEX_URL=…",
        "ARG PIP_INDEX_URL",
        f"RUN {shlex.join([*pip, *options, '-r', 'pins.txt'])}",
        "ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        *(f"ENV {name}={shlex.quote(value)}" for name, value in found.env.items()),
        f"RUN python {PINS_CHECK} {shlex.join(check_words(found, proof))} @pins.txt",
        "WORKDIR /workspace",
        f"CMD {json.dumps(['python'])}",
    ]

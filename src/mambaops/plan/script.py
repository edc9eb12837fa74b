"""A plan as a commented shell script that does the same by hand. Pure.

It holds every step of the profile, those that are done already commented out with the reason, so that it
can be read as an instruction and run from the top on a bare machine.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable

from mambaops.decide.assess import Case
from mambaops.decide.choice import build_key
from mambaops.knowledge import cuda as cuda_tables
from mambaops.knowledge.addresses import repository, torch_index
from mambaops.knowledge.toolkit_wheels import toolkit_wheels
from mambaops.plan import Plan, Step
from mambaops.profiles.model import PackageSpec

HEAD = """#!/bin/sh
# {title}
# Profile {name}: Python {python}, torch {torch}, kernels for {archs}.
# Made by `mambaops plan --profile {name} --script`; run it in an empty folder.
set -eu
ENV={env}
PY="$ENV/bin/python"
"""


def to_script(case: Case, plan: Plan) -> str:
    """The whole script; it passes shellcheck."""
    choice = case.choice
    head = HEAD.format(
        title=case.profile.title,
        name=case.profile.name,
        python=choice.python,
        torch=choice.torch_version,
        archs=";".join(choice.archs) or "no GPU",
        env=shlex.quote(case.situation.env),
    )
    return head + "".join(_section(case, step) for step in plan.steps)


def _section(case: Case, step: Step) -> str:
    maker = COMMANDS.get(step.id.partition(":")[0])
    lines = maker(case, step) if maker else []
    title = f"\n# {step.id}: {step.status} - {_comment(step.reason)}\n"
    if step.hint:
        title += f"# hint: {_comment(step.hint)}\n"
    if not lines:
        return title
    if step.status == "done":
        lines = [f"# {line}" for line in lines]
    return title + "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    return text.replace("\n", "\n#   ")


def _create_venv(case: Case, step: Step) -> list[str]:
    target = case.profile.target
    if target.kind == "conda":
        channels = " ".join(f"-c {one}" for one in target.channels)
        packages = " ".join(shlex.quote(one) for one in target.conda_packages)
        return [
            f'conda create --yes --prefix "$ENV" {channels} python={case.choice.python} {packages}'
        ]
    return [f'python{case.choice.python} -m venv "$ENV"', '"$PY" -m pip install --upgrade pip']


def _install_torch(case: Case, step: Step) -> list[str]:
    choice = case.choice
    wanted = [f"torch=={choice.torch}", *case.profile.torch.companions]
    if choice.torch_cuda is None:
        wanted = [f"torch=={choice.torch}"]
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


def _install_toolkit(case: Case, step: Step) -> list[str]:
    cuda = case.choice.toolkit
    row = cuda_tables.toolkit(cuda)
    if not cuda or row is None or not row.wheels_on_index:
        return [
            f"# an nvcc {cuda} that the machine has, or one from NVIDIA's packages",
            f'export CUDA_HOME="${{CUDA_HOME:-/usr/local/cuda-{cuda}}}"',
            'export PATH="$CUDA_HOME/bin:$PATH"',
            "nvcc -V",
        ]
    wheels = " ".join(shlex.quote(one) for one in toolkit_wheels(cuda))
    major = cuda.split(".")[0]
    return [
        f'"$PY" -m pip install {wheels}',
        'SITE=$("$PY" -c \'import sysconfig; print(sysconfig.get_path("purelib"))\')',
        'export CUDA_HOME="$ENV/cuda-home"',
        'mkdir -p "$CUDA_HOME/lib64"',
        f'for part in bin include nvvm; do ln -sfn "$SITE/nvidia/cu{major}/$part" "$CUDA_HOME/$part"; done',
        f'ln -sf "$SITE/nvidia/cu{major}/lib/"* "$CUDA_HOME/lib64/"',
        f'ln -sf "$SITE/nvidia/cu{major}/lib/libcudart.so.{major}" "$CUDA_HOME/lib64/libcudart.so"',
        'export PATH="$CUDA_HOME/bin:$PATH"',
        "nvcc -V",
    ]


def _prepare_build(case: Case, step: Step) -> list[str]:
    words = " ".join(shlex.quote(one) for one in case.profile.build_requirements)
    return [f'"$PY" -m pip install {words}']


def _fetch_sources(case: Case, step: Step) -> list[str]:
    return [line for name, spec in case.profile.packages.items() for line in _fetch(name, spec)]


def _fetch(name: str, spec: PackageSpec) -> list[str]:
    folder = f"{name}-src"
    if spec.origin == "git":
        url = repository({"selective-scan": "vmamba"}.get(name, name))
        clone = f"git clone --depth 1 --branch {spec.tag} {url} {folder}"
        if not spec.subdirectory:
            return [clone]
        return [
            clone.replace(f" {folder}", f" {folder}.git"),
            f"ln -s {folder}.git/{spec.subdirectory} {folder}",
        ]
    skip = "MAMBA_SKIP_CUDA_BUILD=TRUE CAUSAL_CONV1D_SKIP_CUDA_BUILD=TRUE"
    archive = f"{name.replace('-', '_')}-{spec.version}.tar.gz"
    check = [f"echo '{spec.sha256}  {archive}' | sha256sum --check"] if spec.sha256 else []
    return [
        f"{skip} \\",
        f'  "$PY" -m pip download --no-deps --no-binary :all: --no-build-isolation {name}=={spec.version}',
        *check,
        f"mkdir -p {folder}",
        f"tar -xzf {archive} --strip-components=1 -C {folder}",
    ]


def _patch_setup(case: Case, step: Step) -> list[str]:
    archs = ";".join(case.choice.archs)
    return [
        f'mambaops patch-setup --source {name}-src --arch "{archs}" --torch {case.choice.torch}'
        for name, _ in case.profile.packages.items()
    ]


def _patch_cpp_extension(case: Case, step: Step) -> list[str]:
    version = case.profile.build.patch_cpp_extension
    return [f'mambaops patch-cpp-extension --python "$PY" --cuda {version}']


def _build_wheel(case: Case, step: Step) -> list[str]:
    name = step.id.partition(":")[2]
    spec = dict(case.profile.packages.items())[name]
    key = build_key(name, spec, case.profile, case.choice, case.flags)
    prefix = name.replace("-", "_").upper().replace("MAMBA_SSM", "MAMBA")
    force = f"{prefix}_FORCE_BUILD=TRUE"
    if prefix == "MAMBA":
        force += " MAMBA_KEEP_CUDA_BUILD=TRUE"
    local = " ".join(f"{key}={value}" for key, value in key.environment().items())
    return [
        f'(cd {name}-src && PATH="$ENV/bin:$PATH" LC_ALL=C {force} {local} \\',
        '  "$PY" setup.py bdist_wheel --dist-dir ../wheels)',
    ]


def _install_wheels(case: Case, step: Step) -> list[str]:
    requirements = " ".join(shlex.quote(one) for one in case.profile.requirements)
    lines = [f'"$PY" -m pip install {requirements}'] if requirements else []
    if case.choice.kernels:
        lines.append('"$PY" -m pip install --no-deps --force-reinstall wheels/*.whl')
    return lines


def _verify(case: Case, step: Step) -> list[str]:
    modules = ["torch"]
    if case.choice.kernels:
        modules += ["causal_conv1d_cuda", "selective_scan_cuda", "mamba_ssm"]
    return [f'(cd / && "$PY" -c "import {", ".join(modules)}; print(torch.__version__)")']


COMMANDS: dict[str, Callable[[Case, Step], list[str]]] = {
    "create-venv": _create_venv,
    "install-torch": _install_torch,
    "install-toolkit": _install_toolkit,
    "prepare-build": _prepare_build,
    "fetch-sources": _fetch_sources,
    "patch-setup": _patch_setup,
    "patch-cpp-extension": _patch_cpp_extension,
    "build-wheel": _build_wheel,
    "install-wheels": _install_wheels,
    "verify": _verify,
}

"""The main job and its steps: `build-mamba`, `plan`, and every step as a task of its own."""

from __future__ import annotations

from typing import Any

from invoke import Context

from mambaops.cli.task import emit, say, task

COMMON = {
    "profile": "profile by name, or the path of a YAML file",
    "arch": 'GPU architectures, "9.0" or "8.0;9.0;12.0+PTX"; default: this machine\'s GPU',
    "torch": "torch release instead of the profile's",
    "python": "Python version of the environment instead of the profile's",
    "source": "PACKAGE=PATH of a checkout or archive to build instead of the published source",
    "cross": "build for another machine than this one",
    "sudo": "allow the package manager to be run with sudo",
    "jobs": "compilers at once; 0: by cores and memory",
    "obtain": "ways to get the packages, in order, e.g. source or store,source",
}


def _help(*left_out: str, **more: str) -> dict[str, str]:
    """The common help texts without those that a task does not have."""
    return {key: text for key, text in COMMON.items() if key not in left_out} | more


def _flags(values: dict[str, Any]) -> Any:
    from mambaops.cli.flags import flags_of

    return flags_of(values)


def _run(values: dict[str, Any], only: tuple[str, ...] = ()) -> None:
    from mambaops.run.drive import drive

    drive(values["profile"], _flags(values), jobs=values.get("jobs", 0), only=only, say=say)


@task(name="build-mamba", iterable=["source"], help=COMMON)
def build_mamba(
    c: Context,
    profile: str = "local",
    arch: str = "",
    torch: str = "",
    python: str = "",
    source: list[str] | None = None,
    cross: bool = False,
    sudo: bool = False,
    jobs: int = 0,
    obtain: str = "",
) -> None:
    """Look at the machine, choose, say what will be done, do it, prove it.

    Without a GPU and without --arch: an environment with a CPU torch and no kernels.
    """
    _run(locals())


@task(
    name="plan",
    iterable=["source"],
    help=_help(
        "jobs",
        facts="plan for another machine: a file made by `mambaops facts --json`",
        script="print a shell script that does the same by hand",
        json="print JSON",
    ),
)
def plan(
    c: Context,
    profile: str = "local",
    arch: str = "",
    torch: str = "",
    python: str = "",
    source: list[str] | None = None,
    cross: bool = False,
    sudo: bool = False,
    obtain: str = "",
    facts: str = "",
    script: bool = False,
    json: bool = False,
) -> None:
    """Every step with what will be done, what is skipped, what is in the way, and why. Changes nothing."""
    from mambaops.plan.script import to_script
    from mambaops.report.plan_text import plan_text
    from mambaops.run.planning import planned

    case, found = planned(profile, _flags(locals()), facts)
    if script:
        print(to_script(case, found))
        return
    emit(found, as_json=json, text=plan_text)


def _step(name: str, step: str, doc: str) -> Any:
    """A task that does one step of a profile's plan and nothing else."""

    def body(
        c: Context,
        profile: str = "local",
        arch: str = "",
        torch: str = "",
        python: str = "",
        source: list[str] | None = None,
        cross: bool = False,
        sudo: bool = False,
        obtain: str = "",
    ) -> None:
        _run(locals(), (step,))

    body.__doc__ = doc
    body.__name__ = name.replace("-", "_")
    return task(name=name, iterable=["source"], help=_help("jobs"))(body)


install_torch = _step("install-torch", "install-torch", "Install the chosen torch (P05).")
install_toolkit = _step("install-toolkit", "install-toolkit", "Get nvcc for the build (P06).")
fetch_sources = _step("fetch-sources", "fetch-sources", "Fetch the sources, hash-checked.")
prepare_build = _step("prepare-build", "prepare-build", "Install what setup.py needs.")
find_wheels = _step("find-wheels", "find-wheels", "Look for prebuilt wheels (P17).")
install_wheels = _step("install-wheels", "install-wheels", "Install the wheels and what they need.")


@task(
    name="create-venv",
    help={
        "profile": COMMON["profile"],
        "python": COMMON["python"],
        "recreate": "remove the environment first",
    },
)
def create_venv(
    c: Context, profile: str = "local", python: str = "", recreate: bool = False
) -> None:
    """Create the target environment: a venv or a conda environment (P04)."""
    from mambaops.run.drive import remove_environment

    if recreate:
        remove_environment(profile, say)
    values = {"profile": profile, "python": python}
    _run(values, ("create-venv",))


@task(
    name="build-wheel",
    iterable=["source"],
    help=_help("sudo", package="causal-conv1d or mamba-ssm; default: both"),
)
def build_wheel(
    c: Context,
    package: str = "",
    profile: str = "local",
    arch: str = "",
    torch: str = "",
    python: str = "",
    source: list[str] | None = None,
    cross: bool = False,
    jobs: int = 0,
    obtain: str = "source",
) -> None:
    """Compile the wheels of one or both packages from patched sources (P16)."""
    from mambaops.cli.flags import check_package
    from mambaops.profiles.model import PACKAGES

    names = [check_package(package)] if package else list(PACKAGES)
    _run(locals(), tuple(f"build-wheel:{name}" for name in names))


@task(
    name="verify",
    help={
        "profile": COMMON["profile"],
        "arch": COMMON["arch"],
        "torch": COMMON["torch"],
        "json": "print JSON",
    },
)
def verify(
    c: Context, profile: str = "local", arch: str = "", torch: str = "", json: bool = False
) -> int:
    """Prove the environment: imports, places, binaries, and results where a GPU is (P19)."""
    from mambaops.run.drive import verified
    from mambaops.steps.verify import report

    result = verified(profile, _flags(locals()))
    emit(result, as_json=json, text=lambda one: "\n".join(report(one)))
    return 0 if result.passed else 1


@task(
    name="profiles",
    help={
        "explain": "each value of a profile with the reason for it",
        "schema": "the JSON schema, for editors",
        "json": "print JSON",
    },
)
def profiles(c: Context, explain: str = "", schema: bool = False, json: bool = False) -> None:
    """List the profiles, or explain one."""
    from mambaops.profiles import model as known
    from mambaops.report.plan_text import explained, listed

    if schema:
        emit(known.schema(), as_json=True, text=str)
    elif explain:
        emit(known.explain(known.load_profile(explain)), as_json=json, text=explained)
    else:
        found = [known.load_profile(name) for name in known.names()]
        emit(found, as_json=json, text=listed)

#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.2.9"]
# ///
"""Pipelines. Sessions named like a profile bring this machine to that profile, step by step; a session
named like a step does that step.

`nox -s wsl-5090 -- --arch 12.0` passes what follows `--` to every step. Developer sessions: tests, lint,
typecheck, fuzz, build_real, bench. The machine sessions use no environment of nox's own: mambaops keeps the
target environment itself.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["tests"]
HERE = Path(__file__).resolve().parent
PROJECT = nox.project.load_toml("pyproject.toml")
PROFILES = sorted(path.stem for path in (HERE / "env_profiles").glob("*.yaml"))
PIPELINES = HERE / "tests" / "pipelines"
LOOKING = "find-wheels"  # after it, the plan knows whether anything is to be compiled
CANNOT = 4  # this machine cannot satisfy the profile
# the interpreter that runs nox also has mambaops: both are installed by the README's first command
MAMBAOPS = [sys.executable, "-m", "mambaops"]


def _steps() -> dict[str, str]:
    """Id and sentence of every step that does something; none where mambaops is not installed beside nox."""
    try:
        from mambaops.steps import all_steps
    except ImportError:
        return {}
    return {step.id: step.help for step in all_steps() if step.act is not None}


STEPS = _steps()


def groups(*names: str) -> list[str]:
    """Requirements of dependency groups of pyproject.toml."""
    return list(nox.project.dependency_groups(PROJECT, *names))


def install(session: nox.Session, *words: str) -> None:
    """`session.install` of what is large: by uv where it heeds all that pip was told, else by pip."""
    try:
        from mambaops.install.uv_for_pip import uv_for_pip
    except ImportError:
        quick = None
    else:
        quick = uv_for_pip(Path(session.bin) / "python", words, os.environ)
    if quick is None or subprocess.run(quick.argv, env=quick.env, check=False).returncode:
        session.install(*words)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that need no GPU and no long build (the README's second command).

    With CI set also those that compute for long whatever the machine is, and the main job end to end, on small
    kernels: it fetches a torch with CUDA (gigabytes).
    """
    install(session, "-e", ".", *groups("test", "target"))
    left_out = ["gpu", "slow"] + ([] if os.environ.get("CI") else ["long", "e2e"])
    choice = " and ".join(f"not {mark}" for mark in left_out)
    # one more than there are cores: many tests wait for other programs; each worker takes up to a gigabyte
    workers = min((os.cpu_count() or 1) + 1, 8)
    shared = ["-n", str(workers), "--dist", "loadfile"]
    if os.environ.get("CI"):
        # the largest file first, as is usual, would leave the long end-to-end one alone at the end
        shared.append("--no-loadscope-reorder")
    words = session.posargs or [*shared, "-m", choice]
    program = [] if session.posargs else [str(HERE / "tests" / "suite.py")]
    env = {"MAMBAOPS_TEST": "1", "OMP_NUM_THREADS": "1"}
    session.run("python", *(program or ["-m", "pytest"]), *words, env=env)


@nox.session(default=False)
def tests_slow(session: nox.Session) -> None:
    """Run the tests that take minutes: real builds of small things, other systems' roots, training."""
    install(session, "-e", ".", *groups("test", "target", "eight-bit"))
    session.run("pytest", "-m", "(slow or long or e2e) and not gpu", *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Draw command lines and files: none may end in a traceback or hang (`-- COUNT SEED`, else 2,000)."""
    session.install("-e", ".", *groups("test"))
    session.run("python", "tests/fuzz", *session.posargs)


@nox.session(default=False)
def pipelines(session: nox.Session) -> None:
    """Run the pipelines on their machines' stand-ins: through, again, killed, in trouble (`-- wsl-5090`)."""
    session.install("-e", ".", *groups("test"))
    parts = {path.stem.removeprefix("test_"): path for path in PIPELINES.glob("test_*.py")}
    chosen = [str(parts[word]) for word in session.posargs if word in parts]
    # the name of a test begins with its profile; wsl-5090-ptx is another one than wsl-5090
    profiles = [f"{word}-on" for word in session.posargs if word not in parts]
    words = ["-k", " or ".join(profiles)] if profiles else []
    session.run("pytest", *(chosen or [str(PIPELINES)]), *words, env={"MAMBAOPS_TEST": "1"})


@nox.session(default=False)
def pipelines_real(session: nox.Session) -> None:
    """Run the pipelines of three machines with the real torch of the package index (gigabytes each)."""
    session.install("-e", ".", *groups("test"))
    folders = os.pathsep.join(str(HERE / "tests" / name) for name in ("support", "e2e"))
    program = str(PIPELINES / "real.py")
    session.run("python", program, *session.posargs, env={"PYTHONPATH": folders})


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Plant small bugs in the decisions; say which no test notices (`-- decide`, `-- --changed`)."""
    session.install("-e", ".", *groups("test"))
    session.run("python", "tests/mutants", *session.posargs)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The documentation with the pages that are made from data, under docs/_build: the known failures."""
    session.install("-e", ".")
    built = HERE / "docs" / "_build"
    shutil.rmtree(built, ignore_errors=True)
    shutil.copytree(HERE / "docs", built)
    with (built / "failures.md").open("w", encoding="utf-8") as page:
        command = ["python", "-m", "mambaops", "diagnose", "--list", "--markdown"]
        session.run(*command, stdout=page)
    session.log(f"the documentation is in {built}")


@nox.session(default=False)
def lint(session: nox.Session) -> None:
    """Check style: ruff, and shellcheck on generated scripts (in the tests)."""
    session.install(*groups("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(default=False)
def typecheck(session: nox.Session) -> None:
    """Check types: mypy, strict."""
    session.install("-e", ".", *groups("lint"))
    session.run("mypy", *session.posargs)


@nox.session(default=False, venv_backend="none")
def bench(session: nox.Session) -> None:
    """Run the benchmarks that need neither a GPU nor minutes; each compares in one run.

    The others are run by hand: scan.py, train.py and doctor.py (a torch), gpu_all.py (a GPU).
    """
    for name in session.posargs or ("facts", "diagnose", "wheel_choice", "store"):
        session.run(sys.executable, str(HERE / "benchmarks" / f"{name}.py"))


@nox.session(default=False, venv_backend="none")
def newcomer(session: nox.Session) -> None:
    """Run the README's two commands in a bare Debian, as an ordinary user (`-- trixie`, `-- --cases`); needs root."""
    session.run(sys.executable, str(HERE / "tests" / "newcomer"), *session.posargs)


@nox.session(default=False)
def lab(session: nox.Session) -> None:
    """Several bare systems behind real sshds: facts, packs, carrying, cut cables, index, export; needs root."""
    session.install("-e", ".", *groups("test"))
    session.run("python", str(HERE / "tests" / "lab"), *session.posargs)


@nox.session(default=False, venv_backend="none")
def build_real(session: nox.Session) -> None:
    """Build both packages for sm_90 from nothing, look inside, and build again: nothing is done."""
    session.run(sys.executable, str(HERE / "tests" / "e2e" / "build_real.py"), *session.posargs)


@nox.session(default=False, venv_backend="none")
def build_packages(session: nox.Session) -> None:
    """Build the packages that are proven for sm_90 and look inside; `-- NAME` (or a package file) for some."""
    session.run(sys.executable, str(HERE / "tests" / "e2e" / "build_packages.py"), *session.posargs)


@nox.session(default=False, venv_backend="none")
def train_stage2(session: nox.Session) -> None:
    """Train stage 2 (image to text) in the target environment; `-- --demo` for the demonstration."""
    _mambaops(session, "train-stage2", "--", *session.posargs)


def _machine(profile: str) -> None:
    """Register the session of one profile: its plan's steps as separate, logged commands."""

    @nox.session(name=profile, default=False, venv_backend="none", tags=["machine"])
    def session_of(session: nox.Session) -> None:
        plan = _plan(session, profile)
        blocked = [step for step in plan["steps"] if step["status"] == "blocked"]
        if blocked:
            lines = [f"{one['id']}: {one['reason']}\n  {one['hint']}" for one in blocked]
            _end(session, "\n".join(lines), CANNOT)
        for step in plan["steps"]:
            name, _, package = step["id"].partition(":")
            if package and (why := _done(plan, step["id"])):
                # asked for by itself, it would compile all the same
                session.log(f"{step['id']}: {why}")
            elif name in STEPS:
                words = ["--package", package] if package else []
                _mambaops(session, name, "--profile", profile, *words, *session.posargs)
            if name == LOOKING:
                plan = _plan(session, profile)

    session_of.__doc__ = f"Bring this machine to the profile {profile}."


def _done(plan: dict[str, list[dict[str, str]]], step: str) -> str:
    """Why the plan does not have it done any more; empty where it has to be done."""
    steps = {one["id"]: one for one in plan["steps"]}
    return steps[step]["reason"] if step in steps and steps[step]["status"] == "done" else ""


def _step(name: str, doc: str) -> None:
    """Register the session of one step, which brings along what the step stands on."""

    @nox.session(name=name, default=False, venv_backend="none", tags=["step"])
    def session_of(session: nox.Session) -> None:
        _mambaops(session, name, *session.posargs)

    session_of.__doc__ = doc


def _mambaops(session: nox.Session, *words: str) -> None:
    """Run a command of mambaops; nox ends with its exit code where that is not 0."""
    try:
        session.run(*MAMBAOPS, *words, external=True)
    except nox.command.CommandFailed as error:
        code = re.search(r"\d+", error.reason or "")
        _end(session, f"{words[0]} failed", int(code[0]) if code else 1)


def _end(session: nox.Session, text: str, code: int) -> NoReturn:
    """nox says 1 for whatever fails: the documented code is worth more than the sessions after this one."""
    session.warn(text)
    sys.exit(code)


def _plan(session: nox.Session, profile: str) -> dict[str, list[dict[str, str]]]:
    """The plan as data; it decides which steps the session has."""
    argv = [*MAMBAOPS, "plan", "--profile", profile, "--json", *session.posargs]
    session.log(shlex.join(argv))
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ.copy(), check=False)
    if done.returncode and '"steps"' not in done.stdout:  # 4 with a plan: some steps are blocked
        _end(session, done.stderr.strip(), done.returncode)
    plan: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return plan


for _profile in PROFILES:
    _machine(_profile)
for _name, _doc in STEPS.items():
    _step(_name, _doc)

if __name__ == "__main__":
    nox.main()

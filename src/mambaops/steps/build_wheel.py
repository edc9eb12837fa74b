"""Compiling the wheels that are missing: both at once, watched, checked, put into the store."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mambaops import __version__
from mambaops.compile.builds import Built, Recipe, build
from mambaops.compile.jobs import job_count
from mambaops.compile.portable import portable_object
from mambaops.compile.wheel import (
    Tools,
    check_architectures,
    describe,
    environment,
    extensions,
    with_local_version,
)
from mambaops.core.errors import MachineError
from mambaops.decide.assess import Case, fitting_toolkit, host_compiler, to_build
from mambaops.decide.choice import build_key, setup_options
from mambaops.report.progress import BuildDisplay
from mambaops.state.observe import source_folder
from mambaops.steps.context import Context
from mambaops.store.store import Store
from mambaops.wheels.keys import BuildKey


def act(context: Context, case: Case) -> None:
    """Build every package of the run that has to be built, side by side, and store the wheels.

    Raises:
        CommandFailed: a compilation failed. StepDidNotTake: the binaries hold other architectures.
    """
    packages = [name for name, _ in to_build(case) if name in context.packages]
    tools = _tools(context, case)
    link = _portable(context, case, tools)
    keys = {name: _key(case, name) for name in packages}
    recipes = [_recipe(context, case, tools, keys[name], name, link) for name in packages]
    jobs, why = _jobs(context, case)
    context.say(f"compiling {' and '.join(packages)} with {jobs} compilers at once ({why})")
    with BuildDisplay(context.say, [context.run.log(f"build-wheel:{n}") for n in packages]) as tell:
        finished = build(recipes, jobs=jobs, tick=tell)
    for one in finished:
        _keep(context, case, tools, keys[one.package], one, jobs)


def _key(case: Case, package: str) -> BuildKey:
    spec = dict(case.profile.packages.items())[package]
    return build_key(package, spec, case.profile, case.choice, case.flags)


def _tools(context: Context, case: Case) -> Tools:
    toolkit, refused = fitting_toolkit(case)
    if toolkit is None:
        raise MachineError("no nvcc fits: " + "; ".join(refused or ["none was found"]))
    compiler = host_compiler(case.facts, toolkit.gcc_max)
    if compiler is None:
        raise MachineError(f"no g++ that nvcc {toolkit.version} takes")
    return Tools(
        python=context.where.python,
        toolkit=toolkit,
        compiler=compiler,
        launcher=_launcher(context, case),
    )


def _launcher(context: Context, case: Case) -> str:
    """sccache where the machine has it (`MAMBAOPS_COMPILER_CACHE=0` leaves it out)."""
    if os.environ.get("MAMBAOPS_COMPILER_CACHE", "auto") in ("0", "off", ""):
        return ""
    tool = case.facts.tools.get("sccache")
    if tool is None:
        return ""
    context.say(f"compiler cache: {tool.path}")
    return tool.path


def _portable(context: Context, case: Case, tools: Tools) -> Path | None:
    if not case.profile.build.portable:
        return None
    folder = context.where.build / "portable"
    return portable_object(folder, tools.compiler.path, context.run.log("build-wheel"))


def _recipe(
    context: Context, case: Case, tools: Tools, key: BuildKey, package: str, link: Path | None
) -> Recipe:
    env = environment(os.environ, tools, key, extra=case.profile.build.env, link_object=link)
    folder = source_folder(case, context.where, package)
    return Recipe(
        package=package,
        tree=Path(case.situation.sources[package].path),
        out=folder / "wheel",
        log=context.run.log(f"build-wheel:{package}"),
        python=context.where.python,
        env=env,
        ninja=setup_options(case.profile, case.choice, case.flags).ninja,
    )


def _jobs(context: Context, case: Case) -> tuple[int, str]:
    wanted = context.jobs or case.profile.build.jobs or _max_jobs()
    host = case.facts.host
    return job_count(wanted, host.cores, host.memory_available, len(case.choice.archs))


def _max_jobs() -> int:
    text = os.environ.get("MAX_JOBS", "")
    return int(text) if text.isdigit() else 0


def _keep(
    context: Context, case: Case, tools: Tools, key: BuildKey, built: Built, jobs: int
) -> None:
    """Check what came out, write its manifest, and put both into the store."""
    wheel = with_local_version(built.wheel, key)
    found = extensions(wheel)
    check_architectures(built.package, found, case.choice.archs)
    manifest = _manifest(context, case, tools, key, replace(built, wheel=wheel), jobs)
    manifest["extensions"] = describe(found)
    stored = Store(say=context.say).add(wheel, key, manifest)
    context.run.write(f"manifest-{built.package}.json", manifest)
    context.say(
        f"{stored.name}: {stored.stat().st_size / 1e6:.1f} MB, in the store {stored.parent}"
    )


def _manifest(
    context: Context, case: Case, tools: Tools, key: BuildKey, built: Built, jobs: int
) -> dict[str, Any]:
    tree = case.situation.sources[built.package]
    target = case.target
    return {
        "mambaops": __version__,
        "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "package": built.package,
        "version": key.version,
        "wheel": built.wheel.name,
        "key": key,
        "source_sha256": tree.sha256,
        "patches": list(setup_options(case.profile, case.choice, case.flags).changes()),
        "diff": _diff(Path(tree.path)),
        "torch": target.torch.version if target and target.torch else None,
        "python": target.python.version if target else None,
        "nvcc": {"path": tools.toolkit.nvcc, "release": tools.toolkit.release},
        "compiler": {"path": tools.compiler.path, "version": tools.compiler.version},
        "architectures": list(case.choice.archs),
        "jobs": jobs,
        "seconds": round(built.seconds, 1),
        "seconds_per_file": {name: round(s, 1) for name, s in sorted(built.durations.items())},
        "flags": _flags(Path(tree.path)),
        "host": {
            "distribution": case.facts.host.distribution.name,
            "glibc": case.facts.host.glibc,
            "cores": case.facts.host.cores,
        },
    }


def _diff(tree: Path) -> str:
    from mambaops.patching.pristine import Pristine, unified_diff

    kept = Pristine(tree)
    return "".join(
        unified_diff(
            name,
            kept.original(name).decode("utf-8", "replace"),
            (tree / name).read_text(encoding="utf-8", errors="replace"),
        )
        for name in kept.records()
    )


def _flags(tree: Path) -> list[str]:
    """nvcc's flags as ninja was told, without the paths of this machine."""
    for file in sorted(tree.glob("build/temp*/**/build.ninja")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            # e.g. "cuda_post_cflags = -D__CUDA_NO_HALF_OPERATORS__ … -gencode arch=…"
            if line.startswith("cuda_post_cflags ="):
                return line.split("=", 1)[1].split()
    return []

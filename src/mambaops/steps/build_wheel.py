"""Compiling the wheels that are missing: all at once, watched, checked, put into the store."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mambaops import __version__
from mambaops.core.errors import MachineError
from mambaops.decide.case import Case
from mambaops.decide.packages import (
    compiles,
    has_prebuilt,
    is_installed,
    served,
    still_to_look,
    to_build,
)
from mambaops.decide.toolkit import (
    compiler_floor,
    cxx_standard,
    fitting_toolkit,
    gcc_limit,
    host_compiler,
)
from mambaops.decide.verdict import Verdict, done, needed
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.compile.builds import Built, Recipe
    from mambaops.compile.manifest import Manifest
    from mambaops.compile.wheel import Tools
    from mambaops.steps.context import Context
    from mambaops.wheels.inspect.extension import Extension
    from mambaops.wheels.keys import BuildKey


def assess(case: Case) -> Verdict:
    """There is a wheel of `case.package` for the wanted build, or none has to be made."""
    package = case.package
    if package in served(case):
        return done("not compiled: torch's NVRTC compiles its kernels (install-kernels)")
    if package in case.situation.wheels:
        return done(case.situation.wheels[package])
    installed = is_installed(case, package)
    if installed and not case.flags.wheel:
        return done(f"{case.wanted_version(package)} is installed")
    if has_prebuilt(case, package):
        return done(f"not compiled: {case.situation.prebuilt[package].name} fits")
    unless = " (unless a prebuilt wheel is found)" if still_to_look(case, package) else ""
    there = ": it is installed, and its wheel is not in the store any more" if installed else unless
    return needed(f"no wheel for {', '.join(case.choice.archs)} yet{there}")


def act(context: Context, case: Case) -> None:
    """Build every package of the run that has to be built, side by side, and store the wheels.

    Raises:
        CommandFailed: a compilation failed. StepDidNotTake: the binaries hold other architectures.
    """
    from mambaops.compile.builds import build
    from mambaops.compile.display import BuildDisplay

    packages = [name for name, _ in to_build(case)]
    tools = _tools(context, case)
    link = _portable(context, case, tools)
    keys = {name: case.key(name) for name in packages}
    recipes = [_recipe(context, case, tools, keys[name], name, link) for name in packages]
    jobs, why = _jobs(context, case, packages)
    context.say(f"compiling {' and '.join(packages)} with {jobs} compilers at once ({why})")
    with BuildDisplay(context.say, [context.run.log(f"{STEP.id}:{n}") for n in packages]) as tell:
        finished = build(recipes, jobs=jobs, tick=tell)
    for one in finished:
        _keep(context, case, tools, keys[one.package], one, jobs)


def _tools(context: Context, case: Case) -> Tools:
    from mambaops.compile.wheel import Tools

    toolkit, refused = fitting_toolkit(case)
    if toolkit is None:
        raise MachineError("no nvcc fits: " + "; ".join(refused or ["none was found"]))
    limit, _ = gcc_limit(toolkit)
    compiler = host_compiler(case.facts, limit, compiler_floor(cxx_standard(case)))
    if compiler is None:
        raise MachineError(f"no g++ that nvcc {toolkit.version} takes")
    return Tools(
        python=context.where.python,
        toolkit=toolkit,
        compiler=compiler,
        launcher=_launcher(context, case),
        headers=_headers(case),
    )


def _headers(case: Case) -> str:
    """The folder that `install-headers` filled: the only one inside of the environment."""
    found = case.target.python if case.target else None
    if found is None or found.kind != "venv" or found.headers is None:
        return ""
    return found.headers if found.headers.startswith(found.prefix + os.sep) else ""


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
    from mambaops.compile.portable import portable_object

    if not case.profile.build.portable:
        return None
    folder = context.where.build / "portable"
    return portable_object(folder, tools.compiler.path, context.run.log(STEP.id))


def _recipe(
    context: Context, case: Case, tools: Tools, key: BuildKey, package: str, link: Path | None
) -> Recipe:
    from mambaops.compile.builds import Recipe
    from mambaops.compile.wheel import environment
    from mambaops.state.observe import source_folder

    described, extra = case.described(package), case.profile.build.env
    env = environment(os.environ, tools, described, key, extra=extra, link_object=link)
    folder = source_folder(case, context.where, package)
    return Recipe(
        package=package,
        tree=Path(case.situation.sources[package].path),
        out=folder / "wheel",
        log=context.run.log(f"{STEP.id}:{package}"),
        python=context.where.python,
        env=env,
        ninja=case.setup_options(package).ninja,
    )


def _jobs(context: Context, case: Case, packages: list[str]) -> tuple[int, str]:
    from mambaops.compile.jobs import job_count

    wanted = context.jobs or case.profile.build.jobs or _max_jobs()
    host = case.facts.host
    each = max(case.described(name).build.memory_gib for name in packages)
    return job_count(wanted, host.cores, host.memory_available, each)


def _max_jobs() -> int:
    text = os.environ.get("MAX_JOBS", "")
    return int(text) if text.isdigit() else 0


def _keep(
    context: Context, case: Case, tools: Tools, key: BuildKey, built: Built, jobs: int
) -> None:
    """Check what came out, write its manifest, and put both into the store."""
    from mambaops.compile.wheel import check_architectures, extensions, with_local_version
    from mambaops.store.store import Store

    wheel = with_local_version(built.wheel, key)
    found = extensions(wheel)
    check_architectures(case.described(built.package), found, case.choice.archs)
    manifest = _manifest(case, tools, key, built._replace(wheel=wheel), jobs, found)
    stored = Store(say=context.say).add(wheel, key, msgspec.to_builtins(manifest))
    context.run.write(f"manifest-{built.package}.json", manifest)
    context.say(
        f"{stored.name}: {stored.stat().st_size / 1e6:.1f} MB, in the store {stored.parent}"
    )


def _manifest(
    case: Case,
    tools: Tools,
    key: BuildKey,
    built: Built,
    jobs: int,
    found: Mapping[str, Extension],
) -> Manifest:
    from mambaops.compile.manifest import (
        BuildHost,
        Manifest,
        Tool,
        compiler_flags,
        modules,
        source_diff,
    )

    source = case.situation.sources[built.package]
    target, host, tree = case.target, case.facts.host, Path(source.path)
    return Manifest(
        mambaops=__version__,
        built=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        package=built.package,
        version=key.version,
        wheel=built.wheel.name,
        key=key,
        source_sha256=source.sha256,
        patches=list(case.setup_options(built.package).changes()),
        diff=source_diff(tree),
        torch=target.torch.version if target and target.torch else None,
        python=target.python.version if target else None,
        nvcc=Tool(path=tools.toolkit.nvcc, version=tools.toolkit.release),
        compiler=Tool(path=tools.compiler.path, version=tools.compiler.version),
        architectures=list(case.choice.archs),
        jobs=jobs,
        seconds=round(built.seconds, 1),
        seconds_per_file={name: round(s, 1) for name, s in sorted(built.durations.items())},
        began_per_file={name: round(s, 1) for name, s in sorted(built.began.items())},
        flags=compiler_flags(tree),
        host=BuildHost(distribution=host.distribution.name, glibc=host.glibc, cores=host.cores),
        extensions=modules(found),
    )


def script(case: Case) -> list[str]:
    from mambaops.patching.archs import variables

    name, described = case.package, case.described(case.package)
    local = described.build.local_version
    switches = {
        **described.build.env,
        **variables(described.architectures, case.choice.archs),
        **({local: case.key(name).local_version()} if local else {}),
    }
    words = " ".join(f"{one}={shlex.quote(value)}" for one, value in switches.items())
    return [
        f'(cd {name}-src && PATH="$ENV/bin:$PATH" LC_ALL=C {words} \\'.replace("  ", " "),
        '  "$PY" setup.py bdist_wheel --dist-dir ../wheels)',
    ]


STEP = Step(
    id="build-wheel",
    help="Compile the wheels of the packages from patched sources.",
    assess=assess,
    act=act,
    script=script,
    stands_on=(
        "check-space",
        "install-headers",
        "install-toolkit",
        "patch-cpp-extension",
        "patch-setup",
    ),
    wanted=compiles,
    per_package=True,
)

"""Proof that an environment works: imports, places, generations, binaries, and results where a GPU is.

An import that succeeds is no proof of a kernel: on a GPU the kernels run against a reference in three
precisions, with gradients. What cannot be checked here is `skipped` with the reason; it is not a pass. Kernels
that NVRTC compiles are executed without a GPU where there is none: `emulated`, which is no pass for a GPU either.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mambaops.core import process
from mambaops.core.json_lines import json_lines
from mambaops.core.paths import payload_file
from mambaops.decide.case import Case
from mambaops.decide.packages import served
from mambaops.facts.model import Facts
from mambaops.facts.model import Package as Installed
from mambaops.install.c_compiler import tried
from mambaops.knowledge.cuda import cubin_runs_on, ptx_runs_on
from mambaops.knowledge.packages import Package, pairs
from mambaops.knowledge.releases import generation
from mambaops.verify.model import Check, Verification
from mambaops.verify.results import kernels, results, target_environment
from mambaops.wheels.inspect.elf import NotAnExtension, inspect_extension
from mambaops.wheels.inspect.extension import Extension, version_key

IMPORT_SECONDS = 300.0


def verify(case: Case, python: Path, log: Path | None = None) -> Verification:
    """Every check that this machine allows, on the environment of `python`.

    Args:
        case: what the environment should be, and its facts (`case.target`).
        log: takes the output of the checks that run in the target interpreter.
    """
    assert case.target is not None
    packages = [case.described(name) for name in case.packages if _should_work(case, name)]
    names = [package.name for package in packages]
    checks = [*_imports(case, python, packages, log), *_places(case.target, names)]
    checks += [_generation(case.target, pair) for pair in pairs() if set(pair) <= set(names)]
    without_nvcc = served(case)
    checks += _binaries(case, [one for one in packages if one.name not in without_nvcc])
    if without_nvcc:
        checks += kernels(case, python, log)
    checks += results(case, python, packages, log)
    gpu_needed = bool(case.facts.gpus) and bool(packages)
    skips = [one.id for one in checks if one.outcome == "skipped" and gpu_needed]
    checks += _for_triton(case, python, log)  # other kernels than those that are proven here
    return Verification(checks=checks, required_skips=skips)


def _for_triton(case: Case, python: Path, log: Path | None) -> Iterator[Check]:
    """Triton compiles C when its first kernel is called; what is missing for that is better known before."""
    assert case.target is not None
    if not case.choice.kernels or "triton" not in case.target.packages:
        return
    found = tried(python, [], log, target_environment())
    if not found["reason"]:
        yield Check(id="c-compiler", outcome="ok", value=found["value"])
        return
    needed = "Triton's kernels (layer norm, Mamba-2, decoding) need a C compiler and Python.h"
    reason = f"{found['reason']}; {needed}: `mambaops install-cc`"
    yield Check(id="c-compiler", outcome="skipped", reason=reason)


def _should_work(case: Case, package: str) -> bool:
    """What the environment was made for, and what is there with compiled modules, whoever put it there."""
    found = case.target.packages.get(package) if case.target else None
    return case.choice.kernels or (found is not None and bool(found.extensions))


def _imports(
    case: Case, python: Path, packages: list[Package], log: Path | None
) -> Iterator[Check]:
    modules = ["torch", *(module for package in packages for module in package.modules.imports)]
    script = payload_file("smoke.py")
    done = process.run(
        [python, script, *modules],
        cwd=Path(script.anchor),  # a checkout in the working folder must not shadow the package
        env=target_environment(),
        timeout=IMPORT_SECONDS,
        check=False,
        log=log,
    )
    found = {one["module"]: one for one in json_lines(done.stdout) if "module" in one}
    for module in modules:
        yield _import_check(case, module, found.get(module), done)


def _import_check(
    case: Case, module: str, found: dict[str, Any] | None, done: process.Completed
) -> Check:
    if found is None:
        how = "time ran out" if done.timed_out else f"the interpreter ended with {done.returncode}"
        return Check(id=f"import:{module}", outcome="failed", reason=f"{how} during the import")
    if found.get("standin"):
        reason = "mambaops' pure PyTorch stand-in, not the compiled kernels"
        outcome = "failed" if case.choice.kernels else "skipped"
        return Check(id=f"import:{module}", outcome=outcome, reason=reason, value=found["file"])
    value = {key: found[key] for key in ("version", "file", "seconds") if found.get(key)} or None
    return Check(
        id=f"import:{module}", outcome=found["outcome"], reason=found["reason"], value=value
    )


def _places(target: Facts, packages: list[str]) -> Iterator[Check]:
    """Each package lies inside the environment, not in a user's folder beside it."""
    inside = Path(target.python.prefix).resolve()
    for name in packages:
        package = target.packages.get(name)
        if package is None:
            yield Check(id=f"place:{name}", outcome="failed", reason="it is not installed")
            continue
        good = inside in Path(package.path).resolve().parents
        reason = "" if good else f"it lies outside the environment {inside}"
        if package.shadowed_by:
            good, reason = False, f"`import` takes {package.shadowed_by} instead"
        outcome = "ok" if good else "failed"
        yield Check(id=f"place:{name}", outcome=outcome, reason=reason, value=package.path)


def _generation(target: Facts, pair: tuple[str, str]) -> Check:
    """Both packages of a pair call each other with the arguments that the other takes."""
    first, second = (target.packages.get(name) for name in pair)
    if first is None or second is None:
        return Check(id="generation", outcome="skipped", reason="only one of them is installed")
    letters = (generation(pair[0], first.version), generation(pair[1], second.version))
    fits = letters[0] is not None and letters[0] == letters[1]
    told = f"{letters[0]}/{letters[1]}"
    reason = f"{pair[0]} {first.version} calls {pair[1]} in another way ({told})"
    return Check(
        id="generation",
        outcome="ok" if fits else "failed",
        reason="" if fits else reason,
        value=told,
    )


def _binaries(case: Case, packages: list[Package]) -> Iterator[Check]:
    assert case.target is not None
    for package in packages:
        installed = case.target.packages.get(package.name)
        files = _extension_files(installed) if installed else []
        names = {path.name.split(".")[0] for path in files}
        kernels = [one.rpartition("/")[2] for one in package.modules.kernels]
        if missing := [one for one in kernels if one not in names]:
            reason = f"no compiled module is there: {', '.join(missing)}"
            yield Check(id=f"binary:{package.name}", outcome="failed", reason=reason)
        for path in files:
            yield from _binary(case, path, has_kernels=path.name.split(".")[0] in kernels)


def _extension_files(package: Installed) -> list[Path]:
    base = Path(package.path)
    return [Path(one) if Path(one).is_absolute() else base / one for one in package.extensions]


def _binary(case: Case, path: Path, *, has_kernels: bool) -> Iterator[Check]:
    module = path.name.split(".")[0]
    try:
        found = inspect_extension(path)
    except NotAnExtension as error:
        yield Check(id=f"architectures:{module}", outcome="failed", reason=error.message)
        return
    if has_kernels:
        yield _architectures(case, module, found)
    yield _glibc(case, module, found)


def _architectures(case: Case, module: str, found: Extension) -> Check:
    identity = f"architectures:{module}"
    value = {"cubins": list(found.cubins), "ptx": list(found.ptx)}
    for gpu in case.facts.gpus if not case.flags.cross else []:
        if gpu.compute_capability and not runs_on(found, gpu.compute_capability):
            reason = f"no code for {gpu.name} ({gpu.compute_capability})"
            return Check(id=identity, outcome="failed", reason=reason, value=value)
    lacking = [arch for arch in case.choice.archs if not _holds(found, arch)]
    reason = f"{', '.join(lacking)} asked for and not inside" if lacking else ""
    return Check(id=identity, outcome="failed" if lacking else "ok", reason=reason, value=value)


def _holds(found: Extension, arch: str) -> bool:
    base = arch.removesuffix("+PTX")
    if arch.endswith("+PTX") and base not in found.ptx:
        return False
    if base in found.cubins or base.endswith(("a", "f")):
        return base in found.cubins  # "9.0a" names one architecture, not a GPU
    return any(cubin_runs_on(cubin, base) for cubin in found.cubins)


def runs_on(found: Extension, capability: str) -> bool:
    """Does a binary hold machine code, or PTX that the driver can compile, for a GPU?"""
    return any(cubin_runs_on(cubin, capability) for cubin in found.cubins) or any(
        ptx_runs_on(ptx, capability) for ptx in found.ptx
    )


def _glibc(case: Case, module: str, found: Extension) -> Check:
    identity, here = f"glibc:{module}", case.facts.host.glibc
    value = {"glibc": found.glibc, "glibcxx": found.glibcxx}
    if here is None:
        return Check(id=identity, outcome="skipped", reason="not known here", value=value)
    # one that asks for no version loads on every glibc
    good = found.glibc is None or version_key(found.glibc) <= version_key(here)
    reason = (
        "" if good else f"needs GLIBC_{found.glibc}, here is {here}: `mambaops --help repair-wheel`"
    )
    return Check(id=identity, outcome="ok" if good else "failed", reason=reason, value=value)


def report(result: Verification) -> list[str]:
    """One line per check, and the count; a skip is not counted as a pass."""
    lines = [
        f"  {check.outcome:8}{check.id}" + (f": {check.reason}" if check.reason else "")
        for check in result.checks
    ]
    count = {
        outcome: sum(check.outcome == outcome for check in result.checks)
        for outcome in ("ok", "failed", "skipped", "emulated")
    }
    told = f"{count['ok']} passed, {count['failed']} failed, {count['skipped']} skipped"
    # right numbers, but of no GPU: they are no passes
    emulated = f", {count['emulated']} emulated (no pass for a GPU)" if count["emulated"] else ""
    lines.append(told + emulated)
    return lines

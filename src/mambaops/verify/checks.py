"""Proof that an environment works: imports, places, generations, binaries, and results where a GPU is.

An import that succeeds is no proof of a kernel: on a GPU the kernels run against a reference in three
precisions, with gradients. What cannot be checked here is `skipped` with the reason; it is not a pass.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from mambaops.core import process
from mambaops.core.paths import payload_file
from mambaops.decide.case import Case
from mambaops.facts.model import Facts, Package
from mambaops.knowledge.cuda import cubin_runs_on, ptx_runs_on
from mambaops.knowledge.releases import generation, same_generation
from mambaops.wheels.inspect.elf import Extension, NotAnExtension, inspect_extension, version_key

MODULES = {
    "causal-conv1d": ("causal_conv1d_cuda", "causal_conv1d"),
    "mamba-ssm": ("selective_scan_cuda", "mamba_ssm"),
    # VMamba: its setup.py builds this one of the three modes
    "selective-scan": ("selective_scan_cuda_oflex",),
}
IMPORT_SECONDS = 300.0
NUMERICS_SECONDS = 900.0


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `outcome` is ok, failed or skipped."""

    id: str
    outcome: str
    reason: str = ""
    value: Any = None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one environment. `required_skips` are skips that a whole proof may not have."""

    checks: list[Check]
    required_skips: list[str] = []

    @property
    def passed(self) -> bool:
        failed = any(check.outcome == "failed" for check in self.checks)
        return not failed and not self.required_skips


def verify(case: Case, python: Path, log: Path | None = None) -> Verification:
    """Every check that this machine allows, on the environment of `python`.

    Args:
        case: what the environment should be, and its facts (`case.target`).
        log: takes the output of the checks that run in the target interpreter.
    """
    assert case.target is not None
    packages = [name for name, _ in case.profile.packages.items()] if case.choice.kernels else []
    checks = [*_imports(python, packages, log), *_places(case.target, packages)]
    if {"causal-conv1d", "mamba-ssm"} <= set(packages):
        checks.append(_generation(case.target))
    checks += _binaries(case, packages)
    checks += _results(case, python, packages, log)
    gpu_needed = bool(case.facts.gpus) and bool(packages)
    skips = [one.id for one in checks if one.outcome == "skipped" and gpu_needed]
    return Verification(checks=checks, required_skips=skips)


def _environment() -> dict[str, str]:
    env = {**os.environ, "LC_ALL": "C.UTF-8", "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1"}
    env.pop("PYTHONPATH", None)
    return env


def _imports(python: Path, packages: list[str], log: Path | None) -> Iterator[Check]:
    modules = ["torch", *(module for name in packages for module in MODULES[name])]
    script = payload_file("smoke.py")
    done = process.run(
        [python, script, *modules],
        cwd=Path(script.anchor),  # a checkout in the working folder must not shadow the package
        env=_environment(),
        timeout=IMPORT_SECONDS,
        check=False,
        log=log,
    )
    found = {one["module"]: one for one in _json_lines(done.stdout) if "module" in one}
    for module in modules:
        yield _import_check(module, found.get(module), done)


def _import_check(module: str, found: dict[str, Any] | None, done: process.Completed) -> Check:
    if found is None:
        how = "time ran out" if done.timed_out else f"the interpreter ended with {done.returncode}"
        return Check(id=f"import:{module}", outcome="failed", reason=f"{how} during the import")
    if found.get("standin"):
        reason = "mambaops' pure PyTorch stand-in, not the compiled kernels"
        return Check(id=f"import:{module}", outcome="skipped", reason=reason, value=found["file"])
    value = {key: found[key] for key in ("version", "file", "seconds") if found.get(key)} or None
    return Check(
        id=f"import:{module}", outcome=found["outcome"], reason=found["reason"], value=value
    )


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue  # what a package prints while it is imported
        if isinstance(value, dict):
            yield value


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


def _generation(target: Facts) -> Check:
    conv, mamba = (target.packages.get(name) for name in ("causal-conv1d", "mamba-ssm"))
    if conv is None or mamba is None:
        return Check(id="generation", outcome="skipped", reason="only one of them is installed")
    fits = same_generation(mamba.version, conv.version)
    letters = (
        f"{generation('mamba-ssm', mamba.version)}/{generation('causal-conv1d', conv.version)}"
    )
    reason = (
        "" if fits else f"mamba-ssm {mamba.version} calls causal-conv1d in another way ({letters})"
    )
    return Check(id="generation", outcome="ok" if fits else "failed", reason=reason, value=letters)


def _binaries(case: Case, packages: list[str]) -> Iterator[Check]:
    assert case.target is not None
    for name in packages:
        package = case.target.packages.get(name)
        files = _extension_files(package) if package else []
        if not files:
            yield Check(id=f"binary:{name}", outcome="failed", reason="no compiled module is there")
        for path in files:
            yield from _binary(case, path)


def _extension_files(package: Package) -> list[Path]:
    base = Path(package.path)
    return [Path(one) if Path(one).is_absolute() else base / one for one in package.extensions]


def _binary(case: Case, path: Path) -> Iterator[Check]:
    module = path.name.split(".")[0]
    try:
        found = inspect_extension(path)
    except NotAnExtension as error:
        yield Check(id=f"architectures:{module}", outcome="failed", reason=error.message)
        return
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
    return any(cubin_runs_on(cubin, base) for cubin in found.cubins) or base in found.cubins


def runs_on(found: Extension, capability: str) -> bool:
    """Does a binary hold machine code, or PTX that the driver can compile, for a GPU?"""
    return any(cubin_runs_on(cubin, capability) for cubin in found.cubins) or any(
        ptx_runs_on(ptx, capability) for ptx in found.ptx
    )


def _glibc(case: Case, module: str, found: Extension) -> Check:
    identity, here = f"glibc:{module}", case.facts.host.glibc
    value = {"glibc": found.glibc, "glibcxx": found.glibcxx}
    if found.glibc is None or here is None:
        return Check(id=identity, outcome="skipped", reason="not known here", value=value)
    good = version_key(found.glibc) <= version_key(here)
    reason = "" if good else f"needs GLIBC_{found.glibc}, here is {here}: `mambaops repair-wheel`"
    return Check(id=identity, outcome="ok" if good else "failed", reason=reason, value=value)


def _results(case: Case, python: Path, packages: list[str], log: Path | None) -> Iterator[Check]:
    if not packages:
        yield from _scan_smoke(python, log)
        return
    if not case.facts.gpus:
        reason = "no GPU here: the kernels were compiled and imported, and not run"
        yield Check(id="results", outcome="skipped", reason=reason)
        return
    done = process.run(
        [python, payload_file("numerics.py")],
        cwd=Path(python.anchor),
        env=_environment(),
        timeout=NUMERICS_SECONDS,
        check=False,
        log=log,
    )
    found = [msgspec.convert(one, type=Check) for one in _json_lines(done.stdout) if "id" in one]
    yield from found
    if not done.ok or not found:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        how = (
            "time ran out: a kernel hangs" if done.timed_out else f"exit {done.returncode}: {last}"
        )
        yield Check(id="results", outcome="failed", reason=how)


def _scan_smoke(python: Path, log: Path | None) -> Iterator[Check]:
    """Without kernels: our own scan, forward and backward, in the target's torch."""
    code = (
        "import torch; from mambaops.payload.scan import selective_scan as s; torch.manual_seed(0); "
        "u, d = torch.randn(2, 8, 65, requires_grad=True), torch.rand(2, 8, 65); "
        "a, b = -torch.rand(8, 4), torch.randn(2, 4, 65); y = s(u, d, a, b, b); "
        "y.square().sum().backward(); assert y.isfinite().all() and u.grad.isfinite().all(); "
        "print(tuple(y.shape))"
    )
    env = {**_environment(), "PYTHONPATH": str(payload_file().parent.parent)}
    done = process.run([python, "-c", code], env=env, timeout=120, check=False, log=log)
    last = (done.stderr.strip() or "no output").splitlines()[-1]
    outcome, reason = ("ok", "") if done.ok else ("failed", last)
    yield Check(
        id="scan-without-kernels", outcome=outcome, reason=reason, value=done.stdout.strip() or None
    )


def report(result: Verification) -> list[str]:
    """One line per check, and the count; a skip is not counted as a pass."""
    lines = [
        f"  {check.outcome:8}{check.id}" + (f": {check.reason}" if check.reason else "")
        for check in result.checks
    ]
    count = {
        outcome: sum(check.outcome == outcome for check in result.checks)
        for outcome in ("ok", "failed", "skipped")
    }
    lines.append(f"{count['ok']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return lines

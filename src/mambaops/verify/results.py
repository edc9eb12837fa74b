"""Results of the kernels against references, in the target environment's interpreter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from mambaops.core import process
from mambaops.core.json_lines import json_lines
from mambaops.core.paths import PACKAGE, payload_file
from mambaops.decide.case import Case
from mambaops.decide.packages import served
from mambaops.decide.runtime import packed
from mambaops.knowledge.packages import Package
from mambaops.verify.model import Check

NUMERICS_SECONDS = 900.0


def target_environment() -> dict[str, str]:
    """Our environment without what would let the interpreter find packages elsewhere."""
    env = {**os.environ, "LC_ALL": "C.UTF-8", "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1"}
    env.pop("PYTHONPATH", None)
    return env


def kernels(case: Case, python: Path, log: Path | None) -> Iterator[Check]:
    """The kernels that are compiled on first use: whose modules they are, the pack, and whether they compile."""
    words: list[str | Path] = [python, payload_file("kernels_check.py")]
    words += [word for arch in packed(case) for word in ("--packed", arch)]
    gpus = {gpu.compute_capability for gpu in case.facts.gpus if gpu.compute_capability}
    words += [word for capability in sorted(gpus) for word in ("--gpu", capability)]
    yield from _run("kernels", [*words, "--cuda", case.choice.torch_cuda or ""], log)


def results(case: Case, python: Path, packages: list[Package], log: Path | None) -> Iterator[Check]:
    """Each package's check, once per script, on every device that is here and that it can run on."""
    if not packages:
        yield from _scan_smoke(python, log)
        return
    devices = ["cpu", "cuda"] if case.facts.gpus else ["cpu"]
    for package in packages:
        if package.check.code:
            for device in [one for one in devices if one in package.check.devices]:
                runner = payload_file("package_check.py")
                argv: list[str | Path] = [python, runner, package.name, device]
                yield from _run(f"results:{package.name}", argv, log, package.check.code)
    if not case.facts.gpus:
        yield from _emulated(case, python, log)
        reason = "no GPU here: the kernels were not run"
        yield Check(id="results", outcome="skipped", reason=reason)
        return
    scripts = dict.fromkeys(one.check.script for one in packages if one.check.script)
    for script in scripts:
        yield from _run("results", [python, payload_file(script)], log)
    for package in packages:
        if not (package.check.script or package.check.code):
            reason = "its package file has no check of results"
            yield Check(id=f"results:{package.name}", outcome="skipped", reason=reason)


def _emulated(case: Case, python: Path, log: Path | None) -> Iterator[Check]:
    """Kernels that NVRTC compiles, executed as PTX: a look before the GPU is at hand, and no pass for it."""
    if not served(case) or not case.choice.archs:
        return
    words = ["--emulator", str(PACKAGE / "emulator"), "--arch", case.choice.archs[0]]
    yield from _run("emulated", [python, payload_file("kernels_emulated.py"), *words], log)


def _run(
    identity: str, argv: list[str | Path], log: Path | None, stdin: str | None = None
) -> Iterator[Check]:
    done = process.run(
        argv,
        cwd=Path(Path(argv[0]).anchor),
        env=target_environment(),
        timeout=NUMERICS_SECONDS,
        stdin=stdin,
        check=False,
        log=log,
    )
    found = [msgspec.convert(one, type=Check) for one in json_lines(done.stdout) if "id" in one]
    yield from found
    if not done.ok or not found:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        how = (
            "time ran out: a kernel hangs" if done.timed_out else f"exit {done.returncode}: {last}"
        )
        yield Check(id=identity, outcome="failed", reason=how)


def _scan_smoke(python: Path, log: Path | None) -> Iterator[Check]:
    """Without kernels: our own scan, forward and backward, in the target's torch."""
    code = (
        "import torch; from mambaops.payload.scan import selective_scan as s; torch.manual_seed(0); "
        "u, d = torch.randn(2, 8, 65, requires_grad=True), torch.rand(2, 8, 65); "
        "a, b = -torch.rand(8, 4), torch.randn(2, 4, 65); y = s(u, d, a, b, b); "
        "y.square().sum().backward(); assert y.isfinite().all() and u.grad.isfinite().all(); "
        "print(tuple(y.shape))"
    )
    env = {**target_environment(), "PYTHONPATH": str(payload_file().parent.parent)}
    done = process.run([python, "-c", code], env=env, timeout=120, check=False, log=log)
    last = (done.stderr.strip() or "no output").splitlines()[-1]
    outcome, reason = ("ok", "") if done.ok else ("failed", last)
    yield Check(
        id="scan-without-kernels", outcome=outcome, reason=reason, value=done.stdout.strip() or None
    )

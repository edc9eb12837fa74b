"""Stand-ins for kernels that were not compiled."""

from __future__ import annotations

from mambaops.cli.task import Context, emit, say, task


@task(
    name="install-fallback",
    group="system",
    examples=(
        "mambaops install-fallback",
        "mambaops install-fallback --remove",
    ),
    help={
        "python": "python of the environment (default: the active virtual environment's)",
        "system": "it may also be the system's own Python, or conda's base",
        "remove": "take the stand-ins out again",
        "json": "print what was done as JSON",
    },
)
def install_fallback(
    c: Context,
    python: str = "",
    system: bool = False,
    remove: bool = False,
    json: bool = False,
) -> None:
    """Make mamba_ssm run without compiled kernels: importable and trainable.

    Puts `selective_scan_cuda` and `causal_conv1d_cuda`, written in plain PyTorch and marked as
    stand-ins, into the target environment: unmodified mamba_ssm then runs on the CPU and on any GPU.
    Refused where the real modules are, working or broken. `pip uninstall mambaops-fallback` or
    --remove takes them out.
    """
    from mambaops.core import interpreters
    from mambaops.fallback import install as fallback

    target = interpreters.to_install_into(python, system=system or remove)
    outcome = fallback.remove(target) if remove else fallback.install(target)
    for note in outcome.notes:
        say(f"note: {note}")
    emit(outcome, as_json=json, text=lambda o: f"{o.action} in {o.python}: {len(o.files)} files")

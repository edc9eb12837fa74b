"""`mambaops completion`: the shells' own completion of commands, flags, profiles and packages."""

from __future__ import annotations

from mambaops.cli.task import Context, emit, task


@task(
    name="completion",
    group="develop",
    operand="shell",
    examples=(
        'eval "$(mambaops completion bash)"',
        "mambaops completion fish > ~/.config/fish/completions/mambaops.fish",
    ),
    help={"shell": "bash, zsh or fish (default: yours)"},
)
def completion(c: Context, shell: str = "", json: bool = False) -> None:
    """Print what completes mambaops in your shell: commands, flags, profiles and packages."""
    import os

    from mambaops.cli.completion import SCRIPTS
    from mambaops.cli.near import nearest
    from mambaops.core.errors import UsageError
    from mambaops.system.shell_env import shell_of

    kind = shell or shell_of(os.environ)
    if kind not in SCRIPTS:
        near = nearest(kind, SCRIPTS)
        raise UsageError(
            f"there is no completion for `{kind}`; there is for: {', '.join(SCRIPTS)}",
            hint=f"did you mean `{near}`?" if near else "",
        )
    found = {"shell": kind, "script": SCRIPTS[kind]}
    emit(found, as_json=json, text=lambda one: one["script"].rstrip("\n"))

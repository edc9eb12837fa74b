"""`bootstrap`: a developer's own set-up."""

from __future__ import annotations

from invoke import Context

from mambaops.cli.task import say, task


@task(name="bootstrap")
def bootstrap(c: Context) -> None:
    """Set up a developer's checkout: environment, tools, git hook; safe to repeat."""
    from mambaops.develop import bootstrap as set_up

    set_up(say)

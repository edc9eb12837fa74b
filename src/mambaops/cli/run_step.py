"""Doing, or taking back, some steps of what was asked for."""

from __future__ import annotations

from mambaops.cli.request import Request
from mambaops.cli.task import say


def run_steps(request: Request, *only: str) -> None:
    """The named steps, or all. Errors as in `run.drive.drive`."""
    from mambaops.cli.flags import flags_of
    from mambaops.run.drive import drive

    drive(request.profile, flags_of(request), jobs=request.jobs, only=only, say=say)


def undo_step(request: Request, step: str) -> None:
    """Take back what one step did. Errors as in `run.drive.undo`."""
    from mambaops.cli.flags import flags_of
    from mambaops.run.drive import undo

    undo(request.profile, flags_of(request), step, say=say)

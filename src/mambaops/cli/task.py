"""What every command of `cli/tasks` shares: how it is declared, and how it prints.

A command is a few lines: it calls the package and hands the result to `emit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mambaops.cli.command import Command, Context, options_of, parameters
from mambaops.cli.output import emit, put, say, say_error, to_json, to_python

__all__ = ["Command", "Context", "emit", "put", "say", "say_error", "task", "to_json", "to_python"]


def task(
    *,
    name: str = "",
    help: Mapping[str, str] | None = None,
    iterable: Sequence[str] = (),
    positional: Sequence[str] = (),
    given: Mapping[str, Any] | None = None,
    needs: Mapping[str, str | tuple[str, ...]] | None = None,
    **more: Any,
) -> Callable[[Callable[..., int | None]], Command]:
    """Makes a function a command. Its parameters after the first (the context) become flags.

    The function may return an int: it becomes the exit status (None and 0 are success).

    Args:
        name: default: the function's, with dashes.
        help: parameter -> its text.
        iterable: parameters that may be given several times.
        given: the parameters with their defaults, where they are not the function's own.
        needs: parameter -> those of which one must be given with it, or it would do nothing.
        more: fields of `Command`.
    """

    def decorate(body: Callable[..., int | None]) -> Command:
        defaults = parameters(body) if given is None else given
        return Command(
            name=name or body.__name__.replace("_", "-"),
            body=body,
            options=options_of(defaults, help or {}, tuple(iterable)),
            doc=more.pop("doc", "") or body.__doc__ or "",
            needs={one: _several(others) for one, others in (needs or {}).items()},
            module=more.pop("module", "") or body.__module__,
            positional=tuple(positional),
            **more,
        )

    return decorate


def _several(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names

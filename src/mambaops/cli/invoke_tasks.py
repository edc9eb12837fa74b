"""The same commands for `invoke`: each as one of its tasks, with what its parser can say."""

from __future__ import annotations

import inspect
from typing import Any

from invoke import Collection, Exit
from invoke.tasks import Task

from mambaops.cli import output
from mambaops.cli.carry_out import carry_out
from mambaops.cli.command import LETTERS, REQUIRED, Command
from mambaops.cli.faults import guarded
from mambaops.core.errors import MambaopsError


def collection() -> Collection:
    """Every command, flat, by its dashed name."""
    from mambaops.cli.find import every_command

    namespace = Collection()
    for one in every_command():
        namespace.add_task(as_task(one))
    return namespace


class _Lettered(Task[Any]):
    """A task whose short letters are ours: Invoke hands out those that are left, another meaning each time."""

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        options: dict[str, Any] = super().arg_opts(name, default, taken_names)
        if letter := LETTERS.get(name.replace("_", "-")):
            options["names"] = (*options["names"], letter)
        if options.get("kind") is int:
            options["kind"] = _Whole
        return options


class _Whole(int):
    """A whole number; Invoke itself ends in a traceback where none stands."""

    def __new__(cls, given: object = 0) -> _Whole:
        try:
            return super().__new__(cls, given)  # type: ignore[call-overload, no-any-return]
        except ValueError:
            raise Exit(f"error: `{given}` stands where a whole number is wanted", code=2) from None


def as_task(command: Command) -> Task[Any]:
    """A command as a task."""
    lists = [one.key for one in command.options if one.kind is list]
    return _Lettered(
        _body(command),
        name=command.name,
        aliases=command.aliases,
        positional=list(command.positional) or None,
        optional=command.optional,
        iterable=lists,
        help={one.key: one.help for one in command.options if one.help},
        auto_shortflags=False,
    )


def _body(command: Command) -> Any:
    def run(c: Any, **values: Any) -> None:
        output.begin(command.name, json=bool(values.get("json")))
        status = guarded(lambda: _status(command, c, values))
        if status:
            raise Exit(code=status)

    run.__doc__ = command.doc
    run.__name__ = command.name.replace("-", "_")
    run.__module__ = command.module
    run.__signature__ = _signature(command)  # type: ignore[attr-defined]
    return run


def _status(command: Command, c: Any, values: dict[str, Any]) -> int:
    try:
        return carry_out(command, c, values, dry=bool(c.config.run.dry))
    except MambaopsError as error:
        output.say_error(error)
        return error.exit_code


def _signature(command: Command) -> inspect.Signature:
    """Invoke reads a task's options from its signature; the context comes first."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    found = [inspect.Parameter("c", kind)]
    for one in command.options:
        default = inspect.Parameter.empty if one.default is REQUIRED else one.default
        found.append(inspect.Parameter(one.key, kind, default=default))
    return inspect.Signature(found)

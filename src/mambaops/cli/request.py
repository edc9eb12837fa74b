"""What a person asks of a pipeline, as a record: one table of options for every task that plans or runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import msgspec
from invoke import Context
from invoke.tasks import Task

from mambaops.cli.task import task

HELP = {
    "profile": "profile by name, or the path of a YAML file",
    "arch": 'GPU architectures, "9.0" or "8.0;9.0;12.0+PTX"; default: this machine\'s GPU',
    "torch": "torch release instead of the profile's",
    "python": "Python version of the environment instead of the profile's",
    "source": "PACKAGE=PATH of a checkout or archive to build instead of the published source",
    "add": "package beside the profile's: a name, or a package file (./mine.toml)",
    "cross": "build for another machine than this one",
    "sudo": "allow commands that change the system, as root or through sudo",
    "jobs": "compilers at once; 0: by cores and memory",
    "obtain": "strategies to get the packages, in order, e.g. source or store,source",
}

REPEATABLE = ("source", "add")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The flags that every planning task takes; `HELP` says what they mean."""

    profile: str = "local"
    arch: str = ""
    torch: str = ""
    python: str = ""
    source: list[str] = []
    add: list[str] = []
    cross: bool = False
    sudo: bool = False
    jobs: int = 0
    obtain: str = ""


def planning_task(
    name: str, *, doc: str = "", **more: str
) -> Callable[[Callable[..., int | None]], Task[Any]]:
    """A task whose body takes a `Request` and, by keyword, the options of its own.

    Args:
        doc: the help text; default: the body's own.
        more: help texts of the body's own options.
    """

    def decorate(body: Callable[..., int | None]) -> Task[Any]:
        @functools.wraps(body)
        def run(c: Context, **values: Any) -> int | None:
            common = {key: values.pop(key) for key in HELP}
            lists = {key: common[key] or [] for key in REPEATABLE}
            return body(Request(**{**common, **lists}), **values)

        run.__doc__ = doc or body.__doc__
        run.__name__ = name.replace("-", "_")
        run.__module__ = body.__module__
        run.__signature__ = _signature(body)  # type: ignore[attr-defined]
        # Invoke would hand out the letters that are left, another meaning for each task
        options = {"iterable": list(REPEATABLE), "auto_shortflags": False}
        made: Task[Any] = task(name=name, help=HELP | more, **options)(run)
        return made

    return decorate


def _signature(body: Callable[..., Any]) -> inspect.Signature:
    """Invoke reads a task's options from its signature: the common ones, then the body's own."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    found = [inspect.Parameter("c", kind)]
    found += [inspect.Parameter(key, kind, default=_default(key)) for key in HELP]
    own = [one for one in inspect.signature(body).parameters.values() if one.name != "request"]
    return inspect.Signature([*found, *(one.replace(kind=kind) for one in own)])


def _default(key: str) -> Any:
    """Invoke takes an option's type from its default; that of a repeatable one is None."""
    default = getattr(Request(), key)
    return None if isinstance(default, list) else default

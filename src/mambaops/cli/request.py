"""What a person asks of a pipeline, as a record: one table of options for every task that plans or runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mambaops.cli.command import parameters
from mambaops.cli.task import Command, Context, task

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
    name: str,
    *,
    group: str,
    examples: tuple[str, ...],
    doc: str = "",
    operand: str = "profile",
    needs: Mapping[str, str | tuple[str, ...]] | None = None,
    excludes: tuple[tuple[str, ...], ...] = (),
    help: Mapping[str, str] | None = None,
    shows: Callable[[Request], None] | None = None,
) -> Callable[[Callable[..., int | None]], Command]:
    """A command whose body takes a `Request` and, by keyword, the options of its own.

    Args:
        group, examples, operand, needs, excludes: as in `task`.
        doc: the help text; default: the body's own.
        help: texts of the body's own options.
        shows: does instead what `--dry` asks for, changing nothing; None: that is refused.
    """

    def shown(values: Mapping[str, Any]) -> None:
        assert shows is not None
        shows(_request(values))

    def decorate(body: Callable[..., int | None]) -> Command:
        def run(c: Context, **values: Any) -> int | None:
            own = {key: value for key, value in values.items() if key not in HELP}
            return body(_request(values), **own)

        declared = task(
            name=name,
            group=group,
            examples=examples,
            operand=operand,
            doc=doc or body.__doc__ or "",
            module=body.__module__,
            help={**HELP, **(help or {})},
            iterable=REPEATABLE,
            given={key: getattr(Request(), key) for key in HELP} | parameters(body),
            needs=needs,
            excludes=excludes,
            shows=shown if shows is not None else None,
        )
        return declared(run)

    return decorate


def _request(values: Mapping[str, Any]) -> Request:
    """The common ones among a command's values."""
    common = {key: values[key] for key in HELP}
    return Request(**{**common, **{key: common[key] or [] for key in REPEATABLE}})

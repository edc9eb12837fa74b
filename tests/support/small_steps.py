"""Tiny steps that really do something (touch a file), for tests of what runs steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mambaops.decide.case import Case
from mambaops.decide.verdict import Verdict, blocked, done, needed
from mambaops.steps.context import Context
from mambaops.steps.step import Step

Act = Callable[[Context, Case], None]


class Workshop:
    """Steps that are done when a file of their name lies in a folder; `acted` is what has acted, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acted: list[str] = []
        self.packages: tuple[str, ...] = ()
        folder.mkdir(parents=True)

    def is_done(self, name: str) -> bool:
        return (self.folder / name).exists()

    def finish(self, name: str) -> None:
        (self.folder / name).touch()

    def touch(self, name: str, act: Act | None = None, **more: Any) -> Step:
        """A step that makes its file, after whatever `act` does."""

        def assess(case: Case) -> Verdict:
            file = name + (f"-{case.package}" if case.package else "")
            return done(f"{file} is there") if self.is_done(file) else needed(f"{file} is missing")

        def make(context: Context, case: Case) -> None:
            self.acted.append(name)
            self.packages = tuple(filter(case.concerns, case.packages))
            if act is not None:
                act(context, case)
            for package in self.packages if more.get("per_package") else ():
                self.finish(f"{name}-{package}")
            self.finish(name)

        return Step(id=name, help=name, assess=assess, act=make, **more)

    def without_effect(self, name: str, hint: str = "", **more: Any) -> Step:
        """A step that ends well and changes nothing."""

        def act(context: Context, case: Case) -> None:
            self.acted.append(name)

        verdict = Verdict(status="needed", reason="it is still missing", hint=hint)
        return Step(id=name, help=name, assess=lambda case: verdict, act=act, **more)

    def blocked(self, name: str, unless: str = "", **more: Any) -> Step:
        """A check that is blocked until a step was done (never, without one)."""

        def assess(case: Case) -> Verdict:
            if unless and self.is_done(unless):
                return done("the way is free")
            return blocked(f"{name} cannot be", f"do something about {name}")

        return Step(id=name, help=name, assess=assess, **more)

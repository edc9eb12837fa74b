"""Switches that a setup.py reads from the environment, pinned to a literal and given back again.

`force-build` pins FORCE_BUILD, SKIP_CUDA_BUILD and FORCE_CXX11_ABI; `keep-cuda-build` pins KEEP_CUDA_BUILD.
The replaced expression stands in the mark behind the literal, so it can be put back.
"""

from __future__ import annotations

import libcst as cst

from mambaops.core.errors import UsageError
from mambaops.patching.literals import dotted, trailing_comment
from mambaops.patching.source import MARK, Changes

FORCE_BUILD = "force-build"
KEEP_CUDA_BUILD = "keep-cuda-build"
_FORCED = {"FORCE_BUILD": "True", "SKIP_CUDA_BUILD": "False", "FORCE_CXX11_ABI": "False"}


def force_build(changes: Changes, *, on: bool) -> None:
    """Always build from source, with the kernels and torch's own C++11 ABI, whatever the environment says.

    Raises:
        UsageError: the file downloads prebuilt wheels and has no FORCE_BUILD to set.
    """
    found = [name for name in _FORCED if _pin(changes, FORCE_BUILD, name, _FORCED[name], on)]
    if "FORCE_BUILD" in found:
        return
    if on and _downloads(changes):
        raise UsageError(
            "force-build: this setup.py downloads prebuilt wheels and assigns no FORCE_BUILD",
            hint="looked for `FORCE_BUILD = …`; is it a release that mambaops does not know yet?",
        )
    changes.note(FORCE_BUILD, "no FORCE_BUILD: this file never looks for a prebuilt wheel")


def keep_cuda_build(changes: Changes) -> None:
    """Compile the kernels where a release has made them opt-in (mamba-ssm after 2.3.2)."""
    if not _pin(changes, KEEP_CUDA_BUILD, "KEEP_CUDA_BUILD", "True", on=True):
        changes.note(
            KEEP_CUDA_BUILD, "no KEEP_CUDA_BUILD: this release compiles its kernels anyway"
        )


def _downloads(changes: Changes) -> bool:
    calls = changes.source.all(cst.Call)
    names = {dotted(call.func).rpartition(".")[2] for call in calls}
    return bool(names & {"urlretrieve", "urlopen"})


def _pin(changes: Changes, codemod: str, name: str, literal: str, on: bool) -> bool:
    """Pin or release `name`; False when nothing assigns it."""
    statements = [
        statement
        for statement in changes.source.all(cst.SimpleStatementLine)
        if _assigned_name(statement) == name
    ]
    for statement in statements:
        code = (
            _pinned(changes, statement, codemod, name, literal) if on else _freed(statement, name)
        )
        if code:
            new = changes.source.parse_statement(code)
            new = new.with_changes(leading_lines=statement.leading_lines)
            changes.replace(codemod, statement, new)
        elif not on and _is_literal(statement, literal):
            changes.note(codemod, f"{name} = {literal} was not written by mambaops: left as it is")
    return bool(statements)


def _is_literal(statement: cst.SimpleStatementLine, literal: str) -> bool:
    return dotted(cst.ensure_type(statement.body[0], cst.Assign).value) == literal


def _assigned_name(statement: cst.SimpleStatementLine) -> str:
    """`X` for the statement `X = …`, else an empty string."""
    if len(statement.body) != 1 or not isinstance(statement.body[0], cst.Assign):
        return ""
    targets = statement.body[0].targets
    return dotted(targets[0].target) if len(targets) == 1 else ""


def _pinned(
    changes: Changes, statement: cst.SimpleStatementLine, codemod: str, name: str, literal: str
) -> str:
    value = cst.ensure_type(statement.body[0], cst.Assign).value
    was = " ".join(changes.source.code(value).split())
    if was == literal:
        return ""
    return f"{name} = {literal}  {MARK}{codemod} was: {was}"


def _freed(statement: cst.SimpleStatementLine, name: str) -> str:
    mark, _, was = trailing_comment(statement).partition(" was: ")
    return f"{name} = {was}" if mark.startswith(MARK) and was else ""

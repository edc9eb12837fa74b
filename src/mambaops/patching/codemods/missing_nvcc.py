"""`bare-metal-version`: a setup.py that asks for nvcc's version where there is no nvcc.

Upstream sets `bare_metal_version` only where `CUDA_HOME` is known and reads it everywhere, so a machine
without nvcc gets `NameError: name 'bare_metal_version' is not defined` instead of torch's plain message
that CUDA_HOME is not set. A version of 0 before the check lets that message through.
"""

from __future__ import annotations

import libcst as cst

from mambaops.patching.literals import dotted
from mambaops.patching.source import MARK, Changes

ID = "bare-metal-version"
NAME = "bare_metal_version"


def bare_metal_version(changes: Changes) -> None:
    """Give `bare_metal_version` a value before the check for nvcc, where it is read outside of it."""
    source = changes.source
    mentions = [
        node for node in source.all(cst.Name) if node.value == NAME and not changes.is_gone(node)
    ]
    check = next((found for node in mentions if (found := _check(changes, node))), None)
    if check is None:
        changes.note(ID, f"{NAME} is set without a condition, or not at all")
        return
    outside = [
        node
        for node in mentions
        if check not in source.ancestors(node) and _scope(changes, node) is _scope(changes, check)
    ]
    if any(source.code(source.statement(node)).startswith(f"{NAME} =") for node in outside):
        changes.note(ID, f"{NAME} already has a value before the check for nvcc")
    elif not outside:
        changes.note(ID, f"{NAME} is read only where nvcc is there")
    else:
        made = source.parse_statement(f'{NAME} = {_parser(changes)}("0")  {MARK}{ID}')
        changes.insert_before(ID, check, [made])


def _check(changes: Changes, node: cst.Name) -> cst.If | None:
    """The `if CUDA_HOME is not None:` inside which this mention assigns the name."""
    statement = changes.source.statement(node)
    if not isinstance(statement, cst.SimpleStatementLine):
        return None
    if not isinstance(statement.body[0], cst.Assign):
        return None
    targets = [target.target for target in statement.body[0].targets]
    if not any(node in _flat(target) for target in targets):
        return None
    for place in changes.source.ancestors(statement):
        if isinstance(place, cst.If) and "CUDA_HOME" in changes.source.code(place.test):
            return _first_branch(changes, place)
    return None


def _first_branch(changes: Changes, branch: cst.If) -> cst.If:
    """The `if` that an `elif` belongs to."""
    parent = changes.source.parents[branch]
    while isinstance(parent, cst.If):
        branch, parent = parent, changes.source.parents[parent]
    return branch


def _parser(changes: Changes) -> str:
    """What this file makes versions with: `parse` or `Version` of packaging."""
    imported = {dotted(alias.name) for alias in changes.source.all(cst.ImportAlias)}
    return "parse" if "parse" in imported else "Version"


def _flat(target: cst.CSTNode) -> list[cst.CSTNode]:
    if isinstance(target, cst.Tuple):
        return [element.value for element in target.elements]
    return [target]


def _scope(changes: Changes, node: cst.CSTNode) -> cst.CSTNode:
    """The function or the module whose names `node` uses."""
    for place in changes.source.ancestors(node):
        if isinstance(place, cst.FunctionDef | cst.Module):
            return place
    raise AssertionError("a node outside the module")

"""Where statements stand: the block that several share, and the branches that are empty without them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst

from mambaops.patching.source import Source, Statement


def common_place(
    source: Source, statements: Sequence[Statement], lifted: re.Pattern[str]
) -> Statement:
    """The first statement of the block that holds all `statements`, outside every `if` that matches `lifted`."""
    chains = [_chain(source, statement) for statement in statements]
    common = next(block for block in chains[0] if all(block in chain for chain in chains))
    place = chains[0][common]
    while _is_lifted(source, common, lifted):
        place = _outer_statement(source, common)
        common = source.block(place)
    return place


def _chain(source: Source, statement: Statement) -> dict[cst.IndentedBlock | cst.Module, Statement]:
    """block -> the statement of it that holds `statement`, from the inside out."""
    chain: dict[cst.IndentedBlock | cst.Module, Statement] = {}
    place = statement
    while True:
        block = source.block(place)
        chain[block] = place
        if isinstance(block, cst.Module):
            return chain
        place = _outer_statement(source, block)


def _outer_statement(source: Source, block: cst.CSTNode) -> Statement:
    """The statement that owns a block; for an `elif` or `else`, the whole `if`."""
    found: Statement | None = None
    for place in source.ancestors(block):
        if isinstance(place, cst.IndentedBlock | cst.Module):
            break
        if isinstance(place, cst.BaseCompoundStatement):
            found = place
    assert found is not None
    return found


def _is_lifted(source: Source, block: cst.CSTNode, lifted: re.Pattern[str]) -> bool:
    """Whether the block belongs to an `if` whose condition matches."""
    owner = source.parents[block]
    if isinstance(owner, cst.Else):
        owner = source.parents[owner]
    return isinstance(owner, cst.If) and bool(lifted.search(source.code(owner.test)))


def with_emptied_branches(
    source: Source, statements: Sequence[cst.SimpleStatementLine], kept: cst.CSTNode
) -> list[Statement]:
    """What to take out: an `if` that would be left empty instead of what is inside it, but not block `kept`."""
    gone: list[Statement] = []
    removed: set[cst.CSTNode] = set(statements)
    for statement in statements:
        place: Statement = statement
        while (outer := _emptied(source, place, removed, kept)) is not None:
            removed.add(outer)
            place = outer
        if place not in gone:
            gone.append(place)
    return gone


def _emptied(
    source: Source, statement: Statement, removed: set[cst.CSTNode], kept: cst.CSTNode
) -> cst.If | None:
    """The `if` without other branches whose whole body is removed, around `statement`."""
    block = source.block(statement)
    owner = source.parents[block]
    if block is kept or not isinstance(owner, cst.If) or owner.orelse is not None:
        return None
    if isinstance(source.parents[owner], cst.If):
        return None  # an elif: its emptied body becomes `pass`
    assert isinstance(block, cst.IndentedBlock)
    return owner if all(inner in removed for inner in block.body) else None

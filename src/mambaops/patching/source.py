"""A parsed Python file, and edits to it that keep every other byte.

Codemods look at one `Source` and write what they want into one `Changes`; the text is made once, at the
end. Parents and positions are worked out only when a codemod asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeVar, cast

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from mambaops.core.errors import UsageError
from mambaops.patching.model import Edit, Note

Node = TypeVar("Node", bound=cst.CSTNode)
Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
MARK = "# mambaops:"


class Source:
    """One Python file. Raises `UsageError` when the text is no Python at all."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self.module = cst.parse_module(text)
        except cst.ParserSyntaxError as error:
            raise UsageError(
                f"line {error.raw_line}: not Python source: {error.message}",
                hint="check that the file is whole; nothing was changed",
            ) from error

    @cached_property
    def nodes(self) -> list[cst.CSTNode]:
        """Every node, in the order of the text."""
        return list(self.parents)

    @cached_property
    def parents(self) -> dict[cst.CSTNode, cst.CSTNode | None]:
        """node -> the node that holds it; insertion order is the order of the text."""
        found: dict[cst.CSTNode, cst.CSTNode | None] = {}
        stack: list[tuple[cst.CSTNode, cst.CSTNode | None]] = [(self.module, None)]
        while stack:
            node, parent = stack.pop()
            found[node] = parent
            stack.extend((child, node) for child in reversed(node.children))
        return found

    @cached_property
    def _positions(self) -> dict[cst.CSTNode, int]:
        # the tree comes from the parser, so it holds no node twice and needs no copy
        wrapper = MetadataWrapper(self.module, unsafe_skip_copy=True)
        ranges = wrapper.resolve(PositionProvider)
        return {node: place.start.line for node, place in ranges.items()}

    def all(self, kind: type[Node]) -> list[Node]:
        """Every node of that kind, in the order of the text."""
        return [node for node in self.nodes if isinstance(node, kind)]

    def line(self, node: cst.CSTNode) -> int:
        """1-based line where the node starts."""
        return self._positions[node]

    def code(self, node: cst.CSTNode) -> str:
        """The node's own text, without the comments and blank lines before it."""
        if isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
            node = node.with_changes(leading_lines=())
        return self.module.code_for_node(node).strip()

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes that hold `node`, the nearest first, the module last."""
        parent = self.parents[node]
        while parent is not None:
            yield parent
            parent = self.parents[parent]

    def statement(self, node: cst.CSTNode) -> Statement:
        """The statement that `node` is, or lies in."""
        for place in (node, *self.ancestors(node)):
            if isinstance(place, cst.SimpleStatementLine | cst.BaseCompoundStatement):
                return place
        raise AssertionError("a node outside every statement")

    def block(self, statement: Statement) -> cst.IndentedBlock | cst.Module:
        """The list of statements that holds `statement`."""
        for place in self.ancestors(statement):
            if isinstance(place, cst.IndentedBlock | cst.Module):
                return place
        raise AssertionError("a statement outside every block")

    def parse_statement(self, code: str) -> cst.SimpleStatementLine:
        """A new one-line statement, with this file's line ends."""
        made = cst.parse_statement(code + "\n", self.module.config_for_parsing)
        return cst.ensure_type(made, cst.SimpleStatementLine)


class Changes:
    """What is to be changed in a `Source`, collected by several codemods and applied at once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.edits: list[Edit] = []
        self.notes: list[Note] = []
        self._replaced: dict[cst.CSTNode, cst.CSTNode | None] = {}
        self._inserted: dict[cst.CSTNode, list[cst.CSTNode]] = {}

    def replace(
        self,
        codemod: str,
        node: cst.CSTNode,
        new: cst.CSTNode,
        *,
        shown: tuple[str, str] | None = None,
    ) -> None:
        """Put `new` where `node` is; equal text is no edit. `shown` says it shorter than the whole texts."""
        before, after = self.source.code(node), self.source.code(new)
        if before != after:
            self._replaced[node] = new
            self._record(codemod, node, *(shown or (before, after)))

    def remove(self, codemod: str, node: cst.CSTNode) -> None:
        """Take a statement or a list element out."""
        self._replaced[node] = None
        self._record(codemod, node, self.source.code(node).rstrip(", \n"), "")

    def insert_before(self, codemod: str, node: cst.CSTNode, new: Sequence[cst.CSTNode]) -> None:
        """Put statements (or list elements) before `node`."""
        self._inserted.setdefault(node, []).extend(new)
        for made in new:
            self._record(codemod, node, "", self.source.code(made))

    def note(self, codemod: str, reason: str) -> None:
        """Say why nothing had to be changed."""
        self.notes.append(Note(codemod=codemod, reason=reason))

    def is_gone(self, node: cst.CSTNode) -> bool:
        """Whether `node` lies in something that is removed or replaced."""
        return any(place in self._replaced for place in (node, *self.source.ancestors(node)))

    def result(self) -> str:
        """The new text."""
        if not self.edits:
            return self.source.text
        changed = self.source.module.visit(_Rewrite(self._replaced, self._inserted))
        return cst.ensure_type(changed, cst.Module).code

    def _record(self, codemod: str, node: cst.CSTNode, before: str, after: str) -> None:
        line = self.source.line(node)
        self.edits.append(Edit(codemod=codemod, line=line, before=before, after=after))


class _Rewrite(cst.CSTTransformer):
    def __init__(
        self,
        replaced: dict[cst.CSTNode, cst.CSTNode | None],
        inserted: dict[cst.CSTNode, list[cst.CSTNode]],
    ) -> None:
        super().__init__()
        self._replaced, self._inserted = replaced, inserted

    def on_leave(
        self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT
    ) -> cst.CSTNodeT | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNodeT]:
        new: cst.CSTNode | None = updated_node
        if original_node in self._replaced:
            new = self._replaced[original_node]
        before = self._inserted.get(original_node, [])
        if before:
            kept = [*before, new] if new is not None else before
            return cst.FlattenSentinel(cast("list[cst.CSTNodeT]", kept))
        return cst.RemoveFromParent() if new is None else cast("cst.CSTNodeT", new)

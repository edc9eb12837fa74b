"""Reading string literals and flag lists out of a syntax tree."""

from __future__ import annotations

import libcst as cst


def text_of(node: cst.CSTNode) -> str | None:
    """The value of a plain string literal, else None."""
    if isinstance(node, cst.SimpleString | cst.ConcatenatedString):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None


def leading_text(node: cst.CSTNode) -> str | None:
    """The literal text that an expression starts with: of "a", f"a{b}", "a" + b, "a" % b, "a{}".format(b)."""
    plain = text_of(node)
    if plain is not None:
        return plain
    if isinstance(node, cst.FormattedString):
        first = node.parts[0] if node.parts else None
        return first.value if isinstance(first, cst.FormattedStringText) else None
    if isinstance(node, cst.ConcatenatedString | cst.BinaryOperation):
        return leading_text(node.left)
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        return leading_text(node.func.value)
    return None


def dotted(node: cst.CSTNode) -> str:
    """`a.b.c` for a chain of names and attributes, else an empty string."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr.value}" if left else ""
    return ""


def trailing_comment(statement: cst.SimpleStatementLine) -> str:
    """The comment behind a statement, or an empty string."""
    comment = statement.trailing_whitespace.comment
    return comment.value if comment else ""

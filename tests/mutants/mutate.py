"""Small bugs in a module, one at a time: what a person could type wrong in a decision.

Left alone is what no decision hangs on: docstrings, annotations, `__all__`, texts for people (a string with a
blank in it, an f-string, what is raised, printed or said), encodings and time limits.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType

Put = Callable[[ast.AST], None]

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
    ast.GtE: ast.Gt, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
SWAPPED_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
# calls whose arguments are words for a person
TALK = {
    "say",
    "print",
    "warn",
    "log",
    "debug",
    "info",
    "warning",
    "announce",
    "add_row",
    "write_text_of",
}
# keyword arguments that are words for a person, or that change nothing which a test could see
WORDS = {"reason", "hint", "message", "help", "why", "title", "encoding", "errors", "timeout", "indent", "text",
         "frozen", "kw_only", "slots", "parents", "exist_ok"}  # fmt: skip


@dataclass
class Site:
    """One place and one change: `apply` makes it in the tree that was walked."""

    line: int
    what: str
    function: int  # first line of the innermost function; 0 outside of functions
    apply: Callable[[], None]
    keyword: tuple[ast.expr, str] | None = None  # a call's function and the argument that goes


@dataclass
class _Walk:
    sites: list[Site] = field(default_factory=list)
    functions: list[int] = field(default_factory=lambda: [0])
    returns: list[str] = field(default_factory=lambda: [""])

    def add(self, node: ast.AST, what: str, apply: Callable[[], None], **more: object) -> None:
        site = Site(node.lineno, what, self.functions[-1], apply, **more)  # type: ignore[attr-defined,arg-type]
        self.sites.append(site)

    def replace(self, node: ast.AST, put: Put, new: ast.AST, what: str = "") -> None:
        what = what or f"{short(node)} -> {short(new)}"
        self.add(node, what, lambda: put(ast.copy_location(new, node)))

    def visit(self, node: ast.AST, put: Put) -> None:
        method = getattr(self, "on_" + type(node).__name__, None)
        if method is None or method(node, put) is not False:
            self.children(node)

    def children(self, node: ast.AST, skip: tuple[str, ...] = ()) -> None:
        for name, value in ast.iter_fields(node):
            if name in skip or name in ("annotation", "returns", "type_comment", "type_params"):
                continue
            if isinstance(value, ast.AST):
                self.visit(value, lambda new, name=name: setattr(node, name, new))
            elif isinstance(value, list):
                self.items(value)

    def items(self, values: list[ast.AST]) -> None:
        for index, one in enumerate(values):
            if isinstance(one, ast.AST):
                self.visit(one, lambda new, index=index: values.__setitem__(index, new))

    # -- scopes

    def on_FunctionDef(self, node: ast.FunctionDef, put: Put) -> bool:
        self.items(node.decorator_list)  # type: ignore[arg-type]
        self.visit(node.args, put)
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        self.functions.append(first)
        self.returns.append(ast.unparse(node.returns) if node.returns else "")
        self.items(node.body)  # type: ignore[arg-type]
        self.functions.pop()
        self.returns.pop()
        return False

    on_AsyncFunctionDef = on_FunctionDef

    def on_Assign(self, node: ast.Assign, put: Put) -> bool | None:
        names = [one.id for one in node.targets if isinstance(one, ast.Name)]
        return False if any(_quiet(name) for name in names) else None

    def on_AnnAssign(self, node: ast.AnnAssign, put: Put) -> bool | None:
        return False if isinstance(node.target, ast.Name) and _quiet(node.target.id) else None

    # -- statements

    def on_Expr(self, node: ast.Expr, put: Put) -> bool | None:
        if isinstance(node.value, ast.Constant):
            return False  # a docstring
        if isinstance(node.value, ast.Call) and _called(node.value) not in TALK:
            self.replace(node, put, ast.Pass(), f"removed: {short(node)}")
        return None

    def on_Raise(self, node: ast.Raise, put: Put) -> bool:
        self.replace(node, put, ast.Pass(), "removed: raise")
        return False

    def on_AugAssign(self, node: ast.AugAssign, put: Put) -> None:
        self.replace(node, put, ast.Pass(), f"removed: {short(node)}")

    def on_Break(self, node: ast.Break, put: Put) -> None:
        self.replace(node, put, ast.Continue())

    def on_Continue(self, node: ast.Continue, put: Put) -> None:
        self.replace(node, put, ast.Pass())

    def on_Assert(self, node: ast.Assert, put: Put) -> bool:
        return False

    def on_Import(self, node: ast.AST, put: Put) -> bool:
        return False

    on_ImportFrom = on_Import

    def on_Return(self, node: ast.Return, put: Put) -> None:
        value = node.value
        if value is None or isinstance(value, ast.Constant):
            return
        if self.returns[-1] == "bool":
            if not isinstance(value, (ast.Compare, ast.BoolOp, ast.UnaryOp)):
                self.negate(value, lambda new: setattr(node, "value", new))
        else:
            none = ast.copy_location(ast.Constant(None), value)
            self.add(node, "returns None", lambda: setattr(node, "value", none))

    def on_If(self, node: ast.If | ast.IfExp | ast.While, put: Put) -> bool | None:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            return False
        if not isinstance(node.test, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant)):
            self.negate(node.test, lambda new: setattr(node, "test", new))
        return None

    on_IfExp = on_If
    on_While = on_If

    def on_comprehension(self, node: ast.comprehension, put: Put) -> None:
        for index, test in enumerate(node.ifs):
            self.add(
                test, f"filter dropped: {short(test)}", lambda index=index: node.ifs.pop(index)
            )  # type: ignore[misc]

    # -- expressions

    def negate(self, node: ast.expr, put: Put) -> None:
        self.replace(node, put, ast.UnaryOp(op=ast.Not(), operand=node))

    def on_Compare(self, node: ast.Compare, put: Put) -> None:
        for index, op in enumerate(node.ops):
            other = COMPARISONS[type(op)]()
            what = f"{short(node)}: {_sign(op)} -> {_sign(other)}"
            self.add(node, what, lambda i=index, o=other: node.ops.__setitem__(i, o))  # type: ignore[misc]

    def on_BoolOp(self, node: ast.BoolOp, put: Put) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        what = f"{short(node)}: {_sign(node.op)} -> {_sign(other)}"
        self.add(node, what, lambda: setattr(node, "op", other))
        for index, one in enumerate(node.values):
            left = [value for place, value in enumerate(node.values) if place != index]
            new = left[0] if len(left) == 1 else ast.BoolOp(op=node.op, values=left)
            self.replace(node, put, new, f"operand dropped: {short(one)}")

    def on_UnaryOp(self, node: ast.UnaryOp, put: Put) -> None:
        if isinstance(node.op, ast.Not):
            self.replace(node, put, node.operand)

    def on_BinOp(self, node: ast.BinOp, put: Put) -> None:
        if isinstance(node.op, ast.Add):
            self.replace(node, put, node.left)
        elif type(node.op) in ARITHMETIC and not _is_text(node.left):
            other = ARITHMETIC[type(node.op)]()
            self.add(node, f"{short(node)}: {_sign(node.op)} -> {_sign(other)}",
                     lambda: setattr(node, "op", other))  # fmt: skip

    def on_Call(self, node: ast.Call, put: Put) -> bool | None:
        name = _called(node)
        if name in TALK:
            return False
        if isinstance(node.func, ast.Name) and name in SWAPPED_CALLS:
            other = ast.copy_location(ast.Name(SWAPPED_CALLS[name], ast.Load()), node.func)
            self.add(node, f"{name} -> {other.id}", lambda: setattr(node, "func", other))
        for index, one in enumerate(node.keywords):
            if one.arg and one.arg not in WORDS:
                self.add(one, f"argument dropped: {one.arg}",
                         lambda index=index: node.keywords.pop(index), keyword=(node.func, one.arg))  # fmt: skip
        return None

    def on_keyword(self, node: ast.keyword, put: Put) -> bool | None:
        return False if node.arg in WORDS else None

    def on_JoinedStr(self, node: ast.JoinedStr, put: Put) -> bool:
        return False

    def on_Constant(self, node: ast.Constant, put: Put) -> None:
        value: object = node.value
        if isinstance(value, bool):
            self.replace(node, put, ast.Constant(not value))
        elif isinstance(value, (int, float)):
            self.replace(node, put, ast.Constant(value + 1))
        elif isinstance(value, str) and not any(letter.isspace() for letter in value):
            self.replace(node, put, ast.Constant("" if value else "mutant"))


def short(node: ast.AST, limit: int = 60) -> str:
    """A piece of code on one line."""
    text = " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _sign(op: ast.AST) -> str:
    names = {"Eq": "==", "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "In": "in",
             "NotIn": "not in", "Is": "is", "IsNot": "is not", "And": "and", "Or": "or"}  # fmt: skip
    return names.get(type(op).__name__, type(op).__name__)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _quiet(name: str) -> bool:
    return name.startswith("__") or name.endswith(("SECONDS", "TIMEOUT", "HINT"))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def sites(tree: ast.Module) -> list[Site]:
    """Every place of a module where one of the bugs can be planted, in the order of the text."""
    walk = _Walk()
    walk.visit(tree, lambda new: None)
    return walk.sites


def mutated(source: str, index: int, filename: str) -> CodeType:
    """The code of a module with the bug number `index` in it."""
    tree = ast.parse(source)
    sites(tree)[index].apply()
    return compile(ast.fix_missing_locations(tree), filename, "exec", dont_inherit=True)

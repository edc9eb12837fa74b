"""Putting a bug into the program that is loaded."""

from __future__ import annotations

import ast
import functools
import gc
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from children import Mutant
from mutate import Site, sites
from reach import Caches


class Loaded:
    """The functions of some files, and their caches, as they are in this process."""

    def __init__(self, texts: Mapping[Path, str]) -> None:
        self.functions: dict[str, list[FunctionType]] = {str(file): [] for file in texts}
        self.read = {name for text in texts.values() for name in read_at_import(ast.parse(text))}
        gc.unfreeze()  # what is frozen is not listed
        for one in gc.get_objects():
            if type(one) is FunctionType and one.__code__.co_filename in self.functions:
                self.functions[one.__code__.co_filename].append(one)
        self.caches = Caches(set(self.functions))
        gc.collect()
        gc.freeze()  # children share what they do not touch

    def plant(self, mutant: Mutant, code: CodeType, text: str) -> bool:
        """Put the changed code of a file into place; False where only a fresh import can."""
        self.caches.clear(f"{mutant.file}:{mutant.function}" if mutant.function else "")
        if not mutant.function:
            return _replace(mutant, code, text, self.read)
        new = {_place(one): one for one in _codes(code)}
        for one in self.functions[str(mutant.file)]:
            other = new.get(_place(one.__code__))
            if other is None or len(other.co_freevars) != len(one.__code__.co_freevars):
                return False
            one.__code__ = other
        return bool(self.functions[str(mutant.file)])


def read_at_import(node: ast.AST) -> Iterator[str]:
    """The names that are read while a module is imported: other tables, classes and default values hang on them."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    if isinstance(node, ast.Attribute):
        yield node.attr
    parts = ast.iter_child_nodes(node)
    if isinstance(node, ast.FunctionDef):  # what it does, and its annotations, are not run then
        parts = iter(
            [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        )
    for one in parts:
        yield from read_at_import(one)


def _replace(mutant: Mutant, code: CodeType, text: str, read: set[str]) -> bool:
    """A changed table or default value, given to every module that has the one of before by its name.

    False where others are computed from it (`read`), in whatever module.
    """
    module = _module(mutant.file)
    names = _assigned(text, mutant.line)
    if module is None or not names or read.intersection(names):
        return False
    fresh = {**vars(module)}
    exec(code, fresh)
    for name in names:
        old, new = vars(module).get(name), fresh[name]
        if type(old) is FunctionType:
            old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__
            continue
        for one in list(sys.modules.values()):
            if name in getattr(one, "__dict__", {}) and vars(one)[name] is old:
                setattr(one, name, new)
    return True


def _assigned(text: str, line: int) -> list[str]:
    """The names to which a module's statement gives a value; none where that is a class."""
    for one in ast.parse(text).body:
        if not one.lineno <= line <= (one.end_lineno or one.lineno):
            continue
        if isinstance(one, ast.Assign):
            return [target.id for target in one.targets if isinstance(target, ast.Name)]
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            return [one.target.id]
        if isinstance(one, ast.FunctionDef) and not one.decorator_list:
            return [one.name]
    return []


def _module(file: Path) -> ModuleType | None:
    found = (
        one for one in list(sys.modules.values()) if getattr(one, "__file__", None) == str(file)
    )
    return next(found, None)


def _codes(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _codes(one)


def _place(code: CodeType) -> tuple[object, ...]:
    columns = 0
    if code.co_name == "<lambda>" and hasattr(code, "co_positions"):
        columns = next((one[2] for one in code.co_positions() if one[2]), 0)
    return code.co_name, code.co_firstlineno, columns


@functools.lru_cache
def _sites(text: str) -> list[Site]:
    return sites(ast.parse(text))


def is_a_bug(mutant: Mutant, text: str) -> bool:
    """An argument that a function demands cannot be forgotten unnoticed: that is no bug worth a run."""
    site = _sites(text)[mutant.index]
    if site.keyword is None:
        return True
    function, argument = site.keyword
    module = _module(mutant.file)
    try:
        value = eval(ast.unparse(function), vars(module) if module else {})
        return inspect.signature(value).parameters[argument].default is not inspect.Parameter.empty
    except Exception:
        return False  # not known: a method of some object

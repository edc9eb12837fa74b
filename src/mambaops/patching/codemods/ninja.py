"""`no-ninja`: compile file by file through setuptools instead of ninja, and back.

Slow, but it needs no ninja and shows the compiler's own error last in the log.
"""

from __future__ import annotations

import libcst as cst

from mambaops.core.errors import UsageError
from mambaops.patching.literals import dotted, text_of
from mambaops.patching.source import Changes

ID = "no-ninja"


def no_ninja(changes: Changes, *, on: bool) -> None:
    """`"build_ext": BuildExtension` <-> `"build_ext": BuildExtension.with_options(use_ninja=False)`.

    Raises:
        UsageError: no `build_ext` command is given in a form that is known.
    """
    commands = _build_commands(changes)
    if not commands and on:
        raise UsageError(
            'no-ninja: found no `"build_ext": BuildExtension` in cmdclass to change',
            hint="looked for the key build_ext in a dict, a dict(…) call and an assignment",
        )
    for command in commands:
        new = _without_ninja(changes, command) if on else _with_ninja(command)
        changes.replace(ID, command, new)


def _build_commands(changes: Changes) -> list[cst.BaseExpression]:
    """The expressions that name the `build_ext` command."""
    return [
        node.value
        for node in changes.source.nodes
        if isinstance(node, cst.DictElement | cst.Arg | cst.Assign) and _names_build_ext(node)
    ]


def _names_build_ext(node: cst.DictElement | cst.Arg | cst.Assign) -> bool:
    if isinstance(node, cst.DictElement):
        return text_of(node.key) == "build_ext"
    if isinstance(node, cst.Arg):
        return node.keyword is not None and node.keyword.value == "build_ext"
    return _is_build_ext_item(node.targets[0].target)


def _is_build_ext_item(target: cst.BaseExpression) -> bool:
    if not isinstance(target, cst.Subscript) or len(target.slice) != 1:
        return False
    index = target.slice[0].slice
    return isinstance(index, cst.Index) and text_of(index.value) == "build_ext"


def _without_ninja(changes: Changes, command: cst.BaseExpression) -> cst.BaseExpression:
    if dotted(command):
        code = f"{dotted(command)}.with_options(use_ninja=False)"
        return cst.parse_expression(code, changes.source.module.config_for_parsing)
    options = _options(command)
    if options is None:
        raise UsageError(
            f"no-ninja: line {changes.source.line(command)}: do not understand "
            f"`{changes.source.code(command)}`",
            hint="wanted a class name or `NAME.with_options(…)`",
        )
    if _turns_ninja_off(options):
        return options
    others = [arg for arg in options.args if not _is_use_ninja(arg)]
    off = cst.Arg(
        keyword=cst.Name("use_ninja"),
        value=cst.Name("False"),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )
    return options.with_changes(args=[off, *others])


def _with_ninja(command: cst.BaseExpression) -> cst.BaseExpression:
    options = _options(command)
    if options is None or not _turns_ninja_off(options):
        return command
    others = [arg for arg in options.args if not _is_use_ninja(arg)]
    if others:
        others[-1] = others[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        return options.with_changes(args=others)
    return cst.ensure_type(options.func, cst.Attribute).value


def _options(command: cst.BaseExpression) -> cst.Call | None:
    """The call `X.with_options(…)`, else None."""
    if isinstance(command, cst.Call) and dotted(command.func).endswith(".with_options"):
        return command
    return None


def _turns_ninja_off(options: cst.Call) -> bool:
    return any(_is_use_ninja(arg) and dotted(arg.value) == "False" for arg in options.args)


def _is_use_ninja(arg: cst.Arg) -> bool:
    return arg.keyword is not None and arg.keyword.value == "use_ninja"

"""`cuda-archs`: exactly the asked GPU architectures, whatever nvcc is found and whatever GPU is there.

These setup.py files pass their own `-gencode` flags, which makes torch ignore `TORCH_CUDA_ARCH_LIST`
(`_get_cuda_arch_flags` returns nothing as soon as a flag contains "arch"). So their flags are taken out and
one literal statement with the asked ones is put where the first stood, outside every condition on nvcc's
version. A question to the GPU (`torch.cuda.get_device_capability`) becomes a literal too: no GPU is needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst

from mambaops.core.errors import UsageError
from mambaops.patching.archs import lowest, nvcc_flags
from mambaops.patching.blocks import common_place, with_emptied_branches
from mambaops.patching.literals import dotted, leading_text, text_of
from mambaops.patching.source import MARK, Changes, Statement

ID = "cuda-archs"
# e.g. "-gencode", "-gencode=arch=…", "arch=compute_90,code=sm_90", "-arch=sm_90", "-arch", "sm_90"
_ARCH_FLAG = re.compile(
    r"--?(gencode|generate-code|arch|gpu-architecture|code|gpu-code)(=|$)"
    r"|arch=(compute|sm)_|code=\[?(compute|sm)_|(sm|compute)_\d"
)
# e.g. `bare_metal_version >= Version("12.8")`, `gencode_sm90`
_ABOUT_NVCC = re.compile(
    r"bare_metal|cuda_version|Version\(|capability|gencode|arch", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Adding:
    """A statement that only adds architecture flags to the list `target`."""

    target: str
    statement: cst.SimpleStatementLine


def cuda_archs(changes: Changes, archs: Sequence[str], *, one_ptx: bool = False) -> None:
    """Make nvcc compile `archs` (as `parse_archs` returns them) and nothing else.

    Raises:
        UsageError: no architecture flags in the file, or some in a place that is not understood.
    """
    flags = nvcc_flags(archs, one_ptx=one_ptx)
    strings = _arch_strings(changes)
    adding = _adding_statements(changes, strings)
    lists = _flag_lists(changes, strings, adding)
    _refuse_the_unknown(changes, strings, adding, lists)
    for target in dict.fromkeys(item.target for item in adding):
        ours = [item.statement for item in adding if item.target == target]
        _rewrite_statements(changes, target, ours, archs, flags)
    for node in lists:
        _rewrite_list(changes, node, flags)
    _ask_no_gpu(changes, archs)


def no_arch_flags(changes: Changes) -> None:
    """See that the file passes none of its own: they would make torch ignore TORCH_CUDA_ARCH_LIST.

    Raises:
        UsageError: it does, so TORCH_CUDA_ARCH_LIST would have no effect.
    """
    strings = _arch_strings(changes)
    if strings:
        raise UsageError(
            f"cuda-archs: line {changes.source.line(strings[0])}: this setup.py passes architecture flags "
            f"itself (`{changes.source.code(strings[0])}`), so TORCH_CUDA_ARCH_LIST has no effect",
            hint='`route = "flags"` in the package file rewrites them',
        )
    changes.note(ID, "no architecture flags of its own: the environment of the build names them")


def _arch_strings(changes: Changes) -> list[cst.BaseExpression]:
    """The outermost expressions whose text is (the start of) an architecture flag."""
    found: list[cst.BaseExpression] = []
    inside: set[cst.CSTNode] = set()
    for node in changes.source.nodes:
        if changes.source.parents[node] in inside:
            inside.add(node)
        elif isinstance(node, cst.BaseExpression) and _is_arch_flag(node):
            if _names_a_processor(changes, node):
                continue
            found.append(node)
            inside.add(node)
    return found


def _is_arch_flag(node: cst.CSTNode) -> bool:
    return bool(_ARCH_FLAG.match(leading_text(node) or ""))


def _names_a_processor(changes: Changes, node: cst.BaseExpression) -> bool:
    """Is it the `-arch` of `["-arch", "arm64"]`, which clang on a Mac takes?"""
    element = changes.source.parents[node]
    holder = changes.source.parents[element] if isinstance(element, cst.Element) else None
    if text_of(node) != "-arch" or not isinstance(holder, cst.List):
        return False
    words = [text_of(one.value) for one in holder.elements]
    following = words[words.index("-arch") + 1 :]
    return bool(following) and following[0] in ("arm64", "x86_64")


def _adding_statements(changes: Changes, strings: list[cst.BaseExpression]) -> list[_Adding]:
    found: dict[Statement, _Adding] = {}
    for node in strings:
        statement = changes.source.statement(node)
        if isinstance(statement, cst.SimpleStatementLine) and statement not in found:
            target = _target(statement)
            if target:
                found[statement] = _Adding(target, statement)
    return list(found.values())


def _target(statement: cst.SimpleStatementLine) -> str:
    """`X` for `X.append(FLAG)`, `X.extend([FLAGS])` and `X += [FLAGS]` with architecture flags only."""
    if len(statement.body) != 1:
        return ""
    only = statement.body[0]
    if isinstance(only, cst.AugAssign) and isinstance(only.operator, cst.AddAssign):
        return dotted(only.target) if _only_arch_flags(only.value) else ""
    if not isinstance(only, cst.Expr) or not isinstance(only.value, cst.Call):
        return ""
    call = only.value
    target, _, method = dotted(call.func).rpartition(".")
    if method not in {"append", "extend"} or len(call.args) != 1:
        return ""
    value = call.args[0].value
    fits = _is_arch_flag(value) if method == "append" else _only_arch_flags(value)
    return target if fits else ""


def _only_arch_flags(value: cst.BaseExpression) -> bool:
    return isinstance(value, cst.List | cst.Tuple) and all(
        _is_arch_flag(element.value) for element in value.elements
    )


def _flag_lists(
    changes: Changes, strings: list[cst.BaseExpression], adding: list[_Adding]
) -> list[cst.List]:
    """Lists that hold architecture flags among others; one extension's flags each."""
    statements = {item.statement for item in adding}
    found: dict[cst.List, None] = {}
    for node in strings:
        parent = changes.source.parents[node]
        holder = changes.source.parents[parent] if isinstance(parent, cst.Element) else None
        if isinstance(holder, cst.List) and changes.source.statement(node) not in statements:
            found[holder] = None
    return list(found)


def _refuse_the_unknown(
    changes: Changes,
    strings: list[cst.BaseExpression],
    adding: list[_Adding],
    lists: list[cst.List],
) -> None:
    if not strings:
        raise UsageError(
            "cuda-archs: this setup.py passes no architecture flags to nvcc",
            hint="looked for -gencode, -arch and arch=compute_…; where there are none, torch reads "
            "TORCH_CUDA_ARCH_LIST",
        )
    if adding and lists:
        line = changes.source.line(lists[0])
        raise UsageError(
            f"cuda-archs: line {line}: architecture flags in a list, and others are appended elsewhere",
            hint="they may reach the same compiler twice: this file needs a patch of its own",
        )
    statements = {item.statement for item in adding}
    for node in strings:
        in_list = any(place in lists for place in changes.source.ancestors(node))
        if changes.source.statement(node) not in statements and not in_list:
            raise UsageError(
                f"cuda-archs: line {changes.source.line(node)}: do not understand "
                f"`{changes.source.code(node)}` there",
                hint="looked for X.append(FLAG), X.extend([…]), X += […] and flags in a list",
            )


def _rewrite_statements(
    changes: Changes,
    target: str,
    statements: list[cst.SimpleStatementLine],
    archs: Sequence[str],
    flags: list[str],
) -> None:
    source = changes.source
    literal = ", ".join(f'"{flag}"' for flag in flags)
    code = f"{target}.extend([{literal}])  {MARK}{ID} {';'.join(archs)}"
    first = common_place(source, statements, _ABOUT_NVCC)
    if statements == [first] and source.code(first) == code:
        return
    gone = with_emptied_branches(source, statements, source.block(first))
    made = source.parse_statement(code).with_changes(leading_lines=first.leading_lines)
    if first in gone:
        gone.remove(first)
        changes.replace(ID, first, made)
    else:
        changes.insert_before(ID, first, [made.with_changes(leading_lines=())])
    for statement in gone:
        changes.remove(ID, statement)


def _rewrite_list(changes: Changes, node: cst.List, flags: list[str]) -> None:
    """Put `flags` where the list's first architecture flag stands, and take the others out."""
    ours = [element for element in node.elements if _is_arch_flag(element.value)]
    if [text_of(element.value) for element in ours] == flags:
        return
    first = ours[0]
    made = [
        cst.Element(
            cst.SimpleString(f'"{flag}"'), cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        )
        for flag in flags[:-1]
    ]
    changes.insert_before(ID, first, made)
    last = cst.SimpleString(f'"{flags[-1]}"')
    changes.replace(ID, first, first.with_changes(value=last, comma=ours[-1].comma))
    for element in ours[1:]:
        changes.remove(ID, element)


def _ask_no_gpu(changes: Changes, archs: Sequence[str]) -> None:
    """`torch.cuda.get_device_capability(…)` -> the lowest asked architecture."""
    for call in changes.source.all(cst.Call):
        if dotted(call.func).endswith("get_device_capability") and not changes.is_gone(call):
            major, minor = lowest(archs)
            changes.replace(ID, call, cst.parse_expression(f"({major}, {minor})"))

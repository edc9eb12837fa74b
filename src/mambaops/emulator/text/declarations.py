"""Declarations of variables: `.global .align 4 .u32 name[2] = {1, 2};`."""

from __future__ import annotations

from typing import List, Optional, Tuple, Union

from ..types import TYPES
from .reader import Reader
from .syntax import Number, Symbol, Variable

SPACES = (".global", ".const", ".shared", ".local", ".param")


def variables(reader: Reader, space: str, extern: bool = False) -> List[Variable]:
    """`.global .align 4 .u32 name = 1;`, several names between commas, up to the semicolon."""
    found = [variable(reader, space, extern)]
    while reader.accept(","):
        first = found[0]
        found.append(_named(reader, space, first.type.name, first.align, extern))
    reader.expect(";")
    return found


def variable(reader: Reader, space: str, extern: bool = False) -> Variable:
    align, name = 0, ""
    while not name:
        word = reader.take()
        if word == ".align":
            align = int(reader.take())
        elif word == ".ptr":
            _pointer(reader)
        elif word[1:] in TYPES:
            name = word[1:]
        else:
            raise reader.error("{!r} is not supported in a declaration".format(word))
    if reader.peek() == ".ptr":  # .param .u64 .ptr .global .align 16 name
        reader.take()
        _pointer(reader)
    return _named(reader, space, name, align, extern)


def _pointer(reader: Reader) -> None:
    while reader.peek() in SPACES or reader.peek() == ".align":
        if reader.take() == ".align":
            reader.take()


def _named(reader: Reader, space: str, type_name: str, align: int, extern: bool) -> Variable:
    type_ = TYPES[type_name]
    name, count = reader.take(), 1
    while reader.accept("["):
        if reader.accept("]"):
            count = 0
        else:
            count *= int(reader.take(), 0)
            reader.expect("]")
    init: Tuple[Union[Number, Symbol], ...] = ()
    if reader.accept("="):
        init = tuple(_initialiser(reader))
    if count == 0 and init:
        count = len(init)
    if len(init) > count:
        raise reader.error("{} has {} initial values for {}".format(name, len(init), count))
    return Variable(name, space[1:], type_, align or type_.size, count * type_.size, init, extern)


def _initialiser(reader: Reader) -> List[Union[Number, Symbol]]:
    if not reader.accept("{"):
        return [_initial(reader)]
    found: List[Union[Number, Symbol]] = []
    while not reader.accept("}"):
        found += _initialiser(reader)
        reader.accept(",")
    return found


def _initial(reader: Reader) -> Union[Number, Symbol]:
    generic = reader.accept("generic")
    if generic:
        reader.expect("(")
    value: Optional[Union[Number, Symbol]] = reader.constant()
    if value is None:
        name = reader.take()
        value = Symbol(name, reader.offset(), generic)
    if generic:
        reader.expect(")")
        value = (
            Symbol(value.name, value.offset + reader.offset(), True)
            if isinstance(value, Symbol)
            else value
        )
    return value

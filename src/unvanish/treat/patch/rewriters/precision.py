"""Write another number format for training."""

from __future__ import annotations

import ast
from typing import Final

from unvanish.core.places import SourceLine
from unvanish.treat.patch.optimisers import files_of
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"bfloat16", "float32-weights"})

_CONSTANT: Final = "AUTOCAST"
"""What a recipe calls the number format of its training loop."""


def rewrite(work: Work) -> None:
    """Write another number format: in the casts of the forward, or for the training loop.

    Raises:
        NoSafeEditError: If it stands in no line of the network's files.
    """
    settings = work.prescription.settings
    if "casts" in settings:
        wanted = "bfloat16" if work.prescription.remedy == "bfloat16" else "float32"
        for told in str(settings["casts"]).split(", "):
            file, _, number = told.rpartition(":")
            _recast(work.source(SourceLine(file, int(number))), int(number), wanted)
    elif work.prescription.remedy == "bfloat16":
        _autocast(work)
    else:
        raise NoSafeEditError("the network is turned to 16 bits as a whole: say model.float()")


def _recast(source: Source, line: int, wanted: str) -> None:
    """Let the casts of a line give another type.

    Raises:
        NoSafeEditError: If no cast in the line can be told to be one to 16 bits.
    """
    done = False
    gone: set[ast.AST] = set()
    for call in source.nodes(ast.Call, line):
        func = call.func
        if not isinstance(func, ast.Attribute) or call in gone:
            continue
        given = [*call.args, *(one.value for one in call.keywords)]
        types = [one for one in given if _is_type(source, one)]
        is_short = func.attr in ("half", "bfloat16") and not given
        is_told = func.attr in ("to", "type") and len(types) == 1 and len(given) == 1
        if is_short or is_told or func.attr == "type_as":
            _give(source, call, func, wanted)
        elif func.attr == "to" and len(types) == 1:
            source.replace(types[0], source.spell(f"torch.{wanted}"))
        else:
            continue
        done = True
        gone.update(inner for one in given for inner in ast.walk(one))
    if not done:
        raise NoSafeEditError(f"line {line} casts to 16 bits in a way that cannot be followed")


def _give(source: Source, call: ast.Call, func: ast.Attribute, wanted: str) -> None:
    """Write the method with which a tensor gives its type in the place of another one."""
    source.cut(source.span(func)[1] - len(func.attr), source.span(call)[1])
    source.insert_after(call, "float()" if wanted == "float32" else f"{wanted}()")


def _is_type(source: Source, node: ast.expr) -> bool:
    """Tell whether an argument says a type: one of 16 bits, or one that has the name of types."""
    if source.meaning(node) in _SHORT:
        return True
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return "dtype" in name


_SHORT: Final = frozenset({"torch.float16", "torch.half", "torch.bfloat16"})


def _autocast(work: Work) -> None:
    """Write bfloat16 for float16 in the recipe's constant and in every autocast of its file.

    Raises:
        NoSafeEditError: If the file has no such constant.
    """
    for source in files_of(work):
        found = [node for node in source.nodes(ast.Assign) if _is_constant(node)]
        if len(found) != 1:
            continue
        _write(source, found[0].value)
        for call in source.nodes(ast.Call):
            if source.meaning(call.func) in _AUTOCASTS:
                for given in (*call.args, *(one.value for one in call.keywords)):
                    if source.meaning(given) in _HALVES:
                        _write(source, given)
        return
    raise NoSafeEditError("no file of the network says AUTOCAST, and the training loop is yours")


_AUTOCASTS: Final = frozenset(
    {"torch.autocast", "torch.amp.autocast", "torch.cuda.amp.autocast", "torch.cpu.amp.autocast"}
)
_HALVES: Final = frozenset({"torch.float16", "torch.half"})


def _is_constant(node: ast.Assign) -> bool:
    return any(isinstance(t, ast.Name) and t.id == _CONSTANT for t in node.targets)


def _write(source: Source, value: ast.expr) -> None:
    if isinstance(value, ast.Constant) and value.value == "float16":
        quote = source.segment(value)[0]
        source.replace(value, f"{quote}bfloat16{quote}")
    elif source.meaning(value) in _HALVES:
        source.replace(value, source.spell("torch.bfloat16"))
    else:
        raise NoSafeEditError(f"line {value.lineno} says float16 in a way that cannot be followed")

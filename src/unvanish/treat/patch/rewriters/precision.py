"""Write another number format for training."""

from __future__ import annotations

import ast
from typing import Final

from unvanish.treat.patch.optimisers import files_of
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"bfloat16"})

_CONSTANT: Final = "AUTOCAST"
"""What a recipe calls the number format of its training loop."""


def rewrite(work: Work) -> None:
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

"""Write a floor under what enters a logarithm, a root or a division."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from unvanish.core.prescriptions import Edit
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.removal import in_brackets
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work
from unvanish.treat.singularities import FLOORED, SINGULAR, Singularity

REMEDIES: Final = frozenset({"guard-singularity"})

_OPERATORS: Final[dict[str, type[ast.operator]]] = {"div": ast.Div, "pow": ast.Pow}


def rewrite(work: Work) -> None:
    """Write ``clamp_min`` behind what enters every call that was given a floor.

    Raises:
        NoSafeEditError: If the line of a call is not known, or several calls stand in it.
    """
    done: set[tuple[str, int, str]] = set()
    for edit in work.receipt.edits:
        source = work.source(edit.source)
        assert edit.source is not None
        function, _, said = edit.after.partition(FLOORED)
        key = (edit.source.file, edit.source.line, function)
        if key not in done:
            _write(source, edit.source.line, function, float(said), _is_signed(edit))
        done.add(key)


def _is_signed(edit: Edit) -> bool:
    return edit.before.startswith("signed")


def _write(source: Source, line: int, function: str, floor: float, signed: bool) -> None:
    where = SINGULAR.get(function, Singularity())
    given = list(_arguments(source, line, function, where.argument))
    if len(given) != 1:
        raise NoSafeEditError(f"line {line} calls {function} {len(given)} times")
    text = in_brackets(source, given[0])
    if isinstance(given[0], ast.Constant):
        raise NoSafeEditError(f"line {line}: {function} is given a constant")
    if signed:
        if not isinstance(given[0], ast.Name | ast.Attribute):
            raise NoSafeEditError(f"line {line}: what {function} is given has no name")
        away = f"{source.spell('torch.where')}({text} < 0, -{spelt(floor)}, {spelt(floor)})"
        written = f"{source.spell('torch.where')}({text}.abs() < {spelt(floor)}, {away}, {text})"
    elif where.high is not None:
        written = f"{text}.clamp({(where.low or 0.0) + floor!r}, {where.high - floor!r})"
    else:
        low = repr(where.low + floor) if where.low else spelt(floor)
        written = f"{text}.clamp_min({low})"
    source.replace(given[0], written)


def _arguments(source: Source, line: int, function: str, number: int) -> Iterator[ast.expr]:
    """Yield what the calls of a function in a line are given at the place that is meant."""
    for call in source.nodes(ast.Call, line):
        name = source.meaning(call.func).rpartition(".")[2].strip("_")
        if source.meaning(call.func).startswith("torch") and name == function:
            if number < len(call.args):
                yield call.args[number]
        elif isinstance(call.func, ast.Attribute) and call.func.attr.strip("_") == function:
            if number == 0:
                yield call.func.value
            elif call.args:
                yield call.args[number - 1]
    for one in source.nodes(ast.BinOp, line):
        operand = one.right if number else one.left
        if isinstance(one.op, _OPERATORS.get(function, ())) and not isinstance(
            one.right if function == "div" else one.left, ast.Constant
        ):
            yield operand

"""Write a soft bound where what an exponential is given gets its name."""

from __future__ import annotations

import ast
from typing import Final

from unvanish.treat.exponents import EXPONENTIALS
from unvanish.treat.patch.optimisers import number_of, spelt
from unvanish.treat.patch.removal import in_brackets
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work
from unvanish.treat.remedies.bound_exponent import WITHIN

REMEDIES: Final = frozenset({"bound-exponent"})

_WHOLE: Final = frozenset("view reshape unsqueeze squeeze expand transpose permute float".split())
"""Methods behind which all of a tensor goes on with other axes."""


def rewrite(work: Work) -> None:
    """Write ``c * torch.tanh(s / c)`` for what every exponential that was bounded is given.

    Raises:
        NoSafeEditError: If the line of an exponential is not known, or several stand in it.
    """
    done: set[tuple[str, int]] = set()
    for edit in work.receipt.edits:
        source = work.source(edit.source)
        assert edit.source is not None
        function, _, said = edit.after.partition(WITHIN)
        if (edit.source.file, edit.source.line) not in done:
            _write(source, edit.source.line, function, float(said))
        done.add((edit.source.file, edit.source.line))


def _write(source: Source, line: int, function: str, bound: float) -> None:
    given = [one for call in source.nodes(ast.Call, line) for one in _given(source, call, function)]
    if len(given) != 1:
        raise NoSafeEditError(f"line {line} calls {function} {len(given)} times")
    value, factor = _root(given[0])
    name = value.id if isinstance(value, ast.Name) else ""
    made = _statement(source, value, name) if name else None
    passed = _passed(source, value) if made is None else None
    if passed is not None and isinstance(passed, ast.Name):
        earlier = _statement(source, passed, passed.id)
        if earlier is not None:
            made, name = earlier, passed.id
    while made is not None and isinstance(made, ast.Assign):
        before, more = _root(made.value)  # half = 0.5 * v: it is v that is bounded
        if not isinstance(before, ast.Name) or not isinstance(made.targets[0], ast.Name):
            break
        earlier = _statement(source, made, before.id)
        if earlier is None or before.id == name:
            break
        made, name, factor = earlier, before.id, factor * more
    bound /= abs(factor)
    if made is None:
        source.replace(value, _bounded(source, in_brackets(source, value), bound))
        return
    if not source.begins_line(made):
        raise NoSafeEditError(f"line {made.lineno} holds several statements")
    source.add_lines(made, [f"{name} = {_bounded(source, name, bound)}"])


def _bounded(source: Source, text: str, bound: float) -> str:
    number = spelt(bound)
    return f"{number} * {source.spell('torch.tanh')}({text} / {number})"


def _given(source: Source, call: ast.Call, function: str) -> list[ast.expr]:
    """Return what a call of an exponential is given; empty for another call."""
    named = source.meaning(call.func).rpartition(".")[2].strip("_")
    if source.meaning(call.func).startswith("torch") and named == function:
        return call.args[:1]
    if isinstance(call.func, ast.Attribute) and call.func.attr.strip("_") == function:
        return [] if function not in EXPONENTIALS else [call.func.value]
    return []


def _root(value: ast.expr) -> tuple[ast.expr, float]:
    """Return what an expression is a multiple of, or another shape of, and how many times that."""
    inner, factor = value, 1.0
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        inner, factor = value.operand, -1.0
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult | ast.Div):
        left, right = number_of(value.left), number_of(value.right)
        if right:
            inner, factor = value.left, right if isinstance(value.op, ast.Mult) else 1.0 / right
        elif left and isinstance(value.op, ast.Mult):
            inner, factor = value.right, left
    elif (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in _WHOLE
    ):
        inner = value.func.value
    if inner is value:
        return value, 1.0
    found, more = _root(inner)
    return found, factor * more


def _passed(source: Source, value: ast.expr) -> ast.expr | None:
    """Return what the only call of a function gives an argument of it; None for another name."""
    function = source.around(value, ast.FunctionDef)
    if function is None or not isinstance(value, ast.Name):
        return None
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    calls = [
        call
        for call in source.nodes(ast.Call)
        if function.name == getattr(call.func, "attr", getattr(call.func, "id", ""))
    ]
    if value.id not in names or len(calls) != 1:
        return None
    call = calls[0]
    told = next((one.value for one in call.keywords if one.arg == value.id), None)
    is_method = isinstance(call.func, ast.Attribute) and source.around(function, ast.ClassDef)
    place = names.index(value.id) - bool(is_method)
    return told or (call.args[place] if 0 <= place < len(call.args) else None)


def _statement(source: Source, node: ast.AST, name: str) -> ast.stmt | None:
    """Return the last statement before a node, in a block around it, that gives a name a value.

    A condition that gives it one in some cases counts as a whole.
    """
    inner: ast.AST = node
    while not isinstance(inner, ast.FunctionDef | ast.Lambda | ast.Module):
        holder = source.parent(inner)
        assert holder is not None
        for field in ("body", "orelse", "finalbody"):
            block = getattr(holder, field, None)
            if not isinstance(block, list) or inner not in block:
                continue
            earlier: list[ast.stmt] = block[: block.index(inner)]
            for statement in reversed(earlier):
                if any(
                    isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Store)
                    for one in ast.walk(statement)
                ):
                    return statement
        inner = holder
    return None

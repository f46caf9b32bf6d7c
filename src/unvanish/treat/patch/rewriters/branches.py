"""Write a factor before the residual branches that a forward adds already."""

from __future__ import annotations

import ast

from unvanish.treat.patch.builder import add_to_init
from unvanish.treat.patch.rewriters.factors import Kind, factor_of_loop
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work
from unvanish.treat.shortcuts import Factor, Scale
from unvanish.treat.streams import branches_of

Sum = tuple[ast.BinOp | ast.AugAssign, ast.expr]
"""A sum, and the side of it that is the branch."""


def write_branches(work: Work) -> None:
    """Write ``x + scale * f(x)`` where a forward says ``x + f(x)``.

    Raises:
        NoSafeEditError: If a sum is not found, or it cannot be told which side is the branch.
    """
    if work.prescription.settings.get("take_out"):
        raise NoSafeEditError("the normalisation of its branches is to be taken out by hand")
    kind = _kind_of(work)
    lines = dict.fromkeys(one.join.source for one in branches_of(work.first.recording))
    if not lines:
        raise NoSafeEditError("the lines of its sums were not seen")
    for line in lines:
        source = work.source(line)
        assert line is not None
        found, branch = _sum_of(source, line.line)
        factor = _factor(work, source, found, kind) if kind.is_trained else ""
        _write(source, found, branch, kind, factor)


def _kind_of(work: Work) -> Kind:
    """Return what every branch of the treated network is multiplied by.

    Raises:
        NoSafeEditError: If they are not all of one kind.
    """
    kinds = set()
    for one in work.model.modules():
        if isinstance(one, Factor):
            kinds.add(Kind(one.factor, 0.0))
        elif isinstance(one, Scale):
            kinds.add(Kind.trained(one, 0.0))
    if len(kinds) != 1:
        raise NoSafeEditError("the factors of its branches are not all of one kind")
    return kinds.pop()


def _sum_of(source: Source, line: int) -> Sum:
    """Return the sum that a line makes, and its branch: the side that calls a layer."""
    sums: list[ast.BinOp | ast.AugAssign] = [
        *(one for one in source.nodes(ast.BinOp, line) if isinstance(one.op, ast.Add)),
        *(one for one in source.nodes(ast.AugAssign, line) if isinstance(one.op, ast.Add)),
    ]
    for one in sums:
        sides = [one.left, one.right] if isinstance(one, ast.BinOp) else [one.target, one.value]
        branches = [side for side in sides if _computes(source, side, one)]
        calls = [side for side in branches if not isinstance(side, ast.Name)]
        branches = calls if len(calls) == 1 else branches
        if len(branches) == 1:
            return one, branches[0]
    raise NoSafeEditError(f"line {line} adds in a way that cannot be followed")


def _computes(source: Source, side: ast.expr, found: ast.AST) -> bool:
    """Tell whether a side of a sum calls something, or is a name that was given what does."""
    if not isinstance(side, ast.Name):
        return any(isinstance(n, ast.Call) for n in ast.walk(side))
    function = source.around(found, ast.FunctionDef) or source.tree
    given = [
        one
        for one in ast.walk(function)
        if isinstance(one, ast.Assign)
        and one.lineno < found.lineno  # type: ignore[attr-defined]
        and any(isinstance(t, ast.Name) and t.id == side.id for t in one.targets)
    ]
    last = max(given, key=lambda one: one.lineno, default=None)
    return last is not None and isinstance(last.value, ast.Call)


def _factor(work: Work, source: Source, found: ast.BinOp | ast.AugAssign, kind: Kind) -> str:
    """Give the class of a forward a factor for one of its sums; return what it is called.

    Raises:
        NoSafeEditError: If the sum is not made in a method of a class with an ``__init__``.
    """
    if source.around(found, ast.For) is not None:
        return factor_of_loop(work, source, found, kind)
    function, cls = source.around(found, ast.FunctionDef), source.around(found, ast.ClassDef)
    init = next(
        (
            one
            for one in (cls.body if cls is not None else ())
            if isinstance(one, ast.FunctionDef) and one.name == "__init__"
        ),
        None,
    )
    if function is None or init is None or not function.args.args:
        raise NoSafeEditError(f"line {found.lineno} adds outside of a method of a class")
    me = function.args.args[0].arg
    taken = {n.attr for n in source.nodes(ast.Attribute)} | source.given
    name = next(n for n in ("scale", *(f"scale_{i}" for i in range(2, 100))) if n not in taken)
    source.given.add(name)
    made = kind.parameter(source, str(kind.channels))
    add_to_init(source, init, [f"{init.args.args[0].arg}.{name} = {made}"])
    return f"{me}.{name}"


def _write(
    source: Source, found: ast.BinOp | ast.AugAssign, branch: ast.expr, kind: Kind, factor: str
) -> None:
    simple = isinstance(branch, ast.Call | ast.Name | ast.Subscript | ast.Attribute)
    before, after = kind.around(simple, factor)
    if isinstance(found, ast.AugAssign) and branch is found.target:
        target = source.segment(branch)
        text = f"{target} = {before}{target}{after} + {source.segment(found.value)}"
        source.replace(found, text)
        return
    source.prefix(branch, before)
    if after:
        source.insert_after(branch, after)

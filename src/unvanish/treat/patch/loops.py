"""The training loops of a file: where an optimiser takes its steps, and on which network."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from unvanish.treat.patch.optimisers import Maker
from unvanish.treat.patch.source import NoSafeEditError, Source


@dataclass(frozen=True, slots=True)
class Step:
    """``optimizer.step()`` behind a ``backward()``.

    Attributes:
        statement: That statement.
        network: The network that is trained there, as code.
    """

    statement: ast.Expr
    network: str


def steps_of(maker: Maker) -> list[Step]:
    """Return the steps of an optimiser in the file that makes it.

    It is the optimiser that is made there, or what its factory returns; where neither is stepped,
    the only other one of its class.

    Args:
        maker: The call that makes it.

    Raises:
        NoSafeEditError: If a loop clips the gradient already.
    """
    found = [
        (statement, made)
        for statement, made in _stepped(maker.source)
        if _behind_backward(maker.source, statement)
    ]
    own = [(statement, made) for statement, made in found if _is_own(maker, made)]
    kin = [(statement, made) for statement, made in found if _is_kin(maker, made)]
    steps = []
    for statement, made in own or (kin if len(kin) == 1 else []):
        network = _network(maker.source, statement, made)
        if network:
            steps.append(Step(statement, network))
    return steps


def read_by(call: ast.Call) -> str:
    """Return the name whose ``parameters()`` a call is given; empty where there is none."""
    names = {
        n.func.value.id
        for n in ast.walk(call)
        if isinstance(n, ast.Call)
        and isinstance(n.func, ast.Attribute)
        and n.func.attr in ("parameters", "named_parameters")
        and isinstance(n.func.value, ast.Name)
    }
    return names.pop() if len(names) == 1 else ""


def _stepped(source: Source) -> Iterator[tuple[ast.Expr, ast.Call]]:
    """Yield each ``X.step()`` with the call that ``X`` was given."""
    for statement in source.nodes(ast.Expr):
        call = statement.value
        if not isinstance(call, ast.Call) or call.args or call.keywords:
            continue
        if isinstance(call.func, ast.Attribute) and call.func.attr == "step":
            made = _given_to(source, statement, source.segment(call.func.value))
            if made is not None:
                yield statement, made


def _given_to(source: Source, statement: ast.stmt, name: str) -> ast.Call | None:
    """Return the one call that a name, or an attribute of one's own, is given."""
    wide = ast.ClassDef if "." in name else ast.FunctionDef
    scope: ast.AST = source.around(statement, wide) or source.tree
    made = [
        one.value
        for one in ast.walk(scope)
        if isinstance(one, ast.Assign) and name in [source.segment(t) for t in one.targets]
    ]
    if not made and scope is not source.tree and "." not in name:
        made = [
            one.value
            for one in source.tree.body
            if isinstance(one, ast.Assign) and name in [source.segment(t) for t in one.targets]
        ]
    return made[0] if len(made) == 1 and isinstance(made[0], ast.Call) else None


def _behind_backward(source: Source, statement: ast.stmt) -> bool:
    """Tell whether ``backward()`` is called before a statement, in its block or one around it.

    Raises:
        NoSafeEditError: If the gradient is clipped there already.
    """
    node: ast.AST = statement
    while not isinstance(node, ast.FunctionDef | ast.Module):
        holder = source.parent(node)
        assert holder is not None
        block = next((b for b in _blocks(holder) if node in b), [])
        before = block[: block.index(node)] if node in block else []
        called = {_called(one) for one in before}
        if "clip_grad_norm_" in called:
            raise NoSafeEditError(f"the gradient is clipped before line {statement.lineno} already")
        if "backward" in called:
            return True
        node = holder
    return False


def _blocks(holder: ast.AST) -> Iterator[list[ast.AST]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(holder, name, None)
        if isinstance(block, list):
            yield block


def _called(statement: ast.AST) -> str:
    """Return the method that a statement does nothing but call; empty for another."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    func = call.func if isinstance(call, ast.Call) else None
    return func.attr if isinstance(func, ast.Attribute) else ""


def _is_own(maker: Maker, made: ast.Call) -> bool:
    factory = maker.function.name if isinstance(maker.function, ast.FunctionDef) else ""
    by_factory = isinstance(made.func, ast.Name) and made.func.id == factory
    return made is maker.outer or by_factory


def _is_kin(maker: Maker, made: ast.Call) -> bool:
    return maker.source.meaning(made.func) == maker.source.meaning(maker.outer.func)


def _network(source: Source, statement: ast.stmt, made: ast.Call) -> str:
    """Return what the scope of a step calls the network that an optimiser was made for."""
    first = made.args[0] if made.args else None
    name = read_by(made) or (first.id if isinstance(first, ast.Name) else "")
    if not name:
        own = [
            source.segment(n.func.value)
            for n in ast.walk(made)
            if isinstance(n, ast.Call)
            and isinstance(n.func, ast.Attribute)
            and n.func.attr == "parameters"
        ]
        whole = [source.segment(first)] if isinstance(first, ast.Attribute) else own
        return whole[0] if len(whole) == 1 else ""
    here, there = (source.around(n, ast.FunctionDef) for n in (statement, made))
    if here is there or there is None:
        return name
    held = [
        source.segment(one.targets[0])
        for one in ast.walk(there)
        if isinstance(one, ast.Assign)
        and isinstance(one.value, ast.Name)
        and one.value.id == name
        and isinstance(one.targets[0], ast.Attribute)
    ]
    return held[0] if len(held) == 1 else ""

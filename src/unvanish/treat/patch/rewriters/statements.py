"""The statements of a forward that run a block: ``x = f(x)``, one or several, in a loop or not."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from unvanish.core.places import SourceLine
from unvanish.core.records import Site
from unvanish.treat.patch.rewriters.factors import free_name
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work


def assignment(work: Work, path: str, end: Site) -> tuple[Source, ast.Assign, ast.Name]:
    """Return the statement ``x = f(x)`` that runs a block, and its ``x``."""
    source = work.source(end.source)
    assert end.source is not None
    for statement in source.nodes(ast.Assign, end.source.line):
        target = statement.targets[0]
        if isinstance(target, ast.Name) and is_step(statement, target.id):
            return source, statement, target
    raise NoSafeEditError(f"no statement of the form x = f(x) runs {path}")


def is_step(statement: ast.stmt, x: str) -> bool:
    """Tell whether a statement is ``x = f(x)``."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    target = statement.targets[0]
    read = {n.id for n in ast.walk(statement.value) if isinstance(n, ast.Name)}
    return isinstance(target, ast.Name) and target.id == x and x in read


def kept_input(source: Source, statement: ast.Assign, x: str, begins: SourceLine | None) -> str:
    """Keep what enters a block of several statements, ``x = f(x)`` each; return its name.

    Args:
        source: The file.
        statement: The last of them.
        x: What each of them reads and gives another value.
        begins: The line that runs the layer; where it is that of the last, nothing is kept.

    Raises:
        NoSafeEditError: If they are no such statements of one block.
    """
    if begins is None or statement.lineno <= begins.line <= (statement.end_lineno or 0):
        return ""
    holder = source.parent(statement)
    blocks: list[list[ast.stmt]] = [getattr(holder, name, []) for name in ("body", "orelse")]
    block = next((one for one in blocks if statement in one), [])
    whole = [one for one in block if begins.line <= one.lineno <= statement.lineno]
    same_file = source.path.resolve() == Path(begins.file).resolve()
    if not whole or not same_file or not all(is_step(one, x) for one in whole):
        raise NoSafeEditError(f"what enters the block that ends in line {statement.lineno} is gone")
    if not source.begins_line(whole[0]):
        raise NoSafeEditError(f"line {whole[0].lineno} holds more than one statement")
    name = free_name(source, statement, "skip", "residual", "entered")
    source.add_before(whole[0], [f"{name} = {x}"], above_comments=True)
    return name


def is_first(weights: Sequence[str]) -> bool:
    """Tell whether it is one layer that is left out, and the first of a list."""
    return len(weights) == 1 and [x for x in weights[0].split(".") if x.isdigit()][:1] == ["0"]


def behind_first(source: Source, statement: ast.Assign, left: Sequence[str]) -> str:
    """Return a test that is true in every turn of a loop over layers but the first.

    Raises:
        NoSafeEditError: If the statement is in no loop over a list, or another layer is left out.
    """
    loop = source.around(statement, ast.For)
    layer, layers = (loop.target, loop.iter) if loop is not None else (None, None)
    if isinstance(layers, ast.Call) and isinstance(layer, ast.Tuple) and len(layers.args) > 0:
        called = source.meaning(layers.func)
        layer = layer.elts[{"zip": 0, "enumerate": 1}.get(called, 0)]
        layers = layers.args[0] if called in ("zip", "enumerate") else None
    if is_first(left) and isinstance(layer, ast.Name) and isinstance(layers, ast.Attribute):
        return f"{layer.id} is not {source.segment(layers)}[0]"
    raise NoSafeEditError(f"line {statement.lineno} also runs {left[-1]}, which stays as it is")

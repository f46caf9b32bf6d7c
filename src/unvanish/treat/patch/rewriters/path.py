"""Write residual connections where a forward says ``x = f(x)``."""

from __future__ import annotations

import ast
from typing import Final

from unvanish.core.records import Site
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"residual"})


def rewrite(work: Work) -> None:
    """Write ``x = x + f(x)`` where a forward says ``x = f(x)``.

    Raises:
        NoSafeEditError: If a connection does more than add, or its block is no such statement.
    """
    for edit in work.receipt.edits:
        if edit.after != "x + F(x)":
            raise NoSafeEditError(f"the connection at {edit.place} is {edit.after}")
    centres = {
        float(centre)
        for module in work.model.modules()
        if isinstance(centre := getattr(module, "centre", None), int | float)
    }
    if len(centres) > 1:
        raise NoSafeEditError("the connections subtract different numbers")
    centre = centres.pop() if centres else 0.0
    starts = {
        (layer.site.path, layer.activation_site)
        for layer in work.anatomy.layers
        if layer.weight in work.prescription.places and layer.activation_site is not None
    }
    if not starts:
        raise NoSafeEditError("the blocks were not seen")
    statements: dict[tuple[str, int], tuple[Source, ast.Assign, ast.Name]] = {}
    for path, end in starts:
        assert end is not None
        source, statement, target = _assignment(work, path, end)
        statements[str(source.path), statement.lineno] = source, statement, target
    less = f" - {centre:.6g}" if centre else ""
    for source, statement, target in statements.values():
        source.replace(statement.value, f"{target.id} + {source.segment(statement.value)}{less}")


def _assignment(work: Work, path: str, end: Site) -> tuple[Source, ast.Assign, ast.Name]:
    """Return the statement ``x = f(x)`` that runs a block, and its ``x``."""
    source = work.source(end.source)
    assert end.source is not None
    for statement in source.nodes(ast.Assign, end.source.line):
        target = statement.targets[0]
        names = {n.id for n in ast.walk(statement.value) if isinstance(n, ast.Name)}
        if len(statement.targets) == 1 and isinstance(target, ast.Name) and target.id in names:
            return source, statement, target
    raise NoSafeEditError(f"no statement of the form x = f(x) runs {path}")

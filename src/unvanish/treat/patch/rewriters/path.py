"""Write residual connections: where a forward says ``x = f(x)``, or round modules in a list."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from torch import nn

from unvanish.core.records import Site
from unvanish.treat.anatomy import Layer
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work
from unvanish.treat.shortcuts import Residual

REMEDIES: Final = frozenset({"residual", "scaled-residual"})

_CLASS: Final = '''class Residual({nn}.Module):
    """Adds what goes in to what comes out."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = {nn}.Sequential(*layers)

    def forward(self, x):
        return x + {branch}
'''


def rewrite(work: Work) -> None:
    """Write ``x = x + f(x)`` where a forward says ``x = f(x)``, or wrap a layer and its function.

    Raises:
        NoSafeEditError: If a connection does more than add, or its block is no such statement.
    """
    sums = {module for module in work.model.modules() if isinstance(module, Residual)}
    if not sums or len(sums) < len(work.receipt.edits):
        said = next(edit.after for edit in work.receipt.edits)
        raise NoSafeEditError(f"a connection is more than a sum: {said}")
    if any(one.shortcut.projection is not None or one.shortcut.pad for one in sums):
        raise NoSafeEditError("a connection changes the width of what it carries")
    kinds = {(one.scale, one.centre) for one in sums}
    if len(kinds) > 1:
        raise NoSafeEditError("the connections are not all of one kind")
    scale, centre = kinds.pop()
    blocks = [
        layer
        for layer in work.anatomy.layers
        if layer.weight in work.prescription.places and layer.activation_site is not None
    ]
    if not blocks:
        raise NoSafeEditError("the blocks were not seen")
    if any(layer.activation_site is None or _is_module(layer.activation_site) for layer in blocks):
        _write_modules(work, blocks, _branch("self.layers(x)", scale, centre))
    else:
        _write_calls(work, blocks, scale, centre)


def _branch(called: str, scale: float, centre: float) -> str:
    text = f"{called} - {centre:.6g}" if centre else called
    if scale == 1.0:
        return text
    return f"{scale:.6g} * ({text})" if centre else f"{scale:.6g} * {text}"


def _is_module(site: Site) -> bool:
    """Tell whether a function is a module of torch.nn, and no call in a forward."""
    return hasattr(nn, site.module) and site.path != ""


def _write_calls(work: Work, blocks: Sequence[Layer], scale: float, centre: float) -> None:
    statements: dict[tuple[str, int], tuple[Source, ast.Assign, ast.Name]] = {}
    for layer in blocks:
        assert layer.activation_site is not None
        source, statement, target = _assignment(work, layer.path, layer.activation_site)
        statements[str(source.path), statement.lineno] = source, statement, target
    for source, statement, target in statements.values():
        branch = _branch(source.segment(statement.value), scale, centre)
        source.replace(statement.value, f"{target.id} + {branch}")


def _write_modules(work: Work, blocks: Sequence[Layer], branch: str) -> None:
    """Wrap a layer and the function behind it, neighbours in one list of modules."""
    sources: dict[str, Source] = {}
    done: set[tuple[str, int, int]] = set()
    for layer in blocks:
        site = layer.activation_site
        assert site is not None
        source = work.source(layer.site.built)
        first = _made(source, layer.site, layer.path)
        last = _made(source, site, site.path)
        sources[str(source.path)] = source
        if (str(source.path), first.lineno, first.col_offset) in done:
            continue
        done.add((str(source.path), first.lineno, first.col_offset))
        holder = source.parent(first)
        elements: list[ast.AST] = getattr(holder, "elts", None) or getattr(holder, "args", [])
        if last not in elements or elements.index(last) != elements.index(first) + 1:
            raise NoSafeEditError(f"{layer.path} and {site.path} are no neighbours in one list")
        source.replace_between(first, last, "Residual({text})")
    for source in sources.values():
        if any(node.name == "Residual" for node in source.nodes(ast.ClassDef)):
            raise NoSafeEditError("the file has a class Residual already")
        module = source.spell("torch.nn.Module").rpartition(".")[0]
        source.add_class(_CLASS.format(nn=module, branch=branch))


def _made(source: Source, site: Site, path: str) -> ast.Call:
    """Return the call that made a module."""
    if site.built is not None:
        for call in source.nodes(ast.Call, site.built.line):
            if source.meaning(call.func) == f"torch.nn.{site.module}":
                return call
    raise NoSafeEditError(f"no call of a class of torch.nn makes {path}")


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

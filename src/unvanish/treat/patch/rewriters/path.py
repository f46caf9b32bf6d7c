"""Write residual connections: where a forward says ``x = f(x)``, or round modules in a list."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from torch import nn

from unvanish.core.places import SourceLine
from unvanish.core.records import Site
from unvanish.treat.anatomy import Layer
from unvanish.treat.connections import ATTENTIONS, PRESENT
from unvanish.treat.patch.rewriters.branches import write_branches
from unvanish.treat.patch.rewriters.factors import Kind, factor_of_loop, free_name
from unvanish.treat.patch.rewriters.normalisation import outputs_of, with_wrappers
from unvanish.treat.patch.rewriters.statements import (
    assignment,
    behind_first,
    is_first,
    kept_input,
)
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work
from unvanish.treat.shortcuts import Residual, ScaledResidual

REMEDIES: Final = frozenset({"residual", "scaled-residual", "rezero", "layer-scale", "skip-init"})

_CLASS: Final = '''class Residual({nn}.Module):
    """Adds what goes in to what comes out."""

    def __init__(self, {arguments}layer, *more):
        super().__init__()
        self.layers = {nn}.Sequential(layer, *more)
{scale}
    def forward(self, x):
        {forward}
'''

_ALWAYS: Final = "return x + {branch}"
_WHERE_IT_FITS: Final = """out = self.layers(x)
        return x + {branch} if out.shape == x.shape else out"""


def rewrite(work: Work) -> None:
    """Write ``x = x + f(x)`` where a forward says ``x = f(x)``, or wrap a layer and its function.

    Raises:
        NoSafeEditError: If a connection does more than add, or its block is no such statement.
    """
    if work.prescription.settings.get("paths") == PRESENT:
        write_branches(work)
        return
    if work.prescription.settings.get(ATTENTIONS):
        raise NoSafeEditError("no edit leads a connection round attention")
    kind = _kind_of(work)
    blocks = [
        layer
        for layer in work.first.layers
        if layer.weight in work.prescription.places and layer.activation_site is not None
    ]
    if not blocks:
        raise NoSafeEditError("the blocks were not seen")
    if any(layer.activation_site is None or _is_module(layer.activation_site) for layer in blocks):
        _write_modules(work, blocks, kind)
    else:
        _write_calls(work, blocks, kind)


def _kind_of(work: Work) -> Kind:
    """Return what every connection of a treated network adds.

    Raises:
        NoSafeEditError: If they are not all of one kind, or do more than add.
    """
    modules = list(work.model.modules())
    sums = [one for one in modules if isinstance(one, Residual | ScaledResidual)]
    if not sums or len(sums) < len(work.receipt.edits):
        said = next(edit.after for edit in work.receipt.edits)
        raise NoSafeEditError(f"a connection is more than a sum: {said}")
    if any(one.shortcut.projection is not None or one.shortcut.pad for one in sums):
        raise NoSafeEditError("a connection changes the width of what it carries")
    kinds = {
        Kind(one.scale, one.centre)
        if isinstance(one, Residual)
        else Kind.trained(one.scale, one.centre)
        for one in sums
    }
    if len(kinds) > 1:
        raise NoSafeEditError("the connections are not all of one kind")
    return kinds.pop()


def _is_module(site: Site) -> bool:
    """Tell whether a function is a module of torch.nn, and no call in a forward."""
    return hasattr(nn, site.module) and site.path != ""


def _narrow(work: Work, blocks: Sequence[Layer], *, modules: bool) -> dict[SourceLine, list[str]]:
    """Return the lines that also run, or also make, layers that nothing is led round, with these.

    It is the first one, which reads the data: where data is as wide as what the layer makes of it,
    no test of the shape would leave it out.

    Args:
        work: The remedy.
        blocks: The layers that something is led round.
        modules: Whether it is the lines that make them which count, or those that run them.

    Raises:
        NoSafeEditError: If it is as wide, and made by the same line.
    """
    theirs = {_line(layer, modules=modules) for layer in blocks}
    lines: dict[SourceLine, list[str]] = {}
    for layer in work.first.layers:
        line = _line(layer, modules=modules)
        if layer in blocks or line is None or line not in theirs:
            continue
        if modules and work.makers(layer.site).alone:
            continue
        if modules and _is_as_wide(work, layer.weight):
            raise NoSafeEditError(f"{line} also makes {layer.path}, which stays as it is")
        lines.setdefault(line, []).append(layer.weight)
    return lines


def _is_as_wide(work: Work, weight: str) -> bool:
    """Tell whether a layer makes something as wide as what it reads."""
    shape = next((p.shape for p in work.recording.parameters if p.name == weight), ())
    return len(shape) < 2 or shape[0] == shape[1]


def _line(layer: Layer, *, modules: bool) -> SourceLine | None:
    """Return the line that makes a layer, or that runs it with its function."""
    if modules:
        return layer.site.built
    return layer.activation_site.source if layer.activation_site is not None else None


def _write_calls(work: Work, blocks: Sequence[Layer], kind: Kind) -> None:
    statements: dict[tuple[str, int], tuple[Source, ast.Assign, str]] = {}
    narrow = _narrow(work, blocks, modules=False)
    tested = {(str(work.source(at).path), at.line): paths for at, paths in narrow.items()}
    for layer in blocks:
        assert layer.activation_site is not None
        source, statement, target = assignment(work, layer.path, layer.activation_site)
        if (str(source.path), statement.lineno) in statements:
            continue
        kept = kept_input(source, statement, target.id, layer.site.source)
        statements[str(source.path), statement.lineno] = source, statement, kept or target.id
    for (file, number), (source, statement, x) in statements.items():
        last = statement.end_lineno or number
        left = [
            one
            for (path, line), paths in tested.items()
            if path == file and number <= line <= last
            for one in paths
        ]
        if left:
            factor = _factor_behind_first(work, source, statement, kind, left)
            test = ""
            if any(_is_as_wide(work, weight) for weight in left):
                test = behind_first(source, statement, left)
            _write_tested(source, statement, x, kind, factor, test)
            continue
        factor = factor_of_loop(work, source, statement, kind) if kind.is_trained else ""
        simple = isinstance(statement.value, ast.Call | ast.Name | ast.Subscript)
        before, after = kind.around(simple, factor)
        source.prefix(statement.value, f"{x} + {before}")
        source.insert_after(statement.value, after)


def _factor_behind_first(
    work: Work, source: Source, statement: ast.Assign, kind: Kind, left: Sequence[str]
) -> str:
    """Give every block of a loop but the first a factor; return what one is called, if any.

    Raises:
        NoSafeEditError: If another layer than the first of the list has to stay without one.
    """
    if not kind.is_trained:
        return ""
    if not is_first(left):
        raise NoSafeEditError(
            f"line {statement.lineno} also runs {left[-1]}, which is to have no factor"
        )
    return factor_of_loop(work, source, statement, kind, behind_first=True)


def _write_tested(
    source: Source, statement: ast.Assign, x: str, kind: Kind, factor: str = "", test: str = ""
) -> None:
    """Write a connection that is led round where it fits: not round the layer that reads data."""
    out = free_name(source, statement, "y", "out", "hidden")
    test = test or f"{out}.shape == {x}.shape"
    given = source.segment(statement.targets[0])
    line = f"{given} = {x} + {kind.branch(out, factor)} if {test} else {out}"
    loop = source.parent(statement)
    if source.begins_line(statement):
        source.replace(statement.targets[0], out)
        source.add_lines(statement, [line])
    elif isinstance(loop, ast.For) and loop.body == [statement] and source.begins_line(loop):
        indent = f"\n{source.indent(loop)}    "
        start, _ = source.span(statement)
        source.cut(len(source.text[:start].rstrip()), start)
        source.replace(statement.targets[0], f"{indent}{out}")
        source.insert_after(statement.value, f"{indent}{line}")
    else:
        raise NoSafeEditError(f"line {statement.lineno} holds more than one statement")


def _write_modules(work: Work, blocks: Sequence[Layer], kind: Kind) -> None:
    """Wrap a layer and the function behind it, neighbours in one list of modules."""
    factor = "self.scale" if kind.is_trained else ""
    forward = _ALWAYS.format(branch=kind.branch("self.layers(x)", factor))
    if _narrow(work, blocks, modules=True):
        if kind.is_trained:
            raise NoSafeEditError("the layer that reads the data is made with the others")
        forward = _WHERE_IT_FITS.format(branch=kind.branch("out"))
    sources: dict[str, Source] = {}
    done: set[tuple[str, int, int]] = set()
    for layer in blocks:
        site = layer.activation_site
        assert site is not None
        source, made = _made(work, layer.site)
        first = with_wrappers(source, made)
        _, last = _made(work, site)
        sources[str(source.path)] = source
        if (str(source.path), first.lineno, first.col_offset) in done:
            continue
        done.add((str(source.path), first.lineno, first.col_offset))
        holder = source.parent(first)
        elements: list[ast.AST] = getattr(holder, "elts", None) or getattr(holder, "args", [])
        if last not in elements or elements.index(last) != elements.index(first) + 1:
            raise NoSafeEditError(f"{layer.path} and {site.path} are no neighbours in one list")
        width = f"{outputs_of(source, made)}, " if kind.channels > 0 else ""
        source.prefix(first, f"Residual({width}")
        is_pair = isinstance(holder, ast.Tuple) and elements == [first, last]
        source.insert_after(last, ")," if is_pair else ")")
    for source in sources.values():
        if any(node.name == "Residual" for node in source.nodes(ast.ClassDef)):
            raise NoSafeEditError("the file has a class Residual already")
        scale = f"        self.scale = {kind.parameter(source, 'channels')}\n"
        source.add_class(
            _CLASS.format(
                nn=source.spell("torch.nn.Module").rpartition(".")[0],
                arguments="channels, " if kind.channels > 0 else "",
                scale=scale if kind.is_trained else "",
                forward=forward,
            )
        )


def _made(work: Work, site: Site) -> tuple[Source, ast.Call]:
    """Return the call that made a module, and its file.

    Raises:
        NoSafeEditError: If it is no call of its class.
    """
    makers = work.makers(site)
    if site.built is None or not makers.calls:
        raise NoSafeEditError(f"no call of a class of torch.nn makes {site.path}")
    return makers.source, makers.calls[0]

"""Write the step that answers in the units of the target behind the output of a network."""

from __future__ import annotations

import ast
import math
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.core.records import Site
from unvanish.treat.patch.builder import add_to_init
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.rewriters.normalisation import is_listed
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work
from unvanish.treat.unstandardising import Unstandardise

REMEDIES: Final = frozenset({"standardise-target"})

_MOST: Final = 16
"""Outputs whose statistics are written as numbers, at most."""

_DIGITS: Final = 6

_OPERATORS: Final[dict[str, type[ast.operator]]] = {
    "add": ast.Add,
    "sub": ast.Sub,
    "mul": ast.Mult,
    "div": ast.Div,
}

_CLASS: Final = '''class Unstandardise({nn}.Module):
    """Answers in the units of the target; the gradient of z is that of standardised targets."""

    def __init__(self, mean, deviation, slope):
        super().__init__()
        self.register_buffer("mean", {tensor}(mean))
        self.register_buffer("deviation", {tensor}(deviation))
        self.register_buffer("slope", {tensor}(slope))

    def forward(self, z):
{wide}        still = z.detach()
        return self.mean + self.deviation * still + self.slope * (z - still)
'''

_WIDE: Final = "        z = z.float()\n"


def rewrite(work: Work) -> None:
    """Write the step behind every output that was given one.

    Raises:
        NoSafeEditError: If an output is not found, or has too many numbers to write.
    """
    written: set[Source] = set()
    paths = work.prescription.places
    for number, path in enumerate(paths):
        part = _part(work, path)
        if part.mean.numel() > _MOST:
            raise NoSafeEditError(f"it needs {part.mean.numel()} means, too many to write")
        if any(p.dtype in (torch.float16, torch.bfloat16) for p in work.model.parameters()):
            raise NoSafeEditError("the network is one of 16 bits, and the target is not")
        edit = next(one for one in work.receipt.edits if one.place == path)
        site = [
            one
            for one in work.recording.signal_sites()
            if one.path == path and one.op == edit.before
        ][-1]
        name = "unstandardise" if len(paths) == 1 else f"unstandardise_{number + 1}"
        source = _write(work, site, _made(part), name)
        if source not in written:
            _write_class(work, source)
        written.add(source)


def _part(work: Work, path: str) -> Unstandardise:
    """Return what an output was given."""
    owner = work.model.get_submodule(path) if path else work.model
    found = [one for one in owner.children() if isinstance(one, Unstandardise)]
    if len(found) != 1 or found[0].axis != -1:
        raise NoSafeEditError(f"{path or 'the network'} holds no step of its own")
    return found[0]


def _write_class(work: Work, source: Source) -> None:
    if any(node.name == "Unstandardise" for node in source.nodes(ast.ClassDef)):
        raise NoSafeEditError("the file has a class Unstandardise already")
    source.add_class(
        _CLASS.format(
            nn=source.spell("torch.nn.Module").rpartition(".")[0],
            tensor=source.spell("torch.tensor"),
            wide=_WIDE if work.recording.context.autocast else "",
        )
    )


def _made(part: Unstandardise) -> str:
    """Return the call that makes the step."""
    deviation = part.deviation.expand_as(part.mean)
    shares = (part.mean.abs() / deviation).tolist()
    digits = [_DIGITS + max(0, math.ceil(math.log10(one))) if one else _DIGITS for one in shares]
    mean = _numbers(part.mean, digits)
    given = [_numbers(one, [_DIGITS] * one.numel()) for one in (part.deviation, part.slope)]
    return f"Unstandardise({', '.join([mean, *given])})"


def _numbers(values: Tensor, digits: list[int]) -> str:
    numbers = [spelt(one, size) for one, size in zip(values.tolist(), digits, strict=True)]
    return numbers[0] if len(set(numbers)) == 1 else f"[{', '.join(numbers)}]"


def _write(work: Work, site: Site, made: str, name: str) -> Source:
    """Write the step into a list of modules, or into the forward that answers."""
    listed = _listed(work, site)
    if listed is not None:
        source, last = listed
        source.insert_after(last, f"{_gap(source, last)}{made}")
        return source
    source = work.source(site.source)
    assert site.source is not None
    value = _value_of(work, source, site, site.source.line)
    function = source.around(value, ast.FunctionDef)
    cls = source.around(value, ast.ClassDef)
    if function is None or cls is None or not function.args.args:
        raise NoSafeEditError(f"{site.source} answers outside of a method")
    if source.around(value, ast.For) is not None:
        raise NoSafeEditError(f"{site.source} runs all layers, and the last is not told apart")
    inits = [n for n in cls.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    if not inits:
        raise NoSafeEditError(f"{cls.name} has no __init__ to hold the statistics")
    me = function.args.args[0].arg
    add_to_init(source, inits[0], [f"{inits[0].args.args[0].arg}.{name} = {made}"])
    source.prefix(value, f"{me}.{name}(")
    source.insert_after(value, ")")
    return source


def _listed(work: Work, site: Site) -> tuple[Source, ast.expr] | None:
    """Return the last element of the list of modules that answers; None where none does."""
    holder, _, leaf = site.path.rpartition(".")
    parent = work.model.get_submodule(holder) if holder else work.model
    if type(parent) is not nn.Sequential or site.built is None or not leaf:
        return None
    if leaf != list(parent._modules)[-1]:
        return None
    makers = work.makers(site)
    if makers.calls and makers.alone and is_listed(makers.source, makers.calls[0]):
        list_of = makers.source.parent(makers.calls[0])
        elements: list[ast.expr] = (
            getattr(list_of, "args", None) or getattr(list_of, "elts", None) or []
        )
        return (makers.source, elements[-1]) if elements[-1:] == [makers.calls[0]] else None
    calls = [
        call
        for call in makers.source.nodes(ast.Call)
        if makers.source.meaning(call.func) == "torch.nn.Sequential" and call.args
    ]
    starred = len(calls) == 1 and isinstance(calls[0].args[-1], ast.Starred)
    return (makers.source, calls[0].args[-1]) if starred else None


def _gap(source: Source, last: ast.expr) -> str:
    """Return what parts two elements: a new line where each has its own."""
    return f",\n{source.indent(last)}" if source.begins_line(last) else ", "


def _value_of(work: Work, source: Source, site: Site, line: int) -> ast.expr:
    """Return the expression that makes an output.

    Raises:
        NoSafeEditError: If it is not found, or not the only one of its line.
    """
    names = _names(work, site)
    found: list[ast.expr] = [
        call
        for call in source.nodes(ast.Call, line)
        if isinstance(call.func, ast.Attribute) and call.func.attr in names
    ]
    if not found and site.op in _OPERATORS:
        kind = _OPERATORS[site.op]
        found = [
            one
            for one in source.nodes(ast.BinOp, line)
            if isinstance(one.op, kind) and not isinstance(source.parent(one), ast.BinOp)
        ]
    if len(found) != 1:
        raise NoSafeEditError(f"line {line} makes the output in a way that cannot be followed")
    return found[0]


def _names(work: Work, site: Site) -> set[str]:
    """Return the attributes whose call gives the output: a layer's, or those of what ends in it."""
    path, names = site.path, set()
    while path:
        holder, _, leaf = path.rpartition(".")
        names.add(leaf)
        parent = work.model.get_submodule(holder) if holder else work.model
        if type(parent) is not nn.Sequential or leaf != list(parent._modules)[-1]:
            break
        path = holder
    is_module = type(work.model.get_submodule(site.path)).__module__.startswith("torch.nn.modules")
    return {name for name in names if not name.isdigit()} if site.path and is_module else set()

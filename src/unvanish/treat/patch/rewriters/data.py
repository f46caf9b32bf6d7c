"""Write what standardises the data where it enters the network."""

from __future__ import annotations

import ast
import math
import textwrap
from dataclasses import dataclass
from typing import Final

from torch import nn

from unvanish.treat.anatomy import Layer
from unvanish.treat.patch.builder import add_to_init
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.removal import in_brackets
from unvanish.treat.patch.rewriters.normalisation import is_listed
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work, same_line
from unvanish.treat.standardising import Standardise

REMEDIES: Final = frozenset({"standardise-input"})

_MOST: Final = 64
"""Features whose statistics are written as numbers, at most."""

_WIDTH: Final = 84

_DIGITS: Final = 6

_CONSTANTS: Final = ("MEAN", "DEVIATION")

_CLASS: Final = '''{constants}

class Standardise({nn}.Module):
    """Brings each feature to mean 0 and deviation 1."""

    def __init__(self, mean, deviation):
        super().__init__()
        self.register_buffer("mean", {tensor}(mean){shape})
        self.register_buffer("deviation", {tensor}(deviation){shape})

    def forward(self, x):
        return (x - self.mean) / self.deviation
'''


def rewrite(work: Work) -> None:
    """Write the step before the layer that reads the data.

    Raises:
        NoSafeEditError: If several layers read data, or their features are too many to write.
    """
    layers = list(work.layers({edit.rpartition(".")[0] for edit in work.prescription.places}))
    layers = [one for one in layers if one.weight in work.prescription.places]
    if len(layers) != 1:
        raise NoSafeEditError(f"{len(layers) or 'none'} of its layers can be told to read the data")
    layer = layers[0]
    part = _part(work, layer)
    if part.mean.numel() > _MOST:
        raise NoSafeEditError(
            f"it needs the mean of {part.mean.numel()} features, too many to write as numbers"
        )
    first = _listed(work, layer) or _heads(work, layer)
    if first is not None:
        _write_module(work.source(layer.site.built), first, part)
    else:
        _write_forward(work, layer, part)


def _part(work: Work, layer: Layer) -> Standardise:
    """Return what the treated layer was given."""
    owner = work.model.get_submodule(layer.path) if layer.path else work.model
    found = [one for one in owner.children() if isinstance(one, Standardise)]
    if len(found) != 1:
        raise NoSafeEditError(f"{layer.path} holds no step of its own")
    return found[0]


def _listed(work: Work, layer: Layer) -> ast.Call | None:
    """Return the call that makes a layer in a list of modules; None where it stands in none."""
    if layer.site.built is None:
        return None
    makers = work.makers(layer.site)
    call = makers.calls[0] if makers.calls else None
    if call is None or not is_listed(makers.source, call):
        return None
    if makers.alone:
        return call
    others = [one for one in work.anatomy.layers if one.path != layer.path]
    return None if any(same_line(one.site.built, layer.site.built) for one in others) else call


def _heads(work: Work, layer: Layer) -> ast.expr | None:
    """Return the first argument of the one `nn.Sequential` of a file that is the whole network."""
    if type(work.model) is not nn.Sequential or layer.path.partition(".")[0] != "0":
        return None
    source = work.source(layer.site.built)
    calls = [
        call
        for call in source.nodes(ast.Call)
        if source.meaning(call.func) == "torch.nn.Sequential" and call.args
    ]
    return calls[0].args[0] if len(calls) == 1 else None


def _write_module(source: Source, first: ast.expr, part: Standardise) -> None:
    if any(node.name == "Standardise" for node in source.nodes(ast.ClassDef)):
        raise NoSafeEditError("the file has a class Standardise already")
    if {node.id for node in source.nodes(ast.Name)} & set(_CONSTANTS):
        raise NoSafeEditError(f"the file has its own {' or '.join(_CONSTANTS)}")
    lines: list[str] = []
    for name, numbers in zip(_CONSTANTS, _numbers(part), strict=True):
        line = f"{name} = {numbers[0] if _are_one(numbers) else _listed_as(numbers)}"
        lines += [line] if len(line) <= _WIDTH else [f"{name} = [", *_wrapped(numbers), "]"]
    source.add_class(
        _CLASS.format(
            constants="".join(f"{line}\n" for line in lines),
            nn=source.spell("torch.nn.Module").rpartition(".")[0],
            tensor=source.spell("torch.tensor"),
            shape=_shape(part),
        )
    )
    source.insert_before(first, f"Standardise({', '.join(_CONSTANTS)}),")


def _write_forward(work: Work, layer: Layer, part: Standardise) -> None:
    """Write the step into the forward that calls the layer, and its numbers into ``__init__``."""
    line = layer.site.source
    source = work.source(line)
    assert line is not None
    call = _call_of(source, line.line, layer.path.rpartition(".")[2])
    function = source.around(call, ast.FunctionDef)
    cls = source.around(call, ast.ClassDef)
    if function is None or cls is None or not function.args.args:
        raise NoSafeEditError(f"{line} calls {layer.path} outside of a method")
    me = function.args.args[0].arg
    mean, deviation = _statistics(source, part, me)
    lines = [*mean.lines, *deviation.lines]
    if lines:
        add_to_init(source, _init_of(cls), lines)
    step = f"{mean.read(me)}) / {deviation.read(me)}"
    given = call.args[0]
    loop = _loop(source, call)
    if loop is None:
        source.replace(given, f"({in_brackets(source, given)} - {step}")
        return
    if not isinstance(given, ast.Name):
        raise NoSafeEditError(f"{line} runs all layers, and their input has no name")
    source.add_before(loop, [f"{given.id} = ({given.id} - {step}"])


def _call_of(source: Source, line: int, leaf: str) -> ast.Call:
    """Return the call of a layer: by its attribute, or by the name that a loop gives it."""
    calls = [c for c in source.nodes(ast.Call, line) if c.args and c.lineno <= line]
    for call in calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == leaf:
            return call
    for call in calls:
        loop = _loop(source, call)
        if isinstance(call.func, ast.Name) and loop is not None and _targets(loop, call.func.id):
            return call
    raise NoSafeEditError(f"line {line} calls the layer in a way that cannot be followed")


def _targets(loop: ast.For, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(loop.target))


def _loop(source: Source, node: ast.AST) -> ast.For | None:
    return source.around(node, ast.For)


def _init_of(cls: ast.ClassDef) -> ast.FunctionDef:
    for one in cls.body:
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            return one
    raise NoSafeEditError(f"{cls.name} has no __init__ to hold the statistics")


@dataclass(frozen=True, slots=True)
class _Statistic:
    """One number a feature as source text.

    Attributes:
        name: What the buffer is called.
        number: The one number that all features share; empty where they differ.
        lines: The lines that make the buffer; empty where a number will do.
    """

    name: str
    number: str
    lines: tuple[str, ...]

    def read(self, me: str) -> str:
        """Return how a method whose first argument is `me` reads it."""
        if not self.number:
            return f"{me}.{self.name}"
        return f"({self.number})" if self.number.startswith("-") else self.number


def _statistics(source: Source, part: Standardise, me: str) -> list[_Statistic]:
    torch = source.spell("torch.tensor")
    shape = _shape(part)
    found = []
    for name, numbers in zip(("mean", "deviation"), _numbers(part), strict=True):
        if _are_one(numbers):
            found.append(_Statistic(name, numbers[0], ()))
            continue
        line = f'{me}.register_buffer("{name}", {torch}({_listed_as(numbers)}){shape})'
        if len(line) <= _WIDTH:
            found.append(_Statistic(name, "", (line,)))
            continue
        held = f'{me}.register_buffer("{name}", {torch}({name}){shape})'
        found.append(_Statistic(name, "", (f"{name} = [", *_wrapped(numbers), "]", held)))
    return found


def _numbers(part: Standardise) -> tuple[list[str], list[str]]:
    """Return means and deviations as they are written."""
    deviations = part.deviation.tolist()
    pairs = zip(part.mean.tolist(), deviations, strict=True)
    means = [spelt(mean, _digits(mean, deviation)) for mean, deviation in pairs]
    return means, [spelt(deviation, _DIGITS) for deviation in deviations]


def _are_one(numbers: list[str]) -> bool:
    return len(set(numbers)) == 1


def _listed_as(numbers: list[str]) -> str:
    return f"[{', '.join(numbers)}]"


def _wrapped(numbers: list[str]) -> list[str]:
    lines = textwrap.wrap(", ".join(numbers) + ",", _WIDTH - 4)
    return [f"    {line}" for line in lines]


def _shape(part: Standardise) -> str:
    """Return the call that shapes one number a feature for what comes behind the features."""
    return ".reshape(-1" + ", 1" * (-part.axis - 1) + ")" if part.axis < -1 else ""


def _digits(value: float, deviation: float) -> int:
    """Return the digits that tell a value to a millionth of a deviation."""
    share = abs(value) / deviation if deviation else 0.0
    return _DIGITS + max(0, math.ceil(math.log10(share))) if share > 0.0 else _DIGITS

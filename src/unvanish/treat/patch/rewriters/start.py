"""Write an initialisation behind the code that builds the network."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Final

import numpy as np
from torch import nn

from unvanish.treat.anatomy import Layer, theory_of
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

_GAINS: Final = {"relu": "relu", "relu6": "relu", "tanh": "tanh", "selu": "selu", "": "linear"}

_PLAIN: Final = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def _he(layer: Layer, model: nn.Module) -> str:
    if layer.activation in ("leaky_relu", "prelu", "rrelu"):
        phi = theory_of(layer, model)
        assert phi is not None
        slope = -float(phi.value(-np.ones(1))[0])
        return f'kaiming_normal_({{weight}}, a={slope:.6g}, nonlinearity="leaky_relu")'
    if layer.activation not in ("relu", "relu6", ""):
        raise NoSafeEditError(f"{layer.path} is followed by {layer.activation}")
    return f'kaiming_normal_({{weight}}, nonlinearity="{_GAINS[layer.activation]}")'


_CALLS: Final[dict[str, Callable[[Layer, nn.Module], str]]] = {"he": _he}
REMEDIES: Final = frozenset(_CALLS)


def rewrite(work: Work) -> None:
    """Write the calls of torch.nn.init behind the code that builds the network.

    Raises:
        NoSafeEditError: If a treated layer is no plain one of torch.nn, or the code that builds
            the network is not the user's.
    """
    write = _CALLS[work.prescription.remedy]
    touched = {edit.place for edit in work.receipt.edits}
    layers = [layer for layer in work.anatomy.layers if layer.weight in touched]
    for layer in layers:
        module = work.model.get_submodule(layer.path)
        if type(module) not in _PLAIN or layer.weight != f"{layer.path}.weight":
            raise NoSafeEditError(f"{layer.weight} belongs to no plain layer of torch.nn")
        if isinstance(module, _PLAIN[4:]):
            raise NoSafeEditError(f"torch.nn.init miscounts the inputs of {layer.path}")
    calls = {layer.path: write(layer, work.model) for layer in layers}
    source, root, name = _builder(work)
    lines = _statements(source, work.model, layers, calls, name)
    if isinstance(root, ast.Return):
        _rewrite_return(source, root, lines, name)
    else:
        source.add_lines(root, lines)


def _builder(work: Work) -> tuple[Source, ast.stmt, str]:
    """Return the file, the statement behind which to write, and what the network is called there.

    That is the last statement of ``__init__`` of the network's class, or the return of the
    function that builds it.
    """
    cls = type(work.model)
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if cls.__module__.startswith("torch.nn") or not isinstance(file, str):
        return _function(work)
    source = work.open(file)
    for node in source.nodes(ast.ClassDef):
        if node.name == cls.__name__:
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                    return source, inner.body[-1], inner.args.args[0].arg
    raise NoSafeEditError(f"{cls.__name__} has no __init__ to write into")


def _function(work: Work) -> tuple[Source, ast.stmt, str]:
    """Return the return statement of the function in which the layers are made."""
    built = [layer.site.built for layer in work.anatomy.layers if layer.site.built]
    if not built:
        raise NoSafeEditError("the lines that built the network were not seen")
    source = work.source(built[-1])
    for function in source.nodes(ast.FunctionDef, built[-1].line):
        ends = [n for n in function.body if isinstance(n, ast.Return)]
        if ends and ends[-1].value is not None:
            value = ends[-1].value
            return source, ends[-1], value.id if isinstance(value, ast.Name) else "network"
    raise NoSafeEditError("the network is built outside of a function or class of its own")


def _rewrite_return(source: Source, statement: ast.Return, lines: list[str], name: str) -> None:
    assert statement.value is not None
    indent = source.indent(statement)
    given = source.segment(statement.value)
    head = [] if isinstance(statement.value, ast.Name) else [f"{name} = {given}"]
    text = f"\n{indent}".join([*head, *lines, f"return {name}"])
    source.replace(statement, text)


def _statements(
    source: Source, model: nn.Module, layers: list[Layer], calls: dict[str, str], name: str
) -> list[str]:
    """Write one loop over the modules, and the exceptions from it by name."""
    kinds = sorted({type(model.get_submodule(layer.path)) for layer in layers}, key=str)
    common = max(set(calls.values()), key=list(calls.values()).count)
    plain = {m for m, module in model.named_modules() if type(module) in kinds}
    if not plain <= set(calls):
        raise NoSafeEditError(f"{min(plain - set(calls))} keeps its start")
    classes = ", ".join(source.spell(f"torch.nn.{kind.__name__}") for kind in kinds)
    tested = f"({classes})" if len(kinds) > 1 else classes
    init = source.spell("torch.nn.init")
    any_bias = any(layer.bias for layer in layers)
    lines = [
        f"for module in {name}.modules():",
        f"    if isinstance(module, {tested}):",
        f"        {init}.{common.format(weight='module.weight')}",
    ]
    if any_bias:
        every = all(layer.bias for layer in layers)
        test = [] if every else ["        if module.bias is not None:"]
        lines += [*test, f"        {'' if every else '    '}{init}.zeros_(module.bias)"]
    for layer in layers:
        if calls[layer.path] != common:
            module = _indexed(name, layer.path)
            lines.append(f"{init}.{calls[layer.path].format(weight=f'{module}.weight')}")
    return lines


def _indexed(name: str, path: str) -> str:
    """Write the path ``layers.3.fc`` as code: ``self.layers[3].fc``."""
    parts = (f"[{part}]" if part.isdigit() else f".{part}" for part in path.split("."))
    return name + "".join(parts)

"""Write a gated recurrent layer where a plain one is made."""

from __future__ import annotations

import ast
from typing import Final

from torch import nn

from unvanish.treat.patch.builder import builder_of, indexed
from unvanish.treat.patch.removal import remove_element
from unvanish.treat.patch.rewriters.memory import gate_lines
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"gated-cell"})

_GATED: Final = {"torch.nn.RNN": "torch.nn.GRU", "torch.nn.RNNCell": "torch.nn.GRUCell"}


def rewrite(work: Work) -> None:
    """Write ``nn.GRU`` for ``nn.RNN``, and the bias of its update gate behind the network.

    Raises:
        NoSafeEditError: If a layer is not made by a call of its class.
    """
    builder = builder_of(work)
    lines: list[str] = []
    done: set[tuple[str, int]] = set()
    for path in work.prescription.places:
        module = work.model.get_submodule(path)
        if not isinstance(module, nn.GRU | nn.GRUCell):
            raise NoSafeEditError(f"{path} is no GRU of torch.nn")
        layer = next((one for one in work.anatomy.layers if one.path == path), None)
        line = layer.site.built if layer is not None else None
        source = work.source(line)
        assert line is not None
        if (line.file, line.line) not in done:
            _exchange(source, line.line)
        done.add((line.file, line.line))
        bias = float(work.prescription.settings["memory_bias"])
        if module.bias:
            lines += gate_lines(indexed(builder.network, path, work.model), 3, bias)
    if lines:
        builder.append([f"with {builder.source.spell('torch.no_grad')}():", *lines])


def _exchange(source: Source, line: int) -> None:
    for call in source.nodes(ast.Call, line):
        gated = _GATED.get(source.meaning(call.func))
        if gated is None:
            continue
        if sum(not isinstance(a, ast.Starred) for a in call.args) > 3:
            raise NoSafeEditError(f"line {line} names its function by position")
        source.replace(call.func, source.spell(gated))
        for keyword in call.keywords:
            if keyword.arg == "nonlinearity":
                remove_element(source, keyword)
        return
    raise NoSafeEditError(f"line {line} makes the layer in a way that cannot be followed")

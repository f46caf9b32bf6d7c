"""Write an initialisation behind the code that builds the network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from torch import nn

from unvanish.treat.anatomy import Layer, theory_of
from unvanish.treat.patch.builder import builder_of, indexed
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

_PLAIN: Final = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


Call = tuple[str, str]
"""What draws the weight, with ``{weight}`` in it, and what sets the bias, with ``{bias}``."""

_ZERO: Final = "zeros_({bias})"


def _he(layer: Layer, work: Work) -> Call:
    if layer.hidden_activation in ("leaky_relu", "prelu", "rrelu"):
        phi = theory_of(layer, work.model)
        assert phi is not None
        slope = -float(phi.value(-np.ones(1))[0])
        return f'kaiming_normal_({{weight}}, a={slope:.6g}, nonlinearity="leaky_relu")', _ZERO
    followed = "relu" if layer.hidden_activation else "linear"
    return f'kaiming_normal_({{weight}}, nonlinearity="{followed}")', _ZERO


def _xavier(layer: Layer, work: Work) -> Call:
    gain = work.prescription.settings.get(f"{layer.hidden_activation} gain", 1.0)
    told = "" if math.isclose(float(gain), 1.0, rel_tol=1e-6) else f", gain={float(gain):.6g}"
    return f"xavier_uniform_({{weight}}{told})", _ZERO


def _lecun(layer: Layer, work: Work) -> Call:  # noqa: ARG001
    return 'kaiming_normal_({weight}, nonlinearity="linear")', _ZERO


def _critical(layer: Layer, work: Work) -> Call:
    settings = work.prescription.settings
    usual = settings.get(f"{layer.hidden_activation} sigma_w", 1.0)
    sigma_w = float(settings.get(f"{layer.weight} sigma_w", usual))
    sigma_b = float(settings.get(f"{layer.hidden_activation} sigma_b", 0.0))
    drawn = f"normal_({{weight}}, std={sigma_w:.6g} / {{weight}}[0].numel() ** 0.5)"
    return drawn, f"normal_({{bias}}, std={sigma_b:.6g})" if sigma_b else _ZERO


def _orthogonal(layer: Layer, work: Work) -> Call:
    """Read the gain off the drawn matrix, whose smaller side is orthonormal up to it."""
    module = work.model.get_submodule(layer.path)
    weight = work.model.get_parameter(layer.weight).detach()
    if getattr(module, "groups", 1) != 1:
        raise NoSafeEditError(f"torch.nn.init knows no groups, which {layer.path} has")
    flat = weight.flatten(1)
    gain = float(flat.square().mean().sqrt()) * max(flat.shape) ** 0.5
    if layer.bias and bool(work.model.get_parameter(layer.bias).any()):
        raise NoSafeEditError(f"{layer.path} is drawn with a bias")
    told = "" if math.isclose(gain, 1.0, rel_tol=1e-4) else f", gain={gain:.4g}"
    return f"orthogonal_({{weight}}{told})", _ZERO


_CALLS: Final[dict[str, Callable[[Layer, Work], Call]]] = {
    "he": _he,
    "xavier": _xavier,
    "lecun": _lecun,
    "critical": _critical,
    "orthogonal": _orthogonal,
}
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
    calls = {layer.path: write(layer, work) for layer in layers}
    builder = builder_of(work)
    builder.append(_statements(builder.source, work.model, layers, calls, builder.network))


def _statements(
    source: Source, model: nn.Module, layers: list[Layer], calls: dict[str, Call], name: str
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
    lines = [
        f"for module in {name}.modules():",
        f"    if isinstance(module, {tested}):",
        f"        {init}.{common[0].format(weight='module.weight')}",
    ]
    if any(layer.bias for layer in layers):
        every = all(layer.bias for layer in layers)
        test = [] if every else ["        if module.bias is not None:"]
        indent = "        " if every else "            "
        lines += [*test, f"{indent}{init}.{common[1].format(bias='module.bias')}"]
    for layer in layers:
        weight, bias = calls[layer.path]
        module = indexed(name, layer.path, model) if calls[layer.path] != common else ""
        if weight != common[0]:
            lines.append(f"{init}.{weight.format(weight=f'{module}.weight')}")
        if layer.bias and bias != common[1]:
            lines.append(f"{init}.{bias.format(bias=f'{module}.bias')}")
    return lines

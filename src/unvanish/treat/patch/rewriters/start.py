"""Write an initialisation behind the code that builds the network."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from torch import nn

from unvanish.theory.mean_field import second_moment
from unvanish.treat.anatomy import Layer, theory_of
from unvanish.treat.layouts import layout_of
from unvanish.treat.patch.builder import Builder, builder_of, indexed
from unvanish.treat.patch.parameters import over
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work

_PLAIN: Final = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
)
_Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


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
    sigma_w = _sigma_w(layer, work)
    sigma_b = float(settings.get(f"{layer.hidden_activation} sigma_b", 0.0))
    drawn = f"normal_({{weight}}, std={sigma_w:.6g} / {{weight}}[0].numel() ** 0.5)"
    return drawn, f"normal_({{bias}}, std={sigma_b:.6g})" if sigma_b else _ZERO


def _sigma_w(layer: Layer, work: Work) -> float:
    settings = work.prescription.settings
    usual = settings.get(f"{layer.hidden_activation} sigma_w", 1.0)
    return float(settings.get(f"{layer.weight} sigma_w", usual))


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
        NoSafeEditError: If a treated weight belongs to no plain layer of torch.nn and is no
            parameter by itself, or the code that builds the network is not the user's.
    """
    write = _CALLS[work.prescription.remedy]
    touched = {edit.place for edit in work.receipt.edits}
    layers = [layer for layer in work.anatomy.layers if layer.weight in touched]
    plain = [layer for layer in layers if _is_plain(layer, work)]
    bare = [layer for layer in layers if layer not in plain]
    calls = {layer.path: write(layer, work) for layer in plain}
    builder = builder_of(work)
    lines = _statements(builder.source, work.model, plain, calls, builder.network) if plain else []
    builder.append([*lines, *_bare_statements(work, builder, bare, write)])


def _is_plain(layer: Layer, work: Work) -> bool:
    """Tell whether a weight belongs to a layer of torch.nn whose inputs torch.nn.init counts."""
    module = work.model.get_submodule(layer.path)
    return type(module) in _PLAIN and layer.weight == f"{layer.path}.weight"


def _transposed(layer: Layer, module: _Transposed, work: Work) -> Call:
    """Write a draw with a count of its own: torch.nn.init takes outputs for inputs, and no stride.

    Raises:
        NoSafeEditError: If the start is not normal by the number of inputs alone.
    """
    match work.prescription.remedy:
        case "he" if layer.hidden_activation:
            phi = theory_of(layer, work.model)
            assert phi is not None
            gain = 1.0 / math.sqrt(second_moment(phi, 1.0))
        case "he" | "lecun":
            gain = 1.0
        case "critical":
            gain = _sigma_w(layer, work)
        case _:
            raise NoSafeEditError(f"torch.nn.init miscounts the inputs of {layer.path}")
    gain *= math.sqrt(module.groups * math.prod(module.stride))
    _, bias = _CALLS[work.prescription.remedy](layer, work)
    return f"normal_({{weight}}, std={gain:.6g} / {{weight}}[:, 0].numel() ** 0.5)", bias


def _bare_statements(
    work: Work, builder: Builder, layers: list[Layer], write: Callable[[Layer, Work], Call]
) -> list[str]:
    """Write the calls for transposed layers, and for parameters by themselves: ``x @ self.w``."""
    groups: dict[str, list[str]] = {}
    for layer in layers:
        module = work.model.get_submodule(layer.path)
        if isinstance(module, _Transposed) and layer.weight == f"{layer.path}.weight":
            weight, bias = _transposed(layer, module, work)
        else:
            weight, bias = write(layer, work)
            for old, new in () if _is_out_in(layer, work) else _IN_OUT:
                weight = weight.replace(old, new)
        groups.setdefault(weight.replace("{weight}", "{it}"), []).append(layer.weight)
        if layer.bias:
            groups.setdefault(bias.replace("{bias}", "{it}"), []).append(layer.bias)
    init = builder.source.spell("torch.nn.init") if groups else ""
    lines: list[str] = []
    for call, names in groups.items():
        lines += over(names, work.model, builder, partial(_written, init=init, call=call))
    return lines


def _written(called: str, init: str, call: str) -> list[str]:
    return [f"{init}.{call.format(it=called)}"]


_IN_OUT: Final = (
    ("kaiming_normal_({weight}", 'kaiming_normal_({weight}, mode="fan_out"'),
    ("{weight}[0].numel()", "{weight}.shape[0]"),
)
"""What to write instead for a matrix whose inputs are its first axis."""


def _is_out_in(layer: Layer, work: Work) -> bool:
    """Tell whether a bare weight has its outputs first, as torch.nn.init takes it to have.

    Raises:
        NoSafeEditError: If it is neither that nor a matrix with its inputs first.
    """
    weight = dict(work.model.named_parameters())[layer.weight]
    layout = layout_of(layer, weight, work.model)
    parts = layer.weight.split(".")
    made = "parametrizations" in parts or parts[-1].endswith(("_orig", "_v"))
    if made or layout.groups > 1 or (layout.outputs and weight.ndim > 2):
        raise NoSafeEditError(f"{layer.weight} belongs to no plain layer of torch.nn")
    return layout.outputs == 0


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

"""The layers of a network as a remedy needs them: what each is, and what really follows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import nn

from unvanish.core.operations import RECURRENT_FUNCTIONS
from unvanish.core.records import Recording, Role, Site
from unvanish.core.wiring import Wiring
from unvanish.theory.activations import Activation, activation, from_function, leaky_relu
from unvanish.theory.quadrature import Array
from unvanish.treat.ways import NORMS, Ahead, Behind, activation_name, weight_of

__all__ = ["NORMS", "Anatomy", "Layer", "activation_name", "anatomy_of", "theory_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One step that multiplies the signal with weights.

    Attributes:
        site: Its first call.
        calls: How often it runs in one pass: 1, or the time steps of a recurrent cell, or the
            uses of a shared layer.
        path: Path of the module it runs in.
        weight: Name of its weight among ``named_parameters()``.
        bias: Name of its bias; empty without one.
        activation: The function that follows, such as ``"sigmoid"``; empty where another layer,
            a sum with other signal or the output follows first.
        activation_site: Its first call; None without one. Where it is written down by hand, as
            ``x * sigmoid(x)`` is ``"silu"``, the step in which it ends.
        norm_site: The normalisation between the layer and what follows; None without one.
        fed_by: The last activation on its input; empty where the data, or another layer without
            a function between, feeds it.
        reads_data: Whether no other layer stands before it.
        reads_normalised: Whether a normalisation stands directly before it.
        joins: Whether its output is added to, or laid beside, other signal before the next
            function: it ends a residual branch.
        is_output: Whether it makes the network's output.
        gates: Whether a sigmoid of it is multiplied with other signal: it opens and shuts.
        mixes: Whether its output goes into a matrix product with other signal before the next
            layer: queries, keys and values of an attention.
    """

    site: Site
    calls: int
    path: str
    weight: str
    bias: str = ""
    activation: str = ""
    activation_site: Site | None = None
    norm_site: Site | None = None
    fed_by: str = ""
    reads_data: bool = False
    reads_normalised: bool = False
    joins: bool = False
    is_output: bool = False
    gates: bool = False
    mixes: bool = False

    @property
    def hidden_activation(self) -> str:
        """The function that follows, but for one that shapes the output: empty there."""
        return "" if self.is_output else self.activation

    @property
    def is_recurrent(self) -> bool:
        """Whether it is a recurrent layer or a part of one."""
        return self.site.function in RECURRENT_FUNCTIONS or "_cell" in self.site.function


@dataclass(frozen=True)
class Anatomy:
    """What a recording tells about how a network is put together.

    Attributes:
        recording: What was observed.
        layers: Steps with a weight of their own, in forward order; embeddings included.
    """

    recording: Recording
    layers: tuple[Layer, ...]

    @property
    def activations(self) -> tuple[Site, ...]:
        """First call of every activation function at its place, in forward order.

        Functions of the output and of gates are among them: see `Site.is_output`, `Site.gates`.
        """
        found: dict[tuple[str, str], Site] = {}
        for site in self.recording.signal_sites():
            if activation_name(site):
                found.setdefault((site.path, activation_name(site)), site)
        return tuple(found.values())

    @property
    def norms(self) -> tuple[Site, ...]:
        """First call of every normalisation, in forward order."""
        found: dict[str, Site] = {}
        for site in self.recording.signal_sites():
            if site.op in NORMS:
                found.setdefault(site.path, site)
        return tuple(found.values())

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The layers that are followed by another."""
        return tuple(layer for layer in self.layers if not layer.is_output)

    @cached_property
    def made_from(self) -> Mapping[int, tuple[Site, ...]]:
        """Index of a site to the steps that make a weight for it."""
        sites, found = self.recording.sites, dict[int, tuple[Site, ...]]()
        for edge in self.recording.edges:
            if 0 <= edge.producer < len(sites) and sites[edge.producer].role is Role.WEIGHT:
                found[edge.consumer] = (*found.get(edge.consumer, ()), sites[edge.producer])
        return found

    def layer_of(self, parameter: str) -> Layer | None:
        """Return the layer that a parameter belongs to."""
        return next((x for x in self.layers if parameter in (x.weight, x.bias)), None)


def anatomy_of(recording: Recording) -> Anatomy:
    """Read the layers of a network off a recording.

    Args:
        recording: One look, with or without numbers.
    """
    wiring = Wiring(recording)
    shapes = {p.name: p.shape for p in recording.parameters}
    calls: dict[str, list[Site]] = {}
    for site in recording.signal_sites():
        weight = weight_of(site, shapes)
        if weight:
            calls.setdefault(weight, []).append(site)
    layers = []
    for weight, sites in calls.items():
        first = sites[0]
        after = Ahead(wiring, first, shapes)
        before = Behind(wiring, first, shapes)
        layers.append(
            Layer(
                site=first,
                calls=len(sites),
                path=first.path,
                weight=weight,
                bias=_bias_of(first, weight, shapes) or after.offset,
                activation=after.name,
                activation_site=after.activation,
                norm_site=after.norm,
                fed_by=before.name,
                reads_data=before.data,
                reads_normalised=before.norm,
                joins=after.joins,
                is_output=first.is_output,
                gates=after.gates,
                mixes=after.mixes,
            )
        )
    return Anatomy(recording, tuple(layers))


def theory_of(layer: Layer, model: nn.Module) -> Activation | None:
    """Return what theory knows of the function that follows a layer.

    Args:
        layer: A layer of the model.
        model: For the negative slope of a leaky ReLU, which a module carries.

    Returns:
        The identity where no function follows; None for a function theory does not know.
    """
    name = layer.activation
    if not name:
        return activation("identity")
    path = layer.activation_site.path if layer.activation_site else ""
    module = dict(model.named_modules()).get(path)
    if name in ("leaky_relu", "prelu", "rrelu"):
        return leaky_relu(_negative_slope(module, name))
    if name in _WITH_OPTIONS:
        kind = _WITH_OPTIONS[name]
        return _as_built(module if isinstance(module, kind) else kind(), name)
    try:
        return activation({"relu6": "relu"}.get(name, name))
    except ValueError:
        return None


_WITH_OPTIONS: Final[Mapping[str, type[nn.Module]]] = {
    "elu": nn.ELU,
    "celu": nn.CELU,
    "softplus": nn.Softplus,
    "hardtanh": nn.Hardtanh,
    "hardswish": nn.Hardswish,
    "softshrink": nn.Softshrink,
    "tanhshrink": nn.Tanhshrink,
}


def _as_built(module: nn.Module, name: str) -> Activation:
    """Return the function that a module computes with the options it was built with."""
    kinks: tuple[float, ...] = ()
    usual = False
    match module:
        case nn.ELU():
            usual, kinks = module.alpha == 1.0, (0.0,)
        case nn.CELU():
            kinks = (0.0,)
        case nn.Softplus():
            usual = module.beta == 1.0
        case nn.Hardtanh():
            kinks = (float(module.min_val), float(module.max_val))
            usual = kinks == (-1.0, 1.0)
        case nn.Hardswish():
            kinks = (-3.0, 3.0)
        case nn.Softshrink():
            kinks = (-float(module.lambd), float(module.lambd))
    if usual:
        return activation(name)

    def value(z: Array) -> Array:
        with torch.no_grad():
            computed: Array = module(torch.from_numpy(z.copy())).numpy()
        return computed

    return from_function(value, name=name, kinks=kinks)


def _negative_slope(module: nn.Module | None, name: str) -> float:
    if isinstance(module, nn.PReLU):
        return float(module.weight.detach().mean())
    if isinstance(module, nn.LeakyReLU):
        return float(module.negative_slope)
    if isinstance(module, nn.RReLU):
        return (module.lower + module.upper) / 2
    return {"prelu": 0.25, "rrelu": 11 / 48}.get(name, 0.01)


def _bias_of(site: Site, weight: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return the bias that belongs to a layer's weight by the step or by its name."""
    own = [name for name in site.weights if len(shapes.get(name, ())) == 1]
    stem, _, leaf = weight.replace("parametrizations.", "").rpartition(".")
    if "parametrizations." in weight:
        stem, _, leaf = stem.rpartition(".")
    twin = f"{stem}.{leaf}".lstrip(".").replace("weight", "bias")
    if "weight" in leaf and len(shapes.get(twin, ())) == 1 and twin not in own:
        own.insert(0, twin)
    ends_alike = [name for name in own if name.rpartition(".")[2] == twin.rpartition(".")[2]]
    return next(iter(ends_alike or own), "")

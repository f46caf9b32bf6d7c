"""The layers of a network as a remedy needs them: what each is, and what really follows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from torch import nn

from unvanish.core.operations import MATMUL_OPS, RECURRENT_FUNCTIONS, VIEW_OPS
from unvanish.core.records import Recording, Role, Site
from unvanish.core.wiring import Wiring
from unvanish.observe.statistics.slope import ACTIVATIONS
from unvanish.theory.activations import Activation, activation, leaky_relu

NORMS: Final = frozenset({"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"})
"""Operations that standardise."""

_PASSED: Final = VIEW_OPS | frozenset(
    "dropout alpha_dropout feature_dropout max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d "
    "avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d mean pad "
    "constant_pad_nd upsample_nearest2d interpolate".split()
)
_JOINS: Final = frozenset({"add", "sub", "rsub", "cat", "stack", "concat"})


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
        activation_site: Its first call; None without one.
        norm_site: The normalisation between the layer and what follows; None without one.
        fed_by: The last activation on its input; empty where the data, or another layer without
            a function between, feeds it.
        reads_data: Whether no other layer stands before it.
        reads_normalised: Whether a normalisation stands directly before it.
        joins: Whether its output is added to, or laid beside, other signal before the next
            function: it ends a residual branch.
        is_output: Whether it makes the network's output.
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

    def layer_of(self, parameter: str) -> Layer | None:
        """Return the layer that a parameter belongs to."""
        return next((x for x in self.layers if parameter in (x.weight, x.bias)), None)


def anatomy_of(recording: Recording) -> Anatomy:
    """Read the layers of a network off a recording.

    Args:
        recording: One look, with or without numbers.
    """
    wiring = Wiring(recording)
    biases = {p.name for p in recording.parameters if len(p.shape) == 1}
    shapes = {p.name: p.shape for p in recording.parameters}
    calls: dict[str, list[Site]] = {}
    for site in recording.signal_sites():
        weight = _weight_of(site, shapes)
        if weight:
            calls.setdefault(weight, []).append(site)
    layers = []
    for weight, sites in calls.items():
        first = sites[0]
        after = _Ahead(wiring, first)
        before = _Behind(wiring, first)
        bias = next((name for name in first.weights if name in biases and name != weight), "")
        layers.append(
            Layer(
                site=first,
                calls=len(sites),
                path=first.path,
                weight=weight,
                bias=bias,
                activation=activation_name(after.activation) if after.activation else "",
                activation_site=after.activation,
                norm_site=after.norm,
                fed_by=activation_name(before.activation) if before.activation else "",
                reads_data=before.data,
                reads_normalised=before.norm,
                joins=after.joins,
                is_output=first.is_output,
            )
        )
    return Anatomy(recording, tuple(layers))


def activation_name(site: Site) -> str:
    """Return the name of the activation function a site is (or ends), or ``""``."""
    for name in (site.op, site.function):
        if name in ACTIVATIONS and ACTIVATIONS[name].cap > 0:
            return name
    return ""


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
    if name in ("leaky_relu", "prelu", "rrelu"):
        path = layer.activation_site.path if layer.activation_site else ""
        return leaky_relu(_negative_slope(dict(model.named_modules()).get(path), name))
    try:
        return activation({"relu6": "relu"}.get(name, name))
    except ValueError:
        return None


def _negative_slope(module: nn.Module | None, name: str) -> float:
    if isinstance(module, nn.PReLU):
        return float(module.weight.detach().mean())
    if isinstance(module, nn.LeakyReLU):
        return float(module.negative_slope)
    if isinstance(module, nn.RReLU):
        return (module.lower + module.upper) / 2
    return {"prelu": 0.25, "rrelu": 11 / 48}.get(name, 0.01)


def _weight_of(site: Site, shapes: dict[str, tuple[int, ...]]) -> str:
    """Return the parameter with the most axes that a site multiplies the signal with."""
    if site.role is not Role.SIGNAL or site.op in NORMS:
        return ""
    if site.op not in MATMUL_OPS and site.function not in MATMUL_OPS:
        return ""
    wide = [name for name in site.weights if len(shapes.get(name, ())) >= 2]
    return wide[0] if wide else ""


class _Ahead:
    """What stands between a layer and the next one."""

    def __init__(self, wiring: Wiring, start: Site) -> None:
        self.activation: Site | None = None
        self.norm: Site | None = None
        self.joins = False
        for site in _forwards(wiring, start):
            if activation_name(site):
                self.activation = site
                return
            if site.op in NORMS:
                self.norm = self.norm or site
            elif site.op in _JOINS and len(wiring.producers(site)) > 1:
                self.joins = True
                return


class _Behind:
    """What feeds a layer."""

    def __init__(self, wiring: Wiring, start: Site) -> None:
        self.activation: Site | None = None
        self.norm = False
        self.data = not any(site.weights for site in wiring.behind(start))
        site = start
        while True:
            before = wiring.producers(site)
            if len(before) != 1:
                return
            site = before[0]
            if activation_name(site):
                self.activation = site
                return
            if site.op in NORMS and self.activation is None:
                self.norm = True
            elif site.weights:
                return


def _forwards(wiring: Wiring, start: Site) -> Iterator[Site]:
    """Yield the steps after a layer, up to where the way splits or the next layer begins.

    A composite function (softsign is three steps) counts as the step in which it ends.
    """
    site = start
    while True:
        after = wiring.consumers(site)
        if len({one.function for one in after}) == 1 and activation_name(after[0]):
            yield after[-1]
            return
        if len(after) > 1:
            # A skip leaves here too: the function, where there is one, is what follows.
            named = [one for one in after if activation_name(one)]
            if named:
                yield named[0]
            return
        if not after:
            return
        site = after[0]
        if site.weights and site.op not in NORMS:
            return
        yield site
        if not (site.op in _PASSED or site.op in NORMS or len(wiring.producers(site)) == 1):
            return

"""Plain networks: layers and functions in turn, without connections past them or normalisation.

Shaping a kernel holds for such a network alone, and moving constants between its layers too: each
function is fed by layers, and everything behind it leads to a layer or to the output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from torch import nn

from unvanish.core.operations import RECURRENT_FUNCTIONS, VIEW_OPS
from unvanish.core.records import Recording, Role, Site
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.treat.anatomy import Anatomy, Layer, activation_name
from unvanish.treat.drawing import why_not
from unvanish.treat.layouts import layout_of
from unvanish.treat.protocol import Case
from unvanish.treat.surgery import Surgery
from unvanish.treat.tapping import LINEAR

_KEEPS_CONSTANTS: Final = (VIEW_OPS - {"masked_fill"}) | frozenset(
    "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d "
    "adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d "
    "adaptive_max_pool3d mean amax upsample_nearest1d upsample_nearest2d upsample_nearest3d "
    "upsample_bilinear2d upsample_linear1d interpolate circular reflection_pad1d "
    "reflection_pad2d replication_pad1d replication_pad2d max_pool2d_with_indices".split()
)
"""Operations that scale and shift their output as their input is: poolings and views."""
_DATA: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One layer of a plain network.

    Attributes:
        layer: The layer.
        function: Function behind it; empty where another layer or the output follows.
        fed_by: Function in front of it; empty where the data or another layer feeds it.
        reads_data: Whether the data feed it.
        level: How many functions stand in front of it, at most.
        pooled: Whether positions are pooled in front of it, which changes the signal's size.
    """

    layer: Layer
    function: str
    fed_by: str
    reads_data: bool
    level: int
    pooled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A plain network.

    Attributes:
        links: Its layers, in forward order.
        depth: Functions on the longest way from the data to the output.
        calls: How many functions there are.
        dropout: Where values are dropped at random; empty where none are.
    """

    links: tuple[Link, ...]
    depth: int
    calls: int
    dropout: str = ""

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of its functions, each once."""
        return tuple(dict.fromkeys(link.function for link in self.links if link.function))

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of its weights."""
        return tuple(link.layer.weight for link in self.links)


def chain_of(case: Case) -> Chain | NotApplicable:
    """Return a network as a chain of layers and functions, or say what breaks the chain.

    Args:
        case: The network.
    """
    chain = read_chain(case.anatomy, case.model)
    if isinstance(chain, str):
        return NotApplicable(chain)
    if not chain.depth:
        return NotApplicable("it has no activation function between two layers")
    surgery = Surgery(case.model)
    ranks = {p.name: len(p.shape) for p in case.anatomy.recording.parameters}
    for link in chain.links:
        layer = link.layer
        place = layer.path or layer.weight
        reason = why_not(layer, case)
        if sum(ranks.get(name, 0) > 1 for name in layer.site.weights) > 1:
            reason = "computed from several parameters"
        if reason and not reason.startswith("zero"):
            return NotApplicable(f"{place} is {reason}, and every layer has to be drawn anew")
        weight = surgery.weight_of(layer.weight)
        layout = layout_of(layer, weight, case.model)
        if layer.site.function.startswith("conv_transpose") and weight.shape[2:].numel() > 1:
            return NotApplicable(
                f"{place} is a transposed convolution, whose outputs are fed by different numbers "
                "of taps"
            )
        if layout.stacked:
            return NotApplicable(f"{place} holds several matrices in one weight")
    return chain


def read_chain(anatomy: Anatomy, model: nn.Module) -> Chain | str:
    """Return a network as a chain, or a sentence that says what breaks it."""
    recording = anatomy.recording
    walk = _Walk(anatomy, recording, _wrapping(model))
    for site in recording.signal_sites():
        broken = walk.take(site)
        if broken:
            return broken
    if not walk.links:
        return "it has no layer"
    ahead: dict[int, set[str]] = {}
    for index, origins in walk.origins.items():
        if index in walk.nodes:
            for origin in origins:
                ahead.setdefault(origin, set()).add(walk.functions.get(index, ""))
    links = []
    for layer in walk.links:
        index = layer.site.index
        behind = ahead.get(index, {""})
        before = {walk.functions.get(i, "") for i in walk.origins[index]}
        data = {i == _DATA for i in walk.origins[index]}
        place = layer.path or layer.weight
        if len(behind) > 1:
            return f"the output of {place} goes through a function and past it"
        if len(before) > 1 or len(data) > 1:
            return f"{place} is fed by different kinds of signal"
        links.append(
            Link(
                layer=layer,
                function=behind.pop(),
                fed_by=before.pop(),
                reads_data=data.pop(),
                level=walk.level[index],
                pooled=index in walk.pooled,
            )
        )
    dropped = walk.dropout or next(
        (
            path
            for path, module in model.named_modules()
            if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
        ),
        "",
    )
    return Chain(
        links=tuple(links),
        depth=max(walk.level.values()),
        calls=len(walk.functions),
        dropout=dropped,
    )


class _Walk:
    """Goes through a recording in forward order and keeps what each step is computed from."""

    def __init__(self, anatomy: Anatomy, recording: Recording, wrapping: frozenset[str]) -> None:
        self._wrapping = wrapping
        self._wiring = Wiring(recording)
        self._layers = {layer.site.index: layer for layer in anatomy.layers}
        self.links: list[Layer] = []
        self.nodes: set[int] = set()
        self.functions: dict[int, str] = {}
        self.origins: dict[int, set[int]] = {}
        """Index of a site to the nodes, layers or functions, right before it."""
        self.level: dict[int, int] = {_DATA: 0}
        self.pooled: set[int] = set()
        self.dropout = ""

    def take(self, site: Site) -> str:
        """Go through one step. Returns what is wrong with it; empty where nothing is."""
        producers = self._wiring.producers(site)
        origins: set[int] = set()
        for one in producers:
            origins |= {one.index} if one.index in self.nodes else self.origins[one.index]
        self.origins[site.index] = origins = origins or {_DATA}
        pooled = any(p.index in self.pooled and p.index not in self.nodes for p in producers)
        if pooled or "pool" in site.op or site.op in ("mean", "amax", "interpolate"):
            self.pooled.add(site.index)
        self.level[site.index] = max(self.level.get(i, 0) for i in origins)
        layer = self._layers.get(site.index)
        if site.function in ("embedding", "embedding_bag") and origins == {_DATA}:
            return ""  # a table is data for what reads it
        if layer is not None:
            return self._take_layer(layer, site)
        if site.weights:
            return self._take_weights(site, producers)
        if site.is_output and not self._leads_on(site):
            return ""
        name = activation_name(site)
        if name:
            return self._take_function(site, name, origins)
        if "dropout" in site.op:
            self.dropout = self.dropout or site.path or site.op
            return ""
        if site.op in ("cat", "stack", "concat"):
            return self._take_together(site, producers, origins)
        wraps = "pad" in site.function and site.path in self._wrapping
        if (site.op in _KEEPS_CONSTANTS or wraps) and len(origins) == 1:
            return ""
        if origins == {_DATA}:
            return ""  # what is done to the data before any layer
        return f"{site.op} at {site.path or 'the root'} is no part of a plain chain of layers"

    def _kind(self, index: int) -> str:
        return "data" if index == _DATA else self.functions.get(index, "layer")

    def _leads_on(self, site: Site) -> bool:
        """Tell whether something that shapes the output is used by a layer too."""
        after = self._wiring.consumers(site)
        return any(one.role is Role.SIGNAL and not one.is_output for one in after)

    def _take_layer(self, layer: Layer, site: Site) -> str:
        place = layer.path or layer.weight
        if layer.site.function in RECURRENT_FUNCTIONS or "_cell" in layer.site.function:
            return f"{place} is recurrent"
        if site.function not in LINEAR:
            return f"{place} is a {site.function}"
        if layer.calls > 1:
            return f"{place} is used {layer.calls} times in one pass"
        self.nodes.add(site.index)
        self.links.append(layer)
        return ""

    def _take_weights(self, site: Site, producers: list[Site]) -> str:
        """A step with parameters is the bias of the layer before it, or breaks the chain."""
        if len(producers) == 1 and producers[0].index in self.nodes:
            layer = self._layers.get(producers[0].index)
            if layer is not None and site.op == "add" and site.weights == (layer.bias,):
                return ""
        return f"{site.op} at {site.path or 'the root'} has parameters and is no linear layer"

    def _take_together(self, site: Site, producers: list[Site], origins: set[int]) -> str:
        """Signals that are laid side by side have to be of one kind, the data included."""
        whole = origins == {_DATA} or sum(one.size for one in producers) == site.size
        if whole and len({self._kind(i) for i in origins}) == 1:
            return ""
        return f"{site.op} at {site.path or 'the root'} lays different kinds of signal together"

    def _take_function(self, site: Site, name: str, origins: set[int]) -> str:
        if site.gates:
            return f"{name} at {site.path or 'the root'} opens a gate"
        if site.op != name and any(
            one.function == site.function and one.path == site.path
            for one in self._wiring.consumers(site)
        ):
            return ""  # a step inside of a function, which counts as its last one
        if any(self._kind(i) != "layer" for i in origins):
            return f"{name} at {site.path or 'the root'} is not fed by a layer alone"
        self.nodes.add(site.index)
        self.functions[site.index] = name
        self.level[site.index] += 1
        return ""


def _wrapping(model: nn.Module) -> frozenset[str]:
    """Return the paths of convolutions that pad with values of their input."""
    return frozenset(
        path
        for path, module in model.named_modules()
        if isinstance(module, nn.modules.conv._ConvNd) and module.padding_mode != "zeros"
    )


def inner_tap(module: nn.Module | None, taps: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the tap of a kernel that never meets the padding; None where every tap does.

    Args:
        module: The convolution; None where a function is called, whose padding is taken to be
            half of the kernel.
        taps: Size of the kernel.
    """
    if not isinstance(module, nn.modules.conv._ConvNd) or isinstance(module.padding, str):
        return tuple((k - 1) // 2 for k in taps)
    found = []
    for k, padding, dilation in zip(taps, module.padding, module.dilation, strict=True):
        first, last = math.ceil(padding / dilation), math.floor(k - 1 - padding / dilation)
        if first > last:
            return None
        found.append((first + last) // 2)
    return tuple(found)

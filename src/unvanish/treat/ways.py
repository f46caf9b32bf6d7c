"""The ways of the signal between two layers: which function it really meets on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from unvanish.core.operations import LAYER_FUNCTIONS, MATMUL_OPS, VIEW_OPS
from unvanish.core.records import Role, Site
from unvanish.core.wiring import Wiring
from unvanish.observe.statistics.slope import ACTIVATIONS

NORMS: Final = frozenset({"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"})
"""Operations that standardise."""

_PASSED: Final = VIEW_OPS | frozenset(
    "dropout alpha_dropout feature_dropout max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d "
    "avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d mean pad "
    "constant_pad_nd upsample_nearest2d interpolate".split()
)
_JOINS: Final = frozenset({"add", "sub", "rsub", "cat", "stack", "concat"})
_GATES: Final = frozenset({"sigmoid", "hardsigmoid"})
_BY_PARTS: Final = (
    ("mish", frozenset({"softplus", "tanh", "mul"})),
    ("gelu", frozenset({"erf", "mul"})),
    ("gelu", frozenset({"tanh", "pow", "mul"})),
    ("silu", frozenset({"sigmoid", "mul"})),
    ("silu", frozenset({"neg", "exp"})),
    ("softsign", frozenset({"abs", "div"})),
)
"""Functions that people write down themselves, by the steps that give them away."""
_POINTWISE: Final = frozenset(
    "add sub rsub mul div neg abs exp expm1 log log1p pow sqrt square reciprocal where clamp "
    "clamp_min clamp_max maximum minimum".split()
)
_PARTING: Final = frozenset("split chunk unbind unsafe_split split_with_sizes".split())
_FARTHEST: Final = 48
"""Steps that queries may be from their product with keys."""
_LONGEST: Final = 16
"""Steps that a function written down by hand may have."""


def activation_name(site: Site) -> str:
    """Return the name of the activation function a site is (or ends), or ``""``."""
    for name in (site.op, site.function):
        if name in ACTIVATIONS and ACTIVATIONS[name].cap > 0:
            return name
    return ""


def weight_of(site: Site, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return the largest parameter that a site multiplies the signal with, or ``""``.

    Args:
        site: Any site.
        shapes: Shape of every parameter.
    """
    if site.role is not Role.SIGNAL or site.op in NORMS or "parametrizations" in site.path:
        return ""
    if site.op not in MATMUL_OPS and site.function not in MATMUL_OPS:
        return ""
    wide = [name for name in site.weights if len(shapes.get(name, ())) >= 2]
    if wide:
        return max(wide, key=lambda name: _size(shapes[name]))
    if site.op not in LAYER_FUNCTIONS:
        return ""
    # Spectral normalisation hides it: the weight is divided by what it is multiplied with.
    stem = f"{site.path}." if site.path else ""
    hidden = (f"{stem}parametrizations.weight.original", f"{stem}weight_orig")
    return next((name for name in hidden if name in shapes), "")


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    size = 1
    for length in shape:
        size *= length
    return len(shape), size


class Ahead:
    """What stands between a layer and the next one.

    Attributes:
        activation: The step that is the activation function, or ends it; None without one.
        name: Its name, such as ``"silu"``, also where it is written down by hand.
        norm: The normalisation before it; None without one.
        joins: Whether other signal is added or laid beside before it.
        gates: Whether a sigmoid of it, or of a part of it, is multiplied with other signal.
        mixes: Whether a matrix product with other signal comes first, as for queries and keys.
        offset: Name of a vector that is added to the layer's output; empty without one.
    """

    def __init__(self, wiring: Wiring, start: Site, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.activation: Site | None = None
        self.name = ""
        self.norm: Site | None = None
        self.joins = False
        self.gates = False
        self.mixes = _mixes(wiring, start, shapes)
        self.offset = ""
        for site, name in _forwards(wiring, start, shapes):
            if name:
                self.activation, self.name = site, name
                self.gates = _opens(site)
                return
            if site.op in NORMS:
                self.norm = self.norm or site
            elif site.op == "glu":
                self.gates = True
                return
            elif site.op == "add" and not self.norm and not self.offset and site.weights:
                self.offset = next((w for w in site.weights if len(shapes.get(w, ())) == 1), "")
            if site.op in _JOINS and len(wiring.producers(site)) > 1:
                self.joins = True
                return


class Behind:
    """What feeds a layer.

    Attributes:
        name: Name of the last activation function before it; empty without one.
        norm: Whether a normalisation stands directly before it.
        data: Whether no other layer stands before it.
    """

    def __init__(self, wiring: Wiring, start: Site, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.name = ""
        self.norm = False
        self.data = not any(weight_of(site, shapes) for site in wiring.behind(start))
        site = start
        while True:
            before = wiring.producers(site)
            if len(before) != 1:
                return
            site = before[0]
            self.name = activation_name(site)
            if self.name:
                return
            if site.op in NORMS:
                self.norm = True
            elif weight_of(site, shapes):
                return
            elif len(wiring.producers(site)) > 1:
                self.name = _by_hand_ending_in(wiring, site, shapes)
                return


def _forwards(
    wiring: Wiring, start: Site, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[Site, str]]:
    """Yield the steps after a layer, up to where the way splits or the next layer begins.

    With each the name of the activation function that it is, or ``""``. A function of several
    steps counts as the step in which it ends.
    """
    site = start
    while True:
        after = wiring.consumers(site)
        if len({one.function for one in after}) == 1 and activation_name(after[0]):
            yield after[-1], activation_name(after[-1])
            return
        if len(after) > 1:
            end, name = _by_hand(wiring, site, shapes)
            if end is not None:
                yield end, name
                return
            # A skip leaves here too: the function, where there is one, is what follows.
            named = [one for one in _through_views(wiring, after) if activation_name(one)]
            if named:
                gate = next((one for one in named if _opens(one)), named[0])
                yield gate, activation_name(gate)
            return
        if not after:
            return
        site = after[0]
        if weight_of(site, shapes):
            return
        name = activation_name(site)
        yield site, name
        if name or not (site.op in _PASSED or site.op in NORMS or len(wiring.producers(site)) == 1):
            return


def _mixes(wiring: Wiring, start: Site, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Tell whether what a layer gives is multiplied with other signal before the next layer.

    A matrix of the data, such as the adjacency of a graph, is no signal.
    """
    reached = {start.index}
    waiting = {site.index: site for site in wiring.consumers(start)}
    for _ in range(_FARTHEST):
        if not waiting:
            return False
        site = waiting.pop(min(waiting))
        meets_signal = len(wiring.producers(site)) > 1
        if (wiring.is_mixing(site) and meets_signal) or "attention" in site.op:
            return True
        own = reached.issuperset(one.index for one in wiring.producers(site))
        if own and not weight_of(site, shapes) and not activation_name(site):
            reached.add(site.index)
            waiting.update((one.index, one) for one in wiring.consumers(site))
    return False


def _through_views(wiring: Wiring, sites: list[Site]) -> Iterator[Site]:
    """Yield sites, those that only take a part of the signal replaced by what uses that part."""
    for site in sites:
        while site.op in VIEW_OPS and len(wiring.consumers(site)) == 1:
            site = wiring.consumers(site)[0]
        yield site


def _opens(site: Site) -> bool:
    """Tell whether a site is a sigmoid that is multiplied with other signal."""
    return site.gates and activation_name(site) in _GATES


def _by_hand(
    wiring: Wiring, start: Site, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Site | None, str]:
    """Follow all ways from a step to where they meet again, if only functions lie between.

    ``x * sigmoid(x)`` is a SiLU: a function of one variable, whatever its steps.
    """
    if start.op in _PARTING:  # its parts are different signals
        return None, ""
    reached = {start.index}
    ops: set[str] = set()
    waiting = {site.index: site for site in wiring.consumers(start)}
    for _ in range(_LONGEST):
        if not waiting:
            return None, ""
        site = waiting.pop(min(waiting))
        before = wiring.producers(site)
        known = reached.issuperset(one.index for one in before)
        pointwise = site.op in _POINTWISE or activation_name(site)
        if not known or not pointwise or weight_of(site, shapes) or site.size != start.size:
            return None, ""
        reached.add(site.index)
        ops.add(site.op)
        if not waiting and len(before) > 1:
            name = next((name for name, parts in _BY_PARTS if parts <= ops), "")
            return (site, name) if name else (None, "")
        waiting.update((one.index, one) for one in wiring.consumers(site))
    return None, ""


def _by_hand_ending_in(wiring: Wiring, end: Site, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return the name of the function by hand that a step ends, or ``""``."""
    for site in wiring.behind(end):
        if len(wiring.consumers(site)) > 1:
            last, name = _by_hand(wiring, site, shapes)
            if last is not None and last.index == end.index:
                return name
        if weight_of(site, shapes):
            return ""
    return ""

"""How much gradient crosses each depth of a network: the one profile rules are built on.

A network is cut behind every layer. Across the cut run the tensors that were computed
before it and are used after it: the layer's own output and every skip connection around
it. The flow at that depth is the largest gradient among them. A branch that is weak while
the trunk beside it is strong lowers no flow, and a skip connection counts.

Depth counts weight-bearing steps on the longest path, so it does not depend on the order
in which modules were registered.
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Role, Site


@dataclass(frozen=True, slots=True)
class Level:
    """One cut through the network.

    Attributes:
        depth: Weight-bearing steps before the cut, from 1 at the input side.
        log10_grad: log10 of the Euclidean norm of the gradient that crosses.
        log10_sensitivity: log10 of the largest |gradient| x |activation| that crosses: the
            relative sensitivity of the output to this depth. It does not change when one
            layer's weights are multiplied and the next layer's divided by a number.
        log10_layer_sensitivity: The same for the layer's own output alone; ``nan`` where its
            activation was not measured.
        layer: The weight-bearing site at this depth that carries most gradient.
        widest: The site whose gradient is the flow.
    """

    depth: int
    log10_grad: float
    log10_sensitivity: float
    log10_layer_sensitivity: float
    layer: Site
    widest: Site


@dataclass(frozen=True, slots=True)
class Flow:
    """The gradient's way through the network, input side first.

    Attributes:
        levels: One a depth; the last is the output layer.
    """

    levels: tuple[Level, ...]

    @property
    def output(self) -> Level:
        """The deepest cut, where the gradient comes in."""
        return self.levels[-1]

    def lost_between(self, shallow: int, deep: int) -> float:
        """Decades lost from the level at position `deep` to the one at `shallow`."""
        return _difference(self.levels[deep].log10_grad, self.levels[shallow].log10_grad)

    def compounded(self, *, sign: int) -> list[float]:
        """Return, for every level, the decades lost once the largest step is made ordinary.

        The total between the output and the level, with the largest single step replaced
        by the median one. One layer whose weights are a thousand times larger, followed by
        one a thousand times smaller, computes the same function and compounds nothing; a
        loss that every layer takes part in is kept whole. One step alone compounds nothing.

        Args:
            sign: +1 for decades lost, -1 for decades gained.

        Returns:
            One number a level, input side first; ``nan`` where a zero makes it undefined.
        """
        result = [0.0] * len(self.levels)
        steps: list[float] = []
        for position in range(len(self.levels) - 2, -1, -1):
            step = sign * self.lost_between(position, position + 1)
            bisect.insort(steps, step)
            total = sign * self.lost(self.levels[position])
            median = (steps[(len(steps) - 1) // 2] + steps[len(steps) // 2]) / 2
            if not (math.isfinite(total) and math.isfinite(steps[-1])):
                result[position] = math.nan
            elif len(steps) > 1:
                result[position] = total - steps[-1] + median
        return result

    def lost(self, level: Level) -> float:
        """Decades of gradient lost between the output and a level; negative if gained."""
        return _difference(self.output.log10_grad, level.log10_grad)

    def sensitivity_lost(self, level: Level) -> float:
        """The same for the sensitivity, which no rescaling of single layers can move."""
        return _difference(self.output.log10_sensitivity, level.log10_sensitivity)

    def layer_sensitivity_lost(self, level: Level) -> float:
        """The same for the layers' own outputs alone.

        |gradient| |activation| overrates a tensor whose large gradients meet its small
        entries (rows near zero before a normalisation); a layer's output mixes both.
        """
        return _difference(self.output.log10_layer_sensitivity, level.log10_layer_sensitivity)


def _difference(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return math.nan
    if a == b == -math.inf:
        return 0.0
    return a - b


def gradient_flow(recording: Recording, quantity: Quantity) -> Flow | None:
    """Cut a recording behind every layer.

    Args:
        recording: What was observed.
        quantity: `LOG10_PROBE_GRAD_RMS` for propagation alone, or
            `LOG10_ACTIVATION_GRAD_RMS` with the loss.

    Returns:
        The flow, or None where fewer than two depths carry a measured gradient.
    """
    grads = recording[quantity]
    signal = {s.index: s for s in recording.sites if s.role is Role.SIGNAL and s in grads}
    producers: dict[int, list[int]] = {}
    consumers: dict[int, list[int]] = {}
    for edge in recording.edges:
        if edge.producer in signal and edge.consumer in signal:
            producers.setdefault(edge.consumer, []).append(edge.producer)
            consumers.setdefault(edge.producer, []).append(edge.consumer)
    layers = {
        i
        for i, site in signal.items()
        if site.weights
        and site.depth > max((signal[p].depth for p in producers.get(i, ())), default=0)
    }
    log10_grad = {i: grads[s] + 0.5 * math.log10(max(1, s.size)) for i, s in signal.items()}
    spans = _spans(signal, layers, consumers)
    best = _best_layers(signal, layers, log10_grad)
    depths = sorted(best)
    grad_at = _highest(spans, log10_grad, depths)
    sensitivity = _sensitivity(recording, signal, log10_grad, producers, consumers)
    sens_at = _highest(spans, sensitivity, depths)
    levels = tuple(
        Level(
            depth,
            grad_at[depth][0],
            sens_at[depth][0] if depth in sens_at else math.nan,
            sensitivity.get(best[depth].index, math.nan),
            best[depth],
            signal[grad_at[depth][1]],
        )
        for depth in depths
        if depth in grad_at
    )
    return Flow(levels) if len(levels) > 1 else None


Span = tuple[float, float]


def _spans(
    signal: Mapping[int, Site], layers: set[int], consumers: Mapping[int, list[int]]
) -> dict[int, Span]:
    """From where to where a site's output is carried, on an axis of depths.

    A layer of depth d begins at d and everything computed from it at d + 1/2. The cut lies
    between, at d + 1/4: behind the layer and before its activation, which may kill all
    that the layer would have received.
    """

    def begin(i: int) -> float:
        return signal[i].depth + (0.0 if i in layers else 0.5)

    spans = {}
    for i in signal:
        last = max((begin(c) for c in consumers.get(i, ())), default=begin(i) + 0.5)
        spans[i] = (begin(i), last)
    return spans


def _best_layers(
    signal: Mapping[int, Site], layers: set[int], log10_grad: Mapping[int, float]
) -> dict[int, Site]:
    """Depth to the layer at that depth with the largest gradient."""
    best: dict[int, Site] = {}
    for index in sorted(layers):
        site = signal[index]
        known = best.get(site.depth)
        if known is None or not log10_grad[index] <= log10_grad[known.index]:
            best[site.depth] = site
    return best


def _sensitivity(
    recording: Recording,
    signal: Mapping[int, Site],
    log10_grad: Mapping[int, float],
    producers: Mapping[int, list[int]],
    consumers: Mapping[int, list[int]],
) -> dict[int, float]:
    """Return log10 |gradient| |activation| where the activation's size means something.

    Steps that only move numbers take the size from what they move. What enters a softmax
    is left out: it means the same after any shift, and masks make it as large as 1e38.
    """
    rms = dict(recording[Quantity.ACTIVATION_RMS].values)
    for i, site in signal.items():
        if i not in rms and not site.weights:
            same = [p for p in producers.get(i, ()) if p in rms and signal[p].size == site.size]
            if same:
                rms[i] = rms[same[0]]
    scores: set[int] = set()
    for i in sorted(signal, reverse=True):
        after = consumers.get(i, ())
        if after and all(
            "softmax" in signal[c].op or (c in scores and signal[c].op not in _MIXING)
            for c in after
        ):
            scores.add(i)
    return {
        i: log10_grad[i] + _log10(rms[i]) + 0.5 * math.log10(max(1, site.size))
        for i, site in signal.items()
        if i in rms and i not in scores
    }


_MIXING = frozenset({"linear", "matmul", "conv1d", "conv2d", "conv3d", "einsum", "embedding"})


def _log10(value: float) -> float:
    if math.isnan(value):
        return math.nan
    return math.log10(value) if value > 0 else -math.inf


def _highest(
    spans: Mapping[int, Span], values: Mapping[int, float], depths: Iterable[int]
) -> dict[int, tuple[float, int]]:
    """Sweep over the cuts and keep the largest value among the spans that cover each."""
    waiting = sorted((*spans[i], value, i) for i, value in values.items() if not math.isnan(value))
    heap: list[tuple[float, int, float]] = []
    result: dict[int, tuple[float, int]] = {}
    position = 0
    for depth in depths:
        cut = depth + 0.25
        while position < len(waiting) and waiting[position][0] < cut:
            _, last, value, index = waiting[position]
            heapq.heappush(heap, (-value, index, last))
            position += 1
        while heap and heap[0][2] < cut:
            heapq.heappop(heap)
        if heap:
            result[depth] = (-heap[0][0], heap[0][1])
    return result

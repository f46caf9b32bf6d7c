"""How much gradient crosses each depth of a network: the one profile rules are built on.

A network is cut at every depth. Across the cut run the tensors that were computed at or
before it and are used after it: the layer's own output and every skip connection around
it. The flow at that depth is the largest gradient among them. A branch that is weak while
the trunk beside it is strong lowers no flow, and a skip connection counts.

Depth counts weight-bearing steps on the longest path, so it does not depend on the order
in which modules were registered.
"""

from __future__ import annotations

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
        layer: The weight-bearing site at this depth that carries most gradient.
        widest: The site whose gradient is the flow.
    """

    depth: int
    log10_grad: float
    log10_sensitivity: float
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
        """Return, for every level, the decades lost that no single step explains.

        The total between the output and the level, less the largest single step on the
        way. One layer whose weights are a thousand times larger, followed by one a
        thousand times smaller, computes the same function and compounds nothing.

        Args:
            sign: +1 for decades lost, -1 for decades gained.

        Returns:
            One number a level, input side first; ``nan`` where a zero makes it undefined.
        """
        result = [0.0] * len(self.levels)
        largest = 0.0
        for position in range(len(self.levels) - 2, -1, -1):
            step = sign * self.lost_between(position, position + 1)
            largest = max(largest, step)
            total = sign * self.lost(self.levels[position])
            result[position] = total - largest if math.isfinite(total) else math.nan
        return result

    def lost(self, level: Level) -> float:
        """Decades of gradient lost between the output and a level; negative if gained."""
        return _difference(self.output.log10_grad, level.log10_grad)

    def sensitivity_lost(self, level: Level) -> float:
        """The same for the sensitivity, which no rescaling of single layers can move."""
        return _difference(self.output.log10_sensitivity, level.log10_sensitivity)


def _difference(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return math.nan
    if a == b == -math.inf:
        return 0.0
    return a - b


def gradient_flow(recording: Recording, quantity: Quantity) -> Flow | None:
    """Cut a recording at every depth.

    Args:
        recording: What was observed.
        quantity: `LOG10_PROBE_GRAD_RMS` for propagation alone, or
            `LOG10_ACTIVATION_GRAD_RMS` with the loss.

    Returns:
        The flow, or None where fewer than two depths carry a measured gradient.
    """
    grads = recording[quantity]
    rms = recording[Quantity.ACTIVATION_RMS]
    signal = [s for s in recording.sites if s.role is Role.SIGNAL and s in grads]
    until = _last_use(recording, {s.index: s for s in signal})
    log10_grad = {s.index: grads[s] + 0.5 * math.log10(max(1, s.size)) for s in signal}
    sensitivity = {
        s.index: log10_grad[s.index] + _log10(rms[s]) + 0.5 * math.log10(max(1, s.size))
        for s in signal
        if s in rms
    }
    layers = _layers(signal, log10_grad)
    if len(layers) < 2:
        return None
    depths = sorted(layers)
    grad_at = _highest(((s, until[s.index]) for s in signal), log10_grad, depths)
    sens_at = _highest(((s, until[s.index]) for s in signal), sensitivity, depths)
    by_index = {s.index: s for s in signal}
    levels = tuple(
        Level(
            depth,
            grad_at[depth][0],
            sens_at[depth][0] if depth in sens_at else math.nan,
            layers[depth],
            by_index[grad_at[depth][1]],
        )
        for depth in depths
        if depth in grad_at
    )
    return Flow(levels) if len(levels) > 1 else None


def _log10(value: float) -> float:
    if math.isnan(value):
        return math.nan
    return math.log10(value) if value > 0 else -math.inf


def _last_use(recording: Recording, signal: Mapping[int, Site]) -> dict[int, int]:
    """Index of a site to the last depth before which its output is still needed."""
    until = {index: site.depth for index, site in signal.items()}
    for edge in recording.edges:
        if edge.producer in until and edge.consumer in signal:
            last = signal[edge.consumer].depth - 1
            until[edge.producer] = max(until[edge.producer], last)
    return until


def _layers(signal: Iterable[Site], log10_grad: Mapping[int, float]) -> dict[int, Site]:
    """Depth to the weight-bearing site at that depth with the largest gradient."""
    best: dict[int, Site] = {}
    for site in signal:
        if not site.weights or site.depth < 1:
            continue
        known = best.get(site.depth)
        if known is None or not log10_grad[site.index] <= log10_grad[known.index]:
            best[site.depth] = site
    return best


def _highest(
    spans: Iterable[tuple[Site, int]], values: Mapping[int, float], depths: Iterable[int]
) -> dict[int, tuple[float, int]]:
    """Sweep over depths and keep the largest value among the spans that cover each."""
    waiting = sorted(
        (site.depth, until, values[site.index], site.index)
        for site, until in spans
        if site.index in values and not math.isnan(values[site.index])
    )
    heap: list[tuple[float, int, int]] = []
    result: dict[int, tuple[float, int]] = {}
    position = 0
    for depth in depths:
        while position < len(waiting) and waiting[position][0] <= depth:
            _, until, value, index = waiting[position]
            heapq.heappush(heap, (-value, index, until))
            position += 1
        while heap and heap[0][2] < depth:
            heapq.heappop(heap)
        if heap:
            result[depth] = (-heap[0][0], heap[0][1])
    return result

"""What UV101 and UV102 share: the flow they judge, its factors, its chart, its notes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import Final

from unvanish.core.conditions import DataRole
from unvanish.core.findings import Cause, Chart, Mark, Point
from unvanish.core.flow import Flow, Level, gradient_flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.verdicts import NotApplicable, NotMeasured
from unvanish.diagnose.upstream import Upstream

_SMALLEST: Final = (("float16", -7.2), ("bfloat16", -40.0), ("float32", -44.9))
"""log10 of the smallest subnormal number of each type."""

_LARGE_GAIN: Final = 1.2 * math.sqrt(2.0)
"""rms(W) sqrt(fan-in) that no common initialisation has: a fifth above He's, the largest."""


def propagation_flow(recording: Recording) -> Flow | None:
    """Return the flow from random signs at the output, or from the loss where that is all."""
    return gradient_flow(recording, Quantity.LOG10_PROBE_GRAD_RMS) or gradient_flow(
        recording, Quantity.LOG10_ACTIVATION_GRAD_RMS
    )


def judged_flow(recording: Recording) -> Flow | NotApplicable | NotMeasured:
    """Return the flow that UV101 and UV102 judge, or why there is none."""
    context = recording.context
    if context.loss and not math.isfinite(context.loss_value):
        return NotMeasured("a finite loss: see UV403")
    grads = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS].values.values()
    if all(map(math.isnan, grads)):
        return NotMeasured("a gradient of the loss that is a number")
    flow = propagation_flow(recording)
    if flow is None:
        return NotApplicable("the network has fewer than two layers with weights")
    if math.isnan(flow.output.log10_grad):
        return NotMeasured("a gradient at the output layer that is a number")
    return flow


def grown_together(recording: Recording, flow: Flow) -> list[float]:
    """Return, for every level, the decades by which gradient and signal have both grown.

    The gradient is that of the layers themselves, its growth from the output to the level,
    once the largest step is made ordinary. The signal's growth is from the largest thing met
    so far, data included, to what leaves the network. A normalisation ends the second, one
    large layer is left out of the first.

    Args:
        recording: What was observed.
        flow: The flow that is judged.

    Returns:
        One number a level, 0 where one of the two did not grow or was not measured.
    """
    grads = recording[Quantity.LOG10_PROBE_GRAD_RMS]
    if not len(grads):
        grads = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    sizes = recording[Quantity.ACTIVATION_RMS]
    own = Flow(
        tuple(
            replace(
                level,
                log10_grad=grads.get(level.layer) + 0.5 * math.log10(max(1, level.layer.size)),
            )
            for level in flow.levels
        )
    )
    outputs = [sizes.get(site) for site in recording.signal_sites() if site.is_output]
    left = min(sizes.get(flow.output.layer), max((o for o in outputs if o > 0.0), default=math.inf))
    largest = max((d.rms for d in recording.data if d.role is DataRole.INPUT), default=0.0)
    grown = []
    for level, gained in zip(flow.levels, own.compounded(sign=-1), strict=True):
        size = sizes.get(level.layer)
        largest = max(x for x in (largest, size, 0.0) if not math.isnan(x))
        is_known = 0.0 < largest < math.inf and 0.0 < left < math.inf and math.isfinite(gained)
        grown.append(max(0.0, min(gained, math.log10(left / largest))) if is_known else 0.0)
    return grown


def growth_causes(recording: Recording, flow: Flow) -> tuple[Cause, ...]:
    """Name what makes the gradient grow: too large weights, or depth without skips."""
    layers = [level.layer for level in flow.levels]
    normalised = any("norm" in site.op for site in recording.signal_sites())
    if _is_recurrent(layers):
        return (Cause.INIT_TOO_LARGE, Cause.RECURRENCE)
    if _has_skip(recording) and not normalised:
        upstream = Upstream(recording)
        gains = [gain for gain in map(upstream.gain, layers) if gain > 0.0]
        if gains and median(gains) > _LARGE_GAIN:
            return (Cause.INIT_TOO_LARGE, Cause.NO_NORMALISATION)
        return (Cause.NO_NORMALISATION, Cause.INIT_TOO_LARGE)
    if normalised and not _has_skip(recording):
        return (Cause.DEPTH_WITHOUT_SKIP,)
    return (Cause.INIT_TOO_LARGE, *structure(recording, flow))


def flow_chart(recording: Recording, flow: Flow, starved: Sequence[Level]) -> Chart:
    """Draw the flow over depth, relative to the output layer."""
    slopes = recording[Quantity.SLOPE_RMS]
    by_depth: dict[int, list[float]] = {}
    for site in recording.signal_sites():
        if site in slopes and not site.gates:
            by_depth.setdefault(site.depth, []).append(slopes[site])
    weak = {level.depth for level in starved}
    points = []
    for position, level in enumerate(flow.levels):
        note = ""
        if position + 1 < len(flow.levels):
            factor = -flow.lost_between(position, position + 1)
            own = by_depth.get(level.depth)
            if own and math.isfinite(factor) and sum(own) > 0:
                slope = sum(own) / len(own)
                note = f"{slope:.3f} x {10**factor / slope:.3f}"
        points.append(
            Point(
                label=level.layer.path or level.layer.op,
                log10=-math.inf if level.log10_grad == -math.inf else -flow.lost(level),
                mark=Mark.STARVED if level.depth in weak else Mark.FINE,
                note=note,
            )
        )
    return Chart(
        title="gradient at each layer, in decades against the output layer",
        points=tuple(points),
        note_title="slope x rest",
    )


def underflow_note(flow: Flow) -> Iterator[str]:
    """Say from which layer on each floating type reads the loss gradient as zero."""
    found = []
    for name, smallest in _SMALLEST:
        for level in reversed(flow.levels):
            rms = level.log10_grad - 0.5 * math.log10(max(1, level.widest.size))
            if rms < smallest and math.isfinite(rms):
                found.append(f"{name} from {level.layer.path or level.layer.op}")
                break
    if found:
        yield f"on the way to the input the gradient reads as zero in {', in '.join(found)}"


def update_note(recording: Recording, layers: Sequence[Site]) -> Iterator[str]:
    """Say by how much the user's optimiser would move these layers, and the best-fed one."""
    ratios = _updates(recording)
    mine = [(ratios[name], name) for s in layers for name in s.weights if name in ratios]
    if not mine or recording.context.optimizer is None:
        return
    optimizer = recording.context.optimizer
    least, name = min(mine)
    most, best = max((value, name) for name, value in ratios.items())
    aside = ", weight decay aside" if optimizer.weight_decay else ""
    if not least:
        moved = f"does not move {name} at all{aside}"
    else:
        moved = f"changes {name} by {least:.1e} of its size{aside}"
    yield f"the first step of {optimizer} {moved}, and {best} by {most:.1e}"


def updates_are_level(recording: Recording, layers: Iterable[Site]) -> bool:
    """Tell whether the optimiser moves these layers about as much as the others.

    As much means within a factor of ten of the median over all weight matrices.
    """
    ratios = _updates(recording)
    mine = sorted(ratios[name] for s in layers for name in s.weights if name in ratios)
    everyone = sorted(ratios.values())
    if not mine or not everyone:
        return False
    largest = everyone[-1]
    middle = mine[len(mine) // 2]
    return largest > 0 and middle > 0.1 * everyone[len(everyone) // 2] and middle > 0.01 * largest


def _updates(recording: Recording) -> dict[str, float]:
    """Relative updates of weight matrices, without the part that weight decay has a share in.

    Weight decay shrinks every matrix alike and would make all updates look level. Vectors
    such as biases start near zero.
    """
    return {
        p.name: p.turn_ratio
        for p in recording.parameters
        if len(p.shape) >= 2 and math.isfinite(p.turn_ratio)
    }


def structure(recording: Recording, flow: Flow) -> tuple[Cause, ...]:
    """Secondary causes that lie in the architecture."""
    found = []
    layers = [level.layer for level in flow.levels]
    if _is_recurrent(layers):
        found.append(Cause.RECURRENCE)
    if len(layers) >= 5 and not _has_skip(recording):
        found.append(Cause.DEPTH_WITHOUT_SKIP)
    if len(layers) >= 5 and not any("norm" in s.op for s in recording.signal_sites()):
        found.append(Cause.NO_NORMALISATION)
    return tuple(found)


def _is_recurrent(layers: Sequence[Site]) -> bool:
    """Tell whether most layers use weights that are used at another depth, too."""
    used = Counter((site.path, site.op, site.weights) for site in layers)
    return sum(count for count in used.values() if count > 1) > len(layers) / 2


def _has_skip(recording: Recording) -> bool:
    """Tell whether an addition joins two signals of different depth."""
    producers: dict[int, list[int]] = {}
    for edge in recording.edges:
        producers.setdefault(edge.consumer, []).append(edge.producer)
    sites = recording.sites
    return any(
        site.op == "add"
        and len({sites[p].depth for p in producers.get(site.index, ()) if sites[p].depth}) > 1
        for site in recording.signal_sites()
    )

"""What UV101 and UV102 share: the flow they judge, its factors, its chart, its notes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from unvanish.core.findings import Cause, Chart, Mark, Point
from unvanish.core.flow import Flow, Level, gradient_flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Role, Site
from unvanish.core.verdicts import NotApplicable, NotMeasured

_SMALLEST: Final = (("float16", -7.2), ("bfloat16", -40.0), ("float32", -44.9))
"""log10 of the smallest subnormal number of each type."""

_HELP: Final = {
    Cause.ACTIVATION_SLOPE: (
        "replace {activation} by torch.nn.ReLU() and initialise with "
        "torch.nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')",
        "or keep {activation} and put a batch normalisation before each one; layer "
        "normalisation or Xavier alone does not cure a deep sigmoid network",
    ),
    Cause.SATURATION: (
        "bring the pre-activations back to unit scale: smaller weights, inputs with mean 0 "
        "and standard deviation 1, or a normalisation before {activation}",
    ),
    Cause.INIT_TOO_SMALL: (
        "initialise larger: torch.nn.init.kaiming_normal_(layer.weight, nonlinearity='relu') "
        "for ReLU, torch.nn.init.xavier_normal_(layer.weight) for tanh; PyTorch's default "
        "for nn.Linear has a third of the variance that tanh needs, a sixth of ReLU's",
        "or add skip connections: x = x + block(x)",
    ),
    Cause.BIAS: (
        "no sample switches these units on: start their biases at zero, "
        "torch.nn.init.zeros_(layer.bias), or use torch.nn.LeakyReLU()",
    ),
    Cause.ZERO_INIT: (
        "a weight on the only path is exactly zero and stays so: initialise it with "
        "torch.nn.init.normal_(layer.weight, std=1e-2)",
    ),
}


def propagation_flow(recording: Recording) -> Flow | None:
    """Return the flow from random signs at the output, or from the loss where that is all."""
    return gradient_flow(recording, Quantity.LOG10_PROBE_GRAD_RMS) or gradient_flow(
        recording, Quantity.LOG10_ACTIVATION_GRAD_RMS
    )


def judged_flow(recording: Recording) -> Flow | NotApplicable | NotMeasured:
    """Return the flow that UV101 and UV102 judge, or why there is none."""
    grads = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS].values.values()
    if not any(map(math.isfinite, grads)):
        return NotMeasured("a gradient of the loss that is finite and not zero")
    flow = propagation_flow(recording)
    if flow is None:
        return NotApplicable("the network has fewer than two layers with weights")
    if not math.isfinite(flow.output.log10_grad):
        return NotMeasured("a finite, non-zero gradient at the output layer")
    return flow


@dataclass(frozen=True, slots=True)
class LossFactors:
    """Where the lost decades went, and what follows from it."""

    causes: tuple[Cause, ...]
    notes: tuple[str, ...]
    help: tuple[str, ...]


def loss_factors(recording: Recording, flow: Flow, worst: Level) -> LossFactors:
    """Split the decades lost on the way to a level into activation slopes and the rest.

    Args:
        recording: What was observed.
        flow: The flow that was judged.
        worst: The starved level.

    Returns:
        Causes, largest share first, with the sentences that go with them.
    """
    total = flow.lost(worst)
    acts = _activations(recording, worst.depth, flow.output.depth)
    name = _commonest(site.op for site in acts)
    if total == math.inf:
        cause, note = _why_zero(recording, worst)
        return LossFactors((cause, *_structure(recording, flow)), (note,), _fill(cause, name))
    slopes = recording[Quantity.SLOPE_RMS]
    depths = max(1, len({site.depth for site in acts}))
    cap = sum(-math.log10(min(1.0, s.slope_cap)) for s in acts if s.slope_cap > 0)
    saturated = sum(
        -math.log10(max(slopes[s], 1e-12) / s.slope_cap)
        for s in acts
        if s.can_saturate and s.slope_cap > 0
    )
    gated = sum(-math.log10(max(slopes[s], 1e-12)) for s in acts if not s.can_saturate)
    scale = depths / max(1, len(acts))  # parallel branches count once a depth
    cap, saturated, gated = cap * scale, saturated * scale, gated * scale
    weights = total - cap - saturated - gated
    shares = {
        Cause.ACTIVATION_SLOPE: cap,
        Cause.SATURATION: saturated,
        # A ReLU halves the energy by design; weights of critical size make up for it.
        Cause.INIT_TOO_SMALL: weights + gated,
    }
    ranked = sorted(shares, key=lambda cause: -shares[cause])
    causes = [cause for cause in ranked if shares[cause] > 0.1 * total] or ranked[:1]
    notes = []
    if acts:
        slope = cap + saturated + gated
        per_layer = f"x{10 ** (-slope / depths):.3f} a layer"
        notes.append(
            f"of {total:.1f} decades lost, the slope of {name} took {slope:.1f} ({per_layer}) "
            f"and the weights {weights:.1f}"
        )
        if cap > 0.5 * total:
            notes.append(
                f"{name} never passes more than {acts[0].slope_cap:g} of the gradient, "
                "whatever the data: this is the network's design, not a bug in the loop"
            )
    return LossFactors(
        (*causes, *_structure(recording, flow)), tuple(notes), _fill(causes[0], name)
    )


def growth_causes(recording: Recording, flow: Flow) -> tuple[Cause, ...]:
    """Name what makes the gradient grow: too large weights, or depth without skips."""
    layers = [level.layer for level in flow.levels]
    normalised = any("norm" in site.op for site in recording.signal_sites())
    if _is_recurrent(layers):
        return (Cause.RECURRENCE, Cause.INIT_TOO_LARGE)
    if _has_skip(recording) and not normalised:
        return (Cause.NO_NORMALISATION, Cause.INIT_TOO_LARGE)
    if normalised and not _has_skip(recording):
        return (Cause.DEPTH_WITHOUT_SKIP,)
    return (Cause.INIT_TOO_LARGE, *_structure(recording, flow))


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
                log10=-flow.lost(level),
                mark=Mark.STARVED if level.depth in weak else Mark.FINE,
                note=note,
            )
        )
    return Chart(
        title="gradient at each layer, in decades against the output layer",
        points=tuple(points),
        note_title="slope x weights",
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
    least, name = min(mine)
    most, best = max((value, name) for name, value in ratios.items())
    yield (
        f"the first step of {recording.context.optimizer} changes {name} by "
        f"{_ratio(least)} of its size, and {best} by {_ratio(most)}"
    )


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
    """Relative updates of weight matrices; vectors such as biases start near zero."""
    return {
        p.name: p.update_ratio
        for p in recording.parameters
        if len(p.shape) >= 2 and math.isfinite(p.update_ratio)
    }


def _ratio(value: float) -> str:
    return f"{value:.1e}" if value else "exactly 0"


def _activations(recording: Recording, shallow: int, deep: int) -> list[Site]:
    slopes = recording[Quantity.SLOPE_RMS]
    return [
        site
        for site in recording.signal_sites()
        if site in slopes
        and not site.gates
        and shallow <= site.depth < deep
        and not math.isnan(site.slope_cap)
    ]


def _commonest(names: Iterable[str]) -> str:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return max(counts, key=lambda name: counts[name]) if counts else "the activation"


def _why_zero(recording: Recording, worst: Level) -> tuple[Cause, str]:
    """Find the step where a living gradient becomes exactly zero."""
    slopes = recording[Quantity.SLOPE_RMS]
    for site in reversed(recording.sites):
        if site.role is Role.SIGNAL and site in slopes and slopes[site] == 0.0:
            if site.slope_cap == 0.0:
                return (
                    Cause.ACTIVATION_SLOPE,
                    f"{site.name} has slope zero everywhere and lets no gradient through",
                )
            return Cause.BIAS, f"the slope of {site.name} is zero for every sample"
    zero = [p.name for p in recording.parameters if p.rms == 0.0 and len(p.shape) >= 2]
    if zero:
        return Cause.ZERO_INIT, f"{zero[0]} is all zero and passes no gradient on"
    return (
        Cause.ZERO_INIT,
        f"the gradient at {worst.layer.name} is exactly zero even with exponents kept apart",
    )


def _structure(recording: Recording, flow: Flow) -> tuple[Cause, ...]:
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
    """Tell whether most layers reuse the weights of another."""
    return sum(site.call > 0 for site in layers) > len(layers) / 2


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


def _fill(cause: Cause, activation: str) -> tuple[str, ...]:
    lines = _HELP.get(cause, ())
    return tuple(line.format(activation=activation) for line in lines)

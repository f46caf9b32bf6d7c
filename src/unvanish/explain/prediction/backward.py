"""The backward pass: the energy of the gradient at every step, and how it scatters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from unvanish.core.records import Edge
from unvanish.explain.prediction.signal import Signal, alone, passage, shared_slope, together
from unvanish.explain.prediction.steps import Kind, Step, Steps

_TINY: Final = 1e-300


@dataclass(slots=True)
class Gradient:
    """The predicted gradient that arrives at a step.

    Attributes:
        log_energy: Natural logarithm of |gradient|^2 over that of the last layer.
        variance: Variance of that logarithm over networks, given the length of the signal here.
        pull: Its derivative after the logarithm of that length.
        doubt: What theory may be off by, which does not average out over the layers.
        tokens: Correlation of the gradients of two tokens of a sample.
        mixes: Causal attentions it has come through, where ways differ by their shares.
    """

    log_energy: float = 0.0
    variance: float = 0.0
    pull: float = 0.0
    doubt: float = 0.0
    tokens: float = 0.0
    mixes: float = 0.0


def backward(
    steps: Steps, known: dict[int, Step], signals: dict[int, Signal], top: int
) -> dict[int, Gradient]:
    """Follow the energy of the gradient from the last layer down.

    Args:
        steps: The steps of the recording.
        known: Those between the first layer and the last, in forward order.
        signals: The moments of the signal at each.
        top: Index of the last layer's site.
    """
    gradients = {top: Gradient()}
    for i in reversed(known):
        if i == top:
            continue
        uses = []
        for edge in steps.above.get(i, ()):
            if edge.consumer in known and edge.consumer in gradients:
                found = _through(steps, known[edge.consumer], edge, signals, gradients)
                if found is not None:
                    uses.append(found)
        if uses:
            gradients[i] = _met(uses)
    return gradients


def _met(uses: list[Gradient]) -> Gradient:
    """Return the gradient where several uses come together; what all scatter by is common."""
    highest = max(use.log_energy for use in uses)
    weights = [math.exp(use.log_energy - highest) for use in uses]
    whole = math.fsum(weights)
    shares = [weight / whole for weight in weights]
    common = min(use.variance for use in uses)

    def average(values: list[float]) -> float:
        return math.fsum(share * value for share, value in zip(shares, values, strict=True))

    return Gradient(
        highest + math.log(whole),
        common
        + math.fsum(
            share * share * (use.variance - common) for share, use in zip(shares, uses, strict=True)
        ),
        average([use.pull for use in uses]),
        average([use.doubt for use in uses]),
        average([use.tokens for use in uses]),
        average([use.mixes for use in uses]),
    )


def _through(
    steps: Steps,
    step: Step,
    edge: Edge,
    signals: dict[int, Signal],
    gradients: dict[int, Gradient],
) -> Gradient | None:
    """Return what one use sends back; None where it is a correction of order 1/n."""
    above, before = gradients[edge.consumer], signals[edge.producer]
    after = signals[edge.consumer]
    size = steps.recording.sites[edge.producer].size
    factor, scatter, pull, stretch, doubt = 1.0, 0.0, 0.0, 1.0, 0.0
    added, tokens, mixes = 0.0, above.tokens, above.mixes
    match step.kind:
        case Kind.MATRIX:
            units = steps.entering_units(step)
            factor, scatter = step.weight2, 2.0 / units
            stretch = step.weight2 * before.q / after.q
            added = stretch**2 * before.scatter / units
        case Kind.ACTIVATION if step.phi is not None:
            at = passage(step.phi, before.q, before.mean)
            factor, scatter = at.slope, 3.0 * at.slope_scatter / step.units
            pull, stretch = at.slope_stretch, at.square_stretch
            if tokens > 0.0:
                tokens *= shared_slope(step.phi, before.q, before.mean, before.tokens)
        case Kind.BATCH_NORM:
            factor = step.weight2 / max(before.spread(over_batch=True), _TINY)
            doubt, pull, stretch = 1.0 / step.samples, -1.0, 0.0
        case Kind.FEATURE_NORM:
            spread = before.spread(over_batch=False, centred=step.centred)
            factor = step.weight2 / max(spread, _TINY)
            factor *= 1.0 + before.variance
            scatter = before.scatter / step.units
            pull, stretch = -1.0, 0.0
        case Kind.SUM:
            stretch = before.q / after.q
        case Kind.SCALE:
            factor = step.weight2
        case Kind.AVERAGE:
            factor = min(1.0, step.site.size / max(1, size))
            tokens = 1.0
        case Kind.JOIN:
            factor = size / max(1, step.site.size)
        case Kind.MIX if edge.producer == step.weigher:
            values = _other(steps, edge, signals)
            factor = step.units * values.q * (1.0 - values.correlation())
            tokens, stretch = 0.0, 0.0
        case Kind.MIX:
            factor = (1.0 - tokens) * alone(step.units, causal=step.causal)
            factor += tokens * together(step.units, causal=step.causal, before=mixes)
            tokens, mixes = 1.0, mixes + 1.0
        case Kind.SOFTMAX:
            factor, stretch = alone(step.units, causal=step.causal) / step.units, 0.0
        case Kind.SCORES:
            other = _other(steps, edge, signals)
            factor = step.units * other.q * (1.0 - other.correlation())
            stretch = 0.0
        case Kind.STATISTIC:
            return None
        case _:
            pass
    return Gradient(
        above.log_energy + math.log(max(factor, _TINY)),
        above.variance + scatter + above.pull**2 * added,
        pull + stretch * above.pull,
        above.doubt + doubt,
        tokens,
        mixes,
    )


def _other(steps: Steps, edge: Edge, signals: dict[int, Signal]) -> Signal:
    """Return the other factor of a product of two signals."""
    edges = steps.below[edge.consumer]
    return next(signals[e.producer] for e in edges if e.producer != edge.producer)

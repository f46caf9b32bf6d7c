"""The forward pass: the moments of the signal at every step, from one measured layer on."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Recording, Site
from unvanish.explain.prediction.signal import LARGEST, Signal, activated
from unvanish.explain.prediction.steps import Kind, Step, Steps, UnpredictableError

_NEW: Final = (Kind.MATRIX, Kind.FEATURE_NORM, Kind.BATCH_NORM, Kind.MIX)
"""Steps whose output is independent of other functions of the same input."""
_SAME: Final = 0.01
"""Relative difference up to which two measured variances are taken for one."""


def forward(
    steps: Steps, known: dict[int, Step], target: int, *, samples: bool = False
) -> dict[int, Signal]:
    """Follow the moments of the signal from a layer's measured ones.

    Args:
        steps: The steps of the recording.
        known: Those between the layer and the last, in forward order.
        target: Index of the layer's site.
        samples: Whether what two samples share is followed where no BatchNorm asks for it.

    Raises:
        UnpredictableError: If the signal is not known or its branches are not independent.
    """
    batch_matters = samples or any(step.kind is Kind.BATCH_NORM for step in known.values())
    tokens_matter = any(step.kind is Kind.MIX for step in known.values())
    signals: dict[int, Signal] = {}
    roots: dict[int, frozenset[int]] = {}
    for i, step in known.items():
        edges = steps.below.get(i, [])
        for edge in edges:
            if edge.producer not in signals:
                signals[edge.producer] = _measured(steps.recording, edge.producer, None)
                roots[edge.producer] = frozenset({edge.producer})
        before = [signals[e.producer] for e in edges]
        signals[i] = (
            _measured(steps.recording, i, None)
            if i == target
            else _followed(
                steps,
                step,
                edges,
                before,
                batch_matters=batch_matters,
                tokens_matter=tokens_matter,
            )
        )
        if not 0.0 < signals[i].q < LARGEST and step.kind is not Kind.STATISTIC:
            raise UnpredictableError(
                f"the signal of {step.site.path or 'the model'} dies out or grows without bound"
            )
        own = step.kind in _NEW or i == target
        if step.kind is Kind.SUM and len({e.producer for e in edges}) > 1:
            _refuse_twins(step.site, [roots[e.producer] for e in edges])
        roots[i] = (
            frozenset({i}) if own else frozenset[int]().union(*(roots[e.producer] for e in edges))
        )
    return signals


def _refuse_twins(site: Site, roots: list[frozenset[int]]) -> None:
    """Refuse a sum of branches that are no independent random functions.

    Raises:
        UnpredictableError: If two branches hold the same signal.
    """
    for position, one in enumerate(roots):
        if any(one & other for other in roots[position + 1 :]):
            raise UnpredictableError(
                f"the branches that meet in {site.path or 'the model'} are not independent: no "
                "layer lies between them"
            )


def _followed(
    steps: Steps,
    step: Step,
    edges: list[Edge],
    before: list[Signal],
    *,
    batch_matters: bool,
    tokens_matter: bool,
) -> Signal:
    """Return the moments behind one step."""
    match step.kind:
        case Kind.MATRIX:
            return before[0].mixed(step.weight2, step.bias2, steps.entering_units(step))
        case Kind.ACTIVATION if step.phi is not None:
            return activated(
                step.phi, before[0], batch_matters=batch_matters, tokens_matter=tokens_matter
            )
        case Kind.BATCH_NORM | Kind.FEATURE_NORM:
            over_batch = step.kind is Kind.BATCH_NORM
            return before[0].normalised(step.weight2, step.bias2, over_batch=over_batch)
        case Kind.SUM if len(before) == 1 and not step.site.weights:
            return _moved_by(steps.recording, step.site, edges[0].producer, before[0])
        case Kind.SUM:
            whole = before[0]
            for other in before[1:]:
                whole = whole.plus(other)
            return replace(
                whole,
                q=whole.q + step.bias2,
                shared=whole.shared + step.bias2,
                tokens=whole.tokens + step.bias2,
            )
        case Kind.SCALE:
            scaled = before[0].scaled(math.sqrt(step.weight2))
            if "dropout" not in step.site.op:
                return scaled
            return replace(
                scaled, mean=before[0].mean, shared=before[0].shared, tokens=before[0].tokens
            )
        case Kind.AVERAGE | Kind.MAXIMUM:
            return _measured(steps.recording, step.site.index, before[0])
        case Kind.MIX:
            values = before[1] if edges[0].producer == step.weigher else before[0]
            return values.averaged(step.units, causal=step.causal)
        case Kind.SCORES | Kind.SOFTMAX:
            return Signal(1.0)
        case Kind.JOIN:
            sizes = [steps.recording.sites[e.producer].size for e in edges]
            return _joined(before, sizes)
        case _:
            return before[0]


def _moved_by(recording: Recording, site: Site, producer: int, before: Signal) -> Signal:
    """Return the moments behind the addition of one constant, which is read off the means.

    What changes the variance is none: a mask, positions, a constant for each unit.
    """
    rms, means = recording[Quantity.ACTIVATION_RMS], recording[Quantity.ACTIVATION_MEAN]
    old, new = means.get(producer), means.get(site)
    spreads = (rms.get(producer) ** 2 - old * old, rms.get(site) ** 2 - new * new)
    if not all(spread > 0.0 for spread in spreads) or not math.isclose(*spreads, rel_tol=_SAME):
        return before
    mean = before.mean + new - old
    more = mean * mean - before.mean * before.mean
    return replace(
        before,
        q=before.q + more,
        mean=mean,
        shared=before.shared + more,
        tokens=before.tokens + more,
    )


def _joined(parts: list[Signal], sizes: list[int]) -> Signal:
    """Return the moments of signals put side by side."""
    whole = max(1, sum(sizes))
    shares = [size / whole for size in sizes]

    def average(values: list[float]) -> float:
        return math.fsum(share * value for share, value in zip(shares, values, strict=True))

    return Signal(
        q=average([p.q for p in parts]),
        mean=average([p.mean for p in parts]),
        shared=average([p.shared for p in parts]),
        tokens=average([p.tokens for p in parts]),
        scatter=average([p.scatter for p in parts]),
        variance=average([p.variance for p in parts]),
    )


def _measured(recording: Recording, site: int, before: Signal | None) -> Signal:
    """Return the measured moments of a step that theory does not follow the signal through.

    Raises:
        UnpredictableError: If they were not measured.
    """
    rms = recording[Quantity.ACTIVATION_RMS].get(site)
    if not rms > 0.0:
        raise UnpredictableError(f"the signal of {recording.sites[site].name} was not measured")
    q, average = rms * rms, recording[Quantity.ACTIVATION_MEAN].get(site, 0.0)
    cosine = recording[Quantity.SAMPLE_COSINE].get(site)
    if math.isnan(cosine):
        cosine = average * average / q
        if before is not None and before.q > before.mean**2:
            common = (before.shared - before.mean**2) / (before.q - before.mean**2)
            cosine += common * (1.0 - cosine)
    apart = recording[Quantity.TOKEN_DEVIATION].get(site)
    tokens = q * (1.0 - apart * apart) if apart >= 0.0 else average * average
    return Signal(q, average, min(max(cosine, -1.0), 1.0) * q, tokens)

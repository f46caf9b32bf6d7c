"""How much the samples of a batch still differ, layer by layer, and what makes them alike."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from unvanish.core.findings import Cause
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.diagnose.propagation import propagation_flow, structure
from unvanish.diagnose.upstream import Upstream

ROUNDING: Final = 1e-14
"""Spread below which features of float32 differ by rounding alone."""

_LAYERS: Final = frozenset({"linear", "conv1d", "conv2d", "conv3d", "conv", "bilinear"})
"""Operations that are layers even where their weights are frozen."""


_ATTENTION: Final = frozenset({"softmax", "scaled_dot_product_attention"})
"""Operations that weigh positions against each other."""


@dataclass(frozen=True)
class Trail:
    """How much the samples differ on their way to the output layer, depth by depth.

    Attributes:
        layers: The layer whose inputs differ most at each depth; the last shapes the output.
        spreads: Share of the energy by which the samples differ where they enter it.
        ranks: Number of directions in which they do.
    """

    layers: tuple[Site, ...]
    spreads: tuple[float, ...]
    ranks: tuple[float, ...]

    @property
    def decades(self) -> list[float]:
        """Amplitude of the differences at each layer, in decades; the floor is rounding."""
        return [0.5 * math.log10(max(spread, ROUNDING)) for spread in self.spreads]

    @property
    def steps(self) -> list[float]:
        """Decades lost from each layer to the next."""
        at = self.decades
        return [at[i] - at[i + 1] for i in range(len(at) - 1)]

    @property
    def lost(self) -> float:
        """Decades lost from the first layer to the output layer."""
        return self.decades[0] - self.decades[-1]

    @property
    def is_one_step(self) -> bool:
        """Whether a single step takes more than all others together: then nothing compounds."""
        return 2.0 * max(self.steps) > self.lost


def trail_of(recording: Recording) -> Trail | None:
    """Follow the samples from the first layer to the output layer."""
    spreads, ranks = recording[Quantity.INPUT_SPREAD], recording[Quantity.INPUT_EFFECTIVE_RANK]
    at: dict[int, list[Site]] = defaultdict(list)
    for site in recording.signal_sites():
        if (site.weights or site.op in _LAYERS) and spreads.get(site) >= 0.0:
            at[site.depth].append(site)
    measured = [site for sites in at.values() for site in sites]
    ends = [site for site in measured if site.is_output]
    if not measured:
        return None
    if ends:
        end = max(ends, key=lambda site: spreads[site])
    else:
        end = max(measured, key=lambda site: site.depth)
    depths = sorted(depth for depth in at if depth < end.depth)
    layers = [max(at[depth], key=lambda site: spreads[site]) for depth in depths]
    path = [*layers, end]
    values = [spreads[site] for site in path]
    directions = [ranks.get(site) for site in path]
    if path[0].depth > 1:
        # What enters an embedding or a recurrent layer is not compared; what leaves it is.
        first = next(s for s in recording.signal_sites() if s.depth > 0)
        cosines = recording[Quantity.SAMPLE_COSINE]
        known = [
            1.0 - cosines[site]
            for site in recording.signal_sites()
            if 0 < site.depth < path[0].depth and cosines.get(site) <= 1.0
        ]
        path.insert(0, first)
        values.insert(0, max(known, default=1.0))
        directions.insert(0, math.nan)
    # Learned queries are the same for every sample, until the samples come in.
    begin = next((i for i, value in enumerate(values) if value > ROUNDING), 0)
    return Trail(tuple(path[begin:]), tuple(values[begin:]), tuple(directions[begin:]))


def causes_of_likeness(recording: Recording, trail: Trail) -> tuple[tuple[Cause, ...], str]:
    """Rank what made the samples alike by the decades each took; name the activation, too."""
    upstream = Upstream(recording)
    means, sizes = recording[Quantity.ACTIVATION_MEAN], recording[Quantity.ACTIVATION_RMS]
    taken: dict[Cause, float] = defaultdict(float)
    activation = "the activation"
    for i, step in enumerate(trail.steps):
        layer, following = trail.layers[i], trail.layers[i + 1]
        bias, size = upstream.bias(layer), upstream.rms(layer)
        last = next(iter(upstream.producers(following)), None)
        mean, whole = (means.get(last), sizes.get(last)) if last else (0.0, 0.0)
        if bias is not None and 2.0 * bias.rms * bias.rms > size * size > 0.0:
            small = upstream.gain(layer) < 1.0
            taken[Cause.INIT_TOO_SMALL if small else Cause.BIAS] += step
        elif last is not None and 2.0 * mean * mean > whole * whole > 0.0:
            taken[Cause.ACTIVATION_SLOPE] += step
            activation = last.op
        else:
            taken[Cause.DEPTH_WITHOUT_SKIP] += step
    ranked = sorted(taken, key=lambda cause: -taken[cause])
    causes = [cause for cause in ranked if taken[cause] > 0.1 * trail.lost] or ranked[:1]
    flow = propagation_flow(recording)
    if flow is not None:
        causes += [cause for cause in structure(recording, flow) if cause not in causes]
    return tuple(causes), activation


def cause_of_step(recording: Recording, layer: Site, following: Site) -> Cause:
    """Say what makes all samples the same in the step from one layer to the next."""
    upstream = Upstream(recording)
    if _attends(upstream, following):
        return Cause.SOFTMAX_SATURATION
    bias, size = upstream.bias(layer), upstream.rms(layer)
    if any(p.rms == 0.0 and len(p.shape) > 1 for p in upstream.parameters(layer)):
        return Cause.ZERO_INIT
    if bias is not None and 2.0 * bias.rms * bias.rms > size * size:
        return Cause.BIAS
    return Cause.ACTIVATION_SLOPE


def _attends(upstream: Upstream, layer: Site) -> bool:
    """Tell whether what enters a layer is an average that attention takes."""
    seen: set[int] = set()
    ahead = upstream.producers(layer)
    while ahead:
        site = ahead.pop()
        if site.op in _ATTENTION:
            return True
        if site.index not in seen and not site.weights:
            seen.add(site.index)
            ahead.extend(upstream.producers(site))
    return False

"""How far the probe steps replaced the layers that no way through the network avoids."""

from __future__ import annotations

import math

from unvanish.core.records import Recording
from unvanish.diagnose.optimiser import embeddings, trained


def decades_replaced(recording: Recording) -> float:
    """Return what the steps put into the gain from the inputs to the output.

    A layer whose weights change by c times their size passes on 1 + c times as much as before
    where the change points along what it reads, as every step along a gradient does. Layers in
    a row multiply, so the decades log10(1 + c) are added along the way on which they come to
    least: what a skip connection goes around does not count.

    Args:
        recording: What was measured, with probe steps.

    Returns:
        The decades; 0 where a way leads past all weights that the optimiser holds.
    """
    changes = _changes(recording)
    before: dict[int, list[int]] = {}
    for edge in recording.edges:
        if edge.producer < edge.consumer:
            before.setdefault(edge.consumer, []).append(edge.producer)
    least: dict[int, float] = {}
    ends = []
    for site in recording.signal_sites():
        arriving = [least[i] for i in before.get(site.index, ()) if i in least]
        own = [math.log10(1.0 + changes[name]) for name in site.weights if name in changes]
        least[site.index] = min(arriving, default=0.0) + min(own, default=0.0)
        if site.is_output:
            ends.append(least[site.index])
    return min(ends, default=0.0)


def _changes(recording: Recording) -> dict[str, float]:
    """Return the relative change of each matrix, as far as it was measured.

    The first step's is measured; of the others only the growth of the weights is known, which
    a change at right angles to them of size c brings to sqrt(1 + c^2). A matrix that starts
    smaller than PyTorch starts one, 1 / sqrt(3 fan-in), is measured against that size.
    """
    tables = embeddings(recording)
    grown = {p.name: p.rms for p in recording.later.parameters} if recording.later else {}
    found = {}
    for parameter in trained(recording):
        name, rms = parameter.name, parameter.rms
        if not parameter.in_optimizer or len(parameter.shape) < 2 or name in tables or not rms > 0:
            continue
        size = max(rms, math.sqrt(parameter.shape[0] / (3.0 * max(1, parameter.size))))
        moved = rms * parameter.update_ratio if math.isfinite(parameter.update_ratio) else 0.0
        growth = math.sqrt(max(0.0, grown.get(name, rms) ** 2 - rms**2))
        found[name] = max(moved, growth) / size
    return found

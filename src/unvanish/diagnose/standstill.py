"""Why weights stand still: they read zeros, a hook takes their gradient, or all of it is lost."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet

from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Parameter, Recording, Role, Site
from unvanish.diagnose.neighbours import Neighbours
from unvanish.diagnose.optimiser import FLOAT32_ROUNDING, trained


def unfed(recording: Recording) -> frozenset[str]:
    """Return the weights that read nothing but zeros.

    Weights that are not zero answer zeros throughout to zeros alone. Behind a bias the
    gradient tells: that of W in y = W x is dy x^T, so where dy is not zero and this is, x is,
    or something took the gradient (`taken_by_hooks`).
    """
    answers = recording[Quantity.ACTIVATION_RMS]
    return frozenset(
        name
        for site, names, fed in _without_gradient(recording)
        if answers.get(site) == 0.0 or not fed
        for name in names
    )


def taken_by_hooks(recording: Recording) -> frozenset[str]:
    """Return the weights whose gradient is zero though neither of its two factors is."""
    return frozenset(
        name for _, names, fed in _without_gradient(recording) if fed for name in names
    )


def lost_behind_all(recording: Recording, *, decades: float) -> Edge | None:
    """Return the edge that takes most of the gradient from all weights; None where none does.

    Args:
        recording: The recording.
        decades: By how much the gradient has to be larger on its way from the output to them.
    """
    later, all_trained = recording.later, trained(recording)
    judged = [p for p in all_trained if p.rms > 0.0]
    if later is None or not judged:
        return None
    if not all(relative_step(p) < FLOAT32_ROUNDING and p.learning_rate > 0.0 for p in judged):
        return None
    names = {p.name for p in all_trained}
    for look in (recording, later):
        effect = _effect(look, names, recording.context.loss_value)
        if not effect < math.log10(FLOAT32_ROUNDING):
            return None
    behind = [s for s in recording.signal_sites() if names & set(s.weights)]
    most = max(_log10_norm(recording, s) for s in recording.signal_sites())
    if not most - max(_log10_norm(recording, s) for s in behind) > decades:
        return None
    ways = [e for e in recording.edges if e.producer >= behind[0].index]
    return min(ways, key=lambda edge: edge.log10_gain, default=None)


def relative_step(parameter: Parameter) -> float:
    """Return the relative step, without weight decay where that can be told apart."""
    turn = parameter.turn_ratio
    return parameter.update_ratio if math.isnan(turn) else turn


def _without_gradient(recording: Recording) -> Iterator[tuple[Site, AbstractSet[str], bool]]:
    """Yield the steps whose weights get no gradient though their output does, or is zero.

    With each stand the names of the weights, and whether numbers come in that are not zero.
    """
    grads = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    answers = recording[Quantity.ACTIVATION_RMS]
    data = recording[Quantity.INPUT_RMS]
    neighbours = Neighbours(recording)
    silent = {p.name for p in recording.parameters if p.log10_grad_rms == -math.inf and p.rms > 0.0}
    for site in recording.signal_sites():
        names = silent & set(site.weights)
        if names and (math.isfinite(grads.get(site)) or answers.get(site) == 0.0):
            before = [p for p in neighbours.producers(site) if p.role is Role.SIGNAL]
            fed = data.get(site) > 0.0 or any(answers.get(p) > 0.0 for p in before)
            yield site, names, fed and answers.get(site) != 0.0


def _effect(look: Recording, names: Collection[str], loss: float) -> float:
    """Return log10 of the largest |gradient| |output| of a layer with weights, over the loss.

    Returns:
        The number; ``nan`` where a weight is used by a step that was not measured, or by one
        whose output is zero, of which it says nothing.
    """
    size = look[Quantity.ACTIVATION_RMS]
    sites = [s for s in look.signal_sites() if set(s.weights) & set(names)]
    if not set(names) <= {name for site in sites for name in site.weights} or not loss:
        return math.nan
    effects = [
        _log10_norm(look, s) + math.log10(size[s]) + 0.5 * math.log10(s.size)
        for s in sites
        if size.get(s) > 0.0
    ]
    if len(effects) < len(sites) or any(math.isnan(effect) for effect in effects):
        return math.nan
    return max(effects) - math.log10(abs(loss))


def _log10_norm(look: Recording, site: Site) -> float:
    """Return log10 of the Euclidean norm of the loss's gradient at a step; -inf where none."""
    rms = look[Quantity.LOG10_ACTIVATION_GRAD_RMS].get(site, -math.inf)
    return rms + 0.5 * math.log10(max(1, site.size))

"""Steps that give out the same whatever they are given, because of the axis that they work on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Site
from unvanish.core.wiring import Wiring

_NORMS: Final = frozenset({"layer_norm", "group_norm"})
"""Normalisations whose groups do not depend on how many samples the batch holds."""

_REDUCTIONS: Final = frozenset({"sum", "mean"})
_ALL_ONES: Final = 1.0 - 1e-6
_LOST: Final = 3.0
"""Decades that the projection of a normalisation has to take: of two numbers and fewer it
leaves nothing, of three and more it takes a thousandth from no gradient but a made-up one."""


@dataclass(frozen=True)
class SingleWeights:
    """A softmax over one entry, whose ones weigh several other things.

    Attributes:
        softmax: The softmax.
        weighed: How many things each answer adds up, all with the weight one.
        starved: Trainable parameters before it that get exactly no gradient.
        alone: Whether every way to the output leads through what it weighs.
    """

    softmax: Site
    weighed: int
    starved: tuple[str, ...]
    alone: bool


def single_weights(wiring: Wiring) -> list[SingleWeights]:
    """Find softmaxes over an axis of one entry, whose answers are then added along another.

    Each entry is one, whatever the scores, and passes exactly no gradient to them. Attention
    over a single key is the same, but there is nothing to choose; its ones weigh one thing.

    Args:
        wiring: The op graph.
    """
    recording = wiring.recording
    size = recording[Quantity.ACTIVATION_RMS]
    arrived = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    found = []
    for site in recording.signal_sites():
        if site.op != "softmax" or site.is_output or not _ALL_ONES < size.get(site) < math.inf:
            continue
        product, weighed = _weighed(wiring, site)
        starved = _starved(wiring, site)
        if product is not None and weighed > 1 and starved and arrived.get(site) > -math.inf:
            alone = stands_alone(wiring, product)
            found.append(SingleWeights(site, weighed, starved, alone))
    return found


def constant_norms(recording: Recording) -> dict[Site, float]:
    """Find normalisations over one number, which subtract it from itself and give their bias.

    Two things tell them. The projection that takes mean and size out of the gradient leaves
    nothing, and the output is no larger than the bias: with the factor gamma, less than a
    thousandth of gamma remains.

    Args:
        recording: What was measured.

    Returns:
        The decades of gradient that each takes.
    """
    size = recording[Quantity.ACTIVATION_RMS]
    named = {name: p for p in recording.parameters for name in (p.name, *p.aliases)}
    found = {}
    for site in recording.signal_sites():
        if site.op not in _NORMS or not _decades_taken(recording, site) > _LOST:
            continue
        own = [named[name] for name in site.weights if name in named]
        factor = next((p.rms for p in own if not _is_bias(p)), 1.0)
        bias = next((p.rms for p in own if _is_bias(p)), 0.0)
        rest = size.get(site) ** 2 - bias**2
        if rest <= max(10.0 ** (-2.0 * _LOST) * factor**2, 1e-5 * bias**2):
            found[site] = _decades_taken(recording, site)
    return found


def stands_alone(wiring: Wiring, site: Site) -> bool:
    """Tell whether every way from the first layers to the output leads through a site.

    Args:
        wiring: The op graph.
        site: The site.
    """
    before = {site.index, *(one.index for one in wiring.behind(site))}
    outputs = (one for one in wiring.recording.signal_sites() if one.is_output)
    ends = [one for one in outputs if one.index not in before]
    return not any(one.index in before for end in ends for one in wiring.behind(end, past=site))


def _decades_taken(recording: Recording, norm: Site) -> float:
    """Return what the projection of a normalisation takes of the gradient."""
    taken = -recording[Quantity.LOG10_NORM_PROJECTION].get(norm)
    if math.isnan(taken) and recording[Quantity.LOG10_ACTIVATION_GRAD_RMS].get(norm) > -math.inf:
        sent = [edge.log10_gain for edge in recording.edges if edge.consumer == norm.index]
        return math.inf if sent and max(sent) == -math.inf else math.nan
    return taken


def _is_bias(parameter: Parameter) -> bool:
    return parameter.name.rpartition(".")[2].startswith("bias")


def _starved(wiring: Wiring, site: Site) -> tuple[str, ...]:
    """Name the trainable parameters before a site that get an exact zero."""
    used = {name for one in wiring.behind(site) for name in one.weights}
    return tuple(
        p.name
        for p in wiring.recording.parameters
        if p.requires_grad and p.log10_grad_rms == -math.inf and {p.name, *p.aliases} & used
    )


def _weighed(wiring: Wiring, softmax: Site) -> tuple[Site | None, int]:
    """Return the step that multiplies with a softmax's answers, and how many it adds up."""
    rows = {softmax.index}
    level = [softmax]
    while level:
        after = {one.index: one for site in level for one in wiring.consumers(site)}
        level = []
        for index in sorted(after.keys() - rows):
            site = after[index]
            producers = wiring.producers(site)
            if wiring.is_mixing(site):
                return site, _contracted(site, producers)
            if rows.issuperset(one.index for one in producers) and not site.weights:
                rows.add(index)
                level.append(site)
            elif site.op == "mul":
                return site, _added_up(wiring, site)
    return None, 1


def _contracted(product: Site, producers: list[Site]) -> int:
    """Return the extent over which a matrix product adds, from the sizes alone.

    Of b products of (m, k) and (k, n) the sizes are b m k, b k n and b m n.
    """
    if len(producers) != 2 or product.size < 1:
        return 1
    together = math.prod(producers[0].shape[:-2])
    return round(math.sqrt(producers[0].size * producers[1].size / product.size / together))


def _added_up(wiring: Wiring, product: Site) -> int:
    """Return over how many entries a product is summed right behind it."""
    site = product
    while len(after := wiring.consumers(site)) == 1 and not after[0].weights:
        if len(wiring.producers(after[0])) > 1:
            break
        site = after[0]
        if site.op in _REDUCTIONS:
            return round(product.size / max(1, site.size))
    return 1

"""Steps that give out the same whatever they are given, because of the axis that they work on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from unvanish.core.conditions import DataRole, DataTensor
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Site
from unvanish.core.wiring import Wiring
from unvanish.diagnose.neighbours import VIEWS
from unvanish.diagnose.sample_trail import ROUNDING

_NORMS: Final = frozenset({"layer_norm", "group_norm"})
"""Normalisations whose groups do not depend on how many samples the batch holds."""

_REDUCTIONS: Final = frozenset({"sum", "mean"})
_AVERAGES: Final = _REDUCTIONS | frozenset(
    "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d".split()
)
_CENTRING: Final = _NORMS | {"instance_norm", "batch_norm"}
_LINEAR: Final = (
    VIEWS
    | _AVERAGES
    | frozenset("mul div add sub neg linear conv conv1d conv2d conv3d addmm matmul".split())
)
"""Steps behind which numbers whose mean is zero still have that of a bias."""

_ALL_ONES: Final = 1.0 - 1e-6
_LOST: Final = 3.0
"""Decades that the projection of a normalisation has to take: of two numbers and fewer it
leaves nothing, of three and more it takes a thousandth from no gradient but a made-up one."""

_LOST_IN_16_BITS: Final = 2.0
"""The same for a mean, where every number is rounded to two or three digits before."""

_RESOLVED: Final = 1e-6
"""Part of a bias's square that rounding may add to the square of what holds nothing else."""

_SEEN: Final = 1e-3
"""Difference, as a share of the whole, that is more than rounding."""


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


@dataclass(frozen=True)
class ConstantMean:
    """An average over the very numbers from which a normalisation has just taken their mean.

    Attributes:
        site: The step that averages.
        norm: The normalisation, or the subtraction where it is written by hand.
        decades: By how much the average is smaller than one of as many unrelated numbers.
        limit: From how many decades on it is taken for zero, in the format of the run.
        opens: Whether gains that differ within what is averaged bring a part of it back, or
            the probe steps were seen to.
    """

    site: Site
    norm: Site
    decades: float
    limit: float
    opens: bool


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
    thousandth of gamma remains. Of one that is written out the graph tells: it takes from a signal
    a mean that is as large as the signal.

    Args:
        recording: What was measured.

    Returns:
        The decades of gradient that each takes; of one that is written out, its subtraction.
    """
    wiring = Wiring(recording)
    size = recording[Quantity.ACTIVATION_RMS]
    named = {name: p for p in recording.parameters for name in (p.name, *p.aliases)}
    found = {}
    for site in recording.signal_sites():
        if _takes_itself(wiring, site):
            found[site] = math.inf
        if site.op not in _NORMS or not _decades_taken(recording, site) > _LOST:
            continue
        own = [named[name] for name in site.weights if name in named]
        factor = next((p.rms for p in own if not _is_bias(p)), 1.0)
        bias = next((p.rms for p in own if _is_bias(p)), 0.0)
        rest = size.get(site) ** 2 - bias**2
        if rest <= max(10.0 ** (-2.0 * _LOST) * factor**2, 1e-5 * bias**2):
            found[site] = _decades_taken(recording, site)
    return found


def constant_means(wiring: Wiring) -> list[ConstantMean]:
    """Find averages over what a normalisation has centred over the same numbers.

    Their mean is zero, and what is left of every sample is the bias. The graph tells where a
    normalisation stands before an average with linear steps between them at most, and the
    numbers tell whether both work on the same axes: the average is then a thousandth of one of
    unrelated numbers, or less. A normalisation over other axes, such as that of each token before
    a mean over the tokens, leaves such an average.

    Args:
        wiring: The op graph.
    """
    recording = wiring.recording
    limit = _least_decades(recording)
    found = []
    for site in recording.signal_sites():
        samples = recording.context.batch_size in site.shape[:2]
        if site.op not in _AVERAGES or not samples or _is_statistic(wiring, site):
            continue
        way = _way_to_centring(wiring, site)
        decades = _averaged_out(recording, site, way)
        if way and decades > limit:
            later = recording.later
            after = _averaged_out(later, site, way) if later is not None else math.nan
            opens = after <= limit or _has_gains_within(recording, site, way)
            found.append(ConstantMean(site, way[-1], decades, limit, opens))
    return found


def stands_alone(wiring: Wiring, *sites: Site) -> bool:
    """Tell whether every way of the samples to the output leads through one of some sites.

    Another way leaves what these sites are computed from, or begins where other data come in.
    What begins elsewhere and is the same for every sample, as learned queries are, is none.

    Args:
        wiring: The op graph.
        sites: The sites.
    """
    recording = wiring.recording
    before = {one.index for site in sites for one in (site, *wiring.behind(site))}
    outputs = [one for one in recording.signal_sites() if one.is_output]
    past = _computed_from([one for one in outputs if one.index not in before], wiring, sites)
    if not outputs or not before.isdisjoint(past):
        return False
    entries = {data.site for data in recording.data if _tells_apart(data)}
    # Dropout makes equal samples differ.
    blurred = (one for one in recording.signal_sites() if "dropout" in one.op)
    unsure = _computed_with(wiring, [*sites, *blurred])
    return not any(
        one.index in entries
        or _joins_data(wiring, one)
        or (one.index not in unsure and _differs(wiring, one))
        for one in past.values()
    )


def _computed_from(
    ends: Sequence[Site], wiring: Wiring, without: Sequence[Site]
) -> dict[int, Site]:
    """Return some sites and all that they use, by ways that do not lead through others."""
    shut = {one.index for one in without}
    found: dict[int, Site] = {}
    level = list(ends)
    while level:
        found.update({one.index: one for one in level})
        above = {one.index: one for site in level for one in wiring.producers(site)}
        level = [one for index, one in above.items() if index not in found.keys() | shut]
    return found


def _computed_with(wiring: Wiring, sites: Sequence[Site]) -> set[int]:
    """Return the indices of some sites and of everything that uses them."""
    found = {one.index for one in sites}
    for one in wiring.recording.signal_sites():
        if not found.isdisjoint(above.index for above in wiring.producers(one)):
            found.add(one.index)
    return found


def _differs(wiring: Wiring, site: Site) -> bool:
    """Tell whether the samples differ where they enter or leave a site.

    Where it was not measured, what stands at the beginning and has a sample dimension does, but
    for a product of two matrices that are both learned.
    """
    recording = wiring.recording
    spread = recording[Quantity.INPUT_SPREAD].get(site)
    cosine = recording[Quantity.SAMPLE_COSINE].get(site)
    if math.isnan(spread) and math.isnan(cosine):
        axes = {name: len(p.shape) for p in recording.parameters for name in (p.name, *p.aliases)}
        learned = sum(axes.get(name, 0) > 1 for name in site.weights) > 1
        has_samples = recording.context.batch_size in site.shape[:2]
        return has_samples and not learned and not wiring.producers(site)
    size = recording[Quantity.ACTIVATION_RMS].get(site, 1.0)
    return spread > ROUNDING or (size > 0.0 and 1.0 - cosine > ROUNDING)


def _tells_apart(data: DataTensor) -> bool:
    """Tell whether a tensor of the batch is a measurement, and not a constant or a mask."""
    return data.role is DataRole.INPUT and "float" in data.dtype and data.low < data.high


def _joins_data(wiring: Wiring, site: Site) -> bool:
    """Tell whether a site joins its signal with numbers that no gradient goes to, such as data.

    What is put side by side is then larger than its parts. Where it is added, the samples differ
    behind it and did not before, or what came before it is no more than rounding.
    """
    recording = wiring.recording
    if site.op == "cat":
        sizes = {name: p.size for p in recording.parameters for name in (p.name, *p.aliases)}
        own = sum(sizes.get(name, 0) for name in site.weights)
        edges = (edge for edge in recording.edges if edge.consumer == site.index)
        return own + sum(recording.sites[edge.producer].size for edge in edges) < site.size
    if site.op != "add" or site.weights or len(wiring.producers(site)) != 1:
        return False
    size, cosines = recording[Quantity.ACTIVATION_RMS], recording[Quantity.SAMPLE_COSINE]
    last = next((one for one in wiring.behind(site) if one in cosines), None)
    if last is None or not 1.0 - cosines.get(site) > _SEEN:
        return False
    return 1.0 - cosines[last] <= _SEEN or size.get(site) > size.get(last) / _SEEN


def _decades_taken(recording: Recording, norm: Site) -> float:
    """Return what the projection of a normalisation takes of the gradient.

    Behind the data there is no gradient to take; whether it takes the data is told by its output.
    """
    taken = -recording[Quantity.LOG10_NORM_PROJECTION].get(norm)
    if math.isnan(taken) and recording[Quantity.LOG10_ACTIVATION_GRAD_RMS].get(norm) > -math.inf:
        sent = [edge.log10_gain for edge in recording.edges if edge.consumer == norm.index]
        reads = any(d.site == norm.index and _tells_apart(d) for d in recording.data)
        return math.inf if (max(sent) == -math.inf if sent else reads) else math.nan
    return taken


def _least_decades(recording: Recording) -> float:
    """Return by how many decades an average has to be too small in the format of the run."""
    formats = recording.context.dtype, recording.context.autocast
    return _LOST_IN_16_BITS if any("16" in one for one in formats) else _LOST


def _is_statistic(wiring: Wiring, average: Site) -> bool:
    """Tell whether an average is taken off what it is one of, as a normalisation begins."""
    step = average
    while len(after := wiring.consumers(step)) == 1 and after[0].op in VIEWS:
        step = after[0]
    subtractions = [one for one in after if one.op == "sub"]
    taken_off = {p.index for one in subtractions for p in wiring.producers(one)}
    return any(one.index in taken_off for one in wiring.behind(average))


def _way_to_centring(wiring: Wiring, average: Site) -> list[Site]:
    """Return the steps before an average, nearest first, up to one that takes a mean away.

    Empty where a step that is not linear comes first, or where ways of one size join.
    """
    way: list[Site] = []
    step = average
    while True:
        before = wiring.producers(step)
        largest = max((one.size for one in before), default=0)
        whole = [one for one in before if one.size == largest]  # others are spread over it
        if len(whole) != 1:
            return []
        step = whole[0]
        way.append(step)
        if step.op in _CENTRING or _takes_own_mean(wiring, step):
            return way
        if step.op not in _LINEAR:
            return []


def _takes_own_mean(wiring: Wiring, site: Site) -> bool:
    """Tell whether a step subtracts from a signal the mean of that signal."""
    before = sorted(wiring.producers(site), key=lambda one: -one.size)
    if site.op != "sub" or len(before) != 2:
        return False
    made_of = [before[1], *wiring.behind(before[1])]
    mean = next((one for one in made_of if one.op not in VIEWS), None)
    return mean is not None and mean.op in _AVERAGES and before[0] in made_of


def _takes_itself(wiring: Wiring, site: Site) -> bool:
    """Tell whether a step subtracts from a signal its mean over single numbers: the signal."""
    before = wiring.producers(site)
    if site.op != "sub" or len(before) != 2:
        return False
    for mean, whole in (before, before[::-1]):
        above = wiring.producers(mean)
        while mean.op in VIEWS and len(above) == 1:
            mean, above = above[0], wiring.producers(above[0])
        if mean.op == "mean" and above == [whole] and mean.size == whole.size:
            return True
    return False


def _averaged_out(recording: Recording, average: Site, way: Sequence[Site]) -> float:
    """Return by how many decades an average is smaller than one of unrelated numbers.

    The bias that is added on the way has no part in either. Where it drowns them, or something
    was not measured, the result is ``nan``.
    """
    size = recording[Quantity.ACTIVATION_RMS]
    source = next((one for one in way if one in size), None)
    if source is None or average not in size or not 0 < average.size < source.size:
        return math.nan
    if not 0.0 < size[source] < math.inf:
        return math.nan
    count = source.size / average.size
    factor = count if average.op == "sum" else 1.0
    bias = (_bias_on(recording, way) / size[source]) ** 2
    usual = (1.0 - bias) / count
    if not _RESOLVED * bias < usual / count:
        return math.nan
    value = (size[average] / factor / size[source]) ** 2
    rest = abs(value - bias) - _RESOLVED * bias
    return 0.5 * math.log10(usual / max(rest, ROUNDING * usual))


def _bias_on(recording: Recording, way: Sequence[Site]) -> float:
    """Return the rms of the last bias that is added on a way; 0 where there is none."""
    named = {name: p for p in recording.parameters for name in (p.name, *p.aliases)}
    for step in way:
        for name in step.weights:
            if name in named and (step.op == "add" or _is_bias(named[name])):
                return named[name].rms
    return 0.0


def _has_gains_within(recording: Recording, average: Site, way: Sequence[Site]) -> bool:
    """Tell whether gains are learned of which one average sees several."""
    named = {name: p for p in recording.parameters for name in (p.name, *p.aliases)}
    averages = average.size / max(1, recording.context.batch_size)
    return any(
        named[name].requires_grad and (step.op == "layer_norm" or averages < named[name].size > 1)
        for step in way
        if step.op in _CENTRING or step.op in ("mul", "div")
        for name in step.weights
        if name in named and not _is_bias(named[name])
    )


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

"""UV103: the network can no longer tell its inputs apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import ClassVar, Final, final

from unvanish.core.conditions import ShortTraining
from unvanish.core.findings import Cause, Chart, Finding, Mark, Point, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.core.wiring import Wiring
from unvanish.diagnose.constants import (
    ConstantMean,
    constant_means,
    constant_norms,
    stands_alone,
)
from unvanish.diagnose.propagation import propagation_flow, structure, updates_are_level
from unvanish.diagnose.sample_trail import (
    ROUNDING,
    Trail,
    cause_of_step,
    causes_of_likeness,
    trail_of,
)

_HELP: Final = {
    Cause.ACTIVATION_SLOPE: (
        "put a batch normalisation before each {activation}: it takes away what all samples "
        "have in common, and layer normalisation does not",
        "or replace {activation} by torch.nn.ReLU() and initialise with "
        "torch.nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')",
    ),
    Cause.INIT_TOO_SMALL: (
        "initialise larger, so that the signal outlives the biases: "
        "torch.nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')",
        "start the biases at zero: torch.nn.init.zeros_(layer.bias)",
    ),
    Cause.BIAS: ("start the biases at zero: torch.nn.init.zeros_(layer.bias)",),
    Cause.DEPTH_WITHOUT_SKIP: (
        "add skip connections around every one or two layers, the branches scaled down: "
        "x = x + block(x) / number_of_blocks ** 0.5",
        "or put a batch normalisation before each activation",
    ),
}

_LEARNS_NOTHING: Final = "60 steps on the batches at hand learn next to nothing"

_HELP_HOPS: Final = (
    "average fewer times, or keep a part of what went in at each: "
    "h = 0.9 * average(h) + 0.1 * features",
)


@final
@dataclass(frozen=True, kw_only=True)
class ForwardCollapse:
    """The network can no longer tell its inputs apart.

    ## What it measures
    Where samples enter a layer, the share of their energy by which they differ,
    sum |x_i - mean x|^2 / sum |x_i|^2 * n / (n - 1), and the number of directions in which
    they do, (sum s^2)^2 / sum s^4 over the singular values s of the centred inputs. At each
    depth the layer counts that sees most of a difference; at the end, what enters the output
    layer. There are two readings.

    The first is the amplitude of the differences, the square root of the share, in decades
    lost since the first layer. The gradient of the output layer's weights along a difference
    is to the one along the common part as these amplitudes are. The limit is 3 decades
    (`max_lost_decades`), as for the gradient in UV101: at a learning rate that is just stable
    for what all samples share, a difference moves by a thousandth of what it could. It was
    held against 21 small networks, trained for 400 steps at the best of three rates. With
    momentum the ten above 2.8 decades stayed at chance, and of the eleven below 2.5 all but
    one, with biases of 100, learned 38 to 100 % of the digits. With Adam eight of the ten
    learned 93 % or more, up to 4.8 decades; one at 4.9 learned 45 %, and one at 7.3 nothing. An
    optimiser that rescales every parameter makes up for more, since the common part is learned
    first and its gradient then dies away. Where the probe step moved the hidden layers as much
    as the others, the limit is therefore 5 decades (`max_lost_decades_if_rescaled`); those
    networks set it, and no theory does. From 6 (`hopeless_lost_decades`) it is an error:
    float32 holds one digit of such differences.

    The second reading is the rank. In a network of 8 layers or more (`min_layers`), fed with
    samples that differ in at least 3 directions, the median of the last quarter of the layers
    must see at least 2 (`min_last_rank`): below, one direction holds more than half of what
    tells the samples apart, since (sum s^2)^2 / sum s^4 < 2 says that the squares of the
    shares add up to more than 1/2, and they add up to no more than the largest share. It is
    not judged for fewer than 8 samples, and where the output itself has fewer than 3 values.

    It is a note where the median of all layers, too, is below 1.5 (`min_median_rank`) and
    rounds to one; without skip connections it is a warning in any case from 40 layers on
    (`min_layers_of_warning`), under plain gradient descent from 25 on
    (`min_layers_of_warning_if_plain`). Both are observations, on ReLU networks of 48 to 256
    units with He's weights, one seed each, that learned digits in 300 steps. By the better of
    two rates of Adam those of 20 to 35 layers learned 81 to 97 %, whatever their rank was,
    those of 40 and 50 layers 65 to 88 and 59 to 72 %, those of 60 to 100 layers 29 to 68 %.
    With momentum at 0.01 those of 25 layers and more with fewer than two directions left
    learned 10 to 57 %, and those of 20 layers with more than two 94 %. Below that it is a warning
    where a copy takes 60 steps on the probe batches and is still above 0.97 of its first loss
    (`max_share_left`). Of 15 graph networks of 4 to 16 layers that average over neighbours, and 12
    of ReLU networks of 10 to 32 layers, under two rates of Adam and under momentum, eight of the
    first kind are, and 0.10 to 0.29 of their answers were right after 200 steps; with skip
    connections it is 0.75 to 0.80. These runs set the limit.

    A normalisation whose groups hold one number each (group or instance normalisation of a map of
    one pixel, layer normalisation of one feature) takes the number from itself, and what is
    left is its bias for every sample. It is told by a projection that takes more than 3 decades
    of the gradient and an output that is no larger than the bias. A small image classifier with
    one channel a group behind global pooling stayed at chance (accuracy 0.31 and 0.35 of
    three classes after 200 steps of Adam, two seeds); with two channels a group it reached 0.96
    or more, and without the normalisation 1. It is an error where every way of the samples to the
    output leads through it, or through one of several. It is a note where another way leaves
    before it, as a skip connection does, or begins where other data come in, as one of several
    maps of a feature pyramid does: the smallest map of a small image may hold a single pixel,
    and the larger ones still tell the samples apart. Learned queries, the same for every sample,
    are no such way.

    The same holds of an average over the very numbers that a normalisation has just centred: global
    pooling right behind instance normalisation, or a mean over the features behind layer
    normalisation. It is zero for every sample, and what is left is the bias. It is told by a
    normalisation (or a subtraction of the mean) with nothing but linear steps up to the average,
    and an average that is 3 decades smaller than one of unrelated numbers, or 2 in 16 bits, whose
    rounding leaves more. A small classifier of digits with instance normalisation, or one channel
    a group, before its pooling stayed at chance (0.08 to 0.12 of ten classes after 300 steps of
    Adam or momentum, two seeds each); with a ReLU between the two it reached 0.92 to 0.98, with
    batch normalisation or two channels a group 0.96 to 0.99. Where one average sees gains of
    its own for each number, as those of layer normalisation are, it is a note: once they differ
    they let something through, and the classifier came to 0.50 to 0.82, and to 0.60 to 0.83
    without the normalisation; without gains it stayed at chance.

    ## Why it hurts
    What does not reach the output layer cannot be learned there, and the layers before it
    are told the same for every sample. Gradients can look healthy all the while: a hundred
    ReLU layers with He's weights keep their size and lose the angles.

    ## When it stays silent
    Behind a batch normalisation, which takes the common part away; where a skip connection
    carries the differences on; where the inputs are already alike; where a gate that starts
    at zero opens within the probe steps. Where one step takes more than half of what is lost,
    as a dead layer does, or a discrete code of which one entry is in use, it is a note:
    nothing compounds, and other rules look at such steps. It is a warning where a copy takes 60
    steps on the probe batches and learns nothing by them: its loss stays above 0.97 of the first
    one, or of that with the targets of other samples. It does compound, and is judged like the
    rest, where many operations lie between two layers and none of them takes half, as
    where a graph's neighbours are averaged a hundred times: what is left of the differences
    is then the second eigenvalue of the average to the power of the number of times.

    ## False alarms
    A batch that stands for one input (invented data, augmentations of one sample) is judged
    by what it holds. Dropout before the output layer makes equal samples differ and hides a
    collapse. Few samples with noise show more directions than there are, never fewer. The
    rank of a narrow deep network varies between seeds, and so may this verdict.

    ## What helps
    Skip connections with scaled branches; batch normalisation; weights large enough for the
    biases (He for ReLU) and activations about zero (tanh rather than sigmoid); for plain deep
    networks, activations shaped to keep the angles, such as a leaky ReLU of suitable slope.

    ## Source
    Poole and others (2016) and Schoenholz and others (2017) for the cosine over depth;
    Daneshmand and others (2020) for the rank of deep networks and batch normalisation.
    """

    code: ClassVar[str] = "UV103"
    name: ClassVar[str] = "forward-collapse"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.INPUT_SPREAD})
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["poole2016"],
        SOURCES["schoenholz2017"],
        SOURCES["daneshmand2020"],
    )

    max_lost_decades: float = 3.0
    max_lost_decades_if_rescaled: float = 5.0
    hopeless_lost_decades: float = 6.0
    min_last_rank: float = 2.0
    min_median_rank: float = 1.5
    min_layers_of_warning: int = 40
    min_layers_of_warning_if_plain: int = 25
    max_share_left: float = 0.97
    min_layers: int = 8
    min_samples: int = 8
    min_directions: int = 3

    def examine(self, recording: Recording) -> Verdict:
        """Judge how much of the difference between samples reaches the output layer."""
        layers = [site for site in recording.signal_sites() if site.weights]
        if len({site.depth for site in layers}) < 2:
            return NotApplicable("the network has fewer than two layers with weights")
        if recording.context.batch_size == 1:
            return NotApplicable("the batch holds one sample, and there is none to compare it with")
        if recording.context.loss and not math.isfinite(recording.context.loss_value):
            return NotMeasured("a finite loss: see UV403")
        constant = _constant_steps(recording)
        if not constant:
            return self._follow(recording)
        if constant[0].severity is not Severity.NOTE:
            return Found(constant)
        rest = self._follow(recording)
        others = rest.findings if isinstance(rest, Found) else ()
        return Found((*(one for one in others if one.severity is not Severity.NOTE), *constant))

    def _follow(self, recording: Recording) -> Verdict:
        trail = trail_of(recording)
        if trail is None and recording[Quantity.ACTIVATION_RMS]:
            return NotApplicable(
                "no layer takes the samples of the batch along its first or second dimension, and "
                "they cannot be told apart"
            )
        if trail is None:
            return NotMeasured("how the samples of the batch differ where they enter a layer")
        if max(trail.spreads) <= ROUNDING:
            return NotMeasured("a batch whose samples differ: all of its samples are equal")
        return self._judge(recording, trail)

    def _judge(self, recording: Recording, trail: Trail) -> Verdict:
        limit = self._limit(recording, trail)
        if trail.lost > limit:
            later = trail_of(recording.later) if recording.later is not None else None
            if later is not None and later.lost <= limit:
                return Clear(
                    summary="at the start all samples look alike to the output layer, and a few "
                    "optimiser steps end that"
                )
            hops = _hops(recording, trail) if trail.is_one_step else ()
            if trail.is_one_step and not hops:
                return Found((self._at_once(recording, trail, limit),))
            return Found((self._lost(recording, trail, limit, hops),))
        if self._is_flat(recording, trail):
            return Found((self._flat(recording, trail),))
        said = (
            f"the samples' differences lose {trail.lost:.1f} decades against what they share "
            f"over {len(trail.layers)} layers"
            if trail.lost >= 0.05
            else f"the samples differ as much behind {len(trail.layers)} layers as before"
        )
        return Clear(limit - max(0.0, trail.lost), "decades", said)

    def _limit(self, recording: Recording, trail: Trail) -> float:
        """Allow more where the optimiser was seen to make up for small gradients."""
        rescaled = updates_are_level(recording, trail.layers[:-1])
        return self.max_lost_decades_if_rescaled if rescaled else self.max_lost_decades

    def _is_flat(self, recording: Recording, trail: Trail) -> bool:
        """Tell whether one direction holds most of what the last layers see samples differ by."""
        samples = recording.context.batch_size
        known = [rank for rank in trail.ranks if not math.isnan(rank)]
        end = trail.layers[-1]
        return (
            len(known) == len(trail.ranks) >= self.min_layers
            and samples >= self.min_samples
            and end.size >= self.min_directions * samples
            and known[0] >= self.min_directions
            and _last_rank(trail) < self.min_last_rank
            and (median(known) < self.min_median_rank or self._is_deep(recording, trail))
        )

    def _is_deep(self, recording: Recording, trail: Trail) -> bool:
        """Tell whether networks as deep as this were seen to suffer from one direction."""
        flow = propagation_flow(recording)
        if flow is not None and Cause.DEPTH_WITHOUT_SKIP not in structure(recording, flow):
            return False
        optimizer = recording.context.optimizer
        is_plain = optimizer is not None and optimizer.momentum is not None and not optimizer.eps
        deep = self.min_layers_of_warning_if_plain if is_plain else self.min_layers_of_warning
        return len(trail.layers) >= deep

    def _lost(
        self, recording: Recording, trail: Trail, limit: float, hops: tuple[Site, ...]
    ) -> Finding:
        causes, activation = causes_of_likeness(recording, trail)
        if hops:
            causes = (Cause.DEPTH_WITHOUT_SKIP,)
        hopeless = trail.lost >= self.hopeless_lost_decades
        share = max(trail.spreads[-1], ROUNDING)
        bound = "less than " if share <= ROUNDING else ""
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR if hopeless else Severity.WARNING,
            message=f"the samples become alike: their differences lose {trail.lost:.1f} decades "
            f"against what they share on the way to {trail.layers[-1].name}",
            sites=_alike(trail),
            measured=trail.lost,
            expected=0.0,
            limit=limit,
            unit="decades",
            causes=causes,
            notes=(
                f"{bound}{share:.1e} of the energy that enters {trail.layers[-1].name} tells one "
                f"sample from another, and {trail.spreads[0]:.2g} of what enters "
                f"{trail.layers[0].name}",
                *(
                    (f"{len(hops)} steps without weights make them alike, a little each",)
                    * bool(hops)
                ),
            ),
            help=_HELP_HOPS
            if hops
            else tuple(line.format(activation=activation) for line in _HELP[causes[0]]),
            chart=_chart(trail, limit),
        )

    def _at_once(self, recording: Recording, trail: Trail, limit: float) -> Finding:
        steps = trail.steps
        place = max(range(len(steps)), key=lambda i: steps[i])
        before, after = trail.layers[place], trail.layers[place + 1]
        is_blind = self._is_blind(recording.training)
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING if is_blind else Severity.NOTE,
            message=f"every sample looks the same to {after.name}: their differences end between "
            f"{before.name} and there",
            sites=(after, before),
            measured=trail.lost,
            expected=0.0,
            limit=limit,
            unit="decades",
            causes=(cause_of_step(recording, before, after),),
            notes=(
                "it happens in a single step, so no depth compounds it",
                *((_LEARNS_NOTHING,) * is_blind),
            ),
            help=(
                f"look at what {after.name} receives for two samples: a dead layer, a constant, "
                "a bias far above the signal, a mask that leaves the samples out and the padding "
                "in, or a code of which one entry is in use",
            ),
        )

    def _is_stuck(self, run: ShortTraining | None) -> bool:
        """Tell whether a short training learnt nothing."""
        return run is not None and run.loss_after > self.max_share_left * run.loss_before > 0.0

    def _is_blind(self, run: ShortTraining | None) -> bool:
        """Tell whether a short training learnt nothing that depends on the samples."""
        if run is None or self._is_stuck(run):
            return run is not None
        return run.loss_after > self.max_share_left * run.loss_mismatched > 0.0

    def _flat(self, recording: Recording, trail: Trail) -> Finding:
        flow = propagation_flow(recording)
        causes = structure(recording, flow) if flow is not None else ()
        flat = [i for i, rank in enumerate(trail.ranks) if rank < self.min_last_rank]
        is_deep, is_stuck = self._is_deep(recording, trail), self._is_stuck(recording.training)
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING if is_deep or is_stuck else Severity.NOTE,
            message=f"the samples differ in one direction for the most part: {len(flat)} of "
            f"{len(trail.layers)} layers see fewer than {self.min_last_rank:g} directions",
            sites=tuple(trail.layers[i] for i in flat),
            measured=_last_rank(trail),
            expected=trail.ranks[0],
            limit=self.min_last_rank,
            unit="directions",
            causes=causes or (Cause.DEPTH_WITHOUT_SKIP,),
            notes=(
                f"the batch differs in {trail.ranks[0]:.1f} directions where it enters "
                f"{trail.layers[0].name}, and in {trail.ranks[-1]:.2f} where it enters "
                f"{trail.layers[-1].name}",
                "gradient and signal may keep their size all the while",
                *((_LEARNS_NOTHING,) * is_stuck),
            ),
            help=_HELP[Cause.DEPTH_WITHOUT_SKIP],
        )


def _constant_steps(recording: Recording) -> tuple[Finding, ...]:
    """Report steps that give out the same for every sample, the worst first."""
    wiring = Wiring(recording)
    norms, means = constant_norms(recording), constant_means(wiring)
    found = [_of_one(recording, norms)] if norms else []
    found += [_of_mean(wiring, means)] if means else []
    return tuple(sorted(found, key=lambda finding: -finding.severity.rank))


def _of_mean(wiring: Wiring, means: Sequence[ConstantMean]) -> Finding:
    """Report averages of what has just been centred over the same numbers."""
    shut = [one for one in means if not one.opens]
    alone = [one for one in shut if stands_alone(wiring, one.site)]
    is_all = bool(alone) or (len(shut) > 1 and stands_alone(wiring, *(one.site for one in shut)))
    worst = next(iter(alone or shut or means))
    others = f", and so does {len(means) - 1} more" if len(means) > 1 else ""
    if is_all:
        reach = f"every way of the samples to the output leads through {_one_of(alone)}"
    elif shut:
        reach = "other ways lead the samples to the output past it; this one carries nothing"
    else:
        reach = "once they have been trained, gains that differ within it let something through"
    return Finding(
        code=ForwardCollapse.code,
        name=ForwardCollapse.name,
        severity=Severity.ERROR if is_all else Severity.NOTE,
        message=f"every sample looks the same behind {worst.site.name}: it averages what was just "
        f"normalised over the same numbers, and what is left is the bias{others}",
        sites=tuple(one.site for one in means),
        measured=worst.decades,
        expected=0.0,
        limit=worst.limit,
        unit="decades below the mean of unrelated numbers",
        causes=(Cause.NO_NORMALISATION,),
        notes=(
            f"{worst.norm.name} takes the mean away, so that it is zero for every sample, and no "
            "gradient passes either",
            reach,
        ),
        help=(
            f"put the activation between {worst.norm.name} and {worst.site.name}: "
            "torch.relu(norm(x)).mean((2, 3))",
            "or average before the normalisation, and normalise over what is left: "
            "torch.nn.LayerNorm(channels)(x.mean((2, 3)))",
        ),
    )


def _one_of(alone: Sequence[object]) -> str:
    return "it" if alone else "one of them"


def _of_one(recording: Recording, norms: Mapping[Site, float]) -> Finding:
    """Report normalisations whose groups hold one number."""
    wiring = Wiring(recording)
    alone = [site for site in norms if stands_alone(wiring, site)]
    is_all = bool(alone) or (len(norms) > 1 and stands_alone(wiring, *norms))
    worst = next(iter(alone or norms))
    places = len({(one.path, one.op) for one in norms})
    others = f", and so is that of {places - 1} more" if places > 1 else ""
    return Finding(
        code=ForwardCollapse.code,
        name=ForwardCollapse.name,
        severity=Severity.ERROR if is_all else Severity.NOTE,
        message=f"every sample looks the same behind {worst.name}: it normalises single numbers, "
        f"and its output is its bias{others}",
        sites=tuple(norms),
        measured=norms[worst],
        expected=0.0,
        limit=3.0,
        unit="decades",
        causes=(Cause.NO_NORMALISATION,),
        notes=(
            "a number less its own mean is zero, whatever it was; nor does any gradient pass",
            f"every way of the samples to the output leads through {_one_of(alone)}"
            if is_all
            else "other ways lead the samples to the output past it; this one carries nothing",
        ),
        help=(
            f"take {worst.name} away, or let each group hold several numbers: "
            "torch.nn.GroupNorm(1, channels) on maps of one pixel, torch.nn.LayerNorm(features) "
            "over more than one feature",
        ),
    )


def _hops(recording: Recording, trail: Trail) -> tuple[Site, ...]:
    """Return the steps between two layers that together, and none alone, make samples alike."""
    losses = trail.steps
    place = max(range(len(losses)), key=lambda i: losses[i])
    before, after = trail.layers[place], trail.layers[place + 1]
    cosines = recording[Quantity.SAMPLE_COSINE]
    between = [
        site
        for site in sorted(Wiring(recording).behind(after), key=lambda site: site.index)
        if site.index >= before.index and cosines.get(site) <= 1.0
    ]
    apart = [0.5 * math.log10(max(1.0 - cosines[site], ROUNDING)) for site in between]
    falls = [a - b for a, b in pairwise(apart)]
    compounds = bool(falls) and 2.0 * max(falls) < sum(falls) > 0.5 * losses[place]
    return tuple(between[1:]) if compounds else ()


def _alike(trail: Trail) -> tuple[Site, ...]:
    """Return the layers behind which less than a thousandth of the differences is left."""
    at = trail.decades
    return tuple(
        layer for layer, own in zip(trail.layers, at, strict=True) if own < at[0] - 3.0
    ) or (trail.layers[-1],)


def _last_rank(trail: Trail) -> float:
    """Return the median number of directions in the last quarter of the layers."""
    return median(trail.ranks[-max(1, len(trail.ranks) // 4) :])


def _chart(trail: Trail, limit: float) -> Chart:
    at = trail.decades
    return Chart(
        title="what differs between samples where it enters each layer, in decades",
        points=tuple(
            Point(
                label=layer.path or layer.op,
                log10=own - at[0],
                mark=Mark.STARVED if own < at[0] - limit else Mark.FINE,
                note=f"{rank:.1f}" if not math.isnan(rank) else "",
            )
            for layer, own, rank in zip(trail.layers, at, trail.ranks, strict=True)
        ),
        note_title="directions",
    )

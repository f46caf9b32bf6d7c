"""UV401: gradients below the eps that Adam and its kin add to their size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.flow import Flow, gradient_flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Parameter, Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.factors import loss_factors
from unvanish.diagnose.optimiser import (
    FLOAT16_ROUNDING,
    embeddings,
    floor_of,
    is_floor_lost,
    is_given,
    is_slow,
    median,
    trained,
)
from unvanish.diagnose.propagation import judged_flow
from unvanish.diagnose.starts import are_at_start
from unvanish.diagnose.upstream import Upstream

_FULL_STEP: Final = 0.3
"""Part of the learning rate that a weight's first step reaches where nothing holds it back."""
_CANCELLED: Final = 4.0
"""Decades below what its factors give at which a weight's gradient is a rest of rounding."""
_NEEDLE: Final = -6.0
"""log10 of what one step passes on at most where nothing but rounding comes through."""
_CANCELLING: Final = ("softmax", "norm", "sub", "var", "std", "cosine_similarity")
"""Steps whose backward pass takes a difference, which may leave nothing but rounding."""
_LOST_BEFORE: Final = 1.0
"""Decades that must be lost between layers before the loss is named as a cause."""


@final
@dataclass(frozen=True, kw_only=True)
class OptimiserFloor:
    """Gradients are so small that the optimiser's eps holds the weights still.

    ## What it measures
    Adam, AdamW, NAdam, RAdam, Adamax, RMSprop and Adagrad divide every gradient by its own
    running size plus eps, so that the step is the learning rate times g / (g + eps): a whole
    step while the gradient's root mean square g is well above eps, and a fraction g / eps of
    it below. Per weight matrix, decades below eps are log10(eps / g).

    Two patterns are sick. In the first some layers are below eps while others are not: a
    layer is a decade or more below it (`max_decades_below_eps`), the best-fed layer is a
    decade or more above it, and three decades lie between them (`min_decades_apart`), so the
    layer's weights move a thousandth as far as without eps and the finding is an error once
    the layer itself is three decades below. In the second all layers are below eps
    together, by three decades in the median (`max_decades_if_together`): every step is a
    thousandth of what the learning rate says. One decade is enough where eps is a hundred
    times the default or more (`default_eps`). Either counts only where the weights are seen to
    move by less than 1e-4 of their size a step (`min_update_ratio`). A thousandth is the limit
    of UV101, by the argument on its page; the last two numbers were chosen and follow from no
    theory. So is it a warning where the weights of a network that has not been trained move by less
    than 1e-3 of their size and 30 steps leave the loss above 0.97 of what it was, when at a hundred
    times the learning rate they take it below 0.6: what is missing is the length of the steps.

    A large eps, 1e-4 or more (`large_eps`), can undo a learning rate that was chosen for whole
    steps: Adam at 1e-3 with eps 0.1 is gradient descent at 0.01. It is a warning, however far
    the weights move, where the median weight takes a tenth of a whole step or less
    (`min_share_of_step`), a whole step would change it by a tenth of its size at most
    (`max_whole_step`; where it is more, the learning rate was chosen to match eps), the loss
    along the step curves too little for the whole one to overshoot, and the network has not
    been trained: every matrix of 100 entries or more (`min_entries`) has the size PyTorch
    gives it, within 3 standard errors (`max_standard_errors`). Gradients below such an eps are
    the usual end of training and no good start. These numbers were chosen. Of 20 runs with eps
    from 1e-3 to 0.1 (MLP, CNN with and without batch normalisation, transformer, LSTM; digits,
    200 steps) five are warned of; they end at accuracies of 0.10 to 0.31, where eps 1e-8 gives
    0.77 to 0.96. None is that ends above 0.31.

    In weights of float16 an eps of 2^-25 or less is exactly zero, as is the square of a small
    gradient, and the step is a division by zero. Where it is seen to end in no number, that is
    an error.

    ## Why it hurts
    An optimiser that rescales is what trains layers with small gradients. Below eps it no
    longer does, and the learning rate on paper is not the one that acts. In a 30-layer ReLU
    network with PyTorch's default weights, eps 1e-16 in place of 1e-8 took the accuracy on
    scikit-learn's digits from chance to 0.785 in 300 steps (AdamW, mean of two seeds).

    ## When it stays silent
    Biases and the scales and shifts of norms are not judged while there are weights: their
    gradient may be zero by symmetry (a bias before BatchNorm, the key bias of attention). Nor
    are embeddings, whose rows a batch mostly leaves alone, weights whose gradient is a rest
    of rounding where the layer's output has a large one, gradients that are exactly zero, and
    weights that the probe steps lift above eps (a branch behind a gate that starts small).
    Where the weight's first step was seen to be a whole one, that counts, whatever eps is.
    A weak branch beside a strong one is a note: where the gradient that passes a layer at its
    depth is 2 decades larger than its own (`max_decades_beside`), as beside the query and key
    of attention, which start weak in small transformers.

    ## False alarms
    A converged network has small gradients everywhere, and a loss multiplied by 1e-6 still
    trains: all layers below eps together are a note up to three decades. A large eps with a
    learning rate to match (eps 1 for Inception) turns Adam into gradient descent on purpose;
    it is a note while the weights move. Where no optimiser was given, everything here is a
    note: it is about the AdamW that was assumed. Adadelta, Adafactor, LAMB and Muon have an
    eps with another meaning and are not covered.

    ## What helps
    A smaller eps, `torch.optim.AdamW(parameters, lr=..., eps=1e-16)`, where only the size of
    the gradient is wrong. Where layers have lost it on the way, cure that first (UV101): a
    rescaled step still needs a gradient that points somewhere.

    ## Source
    Kingma and Ba (2015) for the step; Wortsman and others (2024), who lose large
    transformers to eps 1e-8 as gradients fall to its size, and keep them with 1e-15.
    """

    code: ClassVar[str] = "UV401"
    name: ClassVar[str] = "optimiser-floor"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["kingma2015"], SOURCES["wortsman2024"])

    max_decades_below_eps: float = 1.0
    min_decades_apart: float = 3.0
    max_decades_if_together: float = 3.0
    max_decades_beside: float = 2.0
    min_update_ratio: float = 1e-4
    default_eps: float = 1e-8
    large_eps: float = 1e-4
    min_share_of_step: float = 0.1
    max_whole_step: float = 0.1
    max_standard_errors: float = 3.0
    min_entries: int = 100

    def examine(self, recording: Recording) -> Verdict:
        """Judge every weight's gradient against the optimiser's eps."""
        optimizer = recording.context.optimizer
        if optimizer is None:
            if recording.parameters:
                return NotApplicable("no optimiser is known")
            return NotMeasured("the optimiser and the gradients of the parameters")
        eps = floor_of(optimizer)
        if eps is None:
            return NotApplicable(f"{optimizer.name} adds no eps to the size of each gradient")
        weights = _weights(recording)
        if not weights:
            return NotApplicable("the optimiser holds no weight that a gradient reaches")
        seen = [p for p in weights if math.isfinite(p.log10_grad_rms)]
        if not seen:
            if all(p.log10_grad_rms == -math.inf for p in weights):
                return NotApplicable("every gradient is exactly zero")
            return NotMeasured("gradients of the weights that are numbers: see UV403")
        if self._divides_by_zero(recording):
            return Found((self._lost(seen, eps),))
        below = {p.name: math.log10(eps) - _size(p) for p in seen}
        lowest = max(below.values())
        if lowest <= self.max_decades_below_eps:
            return self._clear(below, eps, lowest)
        floored = self._held_down(recording, seen, below, eps)
        if not floored:
            return self._clear(below, eps, lowest)
        best = min(below.values())
        worst = max(below[p.name] for p in floored)
        if best <= -1.0 and worst - best >= self.min_decades_apart:
            severity = self._of_layers(recording, floored, below)
            return Found((self._finding(recording, floored, below, severity, together=False),))
        if best > -1.0 and recording.context.loss_value != 0.0:
            severity = self._if_together(recording, seen, below, eps)
            return Found((self._finding(recording, floored, below, severity, together=True),))
        return self._clear(below, eps, lowest)

    def _held_down(
        self, recording: Recording, seen: list[Parameter], below: dict[str, float], eps: float
    ) -> list[Parameter]:
        """Return the weights below eps that have no excuse.

        A whole step, an opening, and a rest of rounding are excuses.
        """
        rounding = _Rounding(recording)
        later = {p.name: p for p in recording.later.parameters} if recording.later else {}
        kept = []
        for parameter in seen:
            if below[parameter.name] <= self.max_decades_below_eps:
                continue
            after = later.get(parameter.name)
            still = after is None or not math.isfinite(after.log10_grad_rms)
            if after is not None and not still:
                still = math.log10(eps) - _size(after) > self.max_decades_below_eps
            step = parameter.turn_ratio * parameter.rms
            whole = step > _FULL_STEP * parameter.learning_rate > 0.0
            if still and not whole and not rounding.is_all_of(parameter):
                kept.append(parameter)
        return kept

    def _of_layers(
        self, recording: Recording, floored: list[Parameter], below: dict[str, float]
    ) -> Severity:
        """Judge the layers that are the way; a weak branch beside a strong one is a note."""
        grads = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
        flow = gradient_flow(recording, Quantity.LOG10_ACTIVATION_GRAD_RMS)
        strongest = {level.depth: level.log10_grad for level in flow.levels} if flow else {}
        names = {p.name for p in floored}
        own: dict[str, float] = {}
        for site in recording.signal_sites():
            norm = grads.get(site) + 0.5 * math.log10(max(1, site.size))
            beside = strongest.get(site.depth, norm) - norm
            for name in names & set(site.weights):
                own[name] = min(beside, own.get(name, math.inf))
        alone = [below[p.name] for p in floored if own.get(p.name, 0.0) <= self.max_decades_beside]
        if not alone:
            return Severity.NOTE
        return Severity.WARNING if max(alone) < self.max_decades_if_together else Severity.ERROR

    def _if_together(
        self, recording: Recording, seen: list[Parameter], below: dict[str, float], eps: float
    ) -> Severity:
        middle = median(below[p.name] for p in seen)
        moved = median(p.turn_ratio for p in seen if math.isfinite(p.turn_ratio))
        if self._undoes_the_rate(recording, seen, middle, eps):
            return Severity.WARNING
        if is_slow(recording.trial) and self._is_untrained(recording, seen):
            return Severity.WARNING
        if moved >= self.min_update_ratio:
            return Severity.NOTE
        if middle >= self.max_decades_if_together:
            return Severity.WARNING
        far = eps >= 100.0 * self.default_eps and middle > self.max_decades_below_eps
        return Severity.WARNING if far and not math.isnan(moved) else Severity.NOTE

    def _undoes_the_rate(
        self, recording: Recording, seen: list[Parameter], middle: float, eps: float
    ) -> bool:
        """Tell whether a large eps shortens steps that would be right without it."""
        share = 1.0 / (1.0 + 10.0**middle)
        whole = median(p.learning_rate / p.rms for p in seen if p.rms > 0.0)
        curvature = recording.steps[0].curvature_ratio if recording.steps else math.nan
        return (
            eps >= self.large_eps
            and share <= self.min_share_of_step
            and whole <= self.max_whole_step
            and not curvature >= share
            and self._is_untrained(recording, seen)
        )

    def _is_untrained(self, recording: Recording, seen: list[Parameter]) -> bool:
        return are_at_start(
            seen,
            embeddings(recording),
            max_standard_errors=self.max_standard_errors,
            min_entries=self.min_entries,
        )

    def _divides_by_zero(self, recording: Recording) -> bool:
        """Tell whether eps is zero in the weights' format, and the first step no number."""
        stepped = [s.loss_after for s in recording.steps if not math.isnan(s.loss_after)]
        return is_floor_lost(recording) and is_given(recording) and math.inf in stepped

    def _lost(self, seen: list[Parameter], eps: float) -> Finding:
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"eps {eps:g} is zero in float16, and the optimiser divides by zero",
            parameters=tuple(p.name for p in seen),
            measured=math.log10(2.0 * FLOAT16_ROUNDING / eps),
            expected=0.0,
            limit=math.log10(2.0),
            unit="decades below the smallest float16",
            causes=(Cause.PRECISION, Cause.OPTIMISER_FLOOR),
            notes=(
                "the running mean of the squared gradient is zero in float16 too, for every "
                "entry whose gradient is below 5e-3 in the first step (beta2 0.999): what is "
                "left is g / 0, or 0 / 0",
            ),
            help=(
                "keep the weights in float32 and let torch.autocast choose the format of each "
                "step, with torch.amp.GradScaler",
                "or raise eps: torch.optim.Adam(model.parameters(), lr=..., eps=1e-4)",
            ),
        )

    def _clear(self, below: dict[str, float], eps: float, lowest: float) -> Clear:
        name = max(below, key=lambda name: below[name])
        side = "below" if lowest > 0.0 else "above"
        return Clear(
            max(0.0, self.max_decades_below_eps - lowest),
            "decades",
            f"the smallest gradient, that of {name}, is {abs(lowest):.1f} decades {side} "
            f"eps {eps:g}",
        )

    def _finding(
        self,
        recording: Recording,
        floored: list[Parameter],
        below: dict[str, float],
        severity: Severity,
        *,
        together: bool,
    ) -> Finding:
        optimizer = recording.context.optimizer
        ranked = sorted(floored, key=lambda p: -below[p.name])
        worst = ranked[0]
        decades = below[worst.name]
        given = is_given(recording)
        usual = "1e-8" if self._is_large(recording) else "1e-16"
        causes: tuple[Cause, ...] = (Cause.OPTIMISER_FLOOR,)
        flow = judged_flow(recording)
        if isinstance(flow, Flow) and not together:
            level = max(flow.levels, key=lambda level: flow.lost(level))
            if flow.lost(level) > _LOST_BEFORE:
                causes += loss_factors(recording, flow, level).causes
        names = [p.name for p in floored]
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity if given else Severity.NOTE,
            message=self._message(worst.name, decades, len(floored), len(below), together),
            sites=tuple(s for s in recording.sites if set(s.weights) & set(names)),
            parameters=tuple(p.name for p in ranked),
            measured=decades,
            expected=min(0.0, *below.values()),
            limit=self.max_decades_below_eps,
            unit="decades",
            causes=tuple(dict.fromkeys(causes)),
            notes=(*_notes(recording, ranked, below, given=given), *self._as_descent(recording)),
            help=(
                f"lower eps: torch.optim.{optimizer.name if optimizer else 'AdamW'}"
                f"(model.parameters(), lr=..., eps={usual})",
                "multiply the loss by a constant: Adam keeps the same step, and eps matters less"
                if together
                else "cure what shrinks the gradient first: `unvanish explain UV101`",
            ),
        )

    def _is_large(self, recording: Recording) -> bool:
        return (floor_of(recording.context.optimizer) or 0.0) >= self.large_eps

    def _as_descent(self, recording: Recording) -> tuple[str, ...]:
        """Say what rate acts where eps alone is what gradients are divided by."""
        optimizer = recording.context.optimizer
        if (
            optimizer is None
            or not (optimizer.lr and optimizer.eps)
            or not self._is_large(recording)
        ):
            return ()
        return (
            "where the gradient is below eps the step is that of gradient descent at a learning "
            f"rate of lr / eps = {optimizer.lr / optimizer.eps:.2g}",
        )

    def _message(self, name: str, decades: float, hit: int, count: int, together: bool) -> str:
        if together:
            return (
                f"the gradients of {hit} of {count} weights are below the optimiser's eps, "
                f"by up to {decades:.1f} decades"
            )
        others = f", and {hit - 1} more of {count} weights are below it" if hit > 1 else ""
        return f"the gradient of {name} is {decades:.1f} decades below the optimiser's eps{others}"


def _weights(recording: Recording) -> list[Parameter]:
    """Return the weights to be judged; vectors only where there is nothing else."""
    left_out = embeddings(recording)
    held = [p for p in trained(recording) if p.name not in left_out]
    return [p for p in held if len(p.shape) >= 2] or held


def _size(parameter: Parameter) -> float:
    """Return log10 of the rms of the gradient's non-zero entries."""
    zeros = parameter.zero_fraction
    if not 0.0 < zeros < 1.0:
        return parameter.log10_grad_rms
    return parameter.log10_grad_rms - 0.5 * math.log10(1.0 - zeros)


class _Rounding:
    """Tells a gradient that rounding left from one that contributions add up to.

    Args:
        recording: What was measured.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._upstream = Upstream(recording)
        self._users: dict[str, list[Site]] = {}
        for site in recording.signal_sites():
            for name in site.weights:
                self._users.setdefault(name, []).append(site)
        self._needles: frozenset[int] | None = None

    def is_all_of(self, parameter: Parameter) -> bool:
        """Tell whether a weight's gradient is nothing but a rest of rounding.

        Independent samples give a weight of y = W x the gradient |dL/dy| rms(x) /
        sqrt(fan-out). Far less than that is a rest; so is what comes through a difference
        that passes on less than float32 can tell from zero, as a softmax over equal values.
        """
        grads = self._recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
        if self._needles is None:
            self._needles = _behind_a_needle(self._recording)
        expected = -math.inf
        for site in self._users.get(parameter.name, ()):
            if site.index in self._needles:
                return True
            if not math.isfinite(grads.get(site)):
                continue
            before = self._upstream.producers(site)
            size = self._upstream.rms(before[0]) if before else 1.0
            fan_out = max(1, parameter.shape[0]) if parameter.shape else 1
            norm = grads[site] + 0.5 * math.log10(max(1, site.size))
            if size > 0.0:
                expected = max(expected, norm + math.log10(size) - 0.5 * math.log10(fan_out))
        return parameter.log10_grad_rms < expected - _CANCELLED


def _behind_a_needle(recording: Recording) -> frozenset[int]:
    """Return the sites whose gradient comes, on its strongest way, through such a step."""
    grads, sites = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS], recording.sites
    norms = {i: v + 0.5 * math.log10(max(1, sites[i].size)) for i, v in grads.values.items()}
    strongest: dict[int, Edge] = {}
    for edge in recording.edges:
        if edge.producer < edge.consumer and edge.consumer in norms:
            known = strongest.get(edge.producer)
            sent = norms[edge.consumer] + edge.log10_gain
            if known is None or not sent <= norms[known.consumer] + known.log10_gain:
                strongest[edge.producer] = edge
    behind: set[int] = set()
    for index in range(len(sites) - 1, -1, -1):
        way = strongest.get(index)
        if way is None:
            continue
        step = sites[way.consumer]
        takes_difference = any(word in step.op for word in _CANCELLING)
        narrow = way.log10_gain < _NEEDLE and takes_difference
        if narrow or way.consumer in behind:
            behind.add(index)
    return frozenset(behind)


def _notes(
    recording: Recording, ranked: Sequence[Parameter], below: dict[str, float], *, given: bool
) -> list[str]:
    optimizer, worst = recording.context.optimizer, ranked[0]
    best = min(below, key=lambda name: below[name])
    share = 10.0 ** -below[worst.name]
    notes = [
        f"{worst.name} takes {share:.1e} of a whole step: its gradient over itself plus eps; "
        f"that of {best} is {abs(below[best]):.1f} decades "
        f"{'below' if below[best] > 0 else 'above'} eps"
    ]
    if math.isfinite(worst.turn_ratio) and optimizer is not None:
        notes.append(
            f"the first step of {optimizer} moves {worst.name} by {worst.turn_ratio:.1e} of its "
            "size, weight decay left aside"
        )
    if not given:
        notes.append("no optimiser was given, so this is about the one that was assumed")
    return notes

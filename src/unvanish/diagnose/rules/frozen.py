"""UV502: early layers that the optimiser steps do not move."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.flow import Flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Parameter, Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.factors import loss_factors
from unvanish.diagnose.optimiser import (
    FLOAT32_ROUNDING,
    depths,
    embeddings,
    floor_of,
    is_given,
    median,
    trained,
)
from unvanish.diagnose.propagation import judged_flow
from unvanish.diagnose.standstill import lost_behind_all, relative_step, taken_by_hooks, unfed

_HOOK: Final = (
    "a gradient arrives at their output, and what comes in is not zero: a hook on the weight "
    "takes its gradient away"
)
_HOOK_HELP: Final = (
    "look for weight.register_hook(...), and remove the hook or let it return the gradient",
)
_PRODUCTS: Final = frozenset({"prod", "cumprod", "mul", "pow"})


@final
@dataclass(frozen=True, kw_only=True)
class FrozenEarlyLayers:
    """The optimiser steps, and the early layers stay where they are.

    ## What it measures
    A copy takes one step with the user's optimiser. Per weight matrix, the part of the step
    at right angles to the weights, divided by their size: weight decay only shortens and has
    no share in it. It is divided by the learning rate of the matrix's own parameter group.

    Layers are taken from the input side on. The early ones are frozen while every weight among
    them moves less than a thousandth (3 decades, `min_decades_slower`) of the median of all
    later weights. A thousandth is the limit of UV101: to train such a layer once takes the
    time to train the rest a thousand times. Where the step changes no bit of them it is an
    error (below 2^-24 of the weights' size, the rounding of float32).

    Where every gradient is exactly zero, before and after the probe steps, while the loss is
    not, nothing can learn at all, and that is an error.

    Nothing can learn either where the gradient is lost behind all weights at once, such as in a
    product of many probabilities. That is an error where the step changes no bit of any weight;
    where |gradient| x |output| of every layer with weights is below 2^-24 of the loss, so that
    no change of a layer by its own size changes the loss by more than its rounding, before and
    after the probe steps; and where the gradient is 3 decades larger somewhere between there and
    the output, which it is not on a converged network.

    Layers with a learning rate of their own are found where that alone stops them: the rate is
    3 decades below the later layers' largest, and no step reaches a millionth of the weights
    (`min_update_ratio`), while a later layer moves a thousand times as far.

    A slow step alone is not enough. |gradient| x |weights| must be 3 decades below the later
    layers' too, and still be so after the probe steps. No rescaling of a layer's weights
    changes that product, so a layer that only has large weights, or one before a
    normalisation, is not taken for starved.

    ## Why it hurts
    The early layers keep their random start, whatever the loss does.

    ## When it stays silent
    On frozen parameters, on those the optimiser does not hold (UV504) or gives a learning rate
    of zero, on those without a gradient path (UV501), on embeddings, of which a batch touches
    few rows, and behind zeros that open: where a gradient is exactly zero at first and no
    longer is after the probe steps. On a converged network all layers are slow together, and
    none is found. Where all that a layer reads is zero in this batch, as in a part that the
    batch does not use, it is a note: the layer answers zeros, or its output gets a gradient,
    and its weights get none because of the zeros alone.

    ## False alarms
    Layers that are meant to stay nearly still, by a gradient scaled down by hand, look frozen.
    Where no optimiser was given, the one that was assumed is judged, and the finding is at
    most a warning.

    ## What helps
    What helps against the vanishing gradient behind it, see UV101; where the gradient is below
    the optimiser's eps, see UV401.

    ## Source
    Hochreiter (1991) for the phenomenon. The limit follows as on the page of UV101.
    """

    code: ClassVar[str] = "UV502"
    name: ClassVar[str] = "frozen-early-layers"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["hochreiter1991"],)

    min_decades_slower: float = 3.0
    min_update_ratio: float = 1e-6

    def examine(self, recording: Recording) -> Verdict:
        """Compare the steps of the early weights with those of the later ones."""
        if not recording.parameters:
            return NotMeasured("the optimiser's updates")
        if _nothing_learns(recording):
            return Found((self._standstill(recording),))
        worst = lost_behind_all(recording, decades=self.min_decades_slower)
        if worst is not None:
            return Found((self._out_of_reach(recording, worst),))
        layers = _layers(recording)
        if len({depth for depth, _ in layers}) < 2:
            return NotApplicable("fewer than two layers have weights that the optimiser trains")
        speeds = {p.name: _speed(p) for _, p in layers}
        if any(math.isnan(speed) for speed in speeds.values()):
            return NotMeasured("the optimiser's updates")
        if all(speed == 0.0 for speed in speeds.values()):
            return NotApplicable("the step moves no weight at all: see UV404 and UV504")
        gaps = _gaps(layers, speeds)
        found = self._slow_start(recording, layers, speeds)
        hungry = unfed(recording)
        if found is not None and hungry.issuperset(found.parameters):
            fed = [(depth, p) for depth, p in layers if p.name not in hungry]
            found = self._slow_start(recording, fed, speeds) or _of_zeros(found)
        if found is not None:
            return Found((found,))
        held_back = [depth for depth in gaps if self._held_back(layers, depth)]
        if held_back:
            return Found((self._slowed(recording, layers, max(held_back)),))
        return self._clear(gaps)

    def _standstill(self, recording: Recording) -> Finding:
        names = tuple(p.name for p in recording.parameters if p.log10_grad_rms == -math.inf)
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"no weight gets a gradient: it is exactly zero everywhere, while the loss is "
            f"{recording.context.loss_value:.4g}",
            sites=tuple(s for s in recording.signal_sites() if set(s.weights) & set(names)),
            parameters=names,
            measured=math.inf,
            expected=0.0,
            limit=self.min_decades_slower,
            unit="decades",
            causes=(Cause.LOSS_SATURATION,),
            notes=(
                "a loss that can still fall has a slope somewhere; here it does not change with "
                "any weight, neither at first nor after the probe steps",
            ),
            help=(
                "look between the output and the loss: scores that are all the same to a softmax, "
                "a mask or a clamp that leaves nothing, a product with zero",
            ),
        )

    def _out_of_reach(self, recording: Recording, worst: Edge) -> Finding:
        culprit = recording.sites[worst.consumer]
        names = tuple(p.name for p in trained(recording))
        moved = max((relative_step(p) for p in trained(recording) if p.rms > 0.0), default=0.0)
        multiplies = culprit.op in _PRODUCTS
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR if is_given(recording) else Severity.WARNING,
            message=f"no weight moves: {culprit.name} takes {-worst.log10_gain:.3g} decades of the "
            "gradient from all of them",
            sites=(culprit,),
            parameters=names,
            measured=-worst.log10_gain,
            expected=0.0,
            limit=self.min_decades_slower,
            unit="decades",
            causes=(Cause.ACTIVATION_SLOPE if culprit.can_saturate else Cause.INIT_TOO_SMALL,),
            notes=(
                f"the first step of {recording.context.optimizer or 'the optimiser'} changes no "
                f"weight by more than {moved:.1e} of its size, and a change of any layer by its "
                "own size would change the loss by less than its rounding",
            ),
            help=(
                "add logarithms in place of multiplying: "
                "torch.nn.functional.logsigmoid(x).sum(-1), and a loss that takes logarithms",
            )
            if multiplies
            else ("find what shrinks the gradient on its way: `unvanish explain UV101`",),
        )

    def _slow_start(
        self,
        recording: Recording,
        layers: Sequence[tuple[int, Parameter]],
        speeds: Mapping[str, float],
    ) -> Finding | None:
        """Return a finding about as many early layers as possible, where some are starved."""
        for depth, gap in reversed(_gaps(layers, speeds).items()):
            if gap > self.min_decades_slower and self._starved(recording, layers, depth):
                return self._finding(recording, layers, depth, gap)
        return None

    def _held_back(self, layers: Sequence[tuple[int, Parameter]], depth: int) -> bool:
        """Tell whether the early layers stand still because of their own learning rate."""
        early = [p for d, p in layers if d <= depth]
        later = [p for d, p in layers if d > depth]
        rate = max(p.learning_rate for p in later)
        return (
            all(p.turn_ratio < self.min_update_ratio for p in early)
            and max(p.turn_ratio for p in later) > 1e3 * self.min_update_ratio
            and max(p.learning_rate for p in early) < 10.0**-self.min_decades_slower * rate
        )

    def _starved(
        self, recording: Recording, layers: Sequence[tuple[int, Parameter]], depth: int
    ) -> bool:
        """Tell whether the early layers' |gradient| |weights| is small too, and stays so."""
        if recording.later is None:
            return False
        after: dict[str, Parameter] = {p.name: p for p in recording.later.parameters}
        early = [p for d, p in layers if d <= depth]
        opened = any(
            p.log10_grad_rms == -math.inf
            and p.name in after
            and _product(after[p.name]) > -math.inf
            for p in early
        )
        if opened:
            return False
        for look in ({}, after):
            theirs = median(_product(look.get(p.name, p)) for d, p in layers if d > depth)
            mine = max(_product(look.get(p.name, p)) for p in early)
            if not theirs - mine > self.min_decades_slower:
                return False
        return True

    def _clear(self, gaps: dict[int, float]) -> Clear:
        slowest = max(gaps.values())
        return Clear(
            max(0.0, self.min_decades_slower - max(0.0, slowest)),
            "decades",
            f"the early layers move as fast as the later ones over {len(gaps) + 1} depths"
            if slowest <= 0.05
            else f"the early layers move at most {slowest:.1f} decades less than the later ones, "
            f"over {len(gaps) + 1} depths",
        )

    def _finding(
        self,
        recording: Recording,
        layers: Sequence[tuple[int, Parameter]],
        depth: int,
        gap: float,
    ) -> Finding:
        optimizer = recording.context.optimizer
        early = [p for d, p in layers if d <= depth]
        names = [p.name for p in early]
        still = all(p.turn_ratio < FLOAT32_ROUNDING * 2 for p in early)
        given = is_given(recording)
        causes, notes, help_ = _why(recording, early)
        moved = max(p.turn_ratio for p in early)
        later = median(p.turn_ratio for d, p in layers if d > depth)
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR if still and given else Severity.WARNING,
            message=f"the optimiser does not move {_text(len(early), len(layers))}"
            if still
            else f"{_text(len(early), len(layers))} move{'' if len(early) > 1 else 's'} "
            f"{gap:.1f} decades less than the later ones",
            sites=tuple(s for s in recording.signal_sites() if set(s.weights) & set(names)),
            parameters=tuple(names),
            measured=gap,
            expected=0.0,
            limit=self.min_decades_slower,
            unit="decades",
            causes=causes,
            notes=(
                f"the first step of {optimizer or 'the optimiser'} changes them by at most "
                f"{moved:.1e} of their size, and the later ones by {later:.1e}, weight decay "
                "left aside",
                *notes,
            ),
            help=help_,
        )

    def _slowed(
        self, recording: Recording, layers: Sequence[tuple[int, Parameter]], depth: int
    ) -> Finding:
        early = [p for d, p in layers if d <= depth]
        names = {p.name for p in early}
        rate = max(p.learning_rate for p in early)
        later = max(p.learning_rate for d, p in layers if d > depth)
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"{_text(len(early), len(layers))} stand{'' if len(early) > 1 else 's'} still: "
            f"a learning rate of {rate:.1g}, where later ones have up to {later:.1g}",
            sites=tuple(s for s in recording.signal_sites() if set(s.weights) & names),
            parameters=tuple(p.name for p in early),
            measured=math.log10(later / rate),
            expected=0.0,
            limit=self.min_decades_slower,
            unit="decades",
            causes=(Cause.LEARNING_RATE,),
            notes=(
                f"a step changes them by at most {max(p.turn_ratio for p in early):.1e} of their "
                "size; the gradient is there",
            ),
            help=(
                "let the learning rate fall more slowly from layer to layer: a factor of 0.9 "
                "leaves the first of 12 layers 31 % of the last one's",
                "if they are meant to stay as they are: part.requires_grad_(False)",
            ),
        )


def _nothing_learns(recording: Recording) -> bool:
    """Tell whether every gradient is exactly zero, and stays so, though the loss is not."""
    later = recording.later
    if later is None or not abs(recording.context.loss_value) > 1e-6:
        return False
    return all(
        bool(grads) and all(g == -math.inf for g in grads)
        for look in (recording, later)
        for grads in [[p.log10_grad_rms for p in look.parameters if p.requires_grad and p.has_grad]]
    )


def _of_zeros(finding: Finding) -> Finding:
    """Turn a finding about layers that this batch says nothing of into a note."""
    return replace(
        finding,
        severity=Severity.NOTE,
        causes=(Cause.INPUT_SCALE,),
        notes=(
            "what they read is zero throughout this batch, and a weight times zero has no "
            "gradient: whether they train with other data was not measured",
        ),
        help=("look with a batch that uses this part of the network",),
    )


def _text(count: int, of: int) -> str:
    return f"the first {count} of {of} weights" if count > 1 else f"the first of {of} weights"


def _gaps(layers: Sequence[tuple[int, Parameter]], speeds: Mapping[str, float]) -> dict[int, float]:
    """Return, for every depth but the last, by how many decades the later weights are faster.

    The median of the later ones against the largest up to this depth.
    """
    steps = [(depth, speeds[p.name]) for depth, p in layers]
    fastest: list[float] = []
    for _, speed in steps:
        fastest.append(max(speed, fastest[-1] if fastest else 0.0))
    later: list[float] = []
    gaps: dict[int, float] = {}
    for i in range(len(steps) - 1, 0, -1):
        bisect.insort(later, steps[i][1])
        if steps[i][0] != steps[i - 1][0]:
            middle = 0.5 * (later[(len(later) - 1) // 2] + later[len(later) // 2])
            gaps[steps[i - 1][0]] = _decades(middle, fastest[i - 1])
    return dict(reversed(gaps.items()))


def _layers(recording: Recording) -> list[tuple[int, Parameter]]:
    """Return depth and weight for every matrix that can be judged, input side first."""
    place, left_out = depths(recording), embeddings(recording)
    found = [
        (place[p.name], p)
        for p in trained(recording)
        if p.name in place
        and p.name not in left_out
        and len(p.shape) >= 2
        and p.size > 1  # a single number cannot turn
        and p.rms > 0.0
        and not math.isnan(p.log10_grad_rms)
        and p.learning_rate != 0.0
    ]
    return sorted(found, key=lambda item: item[0])


def _speed(parameter: Parameter) -> float:
    """Return the relative step at the learning rate of the parameter's own group."""
    rate = parameter.learning_rate
    return parameter.turn_ratio / rate if rate > 0.0 else parameter.turn_ratio


def _product(parameter: Parameter) -> float:
    """Return log10 of |gradient| x |weights|, as root mean squares times the size."""
    if not parameter.rms > 0.0 or math.isnan(parameter.log10_grad_rms):
        return math.inf
    size = math.log10(max(1, parameter.size))
    return parameter.log10_grad_rms + math.log10(parameter.rms) + size


def _decades(later: float, early: float) -> float:
    if not later > 0.0:
        return 0.0
    return math.log10(later / early) if early > 0.0 else math.inf


def _why(
    recording: Recording, early: Sequence[Parameter]
) -> tuple[tuple[Cause, ...], tuple[str, ...], tuple[str, ...]]:
    """Name what shrinks the early layers' gradient, as the gradient's own way shows it."""
    taken = taken_by_hooks(recording)
    if taken.issuperset(p.name for p in early):
        return (Cause.DETACHED_GRAPH,), (_HOOK,), _HOOK_HELP
    causes: list[Cause] = []
    eps = floor_of(recording.context.optimizer)
    if eps is not None and all(-math.inf < p.log10_grad_rms < math.log10(eps) for p in early):
        causes.append(Cause.OPTIMISER_FLOOR)
    notes: tuple[str, ...] = ()
    help_: tuple[str, ...] = ()
    flow = judged_flow(recording)
    if isinstance(flow, Flow):
        worst = max(flow.levels, key=lambda level: flow.lost(level))
        if flow.lost(worst) > 1.0:
            factors = loss_factors(recording, flow, worst)
            causes += factors.causes
            notes, help_ = (factors.summary,) if factors.summary else (), factors.help
    if not causes:
        nothing = all(p.log10_grad_rms == -math.inf for p in early)
        causes.append(Cause.ACTIVATION_SLOPE if nothing else Cause.INIT_TOO_SMALL)
    fallback = ("find what shrinks the gradient on its way: `unvanish explain UV101`",)
    return tuple(dict.fromkeys(causes)), notes, help_ or fallback

"""UV601: layers that the optimiser does not move."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Chart, Finding, Mark, Point, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording, WatchedLayer
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.running.course import (
    Stretch,
    early_shortfall,
    elasticities,
    lasting,
    named,
    rows_of,
    shortfall,
    since_jump,
    sites_of,
    trained_groups,
)
from unvanish.diagnose.running.losses import progress_of

Rows = Mapping[int, Mapping[int, float]]

_SHORT: Final = frozenset({"bfloat16", "float16"})


@final
@dataclass(frozen=True, kw_only=True)
class FrozenLayers:
    """The optimiser steps, and some layers stay where they are.

    ## What it measures
    At every sampled step, what the optimiser really changed: the share of a layer's weights that
    the step moved by at least one bit, and the size of the step over the size of the weights.

    A layer is frozen to the last bit where a gradient of it was measured and no weight of it
    moved, in three samples in a row and up to the last one, with a learning rate above zero. If
    no layer of an optimiser moves although gradients arrive, the steps are below the rounding of
    the weights (2^-24 of them in float32, 2^-9 in bfloat16) and nothing is trained at all.

    Early layers are slow where each of them moves 3 decades (`min_decades_slower`) less than the
    median of all later layers of the same optimiser, and the product |gradient| |weights| of each
    stands 3 decades below the later layers' too. The limit is that of UV502: to train such a layer
    once takes the time to train the rest a thousand times. The product does not change when a
    layer's weights are scaled, so a layer that is slow only because its weights are large, or its
    learning rate small on purpose, is none.

    ## Why it hurts
    A layer that does not move keeps its random start, whatever the loss does.

    ## When it stays silent
    On layers whose gradient is not computed (frozen on purpose), on those that no optimiser holds,
    on embeddings, of which a batch touches few rows, in steps with a learning rate of zero, and
    where all layers stand still because all is learned: the loss has come down and every
    gradient is a thousandth of what it was.

    ## False alarms
    A part that the data of the run never uses gets gradients of zero and does not move. Where the
    loss has come down in spite of it, as with experts that no sample is sent to, it is a warning.

    ## What helps
    What helps against the cause of the small gradient, see UV602; a larger learning rate where no
    layer moves; float32 weights where 16 bits round the steps away.

    ## Source
    Hochreiter (1991) for the phenomenon; the limits follow as told above.
    """

    code: ClassVar[str] = "UV601"
    name: ClassVar[str] = "frozen-layers"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset(
        {LayerQuantity.MOVED_FRACTION, LayerQuantity.LOG10_PARAM_GRAD_RMS}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["hochreiter1991"],)

    min_decades_slower: float = 3.0

    def examine(self, run: RunRecording) -> Verdict:
        """Compare what the optimiser moved with what it could have moved."""
        groups = trained_groups(run)
        if run.layers and not groups:
            return NotApplicable("no optimiser holds parameters of a watched layer")
        moved = rows_of(run, LayerQuantity.MOVED_FRACTION)
        grads = rows_of(run, LayerQuantity.LOG10_PARAM_GRAD_RMS)
        resting = {s for s, rate in run.over(StepQuantity.LEARNING_RATE) if rate == 0.0}
        steps = sorted(step for step in moved.keys() & grads.keys() if step not in resting)
        if len(steps) < 3:
            return NotMeasured("the optimiser's updates in three sampled steps")
        ratios = rows_of(run, LayerQuantity.LOG10_UPDATE_RATIO)
        products = elasticities(run)
        findings: list[Finding] = []
        margins: list[float] = []
        for layers in groups:
            still = _still(layers, steps, moved, grads)
            if still and len(still) == len([x for x in layers if _is_known(x, steps, grads)]):
                if not _is_settled(run, layers, steps, grads):
                    findings.append(self._standstill(run, layers, still))
                continue
            slow = self._slow(run, layers, steps, ratios, products)
            if still:
                findings.append(self._frozen(run, still, grads))
            elif slow is not None:
                findings.append(self._behind(layers, *slow, ratios))
            margins.append(self._margin(layers, steps[-1], ratios))
        if findings:
            return Found(tuple(findings))
        known = [margin for margin in margins if math.isfinite(margin)]
        return Clear(
            max(0.0, min(known)) if known else math.inf,
            "decades" if known else "",
            f"all layers with a gradient move, over {len(steps)} samples",
        )

    def _slow(
        self,
        run: RunRecording,
        layers: Sequence[WatchedLayer],
        steps: Sequence[int],
        ratios: Rows,
        products: Rows,
    ) -> tuple[list[WatchedLayer], Stretch] | None:
        def slow_at(step: int) -> list[WatchedLayer]:
            if step not in ratios or step not in products:
                return []
            by_step = early_shortfall(layers, ratios[step], self.min_decades_slower)
            by_grad = early_shortfall(layers, products[step], self.min_decades_slower)
            return min(by_step, by_grad, key=len)

        found = lasting([(step, bool(slow_at(step))) for step in steps])
        return None if found is None else (slow_at(found.last), since_jump(run, found))

    def _margin(self, layers: Sequence[WatchedLayer], step: int, ratios: Rows) -> float:
        row = {i: v for i, v in ratios.get(step, {}).items() if math.isfinite(v)}
        known = [layer for layer in layers if layer.index in row]
        if len(known) < 2:
            return math.inf
        return self.min_decades_slower - shortfall(layers, known[:1], row)

    def _frozen(
        self, run: RunRecording, still: dict[WatchedLayer, Stretch], grads: Rows
    ) -> Finding:
        first = since_jump(run, min(still.values(), key=lambda one: one.step))
        layers = list(still)
        progress = progress_of(run)
        is_fed = any(grads[first.last].get(layer.index, -math.inf) > -math.inf for layer in layers)
        is_rounded = is_fed and run.conditions.dtype in _SHORT
        help = (
            "keep the weights in float32 and compute under torch.autocast"
            if is_rounded
            else "see which gradient arrives there: `unvanish explain UV602`; a gradient of "
            "exactly zero comes from dead units or a part that is not used"
        )
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING
            if progress is not None and progress.is_learned
            else Severity.ERROR,
            message=f"no step since {first.step:,} has moved {named(layers)} by one bit, while the "
            "other layers of the optimiser move",
            sites=sites_of(layers),
            measured=0.0,
            expected=1.0,
            limit=2.0**-24,
            unit="of the weights moved",
            causes=(Cause.PRECISION if is_rounded else Cause.DEPTH_WITHOUT_SKIP,),
            notes=first.notes,
            help=(help,),
            step=first.step,
        )

    def _standstill(
        self,
        run: RunRecording,
        layers: Sequence[WatchedLayer],
        still: dict[WatchedLayer, Stretch],
    ) -> Finding:
        first = since_jump(run, max(still.values(), key=lambda one: one.step))
        optimizer = (*run.conditions.optimizers, *([None] * len(layers)))[layers[0].optimizer]
        who = str(optimizer) if optimizer is not None else "the optimiser"
        short = run.conditions.dtype in _SHORT
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"no step of {who} moves any of its {len(still)} layers by one bit",
            sites=sites_of(still),
            measured=0.0,
            expected=1.0,
            limit=2.0**-9 if short else 2.0**-24,
            unit="of the weights moved",
            causes=(Cause.PRECISION if short else Cause.LEARNING_RATE,),
            notes=first.notes,
            help=(
                "keep the weights in float32 and compute under torch.autocast"
                if short
                else "raise the learning rate a thousandfold, and look at the loss again",
            ),
            step=first.step,
        )

    def _behind(
        self,
        layers: Sequence[WatchedLayer],
        slow: list[WatchedLayer],
        when: Stretch,
        ratios: Rows,
    ) -> Finding:
        row = ratios[when.last]
        starved = {layer.index for layer in slow}
        lost = shortfall(layers, slow, row)
        later = median(row[x.index] for x in layers if x.index in row and x.index not in starved)
        points = tuple(
            Point(x.name, row[x.index], Mark.STARVED if x.index in starved else Mark.FINE)
            for x in layers
            if x.index in row
        )
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"{named(slow)} hardly move: the steps are up to {lost:.1f} decades smaller "
            "than in the later layers, over the size of the weights",
            sites=sites_of(slow),
            measured=lost,
            expected=0.0,
            limit=self.min_decades_slower,
            unit="decades",
            causes=(Cause.DEPTH_WITHOUT_SKIP,),
            notes=(
                *when.notes,
                f"a step changes the later layers by {100 * 10.0**later:.2g} % of their size",
            ),
            help=("see why so little gradient arrives there: `unvanish explain UV602`",),
            chart=Chart(f"size of a step over the weights, step {when.last:,}", points),
            step=when.step,
        )


def _is_known(layer: WatchedLayer, steps: Sequence[int], grads: Rows) -> bool:
    return any(layer.index in grads[step] for step in steps)


def _still(
    layers: Sequence[WatchedLayer], steps: Sequence[int], moved: Rows, grads: Rows
) -> dict[WatchedLayer, Stretch]:
    """Return the layers that have a gradient and do not move, and since when."""
    found = {}
    for layer in layers:
        samples = [
            (step, moved[step][layer.index] == 0.0)
            for step in steps
            if layer.index in moved[step] and layer.index in grads[step]
        ]
        stretch = lasting(samples)
        if stretch is not None and stretch.last == steps[-1]:
            found[layer] = stretch
    return found


def _is_settled(
    run: RunRecording, layers: Sequence[WatchedLayer], steps: Sequence[int], grads: Rows
) -> bool:
    """Tell whether nothing moves because all is learned."""
    progress = progress_of(run)
    if progress is None or not progress.is_learned:
        return False

    def largest(step: int) -> float:
        return max((grads[step].get(x.index, -math.inf) for x in layers), default=-math.inf)

    return largest(steps[-1]) <= max(map(largest, steps)) - 3.0

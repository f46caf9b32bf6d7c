"""UV602: the gradient of the early layers vanishes, from the start or in the course of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

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
    shortfall,
    since_jump,
    sites_of,
    trained_groups,
    unsettled,
)

Rows = Mapping[int, Mapping[int, float]]


@final
@dataclass(frozen=True, kw_only=True)
class VanishingInRun:
    """The gradient does not reach the early layers, from the first step or from a later one on.

    ## What it measures
    At every sampled step and for every layer with weights, |dL/dw| |w|, the norms of its gradient
    and of its weights: how far the loss could change for a relative change of the layer. Unlike a
    gradient alone it depends neither on the size of a feature map nor on the scale of the weights,
    and in a chain of layers that scale what they get (linear, convolution, ReLU) it is the same
    for all. In the healthy runs of `results/runs.md` (MLPs, a CNN, an LSTM, a small GPT, a GAN, a
    VAE) the first layers were never more than one decade below the median of the later ones, in no
    sample from step 4 on.

    The early layers are starved where each of them, from the input side on, stands 3 decades
    (`max_lost_decades`) below the median of all later layers, in three samples in a row and up to
    the last. A thousandth is the limit of UV101: where every layer's step is in proportion to its
    gradient, to train these layers once takes the time to train the rest a thousand times.

    Only layers of one model and one optimiser are compared with each other.

    ## Why it hurts
    What the early layers take out of the input is decided by their random start.

    ## When it stays silent
    When the gradient becomes small in all layers together, as where all is learned. On starts
    that open after a few steps, such as zero-initialised branches. On embeddings.

    ## False alarms
    A first layer that is not needed any more, since all the rest is learned without it.

    ## What helps
    `unvanish check` on the same network says where each decade is lost; `unvanish cure` tries
    repairs. If it began in the middle of the run: a smaller learning rate or gradient clipping,
    from before the step named.

    ## Source
    Hochreiter (1991); Glorot and Bengio (2010), who watched it over training.
    """

    code: ClassVar[str] = "UV602"
    name: ClassVar[str] = "vanishing-in-the-run"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset(
        {LayerQuantity.LOG10_PARAM_GRAD_RMS, LayerQuantity.LOG10_PARAM_RMS}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["hochreiter1991"], SOURCES["glorot2010"])

    max_lost_decades: float = 3.0

    def examine(self, run: RunRecording) -> Verdict:
        """Compare the early layers with the later ones at every sample."""
        groups = [layers for layers in trained_groups(run) if len(layers) > 1]
        if run.layers and not groups:
            return NotApplicable("fewer than two layers have weights that an optimiser trains")
        products = elasticities(run)
        if len(products) < 3:
            return NotMeasured("gradients of the weights in three sampled steps")
        steps = sorted(products)
        findings = []
        margins = []
        waiting = -1
        for layers in groups:
            early = {s: early_shortfall(layers, products[s], self.max_lost_decades) for s in steps}
            found = lasting([(step, bool(early[step])) for step in steps])
            if found is not None:
                findings.append(
                    self._finding(layers, early[found.last], since_jump(run, found), products)
                )
            else:
                first = [x for x in layers if x.index in products[steps[-1]]][:1]
                margins.append(shortfall(layers, first, products[steps[-1]]))
                waiting = max(waiting, unsettled([(step, bool(early[step])) for step in steps]))
        if findings:
            return Found(tuple(findings))
        if waiting >= 0:
            return NotMeasured(f"a third sample since step {waiting:,}: early layers are starved")
        lost = max((x for x in margins if math.isfinite(x)), default=-math.inf)
        if lost == -math.inf:
            return Clear(math.inf, "", f"no layer is starved in {len(steps)} samples")
        return Clear(
            max(0.0, self.max_lost_decades - lost),
            "decades",
            f"at step {steps[-1]:,} the first layer's gradient is {max(lost, 0.0):.1f} decades "
            "below the later ones'",
        )

    def _finding(
        self,
        layers: Sequence[WatchedLayer],
        early: list[WatchedLayer],
        when: Stretch,
        products: Rows,
    ) -> Finding:
        row = products[when.last]
        lost = shortfall(layers, early, row)
        starved = {layer.index for layer in early}
        top = max(v for v in row.values() if math.isfinite(v))
        points = tuple(
            Point(x.name, row[x.index] - top, Mark.STARVED if x.index in starved else Mark.FINE)
            for x in layers
            if x.index in row
        )
        count = f"{len(early)} of {len(layers)} layers are starved"
        if lost == math.inf:
            message = f"no gradient at all arrives at {named(early)}: {count}"
        else:
            message = f"the gradient of the early layers vanishes: {lost:.1f} decades, {count}"
        if when.sound >= 0:
            message += f", since step {when.step:,}"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=message,
            sites=sites_of(early),
            measured=lost,
            expected=0.0,
            limit=self.max_lost_decades,
            unit="decades",
            causes=(Cause.ACTIVATION_SLOPE, Cause.DEPTH_WITHOUT_SKIP),
            notes=when.notes,
            help=(
                "`unvanish check` on this network says where each decade is lost, and "
                "`unvanish cure` tries repairs"
                if when.sound < 0
                else "begin again before that step, with a smaller learning rate or "
                "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
            ),
            chart=Chart(f"|gradient| x |weights| over the largest, step {when.last:,}", points),
            step=when.step,
        )

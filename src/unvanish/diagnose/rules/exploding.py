"""UV102: the gradient grows from layer to layer on its way to the input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.flow import Flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotMeasured, Verdict
from unvanish.diagnose.propagation import (
    flow_chart,
    growth_causes,
    judged_flow,
    update_note,
    updates_are_level,
)


@final
@dataclass(frozen=True, kw_only=True)
class ExplodingGradient:
    """The gradient grows from layer to layer on its way to the input.

    ## What it measures
    The same cuts as UV101, read the other way: how many decades larger than at the output
    layer the gradient is at each depth. Two readings, either one is enough: the growth with
    its largest single step replaced by the median one, and what gradient and sensitivity,
    |gradient| x |activation| at the layer's own output, have both gained. Rescaling one
    layer against the next moves neither.

    The limit is 4 decades (`max_gained_decades`): when a step moves the first layer by a
    thousandth of its size, it moves the last by 1e-7 of its own, which is where float32
    ends. At critical initialisation theory predicts 0; a residual network without
    normalisation gains 0.15 decades a block at most with He weights, a plain ReLU network
    with batch normalisation 0.083 a layer, so that it may have 48 layers.
    The limit was 3 until MobileNetV2, which trains, was flagged at 3.8.

    ## Why it hurts
    One step overshoots in the early layers, activations leave their working range, and the
    loss jumps or becomes NaN. Below that, the learning rate must be so small that the late
    layers stand still.

    ## When it stays silent
    On a single large jump that the forward signal makes up for (an embedding with small
    weights before a normalisation), on summed instead of averaged losses, and where the
    loss itself is large.

    ## False alarms
    Deep residual networks without normalisation do gain gradient and still train, with
    Adam or with clipping: where the probe step moved all layers alike and fewer than 6
    decades are gained, the finding is a warning.

    ## What helps
    Smaller weights (He or Xavier instead of wider), residual branches scaled by
    1/sqrt(depth), normalisation inside residual branches; clipping by total norm keeps a
    run alive. Batch normalisation in a deep plain ReLU network is a cause, not a cure.

    ## Source
    Pascanu, Mikolov and Bengio (2013) on exploding gradients and clipping; Schoenholz and
    others (2017) for the prediction at criticality; Yang and others (2019) for the growth
    under batch normalisation.
    """

    code: ClassVar[str] = "UV102"
    name: ClassVar[str] = "exploding-gradient"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.LOG10_ACTIVATION_GRAD_RMS})
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["pascanu2013"],
        SOURCES["schoenholz2017"],
        SOURCES["yang2019"],
    )

    max_gained_decades: float = 4.0
    hopeless_gained_decades: float = 6.0

    def examine(self, recording: Recording) -> Verdict:
        """Judge how much the gradient grows towards the earliest layers."""
        flow = judged_flow(recording)
        if not isinstance(flow, Flow):
            return flow
        if flow.output.log10_grad == -math.inf:
            return NotMeasured("a gradient at the output layer that is not zero: see UV101")
        gains = self._gains(flow)
        worst = max(range(len(gains)), key=lambda i: gains[i])
        if gains[worst] <= self.max_gained_decades:
            gained = max(0.0, gains[worst])
            said = (
                f"the gradient grows by at most {gained:.1f} decades over {len(flow.levels)} layers"
                if gained >= 0.05
                else f"the gradient does not grow over {len(flow.levels)} layers"
            )
            return Clear(self.max_gained_decades - gained, "decades", said)
        return Found((self._finding(recording, flow, gains, worst),))

    def _gains(self, flow: Flow) -> list[float]:
        """Decades gained at every level, in the larger of the two readings."""
        gains = []
        for level, own in zip(flow.levels, flow.compounded(sign=-1), strict=True):
            readings = [own, min(-flow.lost(level), -flow.layer_sensitivity_lost(level))]
            gains.append(max((r for r in readings if math.isfinite(r)), default=0.0))
        return gains

    def _finding(self, recording: Recording, flow: Flow, gains: list[float], worst: int) -> Finding:
        swollen = [
            level
            for level, gain in zip(flow.levels, gains, strict=True)
            if gain > self.max_gained_decades
        ]
        layer = flow.levels[worst].layer
        measured = max(gains[worst], -flow.lost(flow.levels[worst]))
        causes = growth_causes(recording, flow)
        level = measured < self.hopeless_gained_decades and updates_are_level(
            recording, [each.layer for each in swollen]
        )
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING if level else Severity.ERROR,
            message=f"the gradient explodes: it grows by {measured:.1f} decades on the way to "
            f"{layer.path or 'the first layer'}",
            sites=tuple(each.layer for each in swollen),
            measured=measured,
            expected=0.0,
            limit=self.max_gained_decades,
            unit="decades",
            causes=causes,
            notes=tuple(update_note(recording, [layer])),
            help=(
                _HELP[Cause.RECURRENCE if Cause.RECURRENCE in causes else causes[0]],
                "until then clip: torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
            ),
            chart=flow_chart(recording, flow, []),
        )


_HELP = {
    Cause.INIT_TOO_LARGE: "initialise smaller: torch.nn.init.kaiming_normal_(layer.weight) "
    "before a ReLU, torch.nn.init.xavier_normal_(layer.weight) before a tanh",
    Cause.DEPTH_WITHOUT_SKIP: "add skip connections: x = x + block(x); batch normalisation "
    "in a deep plain ReLU network makes the gradient grow by 1.21 a layer",
    Cause.RECURRENCE: "use torch.nn.LSTM or torch.nn.GRU, or an orthogonal recurrent matrix: "
    "torch.nn.init.orthogonal_(cell.weight_hh)",
    Cause.NO_NORMALISATION: "scale each residual branch by 1/sqrt(depth), or normalise its "
    "input: x = x + block(torch.nn.LayerNorm(features)(x))",
}

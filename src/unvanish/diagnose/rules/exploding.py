"""UV102: the gradient grows from layer to layer on its way to the input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.flow import Flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotMeasured, Verdict
from unvanish.core.wiring import Wiring
from unvanish.diagnose.propagation import (
    flow_chart,
    grown_together,
    growth_causes,
    judged_flow,
    propagation_flow,
    update_note,
    updates_are_level,
)

_WAVES: Final = frozenset({"sin", "cos"})


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

    A third reading asks for less where the signal explodes, too, and the output with it: the
    smaller of what the layers' own gradients gain, the largest step made ordinary, and what
    the output stands above everything met before it, data included. In a network of ReLU
    layers all scaled by one factor both are the same number G: the output is 10^G too large,
    and a step that moves every weight by a share e of its size moves it by 10^G L e. Its
    limit is the 3 decades of UV101 (`max_gained_decades_of_both`), beyond which a stable step
    is a thousandth of an ordinary one. Short trainings agree. ReLU networks of 10, 20 and 40
    layers, He's weights times 1.2 to 2.5, one seed, were trained on digits for 400 steps of
    Adam and of clipped momentum, and for 300 of momentum at nine rates. Against the unscaled
    network the best of these learned 88 to 100 % with up to 1.7 decades, 64 to 76 % with 1.8
    to 2.3, and above 3, 64 % with 10 layers and 18 to 47 % with 20 and 40. Of the healthy
    networks that were looked at, more than a thousand, the worst reads 1.9.

    Where a hidden sine's input has a root mean square above 2 pi, a period, the limit is one decade
    (`max_gained_decades_if_wrapped`). Such a layer multiplies the gradient by 2 pi / sqrt(2) or
    more, which of its slopes are positive changes with every step, and its answers between two
    samples have nothing to do with those at them. The weights of Sitzmann and others (2020) have a
    root mean square of about 1 there, PyTorch's under their frequency of 30 about 12. The first
    sine is left out: it spreads the coordinates over many periods on purpose.

    ## Why it hurts
    One step overshoots in the early layers, activations leave their working range, and the
    loss jumps or becomes NaN. Below that, the learning rate must be so small that the late
    layers stand still.

    ## When it stays silent
    On a single large jump that the forward signal makes up for (an embedding with small
    weights before a normalisation), on summed instead of averaged losses, and where the
    loss itself is large. Also where the growth is gone after the probe steps, and the loss
    lower: rows that start near zero before a normalisation get a large gradient and lose it
    with the first step. This is allowed below 6 decades, under an optimiser that moved all
    layers alike.

    ## False alarms
    Deep residual networks without normalisation do gain gradient and still train, with
    Adam or with clipping: where the probe step moved all layers alike and fewer than 6
    decades are gained, the finding is a warning. A flow or a sum that grows between the
    layers and not in them is not seen by the third reading.

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
    max_gained_decades_of_both: float = 3.0
    max_gained_decades_if_wrapped: float = 1.0
    hopeless_gained_decades: float = 6.0

    def examine(self, recording: Recording) -> Verdict:
        """Judge how much the gradient grows towards the earliest layers."""
        flow = judged_flow(recording)
        if not isinstance(flow, Flow):
            return flow
        if flow.output.log10_grad == -math.inf:
            return NotMeasured("a gradient at the output layer that is not zero: see UV101")
        gains, both = self._gains(flow), grown_together(recording, flow)
        limit = self._limit(recording)
        if not self._is_too_much(gains, both, limit):
            gained = max(0.0, *gains)
            said = (
                f"the gradient grows by at most {gained:.1f} decades over {len(flow.levels)} layers"
                if gained >= 0.05
                else f"the gradient does not grow over {len(flow.levels)} layers"
            )
            room = self.max_gained_decades_of_both - max(0.0, *both)
            return Clear(min(limit - gained, room), "decades", said)
        finding = self._finding(recording, flow, gains, both)
        if finding.severity is Severity.WARNING and self._settles(recording):
            return Clear(
                summary="the gradient grows at the start, and a few optimiser steps end that"
            )
        return Found((finding,))

    def _limit(self, recording: Recording) -> float:
        """Return the decades that the gradient may grow by."""
        wiring, size = Wiring(recording), recording[Quantity.ACTIVATION_RMS]
        waves = [site for site in recording.signal_sites() if site.op in _WAVES]
        wrapped = (
            wave
            for wave in waves
            if any(before.op in _WAVES for before in wiring.behind(wave))
            and max((size.get(one) for one in wiring.producers(wave)), default=0.0) > 2.0 * math.pi
        )
        is_wrapped = next(wrapped, None) is not None
        return self.max_gained_decades_if_wrapped if is_wrapped else self.max_gained_decades

    def _is_too_much(self, gains: Sequence[float], both: Sequence[float], limit: float) -> bool:
        return max(gains) > limit or max(both) > self.max_gained_decades_of_both

    def _settles(self, recording: Recording) -> bool:
        """Tell whether the probe steps lowered the loss and ended the growth."""
        later, steps = recording.later, recording.steps
        if later is None or not steps or not steps[-1].loss_after <= steps[0].loss_before:
            return False
        flow = propagation_flow(later)
        if flow is None or not all(math.isfinite(level.log10_grad) for level in flow.levels):
            return False
        grown = self._gains(flow), grown_together(later, flow)
        return not self._is_too_much(*grown, self._limit(recording))

    def _gains(self, flow: Flow) -> list[float]:
        """Decades gained at every level, in the larger of the two readings."""
        gains = []
        for level, own in zip(flow.levels, flow.compounded(sign=-1), strict=True):
            readings = [own, min(-flow.lost(level), -flow.layer_sensitivity_lost(level))]
            gains.append(max((r for r in readings if math.isfinite(r)), default=0.0))
        return gains

    def _finding(
        self, recording: Recording, flow: Flow, gains: list[float], both: list[float]
    ) -> Finding:
        most = self._limit(recording)
        alone = max(gains) > most
        decades, limit = (gains, most) if alone else (both, self.max_gained_decades_of_both)
        worst = max(range(len(decades)), key=lambda i: decades[i])
        swollen = [level for level, gain in zip(flow.levels, decades, strict=True) if gain > limit]
        layer = flow.levels[worst].layer
        measured = max(decades[worst], -flow.lost(flow.levels[worst])) if alone else decades[worst]
        causes = growth_causes(recording, flow)
        level = measured < self.hopeless_gained_decades and updates_are_level(
            recording, [each.layer for each in swollen]
        )
        place = layer.path or "the first layer"
        signal = "" if alone else ", and the signal as much on its way from there"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING if level else Severity.ERROR,
            message=f"the gradient explodes: it grows by {measured:.1f} decades on the way to "
            f"{place}{signal}",
            sites=tuple(each.layer for each in swollen),
            measured=measured,
            expected=0.0,
            limit=limit,
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

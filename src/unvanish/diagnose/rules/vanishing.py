"""UV101: the gradient does not reach the early layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.findings import Finding, Severity
from unvanish.core.flow import Flow, Level, gradient_flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, Verdict
from unvanish.diagnose.factors import loss_factors
from unvanish.diagnose.folding import folded_flow
from unvanish.diagnose.propagation import (
    flow_chart,
    judged_flow,
    propagation_flow,
    underflow_note,
    update_note,
    updates_are_level,
)


@final
@dataclass(frozen=True, kw_only=True)
class VanishingGradient:
    """The gradient does not reach the early layers.

    ## What it measures
    The network is cut at every depth, and the largest gradient that crosses each cut is
    compared with the gradient at the output layer, in decades (factors of ten). A skip
    connection crosses the cuts it spans, so a weak branch beside a strong trunk is fine.
    The gradient starts from random signs at the network's output: the loss, its scale, the
    batch size and the number of classes play no part.

    Two readings are taken, and either one is enough. The first is the compounded loss: the
    total between output and cut, the largest single step replaced by the median one. The
    second is what gradient and sensitivity, |gradient| x |activation|, have both lost.
    Multiplying one layer's weights by a number and dividing the next layer's by it changes
    neither, as it does not change the function.

    Where weights are called again over time, the network is cut a second time with all calls
    of the same weights, and all that lies on a way from one to another, put together as one
    layer: a stack of recurrent layers is judged by its depth, and UV301 judges its length.
    The gradient of such a layer is that of all its calls; the worse of both readings counts.
    By 300 steps of Adam at the better of two rates, LSTMs of 3 to 6 layers, 2.1 to 3.9 decades
    deep, read 85 to 91 % of the digits row by row, and those of 8 and 10 layers, with 5.0 and
    6.3 decades, 60 and 69 %.

    The limit is 3 decades (`max_lost_decades`). A learning rate just stable for the last
    layer moves a layer with a gradient 10^-3 as large by a thousandth of what it could:
    training such a layer once takes the time to train the rest a thousand times. At
    critical initialisation theory predicts 0 decades at any depth.

    Adam and its kin rescale every parameter's update. Where the probe step moved the starved
    layers as much as the others the limit is 4 decades (`max_lost_decades_if_rescaled`) and
    the finding a warning. The size of this allowance was chosen after healthy networks had
    been flagged at 3; no theory gives it. It ends somewhere, since Adam stops making up for
    gradients that fall below its eps.

    Where theory is silent, training is asked. Up to 6 decades (`hopeless_lost_decades`), in
    networks of up to 2 million parameters whose probe batches can exchange their targets, a copy
    takes 60 steps on these batches with the user's own optimiser. If that takes off a quarter of
    its loss (`max_share_left`), and what is left is at most half (`max_share_learned`) of what it
    is with the targets of another batch, then the network tells its inputs apart and learns, and
    the finding is a note.

    ## Why it hurts
    Early layers stay at their random start, and the later layers learn from what random
    layers make of the input. Depth then costs time and gives nothing.

    ## When it stays silent
    When the early layers are reached on any path (residual networks), when only one
    layer's own scale is small, and on networks with fewer than two layers. Also when a gate
    starts at zero and opens within the probe steps (ReZero, LoRA, zero-initialised heads):
    the largest step of the way does not count then, since how far the gate has opened is a
    matter of the learning rate.

    ## False alarms
    An optimiser that rescales every parameter (Adam) makes up for small gradients as long
    as they stay above its eps; the limit allows for that. Networks that
    bypass depth by hand-written gradient rules (straight-through, synthetic gradients) are
    judged by the gradient those rules deliver.

    ## What helps
    Activations with slope one (ReLU, GELU) with He initialisation; for tanh, Xavier or
    orthogonal weights; batch normalisation before a sigmoid (layer normalisation is not
    enough there); residual connections. Clipping does not help: it never raises a gradient.

    ## Source
    Hochreiter (1991) for the phenomenon; Glorot and Bengio (2010) and He and others (2015)
    for initialisations that keep the gradient's size; Schoenholz and others (2017) for the
    prediction of 0 decades at criticality.
    """

    code: ClassVar[str] = "UV101"
    name: ClassVar[str] = "vanishing-gradient"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.LOG10_ACTIVATION_GRAD_RMS})
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["hochreiter1991"],
        SOURCES["glorot2010"],
        SOURCES["he2015"],
        SOURCES["schoenholz2017"],
    )

    max_lost_decades: float = 3.0
    max_lost_decades_if_rescaled: float = 4.0
    hopeless_lost_decades: float = 6.0
    max_share_learned: float = 0.5
    max_share_left: float = 0.75

    def examine(self, recording: Recording) -> Verdict:
        """Judge how much of the gradient reaches the earliest layers."""
        flow = judged_flow(recording)
        if not isinstance(flow, Flow):
            return flow
        flow = max((flow, folded_flow(recording) or flow), key=lambda f: max(self._losses(f)))
        losses = self._losses(flow)
        worst = max(range(len(losses)), key=lambda i: losses[i])
        limit = self._limit(recording, flow, losses)
        if losses[worst] <= limit:
            return self._clear(flow, losses[worst], limit)
        if losses[worst] == math.inf and self._opens_later(recording):
            return Clear(
                summary=f"{flow.levels[worst].layer.path} has no gradient at the start, but a few "
                "optimiser steps open the way to it",
            )
        return Found((self._finding(recording, flow, losses),))

    def _losses(self, flow: Flow) -> list[float]:
        """Decades lost at every level, in the larger of the two readings."""
        compounded = flow.compounded(sign=1)
        losses = []
        for level, own in zip(flow.levels, compounded, strict=True):
            lost = flow.lost(level)
            if level.log10_grad == -math.inf:
                lost = math.inf  # also where the output layer itself gets nothing
            readings = [own, min(lost, flow.sensitivity_lost(level))]
            if lost == math.inf:
                readings.append(math.inf)
            losses.append(max((r for r in readings if not math.isnan(r)), default=0.0))
        return losses

    def _limit(self, recording: Recording, flow: Flow, losses: list[float]) -> float:
        """Allow more where the optimiser was seen to make up for small gradients."""
        starved = [
            level.layer
            for level, loss in zip(flow.levels, losses, strict=True)
            if loss > self.max_lost_decades
        ]
        level = bool(starved) and updates_are_level(recording, starved)
        return self.max_lost_decades_if_rescaled if level else self.max_lost_decades

    def _clear(self, flow: Flow, loss: float, limit: float) -> Clear:
        said = (
            f"at most {loss:.1f} decades of gradient are lost over {len(flow.levels)} layers"
            if loss >= 0.05
            else f"no gradient is lost over {len(flow.levels)} layers"
        )
        return Clear(limit - max(0.0, loss), "decades", said)

    def _opens_later(self, recording: Recording) -> bool:
        """Tell whether a gate that starts at zero lets the gradient through after some steps.

        How far a gate has opened by then is a matter of the learning rate, so that one step
        of the flow may be as large as it will.
        """
        if recording.later is None:
            return False
        flow = propagation_flow(recording.later)
        if flow is None:
            return False
        if not all(level.log10_grad > -math.inf for level in flow.levels):
            return False
        steps = [flow.lost_between(i, i + 1) for i in range(len(flow.levels) - 1)]
        behind = (steps[i:] for i in range(len(steps)))
        return all(sum(way) - max(way) <= self.max_lost_decades for way in behind)

    def _finding(self, recording: Recording, flow: Flow, losses: list[float]) -> Finding:
        starved = [
            level
            for level, loss in zip(flow.levels, losses, strict=True)
            if loss > self.max_lost_decades
        ]
        worst = max(range(len(losses)), key=lambda i: (losses[i], -i))
        measured = max(losses[worst], flow.lost(flow.levels[worst]))
        factors = loss_factors(recording, flow, flow.levels[worst])
        reach = f"{len(starved)} of {len(flow.levels)} layers"
        how_much = (
            f"no gradient at all reaches {flow.levels[worst].layer.path or 'the first layer'}"
            if measured == math.inf
            else f"{measured:.1f} decades are lost on the way to "
            f"{flow.levels[worst].layer.path or 'the first layer'}"
        )
        notes = [*factors.notes]
        if not self._has_ledger(recording, flow.levels[worst]):
            notes.insert(0, factors.summary)
        with_loss = gradient_flow(recording, Quantity.LOG10_ACTIVATION_GRAD_RMS)
        if with_loss is not None:
            notes.extend(underflow_note(with_loss))
        notes.extend(update_note(recording, [level.layer for level in starved]))
        severity = self._severity(recording, starved, measured)
        if severity is Severity.NOTE and (run := recording.training) is not None:
            notes.insert(
                0,
                f"the network learns all the same: {run.steps} steps on a copy take the loss of "
                f"the probe batches from {run.loss_before:.3g} to {run.loss_after:.3g}, and it is "
                f"{run.loss_mismatched:.3g} with the targets of another batch",
            )
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=f"the gradient vanishes: {how_much}, {reach} are starved",
            sites=tuple(level.layer for level in starved),
            measured=measured,
            expected=0.0,
            limit=self.max_lost_decades,
            unit="decades",
            causes=factors.causes,
            notes=tuple(filter(None, notes)),
            help=factors.help,
            chart=flow_chart(recording, flow, starved),
        )

    def _has_ledger(self, recording: Recording, worst: Level) -> bool:
        """Tell whether `explain` can say operation by operation where the decades went."""
        norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
        return worst.layer in norms and math.isfinite(norms[worst.layer])

    def _severity(self, recording: Recording, starved: list[Level], measured: float) -> Severity:
        if measured >= self.hopeless_lost_decades:
            return Severity.ERROR
        if self._learns(recording):
            return Severity.NOTE
        if updates_are_level(recording, [level.layer for level in starved]):
            return Severity.WARNING
        return Severity.ERROR

    def _learns(self, recording: Recording) -> bool:
        """Tell whether a copy was seen to learn the probe batches."""
        run = recording.training
        if run is None:
            return False
        if not all(v >= 0.0 for v in (run.loss_before, run.loss_after, run.loss_mismatched)):
            return False
        share = self.max_share_learned * run.loss_mismatched
        return run.loss_after <= min(share, self.max_share_left * run.loss_before)

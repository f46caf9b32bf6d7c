"""UV612: dead after a spike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import DEAD_WINDOW, RunRecording, WatchedLayer
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.running.course import (
    FEWEST_SAMPLES,
    end_of_numbers,
    is_hidden,
    named,
    need_not_fall,
    samples_of,
    sites_of,
)
from unvanish.diagnose.running.losses import Spike, progress_of, spikes
from unvanish.diagnose.words import percent

_FRACTIONS: Final = (LayerQuantity.DEAD_FRACTION, LayerQuantity.SATURATED_FRACTION)


@final
@dataclass(frozen=True, kw_only=True)
class DeadAfterSpike:
    """The loss jumped, and since then part of the network is dead.

    ## What it measures
    A spike of the loss (see UV603) that never healed, and the layers that are lost since: at the
    last sample a quarter (`min_grown`) more of their units are dead, or of their entries
    saturated, than at the last sample before the spike, and half of them in all; or their
    weights get a gradient of exactly zero, and got one before.

    Dead units are counted over 8 samples, and shortly after a jump of the loss over half of those
    since: what a spike has killed shows in the first sample after it, and three are asked for. The
    spike is known to the step, since the loss is read at every one.

    ## Why it hurts
    The network cannot come back: what is dead gets no gradient. All steps after the spike are lost.

    ## When it stays silent
    Where the loss came back, whatever was lost: UV604 speaks of the units. On runs without spikes.

    ## False alarms
    None is known.

    ## What helps
    Begin again from a checkpoint before the spike, with the learning rate lowered or the gradient
    clipped.

    ## Source
    Lu and others (2020) for the death of units; Wortsman and others (2024) on spikes.
    """

    code: ClassVar[str] = "UV612"
    name: ClassVar[str] = "dead-after-a-spike"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset({StepQuantity.LOSS})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lu2020"], SOURCES["wortsman2024"])

    min_grown: float = 0.25

    def examine(self, run: RunRecording) -> Verdict:
        """Look for a spike that never healed, and for what it left behind."""
        losses = run.over(StepQuantity.LOSS)
        if reason := need_not_fall(run):
            return NotApplicable(reason)
        if losses and end_of_numbers(run) <= losses[-1][0]:
            return NotApplicable("the loss is no number any more")
        progress = progress_of(run)
        if progress is None:
            return NotMeasured("the loss of 64 steps")
        open_ones = [spike for spike in spikes(progress) if spike.back < 0]
        if not open_ones:
            return Clear(math.inf, "", "the loss never jumped without coming back")
        spike = open_ones[0]
        if _samples_since(run, spike.step) < FEWEST_SAMPLES:
            return NotMeasured(
                f"the layers in three samples since the spike at step {spike.step:,}"
            )
        lost = self._lost(run, spike.step)
        if not lost:
            return Clear(
                math.inf, "", f"no unit is dead or saturated since the spike at step {spike.step:,}"
            )
        return Found((self._finding(run, spike, lost),))

    def _lost(self, run: RunRecording, step: int) -> dict[WatchedLayer, tuple[str, float]]:
        """Return the layers that are lost since a step: how, and by which share."""
        lost: dict[WatchedLayer, tuple[str, float]] = {}
        for layer in run.layers:
            for quantity, word in zip(_FRACTIONS, ("dead", "saturated"), strict=True):
                samples = samples_of(run, quantity, layer)
                before, now = _around(samples, step)
                is_half = now >= max(0.5, before + self.min_grown)
                if is_half and (word == "dead" or is_hidden(run, layer)):
                    lost[layer] = (word, now)
            grads = samples_of(run, LayerQuantity.LOG10_PARAM_GRAD_RMS, layer)
            before, now = _around(grads, step)
            if layer.optimizer >= 0 and now == -math.inf and before > -math.inf:
                lost.setdefault(layer, ("without a gradient", 1.0))
        return lost

    def _finding(
        self, run: RunRecording, spike: Spike, lost: dict[WatchedLayer, tuple[str, float]]
    ) -> Finding:
        parts = []
        for word, unit in (("dead", "units"), ("saturated", "entries")):
            if layers := [layer for layer, (how, _) in lost.items() if how == word]:
                most = max(lost[layer][1] for layer in layers)
                parts.append(f"up to {percent(most)} of the {unit} of {named(layers)} are {word}")
        if not parts:
            parts.append(f"{named(list(lost))} get no gradient")
        now = run.over(StepQuantity.LOSS)[-1]
        sampled = run.by_layer.get(LayerQuantity.DEAD_FRACTION)
        sound = max((s for s in sampled.steps if s < spike.step), default=-1) if sampled else -1
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"the loss jumped at step {spike.step:,} and never came back; since then "
            + ", and ".join(parts),
            sites=sites_of(lost),
            measured=max(share for _, share in lost.values()),
            expected=0.0,
            limit=math.nextafter(0.5, 0.0),
            unit="fraction of a layer",
            causes=(Cause.LEARNING_RATE, Cause.BIAS),
            notes=(
                f"began at step {spike.step:,} (last sound step {spike.step - 1:,}"
                + (f", last sound sample of the layers at step {sound:,}" if sound >= 0 else "")
                + ")",
                f"the loss was {spike.before:.3g} before, {spike.height:.3g} in the spike, and is "
                f"{now[1]:.3g} at step {now[0]:,}",
                f"units count as dead that nothing switched on in {DEAD_WINDOW} samples, or in the "
                "later half of those since the jump",
            ),
            help=(
                f"begin again from a checkpoint before step {spike.step:,}, with a lower learning "
                "rate",
                "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) before optimizer.step() "
                "keeps one gradient from doing this",
            ),
            step=spike.step,
        )


def _samples_since(run: RunRecording, step: int) -> int:
    """Return in how many samples the layers were looked at since a step."""
    looked = (*_FRACTIONS, LayerQuantity.LOG10_PARAM_GRAD_RMS)
    series = (run.by_layer[quantity] for quantity in looked if quantity in run.by_layer)
    return max((sum(at >= step for at in each.steps) for each in series), default=0)


def _around(samples: list[tuple[int, float]], step: int) -> tuple[float, float]:
    """Return the last value before a step and the last of all; nan where there is none."""
    before = [value for at, value in samples if at < step]
    after = [value for at, value in samples if at >= step]
    return (before[-1], after[-1]) if before and after else (math.nan, math.nan)

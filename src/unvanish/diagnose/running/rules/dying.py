"""UV604: units that stop answering any sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import DEAD_WINDOW, RunRecording, WatchedLayer
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.running.course import (
    Stretch,
    jump_steps,
    lasting,
    named,
    samples_of,
    sees_activations,
    sites_of,
    unsettled,
    when,
)
from unvanish.diagnose.running.losses import progress_of
from unvanish.diagnose.words import percent


@final
@dataclass(frozen=True, kw_only=True)
class DyingUnits:
    """Units of a layer die: no sample of any batch switches them on.

    ## What it measures
    For every activation with an off side, such as ReLU, the share of units (channels of a
    convolution) that no sample has switched on in the last 8 sampled batches. The run is its own
    null: the least share met in the first half of the samples is what this layer has anyway.

    The limit is one half (`max_dead_fraction`), with at least a quarter (`min_grown`) more than
    that least share, or nine tenths (`dead_fraction_of_error`) however it began. One half is where
    the layer passes less of the gradient than it loses; nine tenths are the limit of an error in
    UV202. It must hold in three samples in a row and up to the last. Where the loss has fallen and
    is still down, the finding is one degree milder: what is left of the network does the work.

    A unit that falls silent is counted as dead when it has been so for 8 batches. So a share that
    rises at one sample means a death up to 8 samples earlier, and that is the step named. Where the
    loss jumps the count begins anew, since what a jump kills dies within few steps: until there are
    16 samples again, the later half of those since the jump counts. So it is known after three, and
    the step named is that of the jump.

    ## Why it hurts
    No gradient passes a unit that is off for all samples, neither to its own weights nor to what
    lies before, so it cannot come back. A layer of dead units cuts the network in two.

    ## When it stays silent
    On the units that are dead from the beginning, up to nine tenths: UV202 speaks of them. On
    activations without an off side. On ordinary sparsity: a unit that one sample in a thousand
    switches on is alive.

    ## False alarms
    Networks made sparse on purpose, and experts that a router has given up.

    ## What helps
    A smaller learning rate, or clipping, from before the step named: units die where one long
    step drives a bias far below zero. LeakyReLU or GELU, or normalisation in front of the
    activation, lets them come back.

    ## Source
    Maas, Hannun and Ng (2013); Lu and others (2020).
    """

    code: ClassVar[str] = "UV604"
    name: ClassVar[str] = "dying-units"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset(
        {LayerQuantity.DEAD_FRACTION}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["maas2013"], SOURCES["lu2020"])

    max_dead_fraction: float = 0.5
    min_grown: float = 0.25
    dead_fraction_of_error: float = 0.9

    def examine(self, run: RunRecording) -> Verdict:
        """Compare the dead units of every layer with those it had at first."""
        layers = [layer for layer in run.layers if layer.units > 0]
        if run.layers and not layers and sees_activations(run):
            return NotApplicable("no watched layer has units that can die")
        series = {layer: samples_of(run, LayerQuantity.DEAD_FRACTION, layer) for layer in layers}
        series = {layer: samples for layer, samples in series.items() if len(samples) >= 3}
        if not series:
            return NotMeasured("dead units in three sampled steps")
        dying: dict[WatchedLayer, tuple[Stretch, float, float]] = {}
        worst, waiting = 0.0, -1
        for layer, samples in series.items():
            usual = usual_share(samples)
            limit = min(self.max_dead_fraction + self._spare(usual), self.dead_fraction_of_error)
            held = [(step, share > limit) for step, share in samples]
            stretch = lasting(held)
            waiting = max(waiting, unsettled(held))
            worst = max(worst, samples[-1][1] - limit + self.max_dead_fraction)
            if stretch is not None:
                dying[layer] = (stretch, samples[-1][1], usual)
        if dying:
            return Found((self._finding(run, dying, series),))
        if waiting >= 0:
            return NotMeasured(f"a third sample since step {waiting:,}: units are silent")
        return Clear(
            max(0.0, self.max_dead_fraction - worst),
            "fraction of units",
            f"at the last sample at most {percent(max(s[-1][1] for s in series.values()))} of the "
            "units of a layer are dead",
        )

    def _spare(self, usual: float) -> float:
        return max(0.0, usual + self.min_grown - self.max_dead_fraction)

    def _finding(
        self,
        run: RunRecording,
        dying: dict[WatchedLayer, tuple[Stretch, float, float]],
        series: dict[WatchedLayer, list[tuple[int, float]]],
    ) -> Finding:
        layers = sorted(dying, key=lambda layer: -dying[layer][1])
        stretch, share, usual = dying[layers[0]]
        step, sound = died_at(series[layers[0]], stretch, jump_steps(run))
        late = f" (seen from step {stretch.step:,} on)" if step != stretch.step else ""
        progress = progress_of(run)
        severity = Severity.ERROR if share >= self.dead_fraction_of_error else Severity.WARNING
        if progress is not None and progress.is_learned:
            severity = Severity.WARNING if severity is Severity.ERROR else Severity.NOTE
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=f"{percent(share)} of the units of {named([layers[0]])} are dead, "
            f"{percent(usual)} at first"
            + (f"; {len(layers)} layers are dying" if len(layers) > 1 else ""),
            sites=sites_of(layers),
            measured=share,
            expected=usual,
            limit=min(self.max_dead_fraction + self._spare(usual), self.dead_fraction_of_error),
            unit="fraction of units",
            causes=(Cause.LEARNING_RATE, Cause.BIAS),
            notes=(
                *when(step, sound, stretch.last, stretch.samples),
                f"a unit counts as dead after {DEAD_WINDOW} sampled batches without a sample that "
                f"switches it on{late}; shortly after the loss jumped, after half of those since",
                *([f"all of them: {named(layers, most=6)}"] if len(layers) > 1 else []),
            ),
            help=(
                "lower the learning rate, or clip the gradient, from before that step: "
                "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
                "torch.nn.LeakyReLU(0.1) or torch.nn.GELU() in place of ReLU lets units come back",
            ),
            step=step,
        )


def usual_share(samples: Sequence[tuple[int, float]]) -> float:
    """Return the least share met in the first half of the samples."""
    return min(share for _, share in samples[: max(1, len(samples) // 2)])


def died_at(
    samples: Sequence[tuple[int, float]], stretch: Stretch, jumps: Sequence[int] = ()
) -> tuple[int, int]:
    """Return when what a window of samples shows first can have happened, and the sample before.

    Args:
        samples: Of one layer.
        stretch: Since when a share is too large.
        jumps: Steps at which the loss jumped, where the window began anew.
    """
    steps = [step for step, _ in samples]
    seen = steps.index(stretch.step)
    at = max(0, seen - DEAD_WINDOW + 1)
    if seen == 0 or stretch.sound < 0:
        return steps[0], -1
    since = [step for step in jumps if steps[at] < step <= stretch.step]
    if since:
        return since[-1], max(step for step in steps if step < since[-1])
    return steps[at], steps[at - 1] if at else -1

"""UV605: hidden activations that drift to their flat ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording, WatchedLayer
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.running.course import (
    Stretch,
    is_hidden,
    lasting,
    named,
    samples_of,
    sees_activations,
    since_jump,
    sites_of,
    unsettled,
)
from unvanish.diagnose.running.losses import progress_of
from unvanish.diagnose.words import percent

_FLAT: Final = frozenset(
    {"sigmoid", "tanh", "hardtanh", "hardsigmoid", "softsign", "relu6", "tanh_", "sigmoid_"}
)
"""What is called so can saturate."""


@final
@dataclass(frozen=True, kw_only=True)
class SaturationDrift:
    """Hidden activations drift to the flat ends of their function.

    ## What it measures
    For every hidden activation with flat ends (sigmoid, tanh and their kin), the share of entries
    whose slope is below a hundredth of the largest. The limit is one half (`max_fraction`), and a
    quarter (`min_grown`) above the least share in the first half of the samples, three samples in
    a row and up to the last. Beyond one half the typical entry, the median one, lets less than a
    hundredth of the gradient through. For a Gaussian pre-activation that is a standard deviation
    of 4.4 for tanh and 8.9 for sigmoid; an ordinary start has 1 or less, and the share is below
    0.3 %. The healthy runs of `results/runs.md` ended below a third in hidden layers.

    ## Why it hurts
    The gradient of an entry is multiplied by its slope, so what has drifted out stays there.

    ## When it stays silent
    Where the loss has fallen and kept most of the gain: a network that has learned to decide may
    be sure of itself, and so may an output, which is not looked at.

    ## False alarms
    Gates written as modules, in a network that has not learned yet.

    ## What helps
    A smaller learning rate, inputs at unit scale, a normalisation in front of the activation,
    weight decay.

    ## Source
    Glorot and Bengio (2010), section 3, who watched saturation over training. The limit is
    derived above.
    """

    code: ClassVar[str] = "UV605"
    name: ClassVar[str] = "saturation-drift"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset(
        {LayerQuantity.SATURATED_FRACTION}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["glorot2010"],)

    max_fraction: float = 0.5
    min_grown: float = 0.25

    def examine(self, run: RunRecording) -> Verdict:
        """Compare the saturation of every hidden activation with what it was at first."""
        series = {
            layer: samples
            for layer in run.layers
            if (samples := samples_of(run, LayerQuantity.SATURATED_FRACTION, layer))
        }
        if not series:
            if sees_activations(run) and not any(map(_has_flat_ends, run.layers)):
                return NotApplicable("no watched activation has flat ends")
            return NotMeasured("saturation of activations")
        series = {layer: samples for layer, samples in series.items() if is_hidden(run, layer)}
        if not series:
            return NotApplicable("only the output has flat ends")
        if all(len(samples) < 3 for samples in series.values()):
            return NotMeasured("saturation of activations in three sampled steps")
        drifted: dict[WatchedLayer, tuple[Stretch, float, float]] = {}
        waiting = -1
        for layer, samples in series.items():
            usual = min(share for _, share in samples[: max(1, len(samples) // 2)])
            limit = max(self.max_fraction, usual + self.min_grown)
            held = [(step, share > limit) for step, share in samples]
            stretch = lasting(held)
            waiting = max(waiting, unsettled(held))
            if stretch is not None:
                drifted[layer] = (since_jump(run, stretch), samples[-1][1], usual)
        progress = progress_of(run)
        is_learned = progress is not None and progress.is_learned
        if drifted and not is_learned:
            return Found((self._finding(drifted, len(series)),))
        if waiting >= 0 and not is_learned:
            return NotMeasured(f"a third sample since step {waiting:,}: activations saturate")
        most = max(samples[-1][1] for samples in series.values())
        return Clear(
            max(0.0, self.max_fraction - most),
            "fraction of entries",
            f"at the last sample at most {percent(most)} of the entries of a hidden activation "
            "are saturated" + (", and the loss has come down" if drifted else ""),
        )

    def _finding(
        self, drifted: dict[WatchedLayer, tuple[Stretch, float, float]], watched: int
    ) -> Finding:
        first = min(drifted.values(), key=lambda one: one[0].step)[0]
        worst = max(drifted, key=lambda layer: drifted[layer][1])
        _, share, usual = drifted[worst]
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR if 2 * len(drifted) > watched else Severity.WARNING,
            message=f"{percent(share)} of {named([worst])} is saturated, {percent(usual)} at first"
            + (f"; {len(drifted)} of {watched} activations drift" if len(drifted) > 1 else ""),
            sites=sites_of(drifted),
            measured=share,
            expected=usual,
            limit=max(self.max_fraction, usual + self.min_grown),
            unit="fraction of entries",
            causes=(Cause.SATURATION, Cause.LEARNING_RATE),
            notes=(
                *first.notes,
                *([f"all of them: {named(list(drifted), most=6)}"] if len(drifted) > 1 else []),
            ),
            help=(
                "lower the learning rate, and begin again from before that step",
                "torch.nn.LayerNorm(width) in front of the activation keeps it where it has slope",
            ),
            step=first.step,
        )


def _has_flat_ends(layer: WatchedLayer) -> bool:
    return bool({layer.module.casefold(), layer.function.casefold()} & _FLAT)

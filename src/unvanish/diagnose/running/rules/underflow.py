"""UV609: gradients too small for the number format, with and without a loss scaler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import EventKind, RunRecording, WatchedLayer
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.running.course import (
    Stretch,
    lasting,
    named,
    samples_of,
    sites_of,
)
from unvanish.diagnose.running.losses import progress_of
from unvanish.diagnose.words import percent

_SHORT: Final = frozenset({"float16", "bfloat16"})


@final
@dataclass(frozen=True, kw_only=True)
class UnderflowInRun:
    """The gradient is lost to the number format, or the loss scale has gone down to nothing.

    ## What it measures
    - The share of the entries of the gradient behind each layer, as the backward pass held it,
      that are below the least normal number of their format; in 16 bits zeros count too, since
      they cannot be told from what was rounded to zero. ReLU alone makes half of them zero, and
      dropout of a half another quarter, so the limit is nine tenths (`max_fraction`), in at
      least half of the watched layers, three samples in a row and up to the last.
    - The loss scale. It begins at 65,536 and is halved when a gradient is not finite. Down at 1
      (`min_scale`) or below it scales nothing any more.
    - The steps that the scaler left out. It leaves out one step in 2,000 by design, a dozen at
      first; a tenth (`max_skipped`) of the second half of the run is a gradient that is not finite
      at any scale.

    ## Why it hurts
    Weights whose gradient is rounded to zero do not learn, and a skipped step is a step less.

    ## When it stays silent
    In float32 and float64 without autocast, unless gradients below their range were measured
    there. Where all is learned and the loss has come down, the gradient may vanish in any format.

    ## False alarms
    Very sparse gradients: embeddings, or a loss that concerns few entries.

    ## What helps
    Without a scaler: torch.amp.GradScaler, or bfloat16, which has the range of float32. With one
    whose scale goes down: look for the operation that overflows, and keep it in float32.

    ## Source
    Micikevicius and others (2018), section 3.2.
    """

    code: ClassVar[str] = "UV609"
    name: ClassVar[str] = "underflow-in-the-run"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["micikevicius2018"],)

    max_fraction: float = 0.9
    min_scale: float = 1.0
    max_skipped: float = 0.1

    def examine(self, run: RunRecording) -> Verdict:
        """Judge the scale first, then what is lost."""
        scales = run.over(StepQuantity.LOSS_SCALE)
        fixed = len({scale for _, scale in scales}) == 1
        is_short = {run.conditions.dtype, run.conditions.autocast} & _SHORT
        series = {
            layer: samples
            for layer in run.layers
            if len(samples := samples_of(run, LayerQuantity.UNDERFLOW_FRACTION, layer)) >= 3
        }
        if not series and not scales:
            if not is_short:
                return NotApplicable("the gradients are not of 16 bits")
            return NotMeasured("underflow of gradients in three sampled steps")
        skipped = self._skipped(run)
        if skipped is not None:
            return Found((skipped,))
        low = lasting([(step, scale <= self.min_scale) for step, scale in scales], least=2)
        if low is not None and not fixed:
            return Found((self._collapsed(run, scales, low),))
        lost = {
            layer: stretch
            for layer, samples in series.items()
            if (stretch := lasting([(s, share > self.max_fraction) for s, share in samples]))
        }
        progress = progress_of(run)
        is_settled = progress is not None and progress.is_learned
        if lost and 2 * len(lost) >= len(series) and not is_settled:
            return Found((self._underflow(run, lost, series, scales),))
        most = max((samples[-1][1] for samples in series.values()), default=0.0)
        words = f"at most {percent(most)} of a gradient is below the range of its format"
        if scales:
            words += f"; the loss scale is {scales[-1][1]:g}"
        return Clear(max(0.0, self.max_fraction - most), "fraction of entries", words)

    def _skipped(self, run: RunRecording) -> Finding | None:
        steps = [event.step for event in run.events if event.kind is EventKind.SKIPPED]
        half = run.last_step // 2
        late = [step for step in steps if step > half]
        share = len(late) / max(1, run.last_step - half)
        if len(late) < 8 or share <= self.max_skipped:
            return None
        since = late[0]
        for step in reversed(steps):
            if since - step > 1.0 / self.max_skipped:
                break
            since = min(since, step)
        sound = since - 1
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"the loss scaler leaves out {percent(share)} of the steps: the gradient is "
            "not finite at any scale",
            measured=share,
            expected=1 / 2000,
            limit=self.max_skipped,
            unit="fraction of the steps",
            causes=(Cause.PRECISION,),
            notes=(
                f"began at step {since:,}"
                + (f" (last step that was taken before: {sound:,})" if sound >= 0 else ""),
            ),
            help=(
                "look for the operation that overflows, and keep it in float32: "
                'with torch.autocast("cuda", enabled=False): ...',
                "or use bfloat16, which needs no scaler",
            ),
            step=since,
        )

    def _collapsed(
        self, run: RunRecording, scales: Sequence[tuple[int, float]], low: Stretch
    ) -> Finding:
        skipped = sum(event.kind is EventKind.SKIPPED for event in run.events)
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"the loss scale has gone down to {scales[-1][1]:g}, from {scales[0][1]:g}: it "
            "keeps no gradient from underflow any more",
            measured=scales[-1][1],
            expected=scales[0][1],
            limit=2.0 * self.min_scale,
            unit="loss scale",
            causes=(Cause.PRECISION,),
            notes=(
                *low.notes,
                *([f"{skipped} steps were left out on the way"] if skipped else []),
            ),
            help=(
                "look for the operation that overflows, and keep it in float32: "
                'with torch.autocast("cuda", enabled=False): ...',
                "or use bfloat16, which needs no scaler",
            ),
            step=low.step,
        )

    def _underflow(
        self,
        run: RunRecording,
        lost: dict[WatchedLayer, Stretch],
        series: dict[WatchedLayer, list[tuple[int, float]]],
        scales: Sequence[tuple[int, float]],
    ) -> Finding:
        first = min(lost.values(), key=lambda one: one.step)
        worst = max(lost, key=lambda layer: series[layer][-1][1])
        kind = run.conditions.autocast or run.conditions.dtype
        way: tuple[str, ...]
        if scales:
            way = (f"the loss scale of {scales[-1][1]:g} is too small: let it start at 65,536",)
        else:
            way = (
                "scale the loss: scaler = torch.amp.GradScaler(); scaler.scale(loss).backward(); "
                "scaler.step(optimizer); scaler.update()",
            )
        if kind != "bfloat16":
            way = (*way, "or use bfloat16, which has the range of float32")
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"{percent(series[worst][-1][1])} of the gradient behind {named([worst])} is "
            f"below the range of {kind}; {len(lost)} of {len(series)} layers lose theirs",
            sites=sites_of(lost),
            measured=series[worst][-1][1],
            expected=0.5,
            limit=self.max_fraction,
            unit="fraction of entries",
            causes=(Cause.PRECISION,),
            notes=(*first.notes, f"all of them: {named(list(lost), most=6)}"),
            help=way,
            step=first.step,
        )

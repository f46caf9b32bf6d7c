"""UV610: clipping that is always active."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.running.course import end_of_numbers, when
from unvanish.diagnose.words import percent

_FEWEST: Final = 8
_TOUCHED: Final = 0.005
"""Decades; less than 1 % is the rounding of a norm."""

_IN_PROPORTION: Final = frozenset({"SGD", "ASGD"})
"""Optimisers whose step is in proportion to the gradient."""


@final
@dataclass(frozen=True, kw_only=True)
class ClippingAlwaysActive:
    """The gradient is clipped at every step, and by far.

    ## What it measures
    The norm of the whole gradient before clipping over the norm that the optimiser gets, at every
    sampled step. Clipping is active where the two differ by more than 1 %. It is always active
    where that is so in 95 % (`min_share`) of the samples after the first quarter of the run (the
    last eight of a short one), and by far where the median ratio is ten or more (`min_ratio`).

    Clipping is made for the rare long gradient. Where it is always active by a ratio r, every step
    has the same length whatever the gradient says, and gradient descent runs at a learning rate
    that is r times smaller than the one written down. A ratio below ten is within what learning
    rates are tuned by anyway, and usual for transformers: it is clear.

    ## Why it hurts
    The learning rate is not the one that was set, a schedule acts on something else than it says,
    and near the minimum the steps do not become shorter with the gradient.

    ## When it stays silent
    Without clipping. With ratios below ten.

    ## False alarms
    Optimisers of the kind of Adam divide by the size of the gradient themselves, so that a
    constant ratio changes nothing: there it is a note. Clipping as normalisation, on purpose.

    ## What helps
    A bound near the usual norm, which the finding names, and a learning rate to go with it.

    ## Source
    Pascanu, Mikolov and Bengio (2013), section 3.2. The limit follows as told above.
    """

    code: ClassVar[str] = "UV610"
    name: ClassVar[str] = "clipping-always-active"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset(
        {StepQuantity.LOG10_GRAD_NORM, StepQuantity.LOG10_CLIPPED_GRAD_NORM}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["pascanu2013"],)

    min_share: float = 0.95
    min_ratio: float = 10.0

    def examine(self, run: RunRecording) -> Verdict:
        """Compare the gradient before clipping with the one the optimiser gets."""
        end = end_of_numbers(run)
        clipped = dict(run.over(StepQuantity.LOG10_CLIPPED_GRAD_NORM))
        ratios = [
            (step, norm - clipped[step])
            for step, norm in run.over(StepQuantity.LOG10_GRAD_NORM)
            if step in clipped and step < end and math.isfinite(norm - clipped[step])
        ]
        if ratios and all(ratio < _TOUCHED for _, ratio in ratios):
            return NotApplicable("the gradient is not clipped")
        late = [(s, r) for s, r in ratios if 4 * s >= ratios[-1][0]]
        if len(late) < _FEWEST:
            late = ratios[-_FEWEST:]
        if len(late) < _FEWEST:
            return NotMeasured("the gradient before and after clipping at eight samples")
        share = sum(ratio > _TOUCHED for _, ratio in late) / len(late)
        usual = 10.0 ** min(median(ratio for _, ratio in late), 300.0)
        if share >= self.min_share and usual >= self.min_ratio:
            return Found((self._finding(run, ratios, late, share, usual),))
        return Clear(
            max(0.0, math.log10(self.min_ratio / usual)),
            "decades",
            f"the gradient is clipped in {percent(share)} of the samples, by {usual:.2g} in the "
            "median",
        )

    def _finding(
        self,
        run: RunRecording,
        ratios: list[tuple[int, float]],
        late: list[tuple[int, float]],
        share: float,
        usual: float,
    ) -> Finding:
        size = f"to 1/{usual:,.0f} of" if usual < 1e6 else "to less than a millionth of"
        optimizers = [one.name for one in run.conditions.optimizers]
        plain = any(name in _IN_PROPORTION for name in optimizers)
        norms = dict(run.over(StepQuantity.LOG10_GRAD_NORM))
        bound = 10.0 ** median(norms[step] for step, _ in late)
        loose = [step for step, ratio in ratios if ratio <= _TOUCHED]
        since = next(
            step for step, _ in ratios if not loose or step > loose[-1] or step >= late[0][0]
        )
        sound = max((step for step in loose if step < since), default=-1)
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING if plain else Severity.NOTE,
            message=f"the gradient is clipped in {percent(share)} of the samples, {size} its norm",
            measured=usual,
            expected=1.0,
            limit=math.nextafter(self.min_ratio, 0.0),
            unit="times",
            causes=(Cause.LEARNING_RATE,),
            notes=(
                *when(since, sound, late[-1][0], len(late)),
                f"the learning rate is in effect {usual:.2g} times smaller than the one set"
                if plain
                else "the optimiser divides by the size of the gradient itself, so the steps are "
                "no smaller for it",
            ),
            help=(
                f"clip at {bound:.2g} or above, which is the usual norm of this gradient",
                *([f"and divide the learning rate by up to {usual:.2g}"] if plain else []),
            ),
            step=since,
        )

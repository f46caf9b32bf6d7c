"""UV509: running statistics that do not describe what a network meets in evaluation mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.running_statistics import (
    LARGEST_SHARE,
    LONGEST_MEMORY,
    SETTLED,
    RunningStatistics,
)
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict

_USUAL: Final = "momentum=0.1, which is PyTorch's own"
_OTHER_WORD: Final = (
    "PyTorch's momentum is the share of the new batch; the momentum of Keras, the decay of "
    "TensorFlow and of JAX's libraries are the share of what is kept, 1 minus it"
)
_FAR: Final = 2.0
"""Times by which values come out larger or smaller in evaluation mode, from where on it is said."""


@final
@dataclass(frozen=True, kw_only=True)
class LaggingStatistics:
    """Normalisations keep running statistics that lag, forget at once, or never move.

    ## What it measures
    BatchNorm normalises by the batch in training mode, and by a running mean and variance in
    evaluation mode. For every normalisation that keeps them, the rule reads the momentum m, the
    batches that were counted, whether the statistics are still at 0 and 1, and how far the probe
    batches lie apart in their means.

    With m = 0 and statistics at 0 and 1 it is an error: they stay there. A running mean has
    m / (2 - m) of the variance of one batch's statistics. Where that is 0.8 or more, from m = 0.89
    on, it is the last batch's and nothing else; that is a warning where the means of batches lie
    0.3 deviations or more apart (`min_spread`), root mean square over the channels of one of them,
    as those of eleven independent samples do, and a note elsewhere. Where 1 / m is more than 1000
    batches, it is a note until three times as many have been counted: only then is no more than a
    twentieth left of what the statistics began with. So is a normalisation that is in evaluation
    mode within a network in training mode, with statistics at 0 and 1: it does nothing.

    The limit on the spread comes from an MLP and a CNN on digits, 1000 steps of Adam, two seeds,
    batches of 2 to 128 samples, of all classes or of three (the MLP) or one (the CNN) of them. In
    the nine settings with a spread of 0.3 or more, a momentum of 0.99 costs 0.036 to 0.48 of the
    accuracy that 0.1 has in evaluation mode; in the other fifteen it costs 0.015 or less.

    ## Why it hurts
    The loss sinks in training, where the batch is used, and the network answers with rubbish as
    soon as it is asked in evaluation mode. The gradient is sound, so nothing else shows it. In the
    plate reader of benchmarks/outside_cures/kappa, with momentum 0.0003 and pixels up to 255, one
    plate in a hundred is read after 500 steps, and every one is with 0.1.

    ## When it stays silent
    On networks in evaluation mode; on momenta from 0.001 to 0.88, and None, the mean over all
    batches; on statistics that were loaded or have settled; on normalisations without them.

    ## False alarms
    A network that is never asked in evaluation mode, as in some meta-learning, may have any
    momentum. A small momentum is right for a long training: torchvision's MnasNet has 0.0003.
    Statistics that are computed in a pass of their own after the training
    (`torch.optim.swa_utils.update_bn`) make the momentum in training no matter.

    ## What helps
    The remedy `running-statistics`: momentum 0.1. A number from Keras or TensorFlow, such as 0.99,
    becomes 1 minus it. For a network that has been trained, `update_bn` sets the statistics right.

    ## Source
    Ioffe and Szegedy (2015), algorithm 2, for statistics of the whole data in evaluation; Paszke
    and others (2019), whose documentation of BatchNorm defines its momentum. The limits were
    chosen, the one on the spread from the runs above.
    """

    code: ClassVar[str] = "UV509"
    name: ClassVar[str] = "lagging-statistics"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["ioffe2015"], SOURCES["paszke2019"])

    min_spread: float = 0.3

    def examine(self, recording: Recording) -> Verdict:
        """Judge what every normalisation keeps, by its momentum and by what the batches say."""
        kept = recording.running_statistics
        if not kept:
            return NotApplicable("no normalisation keeps running statistics")
        if any(one.site not in range(len(recording.sites)) for one in kept):
            return NotMeasured("the steps that keep running statistics")
        if not recording.context.training:
            return NotApplicable("the network is in evaluation mode, and computes with them")
        kinds: tuple[tuple[Callable[[RunningStatistics], bool], _Told], ...] = (
            (lambda one: one.never_moves, self._never_moves),
            (lambda one: one.is_one_batch, self._one_batch),
            (lambda one: one.lags_after(0), self._slow),
            (lambda one: one.is_shut, self._shut),
        )
        found = [tell(recording, those) for fits, tell in kinds if (those := [*filter(fits, kept)])]
        if found:
            return Found(tuple(found))
        return Clear(summary=f"{_count(kept)} {_keep(kept)} running statistics {_over(kept)}")

    def _never_moves(self, recording: Recording, those: Sequence[RunningStatistics]) -> Finding:
        return self._finding(
            recording,
            those,
            Severity.ERROR,
            f"momentum 0 leaves the running statistics of {_count(those)} at mean 0 and variance 1 "
            "for ever",
            measured=1.0,
            expected=0.0,
            limit=math.exp(-SETTLED),
            unit="of the first statistics are left after any training",
            notes=_evaluated(those),
            help=(f"write {_USUAL}",),
        )

    def _one_batch(self, recording: Recording, those: Sequence[RunningStatistics]) -> Finding:
        largest = max(those, key=lambda one: one.share)
        those = sorted(those, key=lambda one: -1.0 if math.isnan(one.spread) else one.spread)[::-1]
        known = [one for one in those if not math.isnan(one.spread)]
        is_far = bool(known) and known[0].spread >= self.min_spread
        apart = "how far batches differ was not seen: it takes two"
        if known:
            apart = f"the means of batches lie {known[0].spread:.2g} deviations apart"
            apart += "" if is_far else ", which may be little enough"
        other = round(1.0 - largest.momentum, 6)
        meant = f"write {_USUAL}"
        if other > 0.0:
            meant = f"write momentum={other:g}, if {largest.momentum:.4g} was to be kept"
        return self._finding(
            recording,
            those,
            Severity.WARNING if is_far else Severity.NOTE,
            f"with momentum {largest.momentum:.4g} the running statistics of {_count(those)} are "
            "those of the last batch alone",
            measured=largest.share,
            expected=0.1 / 1.9,
            limit=LARGEST_SHARE,
            unit="of the variance of one batch's statistics",
            notes=(apart, _OTHER_WORD),
            help=(meant, "or let the remedy running-statistics set it"),
        )

    def _slow(self, recording: Recording, those: Sequence[RunningStatistics]) -> Finding:
        slowest = max(those, key=lambda one: one.memory)
        return self._finding(
            recording,
            those,
            Severity.NOTE,
            f"with momentum {slowest.momentum:.2g} the running statistics of {_count(those)} take "
            f"{slowest.memory:,.0f} batches to forget two thirds of their start, and "
            f"{slowest.tracked:,} have been counted",
            measured=slowest.memory,
            expected=10.0,
            limit=LONGEST_MEMORY,
            unit="batches",
            notes=[
                *_evaluated(those),
                f"a training of {3 * slowest.memory:,.0f} batches and more needs no change",
                _OTHER_WORD,
            ],
            help=(f"for a shorter training write {_USUAL}",),
        )

    def _shut(self, recording: Recording, those: Sequence[RunningStatistics]) -> Finding:
        return self._finding(
            recording,
            those,
            Severity.NOTE,
            f"{_count(those)} {'is' if len(those) == 1 else 'are'} in evaluation mode with mean 0 "
            "and variance 1: nothing is normalised there",
            measured=float(len(those)),
            expected=0.0,
            limit=0.0,
            unit="normalisations",
            notes=["the rest of the network is in training mode"],
            help=(
                "load what they learnt before they are frozen",
                "or leave them in training mode: module.train()",
            ),
        )

    def _finding(
        self,
        recording: Recording,
        those: Sequence[RunningStatistics],
        severity: Severity,
        message: str,
        *,
        measured: float,
        expected: float,
        limit: float,
        unit: str,
        notes: Sequence[str],
        help: tuple[str, ...],
    ) -> Finding:
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=message,
            sites=tuple(recording.sites[one.site] for one in those),
            measured=measured,
            expected=expected,
            limit=limit,
            unit=unit,
            causes=(Cause.RUNNING_STATISTICS,),
            notes=tuple(notes),
            help=help,
        )


_Told = Callable[[Recording, Sequence[RunningStatistics]], Finding]


def _count(those: Sequence[RunningStatistics]) -> str:
    return f"{len(those)} normalisation{'s' * (len(those) != 1)}"


def _keep(those: Sequence[RunningStatistics]) -> str:
    return "keeps" if len(those) == 1 else "keep"


def _over(kept: Sequence[RunningStatistics]) -> str:
    """Say over how many batches the statistics are taken."""
    known = [one.memory for one in kept if not math.isnan(one.memory)]
    if len(known) < len(kept):
        return "over all batches" if not known else "over several batches"
    low, high = min(known), max(known)
    return f"over {low:.3g} batches" + (f" to {high:.3g}" if high > low else "")


def _evaluated(those: Sequence[RunningStatistics]) -> list[str]:
    """Say what evaluation mode would make of the first batch, where that is far from the truth."""
    known = [one.evaluation_rms for one in those if one.evaluation_rms > 0.0]
    worst = max(known, key=lambda size: abs(math.log(size)), default=math.nan)
    if not (worst >= _FAR or worst <= 1.0 / _FAR):
        return []
    return [f"as it stands, evaluation mode makes values {worst:.2g} times as large as training"]

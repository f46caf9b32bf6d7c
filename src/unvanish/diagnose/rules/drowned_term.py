"""UV508: a loss of several terms, one of which is not learnt for the gradient of another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.conditions import LossTerm, TermTrial
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.loss_terms import decades_behind, most_drowned, named_term
from unvanish.core.records import Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict


@final
@dataclass(frozen=True, kw_only=True)
class DrownedTerm:
    """One term of the loss drowns another, which is not learnt.

    ## What it measures
    A loss that adds up several terms hands each parameter the sum of their gradients. For every
    term the gradient is measured alone, and two are compared at the parameters that both reach. A
    term that measures the distance of an answer from data, and whose gradient there is less than a
    third of another one's, may be drowned.

    Whether it is, is asked of training. Two copies take up to 250 steps on the probe batches with
    the user's own optimiser: one as the loss is, one with the gradient of the drowned term scaled
    up to that of the loudest one. After them the term is read twice, with each answer beside its
    own target and beside that of another sample. Where the first of the two is at least 0.98 of the
    second (`min_share_drowned`), nothing was learnt about the inputs. It is a warning where that
    holds of the first copy, and where the second one has it at 0.95 or less
    (`max_share_balanced`), and lower than the first one does. Where there are no targets to
    exchange, the term has to stay at 0.9 of its first value in the first copy
    (`min_share_unmatched`), and to sink to half of what is left in the second one
    (`max_share_unmatched`).

    ## Why it hurts
    An autoencoder whose prior weighs more than its reconstruction gives up its code, and answers
    with the mean of the data. Of two tasks with errors in different units the network learns one.
    The loss sinks all the same, since the louder term does.

    ## When it stays silent
    On losses of one term or of more than eight; on a drowned penalty, which is small on purpose;
    on terms that compare with the same data, such as auxiliary heads; on terms that share no
    parameters; on distances that are written out by hand as sums of logarithms, and on those that
    compare with constants; where the term is learnt as it is, or not learnt either way, as in a
    network that has been trained until it collapsed; and on networks of more than 20 million
    parameters or too slow for the steps.

    ## False alarms
    A term that is meant to come later, when a schedule has raised its weight or the other terms
    have been learnt. 250 steps say nothing about that.

    ## What helps
    The factor in the help line, or the remedy `loss-balancing`. More often than not a mean stands
    beside a sum: reduce both over the same axes. Targets in large units become standardised ones. A
    prior may begin with a factor of zero that rises to one.

    ## Source
    Bowman and others (2016), section 3.1, on a prior that drowns the reconstruction, and the rising
    factor; Chen and others (2018) on the balance of gradients at shared parameters; Wang, Teng and
    Perdikaris (2021) on boundary terms that a residual drowns. The limits were chosen.
    """

    code: ClassVar[str] = "UV508"
    name: ClassVar[str] = "drowned-term"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["bowman2016"],
        SOURCES["chen2018"],
        SOURCES["wang2021"],
    )

    min_share_drowned: float = 0.98
    max_share_balanced: float = 0.95
    min_share_unmatched: float = 0.9
    max_share_unmatched: float = 0.5

    def examine(self, recording: Recording) -> Verdict:
        """Compare what becomes of the quietest term with what would, were it heard."""
        terms, trial = recording.terms, recording.term_trial
        if len(terms) < 2:
            return NotApplicable("the loss is one term, or its terms could not be told apart")
        if any(
            len(t.log10_grads) != len(terms) or t.site not in _indices(recording) for t in terms
        ):
            return NotMeasured("the gradients of the terms of the loss")
        drowned = most_drowned(terms)
        if drowned is None:
            return Clear(summary=f"none of {len(terms)} terms of the loss drowns another")
        said = f"{named_term(recording, terms[drowned])} gets a small share of the gradient"
        if trial is None or trial.term != drowned:
            return Clear(summary=f"{said}; whether it is learnt was not tried")
        if not self._is_drowned(trial):
            return Clear(summary=f"{said}, and is no better off with more of it")
        return Found((self._finding(recording, trial),))

    def _is_drowned(self, trial: TermTrial) -> bool:
        """Tell whether the term is learnt only where it is heard."""
        if trial.is_compared:
            return (
                trial.left >= self.min_share_drowned
                and trial.balanced_left <= self.max_share_balanced
                and trial.balanced < trial.after
            )
        least = min(trial.before, trial.after)
        return (
            trial.left >= self.min_share_unmatched
            and trial.balanced <= self.max_share_unmatched * least
        )

    def _finding(self, recording: Recording, trial: TermTrial) -> Finding:
        terms = recording.terms
        term = terms[trial.term]
        behind = [decades_behind(terms, trial.term, i) for i in range(len(terms))]
        loudest = terms[max(range(len(terms)), key=lambda i: behind[i])]
        named, louder = named_term(recording, term), named_term(recording, loudest)
        nothing = trial.mismatched if trial.is_compared else trial.before
        judged = "beside the targets of other samples" if trial.is_compared else "at the start"
        balanced = trial.balanced_mismatched if trial.is_compared else trial.before
        notes = [
            f"after {trial.steps} steps on the batches at hand it is {trial.after:.3g}, and "
            f"{nothing:.3g} {judged}: nothing of it was learnt",
            f"with its gradient as large as the other's it is {trial.balanced:.3g}, and "
            f"{balanced:.3g} {judged}",
        ]
        if math.isfinite(term.value) and math.isfinite(loudest.value):
            notes.append(
                f"to the first loss {named} adds {term.value:.3g}, {louder} {loudest.value:.3g}"
            )
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"{louder} drowns {named}, which is not learnt: its gradient is "
            f"{10.0 ** max(behind):.3g} times as large where they share parameters",
            sites=(_site(recording, term), _site(recording, loudest)),
            measured=trial.left,
            expected=trial.balanced_left,
            limit=self.min_share_drowned if trial.is_compared else self.min_share_unmatched,
            unit="of the term where nothing is learnt",
            causes=(Cause.LOSS_SATURATION,),
            notes=tuple(notes),
            help=(
                f"multiply {named} by {trial.factor:.3g}, or {louder} by {1.0 / trial.factor:.2g}",
                "or reduce both terms over the same axes: a mean beside a sum weighs less by as "
                "many entries as it averages",
            ),
        )


def _indices(recording: Recording) -> range:
    return range(len(recording.sites))


def _site(recording: Recording, term: LossTerm) -> Site:
    return recording.sites[term.site]

"""Loss balancing: a term of the loss is raised until its gradient is heard beside the others'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.errors import UnvanishError
from unvanish.core.loss_terms import LEAST_DECADES, decades_behind, most_drowned, named_term
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.observe.batch import own_loss
from unvanish.treat.balancing import BalancedLoss, OneTerm
from unvanish.treat.losses import line_of, output_of, spoken
from unvanish.treat.precision import set_loss
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class LossBalancing:
    """Multiply the term of a loss that the others drown, until its gradient leads.

    ## When to use
    A loss that adds up several terms, of which one that fits data gets so small a share of the
    gradient that it is not learnt (UV508): the reconstruction of an autoencoder beside a prior that
    is summed where the reconstruction is averaged, a task beside another in larger units, boundary
    conditions beside a residual.

    ## What it changes
    The loss: the term is multiplied by a factor, all else is added up as before. The terms are
    found as the loss runs, by the sums at its end. The network, its weights and its answers stay.

    ## What it costs
    The loss that is printed has other values, and its weights are no longer the ones you chose: a
    prior that weighs less holds the code less. A backward pass over the last sums of the loss: a
    network of two layers takes up to twice the time for a step, larger ones hardly more.

    ## Settings
    factor: what the term is multiplied by: the largest ratio of the norms of the gradients of
    another term and of this one, at the parameters where both have one, times the square root of
    ten. term: which of the terms, from 0. terms: how many there are.

    ## Where we differ
    GradNorm learns such factors anew at every step, with a target for the rate at which each task
    improves. Ours is set once, before the first step, and the louder terms are not lowered: a
    learning rate that suits the loudest gradient goes on to suit the sum. Nor are the gradients
    made equal: the raised one leads by half a decade, the most at which UV508 calls no other term
    drowned. A small autoencoder (600 steps of Adam at 5e-3, five seeds) has an error of 0.34 to
    0.56 with equal ones and of 0.21 to 0.23 with ours, of 0.57 untreated: see the slow test in
    tests/treat/remedies/test_loss_balancing.py.

    ## Composes with
    Every other remedy; it comes before those that change the optimiser.

    ## Evidence
    Autoencoders of digits whose prior is summed and whose reconstruction is averaged, trained as
    their authors do, seeds 0, 1, 2, before and after `unvanish cure`: 0.80 of the variance of
    further digits is explained by the code in the place of none (benchmarks/outside_cures/kappa/
    digits_vae_hw4.py), and 0.25 to 0.27 is left unexplained in the place of all of it
    (benchmarks/outside_cures/lambda/digit_latents.py).

    ## Source
    Chen and others (2018), section 3; Wang, Teng and Perdikaris (2021), algorithm 1, of which this
    is the first step; Bowman and others (2016), section 3.1, on a prior that drowns.
    """

    name: ClassVar[str] = "loss-balancing"
    treats: ClassVar[frozenset[str]] = frozenset({"UV508"})
    change: ClassVar[Change] = Change.LOSS
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["chen2018"],
        SOURCES["wang2021"],
        SOURCES["bowman2016"],
    )
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset({"logits-loss", "non-saturating-gan"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a loss of several terms, one of which lies behind another."""
        recording = case.recording
        terms = recording.terms
        drowned = most_drowned(terms)
        if drowned is None:
            return NotApplicable(
                f"none of the {len(terms)} terms of the loss that fits data lies behind another"
                if terms
                else "the loss is one term, or its terms could not be told apart"
            )
        term = terms[drowned]
        said = named_term(recording, term)
        output = output_of(case)
        if own_loss(output) is not None:
            return NotApplicable(f"the network computes its own loss: multiply {said} there")
        alone = OneTerm(case.loss, drowned, len(terms), "", said)
        try:
            alone(output, case.batch.target)
        except UnvanishError as error:
            return NotApplicable(f"{error.what}: multiply {said} by hand")
        behind = max(decades_behind(terms, drowned, i) for i in range(len(terms)))
        factor = float(f"{10.0 ** (behind + LEAST_DECADES):.2g}")
        return Prescription(
            remedy=self.name,
            why=f"the gradient of {said} is {10.0**behind:.2g} times smaller than another term's",
            change=self.change,
            keeps=self.keeps,
            settings={"factor": factor, "term": drowned, "terms": len(terms)},
            cost="loss values are others, and other terms weigh less beside it",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the balanced loss in the place of the loss."""
        settings = prescription.settings
        factor = float(settings["factor"])
        recording = patient.anatomy.recording
        term = recording.terms[int(settings["term"])]
        said = named_term(recording, term)
        new = BalancedLoss(patient.loss, int(settings["term"]), int(settings["terms"]), factor)
        set_loss(
            patient,
            new,
            before=spoken(patient.loss),
            after=f"the loss, {said} times {factor:g}",
        )
        patient.notes.append(f"to keep it, multiply {said} by {factor:g}{line_of(new.loss)}")

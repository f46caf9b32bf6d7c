"""A target in the shape of the output that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.diagnose.rules.output_loss_pair import OutputLossPair, is_broadcast
from unvanish.observe.batch import main_output, own_loss
from unvanish.treat.losses import output_of, spoken
from unvanish.treat.matching import MatchedLoss, matched
from unvanish.treat.precision import set_loss
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class MatchShapes:
    """Compare each output with its own target, and not with those of the whole batch.

    ## When to use
    A regression whose output is a column, (N, 1), and whose target is a row, (N,), or the other way
    round (UV204). Broadcasting makes a table of N by N of them, and every output is drawn to the
    mean of all targets: the network learns that mean and nothing else.

    ## What it changes
    The loss is given `target.reshape(output.shape)`. The network and its answers stay.

    ## What it costs
    Nothing: there are fewer comparisons.

    ## Settings
    output, target: the shapes that do not fit.

    ## Where we differ
    PyTorch warns of it, in `mse_loss` and its kin alone, and computes the table.

    ## Composes with
    Every other remedy.

    ## Evidence
    A regression of two numbers a sample, 300 steps (tests/treat/remedies/test_match_shapes.py): the
    error falls below a twentieth of the variance of the target; it stays at all of it without.

    ## Source
    Harris and others (2020), on broadcasting.
    """

    name: ClassVar[str] = "match-shapes"
    treats: ClassVar[frozenset[str]] = frozenset({"UV204"})
    change: ClassVar[Change] = Change.LOSS
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["harris2020"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset({"logits-loss", "non-saturating-gan"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a loss that compares every output with every target."""
        verdict = OutputLossPair().examine(case.recording)
        findings = verdict.findings if isinstance(verdict, Found) else ()
        if not any(map(is_broadcast, findings)):
            return NotApplicable("every output is compared with its own target")
        target, output = case.batch.target, output_of(case)
        answers = main_output(output)
        if own_loss(output) is not None:
            return NotApplicable("the network computes its own loss: reshape the target there")
        if not isinstance(target, Tensor) or answers is None or matched(output, target) is target:
            return NotApplicable("the loss makes the shapes itself: reshape the target there")
        return Prescription(
            remedy=self.name,
            why=f"outputs of shape {tuple(answers.shape)} are compared with targets of shape "
            f"{tuple(target.shape)}, each with all",
            change=self.change,
            keeps=self.keeps,
            settings={"output": str(tuple(answers.shape)), "target": str(tuple(target.shape))},
            cost="nothing",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:  # noqa: ARG002
        """Put the loss behind a reshape of its target."""
        set_loss(
            patient,
            MatchedLoss(patient.loss),
            before=spoken(patient.loss),
            after="the loss, of target.reshape(output.shape)",
        )
        patient.notes.append("to keep it, write loss(output, target.reshape(output.shape))")

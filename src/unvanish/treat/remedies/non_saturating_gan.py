"""The generator's loss that keeps a gradient while the discriminator wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
import torch.nn.functional as F
from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.losses import Form, Known, Replacement, line_of, recognised
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.remedies.logits_loss import exchange_loss

_SCORES: Final = "non_saturating"
_PROBABILITIES: Final = "non_saturating_probabilities"
_FORMS: Final[dict[str, Form]] = {"minimax": lambda scores, _: F.logsigmoid(-scores).mean()}


@final
@dataclass(frozen=True, kw_only=True)
class NonSaturatingGan:
    r"""Let a generator maximise log D(G(z)) in place of minimising log(1 - D(G(z))).

    ## When to use
    A generator whose discriminator is certain (UV203). The loss of the minimax game,
    log(1 - D), has the gradient -D by the discriminator's score: nothing, when it matters most.
    That of -log D is -(1 - D).

    ## What it changes
    The loss, by the same constant factor. The network stays as it is. Both have the same fixed
    point.

    ## What it costs
    Nothing in time. It is no game of zero sum any more.

    ## Settings
    loss: ``non_saturating`` for a network that answers the discriminator's scores,
    ``non_saturating_probabilities`` for its probabilities. factor: what it is multiplied by. sums:
    whether it sums rather than takes the mean.

    ## Where we differ
    The loss is recognised by its answers, which can be done where it is a function of the
    discriminator's output alone: the turn of the generator. A step that trains both players at once
    is the user's own code, and is pointed at.

    ## Composes with
    Every remedy for the generator.

    ## Evidence
    At scores of -14 (a certain discriminator) the gradient by the score is 8.3e-7 with the one, and
    1 with the other. The zoo's generator on a ring of points, 300 steps of SGD, seed 0: all of its
    points are taken for real in the end (none before).

    ## Source
    Goodfellow and others (2014), section 3.
    """

    name: ClassVar[str] = "non-saturating-gan"
    treats: ClassVar[frozenset[str]] = frozenset({"UV203"})
    change: ClassVar[Change] = Change.LOSS
    keeps: ClassVar[frozenset[Keeps]] = frozenset(Keeps)
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["goodfellow2014"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset({"logits-loss", "drop-inner-softmax"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose loss is log(1 - D) of all that it answers."""
        if case.loss is None or isinstance(case.loss, str):
            return NotApplicable(
                "the loss is none of a generator: no log(1 - D(G(z))) is minimised"
            )
        kind = _SCORES
        known = recognised(case, _FORMS, _same)
        if known is None:
            kind, known = _PROBABILITIES, recognised(case, _FORMS, torch.sigmoid)
        if known is None or known.factor < 0.0:
            return NotApplicable(_pointed(case, known))
        return Prescription(
            remedy=self.name,
            why="the loss is log(1 - D) of the discriminator's answers, flat where it is certain",
            change=self.change,
            keeps=self.keeps,
            settings={"loss": kind, "factor": known.factor, "sums": known.sums},
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Exchange the loss."""
        settings = prescription.settings
        exchange_loss(
            patient,
            Replacement(
                kind=str(settings["loss"]),
                factor=abs(float(settings["factor"])),
                sums=bool(settings["sums"]),
            ),
        )


def _same(scores: Tensor) -> Tensor:
    return scores * 1.0


def _pointed(case: Case, known: Known | None) -> str:
    """Say why the loss is left alone, and what to write where it is a generator's after all."""
    where = line_of(case.loss)
    if known is not None:
        return f"the loss{where} is -log(1 - D): it is the discriminator's, and flat nowhere"
    return (
        f"the loss{where} is not log(1 - D(G(z))) of what the network answers; where a term of it "
        "is the generator's, write -torch.nn.functional.logsigmoid(scores).mean() in its place"
    )

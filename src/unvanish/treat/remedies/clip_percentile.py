"""AutoClip: the gradient is shortened to a percentile of its norms so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.optimising.exchange import EXCHANGES, KEEPS_ALL, attach, kind_of
from unvanish.treat.optimising.gradients import ClipPercentile
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class ClipByPercentile:
    """Shorten the gradient to a percentile of the norms it has had so far (AutoClip).

    ## When to use
    Single batches whose gradient is far longer than others', where nobody knows which norm is a
    sound one for this network and loss. It is offered for no finding, since a look at one batch
    sees no spikes: ask for it by name.

    ## What it changes
    The optimiser is put into a wrapper that notes the norm of each step's gradient and shortens it
    to the given percentile of all norms so far. The record is part of the state dict.

    ## What it costs
    A copy of the gradients while a step runs, and reading one number from the device in each step.

    ## Settings
    percentile: 10, the paper's.

    ## Where we differ
    A norm that is not finite is not noted. Norms are taken in float64, as in clip-norm.

    ## Composes with
    Every other remedy but clip-norm, which does the same with a fixed norm.

    ## Evidence
    A linear regression in which every 25th batch has a thousand times the gradient ends at a
    squared error below 2 after 100 steps, and above 1,000 without. On the exploding network of
    clip-norm's card the loss is no number with it, as without. It cures no vanishing. It knows no
    norm but the network's own, so a gradient that is too large from the first step on is kept at
    about the size it has: use clip-norm there.

    ## Source
    Seetharaman, Wichern, Pardo and Le Roux (2020), algorithm 1.
    """

    name: ClassVar[str] = "clip-percentile"
    treats: ClassVar[frozenset[str]] = frozenset()
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["seetharaman2020"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = frozenset({"clip-norm"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit every optimiser that does not ask for the gradient several times a step."""
        if kind_of(case) == "LBFGS":
            return NotApplicable("L-BFGS asks for several gradients a step, which are no record")
        return Prescription(
            remedy=self.name,
            why="a spike is cut down to what the gradient of this network usually is",
            change=self.change,
            keeps=self.keeps,
            settings={"percentile": 10.0},
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the clipping around the optimiser."""
        percentile = float(prescription.settings["percentile"])
        words = f"gradient norm at most the {percentile:g}th percentile of those so far"
        attach(patient, ClipPercentile(percentile), words)

"""GELU in the place of hidden functions that squash or die."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.exchanging import EXCHANGES, RECTIFIED, SQUASHING, exchange, prescribed
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class Gelu:
    r"""Exchange hidden functions that squash, and ReLUs, for GELU.

    ## When to use
    The function of most transformers: smooth, no kink, close to ReLU. For networks with
    normalisation or residual connections.

    ## What it changes
    Every hidden function of the kind is exchanged, a module or a call (`F.sigmoid`, ``x.tanh_()``,
    one kept in a dict or handed over as an argument). Functions of the output, of gates, of
    attention, of a loop over time and those inside of a recurrent layer stay. Weights stay.

    ## What it costs
    An error function for every entry. What the network has learnt is lost. No way back for units
    far below zero: at z = -5 the slope is -7e-6.

    ## Settings
    ``approximate``, "none" or "tanh".

    ## Where we differ
    None in the function. What it leaves alone follows from the wiring that was observed, not from
    names: a sigmoid that is only ever multiplied with other signal is a gate.

    ## Composes with
    critical, made afterwards (weights of variance 1.98305826 / fan-in, biases of variance
    0.17292239): with the variance 2 / fan-in of a ReLU, the signal of a deep stack collapses.
    Normalisation and residual connections.

    ## Evidence
    30 sigmoid layers of width 256 at PyTorch's start lose 25.5 decades of gradient, exchanged they
    lose 16.0 (theory 16.2), followed by critical .5 (theory 0).

    ## Source
    Hendrycks and Gimpel (2016).
    """

    name: ClassVar[str] = "gelu"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV103", "UV105", "UV201", "UV401"})
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["hendrycks2016"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = EXCHANGES - {"gelu"}

    approximate: str = "none"

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with such a function behind a hidden layer."""
        return prescribed(
            case,
            remedy=self.name,
            new="GELU",
            functions=SQUASHING | RECTIFIED,
            keeps=self.keeps,
            settings={"approximate": self.approximate},
            cost="what the network has learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put GELU in the place of each."""
        approximate = str(prescription.settings["approximate"])
        exchange(patient, prescription, lambda: nn.GELU(approximate=approximate))

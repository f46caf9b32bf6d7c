"""SiLU (swish) in the place of hidden functions that squash or die."""

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
class Silu:
    r"""Exchange hidden functions that squash, and ReLUs, for SiLU (swish).

    ## When to use
    The function of many convolutional networks and language models: x sigmoid(x), smooth, close to
    ReLU. For networks with normalisation or residual connections.

    ## What it changes
    Every hidden function of the kind is exchanged, a module or a call (`F.sigmoid`, ``x.tanh_()``,
    one kept in a dict or handed over as an argument). Functions of the output, of gates, of
    attention, of a loop over time and those inside of a recurrent layer stay. Weights stay.

    ## What it costs
    An exponential for every entry. What the network has learnt is lost. No way back for units far
    below zero.

    ## Settings
    None.

    ## Where we differ
    None in the function. What it leaves alone follows from the wiring that was observed, not from
    names: a sigmoid that is only ever multiplied with other signal is a gate.

    ## Composes with
    critical, made afterwards (weights of variance 1.98800468 / fan-in, biases of variance
    0.55514317): with the variance 2 / fan-in of a ReLU, the signal of a deep stack collapses.
    Normalisation and residual connections.

    ## Evidence
    30 sigmoid layers of width 256 at PyTorch's start lose 25.5 decades of gradient, exchanged they
    lose 16.1 (theory 16.2), followed by critical .5 (theory 0).

    ## Source
    Elfwing, Uchibe and Doya (2018); Ramachandran, Zoph and Le (2017).
    """

    name: ClassVar[str] = "silu"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV103", "UV105", "UV201", "UV401"})
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["elfwing2018"], SOURCES["ramachandran2017"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = EXCHANGES - {"silu"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with such a function behind a hidden layer."""
        return prescribed(
            case,
            remedy=self.name,
            new="SiLU",
            functions=SQUASHING | RECTIFIED,
            keeps=self.keeps,
            cost="what the network has learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put SiLU in the place of each."""
        exchange(patient, prescription, nn.SiLU)

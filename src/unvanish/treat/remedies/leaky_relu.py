"""LeakyReLU in the place of hidden functions that squash or die."""

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
class LeakyRelu:
    r"""Exchange hidden functions that squash, and ReLUs that die, for LeakyReLU.

    ## When to use
    Units of a ReLU network are silent on every sample and get no gradient, so that nothing brings
    them back; or functions that squash let the gradient vanish.

    ## What it changes
    Every hidden function of the kind is exchanged, a module or a call (`F.sigmoid`, ``x.tanh_()``,
    one kept in a dict or handed over as an argument). Functions of the output, of gates, of
    attention, of a loop over time and those inside of a recurrent layer stay. Weights stay. A
    weight that fed a dead ReLU gets a gradient from the next step on: the slope times that of a
    living unit.

    ## What it costs
    Nothing in time or memory. What a network of sigmoids or tanhs has learnt is lost.

    ## Settings
    ``negative_slope``, 0.01: the slope below zero. A larger one brings dead units back sooner and
    makes the network more linear.

    ## Where we differ
    None in the function. What it leaves alone follows from the wiring that was observed, not from
    names: a sigmoid that is only ever multiplied with other signal is a gate.

    ## Composes with
    he, which is made afterwards and counts the slope in; normalisation and residual connections.

    ## Evidence
    30 sigmoid layers of width 256 at PyTorch's start lose 25.5 decades of gradient, exchanged they
    lose 11.7 (theory 11.7), followed by he .2 (theory 0). No unit of a ReLU layer with biases of
    -30 is dead afterwards.

    ## Source
    Maas, Hannun and Ng (2013).
    """

    name: ClassVar[str] = "leaky-relu"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV103", "UV105", "UV201", "UV202", "UV401"}
    )
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["maas2013"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = EXCHANGES - {"leaky-relu"}

    negative_slope: float = 0.01

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with such a function behind a hidden layer."""
        return prescribed(
            case,
            remedy=self.name,
            new="LeakyReLU",
            functions=SQUASHING | RECTIFIED,
            keeps=self.keeps,
            settings={"negative_slope": self.negative_slope},
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put LeakyReLU in the place of each."""
        slope = float(prescription.settings["negative_slope"])
        exchange(patient, prescription, lambda: nn.LeakyReLU(slope))

"""PReLU, whose slope is learnt, in the place of hidden functions that squash or die."""

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
class Prelu:
    r"""Exchange hidden functions that squash, and ReLUs that die, for PReLU.

    ## When to use
    As leaky-relu, where it is not known how much slope is right: each place learns its own.

    ## What it changes
    Every hidden function of the kind is exchanged, a module or a call (`F.sigmoid`, ``x.tanh_()``,
    one kept in a dict or handed over as an argument). Functions of the output, of gates, of
    attention, of a loop over time and those inside of a recurrent layer stay. Weights stay. Each
    place gets one number, the slope below zero. It joins its layer's group in the optimiser.

    ## What it costs
    One parameter a place. What a network of sigmoids or tanhs has learnt is lost.

    ## Settings
    ``slope``, 0.25: where the slope below zero starts.

    ## Where we differ
    The paper learns one slope a channel, and as a variant one a layer; this is the latter, which
    fits signal of any layout. The paper gives it no weight decay; here it has that of its layer's
    group, which draws it towards a plain ReLU.

    ## Composes with
    he, which is made afterwards and counts the slope in; normalisation and residual connections.

    ## Evidence
    30 sigmoid layers of width 256 at PyTorch's start lose 25.5 decades of gradient, exchanged they
    lose 11.3 (theory 11.3), followed by he .2 (theory 0).

    ## Source
    He, Zhang, Ren and Sun (2015), section 2.1.
    """

    name: ClassVar[str] = "prelu"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV103", "UV105", "UV201", "UV202", "UV401"}
    )
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["he2015"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = EXCHANGES - {"prelu"}

    slope: float = 0.25

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with such a function behind a hidden layer."""
        return prescribed(
            case,
            remedy=self.name,
            new="PReLU",
            functions=SQUASHING | RECTIFIED,
            keeps=self.keeps,
            settings={"slope": self.slope},
            cost="one parameter a place",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put PReLU in the place of each."""
        slope = float(prescription.settings["slope"])
        exchange(patient, prescription, lambda: nn.PReLU(init=slope))

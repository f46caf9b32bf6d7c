"""ELU in the place of hidden functions that squash or die."""

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
class Elu:
    r"""Exchange hidden functions that squash, and ReLUs that die, for ELU.

    ## When to use
    As leaky-relu, where outputs centred near zero are wanted too: ELU is smooth at zero and goes to
    -alpha, which carries the mean of a layer towards zero.

    ## What it changes
    Every hidden function of the kind is exchanged, a module or a call (`F.sigmoid`, ``x.tanh_()``,
    one kept in a dict or handed over as an argument). Functions of the output, of gates, of
    attention, of a loop over time and those inside of a recurrent layer stay. Weights stay.

    ## What it costs
    An exponential for every entry below zero. A unit far below zero has a slope of exp(z): it comes
    back more slowly than with leaky-relu. What sigmoids or tanhs have learnt is lost.

    ## Settings
    ``alpha``, 1: minus the limit far below zero.

    ## Where we differ
    None in the function. What it leaves alone follows from the wiring that was observed, not from
    names: a sigmoid that is only ever multiplied with other signal is a gate.

    ## Composes with
    critical, made afterwards; normalisation and residual connections.

    ## Evidence
    30 sigmoid layers of width 256 at PyTorch's start lose 25.5 decades of gradient, exchanged they
    lose 7.5, followed by critical .2 (theory 0).

    ## Source
    Clevert, Unterthiner and Hochreiter (2016).
    """

    name: ClassVar[str] = "elu"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV103", "UV105", "UV201", "UV202", "UV401"}
    )
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["clevert2016"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = EXCHANGES - {"elu"}

    alpha: float = 1.0

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with such a function behind a hidden layer."""
        return prescribed(
            case,
            remedy=self.name,
            new="ELU",
            functions=SQUASHING | RECTIFIED,
            keeps=self.keeps,
            settings={"alpha": self.alpha},
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put ELU in the place of each."""
        alpha = float(prescription.settings["alpha"])
        exchange(patient, prescription, lambda: nn.ELU(alpha))

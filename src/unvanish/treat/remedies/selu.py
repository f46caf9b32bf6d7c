"""SELU in the place of hidden functions that squash or die."""

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
class Selu:
    r"""Exchange hidden functions that squash, and ReLUs that die, for SELU.

    ## When to use
    A network of linear layers without normalisation. With weights of variance 1 / fan-in, SELU
    holds the signal at mean 0 and variance 1 by itself.

    ## What it changes
    Every hidden function of the kind is exchanged, a module or a call (`F.sigmoid`, ``x.tanh_()``,
    one kept in a dict or handed over as an argument). Functions of the output, of gates, of
    attention, of a loop over time and those inside of a recurrent layer stay. Weights stay.

    ## What it costs
    An exponential for every entry below zero. What the network has learnt is lost. Over 30 layers
    the gradient grows 2.8 times (chi 1.0716 a layer).

    ## Settings
    None: both constants follow from the fixed point.

    ## Where we differ
    The exchange alone does not normalise: it asks for LeCun weights, drawn afterwards. PyTorch's
    default start gives a layer a third of that variance. Dropout is left as it is, where the paper
    takes alpha dropout.

    ## Composes with
    lecun, which it asks for and which is made afterwards; residual connections.

    ## Evidence
    30 sigmoid layers of width 256 at PyTorch's start lose 25.5 decades of gradient, exchanged they
    lose 3.0, followed by lecun the gradient grows by .50 (theory .45).

    ## Source
    Klambauer, Unterthiner, Mayr and Hochreiter (2017).
    """

    name: ClassVar[str] = "selu"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV103", "UV105", "UV201", "UV202", "UV401"}
    )
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["klambauer2017"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = EXCHANGES - {"selu"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with such a function behind a hidden layer."""
        return prescribed(
            case,
            remedy=self.name,
            new="SELU",
            functions=SQUASHING | RECTIFIED,
            keeps=self.keeps,
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put SELU in the place of each."""
        exchange(patient, prescription, nn.SELU)
        patient.notes.append(
            "SELU keeps the variance of the signal with weights of variance 1 / fan-in: "
            "draw them with lecun"
        )
        if any(isinstance(module, nn.Dropout) for module in patient.model.modules()):
            patient.notes.append(
                "plain dropout changes mean and variance; with SELU take nn.AlphaDropout"
            )

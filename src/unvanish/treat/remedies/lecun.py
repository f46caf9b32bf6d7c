"""LeCun initialisation: variance 1 / fan-in, the start that SELU is made for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.anatomy import Layer
from unvanish.treat.drawing import Layout, free, normal, redraw
from unvanish.treat.gains import EXCHANGES, STARTS
from unvanish.treat.protocol import Case, Patient

_FITTING: Final = frozenset({"selu", "tanh", "softsign", "hardtanh", "erf"})


@final
@dataclass(frozen=True, kw_only=True)
class LeCun:
    r"""Draw weights of variance 1 / fan-in, so that a unit's input has the variance of the data.

    ## When to use
    Networks of SELU, whose fixed point (mean 0, variance 1) holds for these weights only, and
    shallow networks of tanh and its kin.

    ## What it changes
    Weights of layers followed by SELU, tanh, softsign, hardtanh or erf, or by no function, are
    drawn from N(0, 1 / fan-in); their biases become zero. Layers followed by other functions are
    left as they are.

    ## What it costs
    What was learnt in these weights is lost. Nothing in time or memory.

    ## Settings
    None.

    ## Where we differ
    Efficient BackProp asks for the function 1.7159 tanh(2x/3) with these weights; we leave plain
    tanh as it is.

    ## Composes with
    An exchange of the activation for SELU, which is made first; alpha dropout in place of
    dropout, which keeps the mean and variance that SELU relies on.

    ## Evidence
    30 SELU layers of width 256, data of unit variance (10 draws, geometric mean): the gradient is
    2.8 times as large at the first function as at the last, 1.036 a layer (theory: 1.035). SELU
    is just beyond critical.

    ## Source
    LeCun, Bottou, Orr and Müller (1998), section 4.6; Klambauer, Unterthiner, Mayr and
    Hochreiter (2017) for SELU.
    """

    name: ClassVar[str] = "lecun"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV103", "UV104", "UV105"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lecun1998"], SOURCES["klambauer2017"])
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = STARTS - {"lecun"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks with SELU or a function of its mean square."""
        layers = [
            x for x in free(case) if not x.hidden_activation or x.hidden_activation in _FITTING
        ]
        followed = sorted({layer.hidden_activation for layer in layers if layer.hidden_activation})
        if not followed:
            others = sorted({x.hidden_activation for x in free(case) if x.hidden_activation})
            said = f"its functions are {', '.join(others)}" if others else "it has no activation"
            return NotApplicable(f"neither SELU nor tanh stands behind a layer: {said}")
        return Prescription(
            remedy=self.name,
            why=f"weights of variance 1 / fan-in are what {', '.join(followed)} wants",
            change=self.change,
            keeps=self.keeps,
            places=tuple(layer.weight for layer in layers),
            cost="what these weights have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw each weight."""

        def draw(layer: Layer, weight: Tensor, layout: Layout) -> Tensor:  # noqa: ARG001
            return normal(weight, 1.0 / math.sqrt(layout.fan_in))

        redraw(patient, prescription.places, draw)

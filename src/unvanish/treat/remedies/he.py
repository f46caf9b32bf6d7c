"""He initialisation: variance gain^2 / fan-in, with the gain of the function that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.theory.mean_field import second_moment
from unvanish.treat.anatomy import Layer, theory_of
from unvanish.treat.drawing import Layout, free, normal, redraw
from unvanish.treat.gains import EXCHANGES, STARTS
from unvanish.treat.protocol import Case, Patient

_PIECEWISE = frozenset({"relu", "relu6", "leaky_relu", "prelu", "rrelu"})


@final
@dataclass(frozen=True, kw_only=True)
class He:
    r"""Draw weights so that a ReLU passes on as much signal as it gets (He initialisation).

    ## When to use
    Layers followed by ReLU, LeakyReLU or PReLU whose signal and gradient shrink from layer to
    layer because the weights are too small: PyTorch's default gives a linear layer the variance
    1 / (3 fan-in), a sixth of what a ReLU needs.

    ## What it changes
    Every weight with such a function behind it is drawn from N(0, 2 / ((1 + a^2) fan-in)), a being
    the slope below zero; layers without a function behind them, such as the output, from
    N(0, 1 / fan-in). Biases of these layers become zero.

    ## What it costs
    What was learnt in these weights is lost. Nothing in time or memory.

    ## Settings
    None: the gain follows from the function that really stands behind each layer.

    ## Where we differ
    The paper counts fan-in for the forward pass, as here. The output layer has no function behind
    it and gets gain 1, where code that gives every layer the gain of ReLU doubles its variance.

    ## Composes with
    An exchange of the activation for one of the ReLU family, which is made first; normalisation
    and residual connections.

    ## Evidence
    A ReLU net of 30 layers of width 256 keeps the gradient to within 1 % (theory: 1 exactly, in
    the mean), where PyTorch's default loses 11.7 decades.

    ## Source
    He, Zhang, Ren and Sun (2015), equations 10 and 15.
    """

    name: ClassVar[str] = "he"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV103", "UV105", "UV104"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["he2015"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = STARTS - {"he"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with a ReLU behind one of its layers."""
        layers = [layer for layer in free(case) if _fits(layer)]
        rectified = [layer for layer in layers if layer.hidden_activation]
        if not rectified:
            others = sorted(
                {layer.hidden_activation for layer in free(case) if layer.hidden_activation}
            )
            said = f"its functions are {', '.join(others)}" if others else "it has no activation"
            return NotApplicable(f"no ReLU stands behind a layer: {said}")
        return Prescription(
            remedy=self.name,
            why=f"{len(rectified)} layers feed a function of the ReLU family",
            change=self.change,
            keeps=self.keeps,
            places=tuple(layer.weight for layer in layers),
            cost="what these weights have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw each weight for the function behind it."""

        def draw(layer: Layer, weight: Tensor, layout: Layout) -> Tensor | None:
            phi = theory_of(layer, patient.model)
            if phi is None:
                return None
            kept = second_moment(phi, 1.0) if layer.hidden_activation else 1.0
            return normal(weight, 1.0 / math.sqrt(layout.fan_in * kept))

        redraw(patient, prescription.places, draw)


def _fits(layer: Layer) -> bool:
    return layer.hidden_activation in _PIECEWISE or not layer.hidden_activation

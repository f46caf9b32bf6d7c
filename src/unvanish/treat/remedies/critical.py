"""Start on the edge of chaos: weight and bias variances at which no gradient dies or explodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.anatomy import Layer
from unvanish.treat.drawing import Layout, free, normal, redraw
from unvanish.treat.gains import (
    EXCHANGES,
    STARTS,
    drawn_bias,
    points_of,
    settings_of,
    weight_gain,
)
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class Critical:
    r"""Draw weights and biases with the variances at which depth does not matter.

    ## When to use
    Deep networks without normalisation: of GELU, SiLU or Mish, for which He's and Xavier's
    weights are both too small; of tanh, erf, softsign, hardtanh, ELU or SELU; and of ReLU, where
    the point is He's.

    ## What it changes
    Weights become N(0, sigma_w^2 / fan-in) and biases N(0, sigma_b^2) with the critical pair of
    the function that follows, chi_1 = sigma_w^2 E phi'(z)^2 = 1. A first layer is scaled by the
    data, so that the signal begins at the length q at which the network then stands. Layers
    without a function behind them, such as the output, get sigma_w = 1 and no bias. Layers
    followed by a function without a critical point are left as they are.

    ## What it costs
    What was learnt in these weights and biases is lost. Plain SGD needs a smaller learning rate
    than with PyTorch's weights: gradients that were small are not any more.

    ## Settings
    ``<function> sigma_w``, ``<function> sigma_b`` and ``<function> length`` of each function;
    ``<weight> sigma_w`` of each layer that reads the data.
    Of the curve of critical points we take: for GELU, SiLU and Mish the one where the length
    is critical, too; for functions with a point for every bias, sigma_b^2 = 0.05.

    ## Where we differ
    Schoenholz and others study tanh; the curve is computed here for the function that is really
    there, with the options it was built with. sigmoid is critical only at sigma_w = 10.1, where
    59 % of the units are saturated, and softplus nowhere: both are refused.

    ## Composes with
    An exchange of the activation, which is made first. Behind a normalisation the scale of the
    weights does not matter, so that the two together do no more than the normalisation.

    ## Evidence
    Between the first and the last function of 30 layers of width 256 (10 draws, geometric mean)
    the gradient keeps 0.97 of its length for tanh, 0.91 for GELU, 0.92 for SiLU and 1.04 for
    Mish (theory: 1 for wide layers); with PyTorch's default 1e-7 for tanh and 2e-16 for GELU.

    ## Source
    Schoenholz, Gilmer, Ganguli and Sohl-Dickstein (2017), section 3; Hayou, Doucet and Rousseau
    (2019), section 3; Roberts, Yaida and Hanin (2022), section 5.3.
    """

    name: ClassVar[str] = "critical"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV103", "UV104", "UV105"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["schoenholz2017"],
        SOURCES["hayou2019"],
        SOURCES["roberts2022"],
    )
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = STARTS - {"critical"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks with a function that has a critical point."""
        points, reasons = points_of(case, biases=True)
        if not points:
            return NotApplicable("; ".join(reasons) or "no activation stands behind a layer")
        places = [x for x in free(case) if not x.hidden_activation or x.hidden_activation in points]
        return Prescription(
            remedy=self.name,
            why=f"{', '.join(points)} keeps its gradient at every depth for these variances",
            change=self.change,
            keeps=self.keeps,
            settings=settings_of(points, case),
            places=tuple(layer.weight for layer in places),
            cost="what these weights have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw weights and biases for the function behind each layer."""

        def draw(layer: Layer, weight: Tensor, layout: Layout) -> Tensor:
            gain = weight_gain(layer, prescription)
            return normal(weight, gain / math.sqrt(layout.fan_in))

        redraw(patient, prescription.places, draw, drawn_bias(prescription))

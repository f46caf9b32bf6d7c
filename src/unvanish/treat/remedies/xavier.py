"""Xavier initialisation: variance 2 / (fan-in + fan-out), a compromise of both directions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.anatomy import Layer, theory_of
from unvanish.treat.drawing import Layout, free, redraw, uniform
from unvanish.treat.gains import EXCHANGES, STARTS, slope_at_zero
from unvanish.treat.protocol import Case, Patient

_SLOPED: Final = frozenset({"tanh", "sigmoid", "softsign", "erf", "hardtanh"})
"""Functions that are nearly straight around zero, for which the paper's argument holds."""


@final
@dataclass(frozen=True, kw_only=True)
class Xavier:
    r"""Draw weights that keep signal and gradient alike while functions are nearly straight.

    ## When to use
    Shallow networks of tanh, softsign, erf, hardtanh or sigmoid whose weights are too small or
    too large. For ReLU use `he`, for many layers `orthogonal` or `critical`.

    ## What it changes
    Weights of hidden layers followed by such a function are drawn uniformly with the variance
    2 g^2 / (fan-in + fan-out), g being one over the function's slope at zero; layers without a
    function behind them, such as the output, with g = 1. Their biases become zero. Layers
    followed by other functions are left as they are.

    ## What it costs
    What was learnt in these weights is lost. Nothing in time or memory.

    ## Settings
    ``<function> gain``: the factor g of each function found: 1 for tanh, softsign and hardtanh,
    4 for sigmoid, 0.886 for erf.

    ## Where we differ
    The paper derives its rule for functions with slope 1 at zero and uses it as it is for
    sigmoid, too, whose slope is 1/4; the factor 4 that makes up for it is common practice. We
    do not multiply tanh by 5/3 as `torch.nn.init.calculate_gain` does: that is in the chaotic
    phase, 1.089 a layer.

    ## Composes with
    Normalisation and residual connections; an exchange of the activation is made first.

    ## Evidence
    Between the first and the last function of 30 layers of width 256, data of unit variance (10
    draws, geometric mean), the gradient of tanh falls to 0.22, with PyTorch's default to 1e-7;
    that of sigmoid to 1.4e-6 with the gain 4. A deep sigmoid network needs its biases set, too:
    `centre-and-unit-variance` or `folded-kernel-shape`.

    ## Source
    Glorot and Bengio (2010), equations 12 and 16.
    """

    name: ClassVar[str] = "xavier"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV102", "UV103", "UV104", "UV105", "UV201"}
    )
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["glorot2010"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = STARTS - {"xavier"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with a function that is nearly straight around zero."""
        layers = [
            x for x in free(case) if not x.hidden_activation or x.hidden_activation in _SLOPED
        ]
        gains = {}
        for layer in layers:
            phi = theory_of(layer, case.model)
            if layer.hidden_activation and phi is not None:
                gains[f"{layer.hidden_activation} gain"] = 1.0 / slope_at_zero(phi)
        if not gains:
            others = sorted({x.hidden_activation for x in free(case) if x.hidden_activation})
            said = f"its functions are {', '.join(others)}" if others else "it has no activation"
            return NotApplicable(f"no function that is straight around zero stands in it: {said}")
        followed = sum(bool(layer.hidden_activation) for layer in layers)
        return Prescription(
            remedy=self.name,
            why=f"{followed} layers feed a function that is nearly straight around zero",
            change=self.change,
            keeps=self.keeps,
            settings=gains,
            places=tuple(layer.weight for layer in layers),
            cost="what these weights have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw each weight for the function behind it."""

        def draw(layer: Layer, weight: Tensor, layout: Layout) -> Tensor:
            gain = float(prescription.settings.get(f"{layer.hidden_activation} gain", 1.0))
            fans = layout.fan_in + layout.fan_out
            return uniform(weight, gain * math.sqrt(6.0 / fans))

        redraw(patient, prescription.places, draw)

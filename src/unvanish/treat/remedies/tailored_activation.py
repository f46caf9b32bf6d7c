"""Tailored activation transformation: ReLU becomes a leaky ReLU with the slope for the depth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.theory.shaping import Shape, tailored_slope
from unvanish.treat.chains import chain_of
from unvanish.treat.exchanging import exchange, places_of
from unvanish.treat.layerwise import (
    DRAWING,
    EXCHANGES,
    MEASURING,
    NOT_PLAIN,
    SHAPING,
)
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.shaping import chain_in, draw

ETA = 0.9
"""Correlation with which inputs at right angles come out, as the paper sets it."""
_RECTIFIED = frozenset({"relu", "leaky_relu"})


@final
@dataclass(frozen=True, kw_only=True)
class TailoredActivation:
    """Give a deep plain ReLU network the leaky slope that its depth can bear (TAT).

    ## When to use
    A plain network of ReLUs of 15 layers and more. With He initialisation its gradient has the
    right size, but all inputs come out alike: at 100 layers their cosine is above 0.98. A slope
    below zero that is right for the depth keeps them apart, at 1,000 layers too.

    ## What it changes
    Each ReLU becomes a leaky ReLU with one slope, with which inputs at right angles come out with
    the correlation `eta`. Weights are drawn orthogonal, a convolution's with one tap that is not
    zero, times sqrt(2 / (1 + slope^2)) behind such a function. A layer that reads the data
    keeps all taps and is scaled on the batch, and its bias takes the mean of the data off.

    ## What it costs
    What was learnt in all layers is lost. Nothing in time or memory.

    ## Settings
    `eta`: 0.9; `depth`: functions in a row; `slope` and `scale`, which follow from these and are
    what is used; `centre inputs` and `settle sizes`: true.

    ## Where we differ
    The paper multiplies the function with the scale; a leaky ReLU passes a factor through, so here
    the next layer's weights hold it. The paper normalises each input to length 1; here the data
    are standardised by the first layer, and every layer behind it is multiplied so that its
    signal has mean square 1 on the batch, from which narrow layers stray. Residual networks are
    refused.

    ## Composes with
    Any optimiser. Not with normalisation, connections past layers or another initialisation.

    ## Evidence
    Digits, 30 plain layers of 64 units, Adam, 300 steps, the better of two learning rates for
    every arm, one seed, share of the test images (`python -m benchmarks.starts`; a guess is
    0.1): 0.947 (untouched 0.078), and all training images. The gradient of 1,000 layers lost
    399 decades on its way and changes by 0.3 afterwards, that of 300 convolutions 125 and 0.3.
    The outputs' cosine is 0.84 at 100 layers of 64 units, and 0.99 at 1,000: width 64 is
    narrow for that depth.

    ## Source
    Zhang, Botev and Martens (2022), section 4.
    """

    name: ClassVar[str] = "tailored-activation"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV103", "UV104", "UV105"})
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["zhang2022"], SOURCES["xiao2018"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = (EXCHANGES | DRAWING | NOT_PLAIN | MEASURING | SHAPING) - {
        "tailored-activation"
    }

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a plain network of ReLUs that is deep enough to need it."""
        chain = chain_of(case)
        if isinstance(chain, NotApplicable):
            return chain
        others = sorted(set(chain.functions) - _RECTIFIED)
        if others:
            return NotApplicable(
                f"its functions are {', '.join(others)}; folded-kernel-shape is for smooth ones"
            )
        try:
            slope, scale = tailored_slope(chain.depth, ETA)
        except ValueError as error:
            return NotApplicable(str(error))
        places = places_of(case.anatomy, chain.functions)
        if sum(len(p.turns) if p.turns is not None else p.calls for p in places) != chain.calls:
            return NotApplicable("one of its functions stands where it cannot be exchanged")
        return Prescription(
            remedy=self.name,
            why=f"{chain.depth} rectifiers in a row without a connection past them",
            change=self.change,
            keeps=self.keeps,
            settings={
                "functions": ", ".join(chain.functions),
                "depth": chain.depth,
                "eta": ETA,
                "slope": slope,
                "scale": scale,
                "centre inputs": True,
                "settle sizes": True,
            },
            places=tuple(dict.fromkeys(place.path for place in places)),
            cost="what all layers have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Exchange the functions, then draw the weights for them."""
        slope = float(prescription.settings["slope"])
        scale = float(prescription.settings["scale"])
        chain = chain_in(patient)
        names = str(prescription.settings["functions"]).split(", ")
        exchange(
            patient,
            replace(prescription, settings={"functions": ", ".join(names)}),
            lambda: nn.LeakyReLU(slope),
        )
        draw(
            patient,
            chain,
            {name: Shape(1.0, 0.0, 0.0, scale) for name in names},
            centred=bool(prescription.settings["centre inputs"]),
            settled=bool(prescription.settings["settle sizes"]),
        )

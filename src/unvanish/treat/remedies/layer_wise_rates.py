"""A learning rate for each layer, from the curvature of its own block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.errors import CouldNotMeasureError
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.optimising.exchange import DESCENTS, EXCHANGES, KEEPS_ALL, RATES, kind_of
from unvanish.treat.optimising.layerwise import layer_rates, split_groups
from unvanish.treat.optimising.sweep import held_rates
from unvanish.treat.protocol import Case, Patient

_SADDLE: Final = 2.0
"""Times the largest joint curvature of a bowl from which a start is taken for a saddle."""


@final
@dataclass(frozen=True, kw_only=True)
class LayerWiseRates:
    """Give each layer the learning rate that its own curvature allows.

    ## When to use
    SGD on a network whose layers differ so much in curvature that the rate which the sharpest one
    can stand leaves the others where they are (UV404, UV502).

    ## What it changes
    The groups of the optimiser: one for each layer, with a learning rate of its own. State and all
    other options stay.

    ## What it costs
    Some dozens of passes through a copy for each layer, once, with twice the memory of training.

    ## Settings
    share: 0.5. joint: the largest eigenvalue of the Hessian after each layer has been divided by
    its own, between 1 and the number of layers; it is what the layers together add up to. Above
    twice that number the start is a saddle, where blocks say nothing, and the remedy does not fit;
    a vanished gradient looks like this. rate of a layer: share times 2 / (joint times the largest
    eigenvalue of its block), which on a quadratic does not diverge. max_change: 0.1. No rate is so
    large that a layer's first step changes it by more than this share of its size: where the
    gradient has vanished the curvature has too, and says nothing far away. Momentum and halvings:
    as in curvature-learning-rate, for all rates alike.

    ## Where we differ
    LeCun and others take the diagonal of an approximate Hessian, entry by entry; here a block is a
    layer and its eigenvalue is that of the Hessian itself.

    ## Composes with
    Remedies of the network, which come first; clipping, warm-up. Schedulers have to be made anew,
    since there are other groups.

    ## Evidence
    A tanh network of 4 layers with critical weights, 150 steps of SGD that stood at a rate of 1e-4
    (0.16 without) or 30 (0.09): 0.96, where one rate from the whole Hessian has 0.97 (digits, width
    64, batch 128, mean test accuracy of two seeds).

    ## Source
    LeCun, Bottou, Orr and Müller (1998), sections 4.7 and 9; LeCun, Simard and Pearlmutter (1993).
    """

    name: ClassVar[str] = "layer-wise-rates"
    treats: ClassVar[frozenset[str]] = frozenset({"UV404", "UV502"})
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["lecun1998"],
        SOURCES["lecun1993"],
    )
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = RATES - {"layer-wise-rates"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit gradient descent over two layers or more."""
        kind = kind_of(case)
        if kind not in DESCENTS:
            return NotApplicable(f"{kind} scales the step of each layer by other means already")
        try:
            rates, joint = layer_rates(case, share=0.5, max_change=0.1)
        except CouldNotMeasureError as error:
            return NotApplicable(error.what)
        if joint > _SADDLE * len(rates):
            return NotApplicable(
                f"the layers curve the loss together, {joint:.3g} times what each does by itself, "
                f"where {len(rates)} layers of a bowl come to {len(rates)} at most: it is a saddle"
            )
        found = held_rates(case, rates)
        if found is None:
            return NotApplicable(
                "at no rates near what the curvature allows does the loss fall further than at "
                "the present one"
            )
        rates = dict(found.rates)
        if len(rates) < 2:
            return NotApplicable("there is one layer only: curvature-learning-rate sets its rate")
        low, high = min(rates.values()), max(rates.values())
        return Prescription(
            remedy=self.name,
            why=f"the curvature of the layers allows rates from {low:.2g} to {high:.2g}",
            change=self.change,
            keeps=self.keeps,
            settings={
                "share": 0.5,
                "joint": joint,
                "max_change": 0.1,
                "halvings": found.halvings,
                **{f"rate of {place or 'the network'}": rate for place, rate in rates.items()},
            },
            places=tuple(rates),
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Split the groups."""
        rates = {
            place: float(prescription.settings[f"rate of {place or 'the network'}"])
            for place in prescription.places
        }
        split_groups(patient, rates)

"""A learning rate from the largest eigenvalue of the Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.errors import CouldNotMeasureError
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.optimising.curvature import Curvature, lost_decades, too_flat
from unvanish.treat.optimising.exchange import (
    DESCENTS,
    EXCHANGES,
    KEEPS_ALL,
    RATES,
    kind_of,
    optimizer_of,
    set_rate,
)
from unvanish.treat.optimising.sweep import held_rates
from unvanish.treat.protocol import Case, Patient

_SOUND: Final = 1.0
"""Decades that the gradient may lose on its way."""


@final
@dataclass(frozen=True, kw_only=True)
class CurvatureLearningRate:
    """Set the learning rate of gradient descent to a safe share of what the curvature allows.

    ## When to use
    SGD, with or without momentum, whose steps raise the loss or hardly lower it (UV404).

    ## What it changes
    The learning rate of every group; their ratios stay.

    ## What it costs
    Some dozens of passes through a copy of the network, once, with twice the memory of training,
    and fifty steps of it.

    ## Settings
    largest_eigenvalue: of the Hessian of the first batch's loss, by Lanczos iteration. share: 0.5.
    gathers: 1 / (1 - momentum), to which the steps of momentum add up. lr: share times 2 /
    (largest_eigenvalue gathers). On a quadratic, gradient descent diverges above 2 / eigenvalue and
    is fastest along that direction at half of it. halvings: the curvature may grow as soon as a
    network moves, most of all where the start is flat. So fifty steps are taken on a copy, and
    while the loss ends higher than it began or than it does with the present rate, or doubles on
    the way, the rate is halved. The rate of a network that draws random numbers is halved on for as
    long as the loss ends lower by that, and once more.

    ## Where we differ
    LeCun, Simard and Pearlmutter estimate the eigenvalue by power iteration while training. A rate
    that is within a factor of three of what comes out, and holds, is left as it is.

    ## Composes with
    Every remedy of the network: apply those first, they change the curvature. Warm-up: a network
    often gets less curved in its first steps.

    ## Evidence
    A tanh network of 4 layers with critical weights, 150 steps of SGD: 0.97, whether the rate was
    1e-4 (0.16 without) or 30 (0.09). (digits, width 64, batch 128, mean test accuracy of two seeds)
    It is the rate for the start and for one batch. Where the gradient loses more than a decade on
    its way it does not fit: the curvature of a layer falls with the square of its gradient, and
    what is seen is the last layers'. A tanh network of 10 layers and a ReLU one of 8 with PyTorch's
    weights, told so, are left alone; at the rate that their curvature allows they blow up.

    ## Source
    LeCun, Simard and Pearlmutter (1993); Cohen and others (2021) for 2 / eigenvalue in networks.
    """

    name: ClassVar[str] = "curvature-learning-rate"
    treats: ClassVar[frozenset[str]] = frozenset({"UV404"})
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["lecun1993"],
        SOURCES["cohen2021"],
    )
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = RATES - {"curvature-learning-rate"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit gradient descent on a loss that can be differentiated twice."""
        kind = kind_of(case)
        if kind not in DESCENTS:
            return NotApplicable(
                f"{kind} does not step by rate times gradient, so the Hessian alone says nothing "
                "about its rate: learning-rate-range tries it out"
            )
        lost = lost_decades(case)
        if lost > _SOUND:
            return NotApplicable(too_flat(lost))
        trained = [name for name, p in case.model.named_parameters() if p.requires_grad]
        try:
            largest = Curvature(case, trained).largest()
        except CouldNotMeasureError as error:
            return NotApplicable(error.what)
        if largest <= 0.0:
            return NotApplicable("the loss does not curve upwards in any direction at the start")
        gathers = 1.0 / (1.0 - min(0.99, float(optimizer_of(case).param_groups[0]["momentum"])))
        found = held_rates(case, {"": 1.0 / (largest * gathers)})
        if found is None:
            return NotApplicable(
                "at no rate near what the curvature allows does the loss fall further than at "
                "the present one"
            )
        if found.why_near:
            return NotApplicable(found.why_near)
        return Prescription(
            remedy=self.name,
            why=f"the loss curves by {largest:.3g} along its sharpest direction: above "
            f"{2.0 / largest:.2g} a step overshoots",
            change=self.change,
            keeps=self.keeps,
            settings={
                "largest_eigenvalue": largest,
                "share": 0.5,
                "gathers": gathers,
                "halvings": found.halvings,
                "lr": found.rates[""],
            },
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Set the rate."""
        set_rate(patient, float(prescription.settings["lr"]))

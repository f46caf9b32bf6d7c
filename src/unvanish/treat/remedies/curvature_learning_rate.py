"""A learning rate from the largest eigenvalue of the Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.errors import CouldNotMeasureError
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.optimising.curvature import Curvature
from unvanish.treat.optimising.exchange import (
    DESCENTS,
    EXCHANGES,
    KEEPS_ALL,
    RATES,
    kind_of,
    set_rate,
)
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class CurvatureLearningRate:
    """Set the learning rate of gradient descent to a safe share of what the curvature allows.

    ## When to use
    SGD, with or without momentum, whose steps raise the loss or hardly lower it (UV404).

    ## What it changes
    The learning rate of every group; their ratios stay.

    ## What it costs
    Some dozens of passes through a copy of the network, once, with twice the memory of training.

    ## Settings
    largest_eigenvalue: of the Hessian of the first batch's loss, by Lanczos iteration. share: 0.5.
    lr: share times 2 / largest_eigenvalue. On a quadratic, gradient descent diverges above 2 /
    eigenvalue and is fastest along that direction at half of it; momentum only widens the range.

    ## Where we differ
    LeCun, Simard and Pearlmutter estimate the eigenvalue by power iteration while training.

    ## Composes with
    Every remedy of the network: apply those first, they change the curvature. Warm-up: a network
    often gets less curved in its first steps.

    ## Evidence
    @curvature@ It is the rate for the start and for one batch. Where the gradient has vanished, the
    curvature seen is that of the last layer, and the rate is of no help to the others.

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
        trained = [name for name, p in case.model.named_parameters() if p.requires_grad]
        try:
            largest = Curvature(case, trained).largest()
        except CouldNotMeasureError as error:
            return NotApplicable(error.what)
        if largest <= 0.0:
            return NotApplicable("the loss does not curve upwards in any direction at the start")
        return Prescription(
            remedy=self.name,
            why=f"the loss curves by {largest:.3g} along its sharpest direction: above "
            f"{2.0 / largest:.2g} a step overshoots",
            change=self.change,
            keeps=self.keeps,
            settings={"largest_eigenvalue": largest, "share": 0.5, "lr": 1.0 / largest},
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Set the rate."""
        set_rate(patient, float(prescription.settings["lr"]))

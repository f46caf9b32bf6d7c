"""SOAP in the place of the optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.optimising.exchange import (
    DESCENTS,
    EXCHANGES,
    KEEPS_ALL,
    PACKAGE,
    exchange,
    kind_of,
    missing,
    package,
    rate_like_adam,
    trained_weights,
    why_not_dense,
)
from unvanish.treat.optimising.rounding import suggested_eps
from unvanish.treat.optimising.updates import FirstStep
from unvanish.treat.optimising.wrapper import treated
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class Soap:
    """Train with SOAP: Adam in the directions in which the gradients of each weight vary.

    ## When to use
    Networks whose gradient is small and badly conditioned but not zero (UV101, UV401, UV106), as
    deep tanh and sigmoid networks with PyTorch's default weights, whose architecture and weights
    must stay. Here the direction is what a longer step does not cure.

    ## What it changes
    The optimiser. For each weight two matrices of running means of the gradient's products are
    kept; in their eigenvectors, renewed every ten steps, Adam is run. Groups, the ratios of their
    learning rates and their weight decay carry over; running means of the old optimiser do not, as
    SOAP's stand in another basis.

    ## What it costs
    For an m x n weight 2 (m^2 + n^2) more numbers, and two to three times the time of a step of
    AdamW on small networks. Axes above 10,000 are left as they are.

    ## Settings
    lr: three times the user's where the optimiser is of Adam's kind, as SOAP's own default is three
    times AdamW's; else that default, 3e-3. eps: 1e-8, or what lower-epsilon chooses where a
    gradient is near it. precondition_frequency: 10.

    ## Where we differ
    The first step, in which SOAP only prepares and no weight moves, is taken twice, so that it
    counts.

    ## Composes with
    Clipping, warm-up, and every remedy of the network itself.

    ## Evidence
    A tanh network of 20 layers with PyTorch's weights: 0.96, where AdamW has 0.20; a sigmoid one of
    10 layers with Xavier's: 0.70 against 0.21, and 0.96 at a rate of 1e-2; a ReLU one of 30 layers
    with PyTorch's: 0.86 against 0.08 (test accuracy on digits, width 64, batch 128, 300 steps, the
    user's optimiser AdamW at 1e-3; one seed, but two for the sigmoids and AdamW).

    ## Source
    Vyas and others (2025), algorithm 3, as implemented in pytorch-optimizer.
    """

    name: ClassVar[str] = "soap"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV401", "UV502", "UV106"})
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["vyas2025"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = EXCHANGES - {"soap"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with dense real weights, where the package is installed."""
        why_not = why_not_dense(case) or missing(PACKAGE, "SOAP")
        if why_not:
            return NotApplicable(why_not)
        if not trained_weights(case):
            return NotApplicable("no weight with two axes is trained")
        wanted, size = suggested_eps(case, {"betas": (0.95, 0.95)})
        return Prescription(
            remedy=self.name,
            why="the directions of small gradients are told apart, not only their sizes",
            change=self.change,
            keeps=self.keeps,
            settings={
                "lr": 3.0 * rate_like_adam(case, 1e-3),
                "eps": 1e-8 if math.isnan(size) else min(1e-8, wanted),
                "precondition_frequency": 10,
            },
            cost="two to three times the time of a step, and more memory for the optimiser",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Build SOAP over the same groups."""
        made = package(PACKAGE, "SOAP").SOAP
        settings = prescription.settings
        rate = float(settings["lr"])

        def build(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
            inner = made(
                groups,
                lr=rate,
                weight_decay=0.0,
                eps=float(settings["eps"]),
                precondition_frequency=int(settings["precondition_frequency"]),
            )
            return treated(inner, FirstStep())

        exchange(patient, build, rate=rate, decays=kind_of(patient) not in DESCENTS)

"""Shampoo in the place of the optimiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

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
    trained_weights,
    why_not_dense,
)
from unvanish.treat.optimising.updates import OwnGradients
from unvanish.treat.optimising.wrapper import treated
from unvanish.treat.protocol import Case, Patient

_LONGEST: Final = 2048
_RATE: Final = 0.1


@final
@dataclass(frozen=True, kw_only=True)
class ShampooRemedy:
    """Train with Shampoo: the gradient of each weight over roots of its own products.

    ## When to use
    Networks whose gradient is badly conditioned and has shrunk, but not by many decades (UV101,
    UV106). Past that SOAP and Muon hold, and this does not.

    ## What it changes
    The optimiser. For each axis of each weight the sum of the gradient's products is kept, and the
    gradient is multiplied by its inverse root. The groups, the ratios of their learning rates and,
    under an optimiser of Adam's kind, weight decay carry over; its running means do not.

    ## What it costs
    For an m x n weight 2 (m^2 + n^2) more numbers, and a singular value decomposition of each
    matrix every few steps.

    ## Settings
    lr: 0.1, chosen on the runs below: the sum of products grows with time, so that steps shrink as
    Adagrad's do. matrix_eps: 1e-6, what the sums begin with. preconditioning_compute_steps: 1,
    after how many steps the roots are computed anew.

    ## Where we differ
    Refused where a weight has an axis above 2,048: its matrix alone would have four million
    entries, and its root takes seconds.

    ## Composes with
    Clipping, warm-up, and every remedy of the network itself.

    ## Evidence
    A tanh network of 8 layers with PyTorch's weights, which lose 1.9 decades: 0.97 after 60 steps,
    where SOAP has 0.92, Muon 0.97 and AdamW at 1e-3 0.77 (digits, width 64, batch 128, two seeds).
    One of 20 layers: at most 0.20 after 150 steps at rates of 0.03 and 0.3, where a matrix_eps of
    1e-4 ends in no number at all.

    ## Source
    Gupta, Koren and Singer (2018), algorithm 2, as implemented in pytorch-optimizer.
    """

    name: ClassVar[str] = "shampoo"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV106"})
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["gupta2018"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = EXCHANGES - {"shampoo"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit dense real weights without a long axis, where the package is installed."""
        why_not = why_not_dense(case) or missing(PACKAGE, "Shampoo")
        if why_not:
            return NotApplicable(why_not)
        trained = [p for p in case.model.parameters() if p.requires_grad]
        if any(p.dtype in (torch.float16, torch.bfloat16) for p in trained):
            return NotApplicable("the roots of its matrices need more digits than 16 bits hold")
        longest = max((max(p.shape, default=1) for p in trained), default=0)
        if not longest or not trained_weights(case):
            return NotApplicable("no weight with two axes is trained")
        if longest > _LONGEST:
            return NotApplicable(
                f"a parameter has {longest} entries along one axis: the roots of matrices of that "
                "size take seconds a step"
            )
        return Prescription(
            remedy=self.name,
            why="the gradient of each weight is divided by the roots of its own products",
            change=self.change,
            keeps=self.keeps,
            settings={
                "lr": _RATE,
                "matrix_eps": 1e-6,
                "preconditioning_compute_steps": 1,
            },
            cost="more memory for the optimiser, and a decomposition of each matrix",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Build Shampoo over the same groups."""
        made = package(PACKAGE, "Shampoo").Shampoo
        settings = prescription.settings
        rate = float(settings["lr"])

        def build(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
            inner = made(
                groups,
                lr=rate,
                weight_decouple=True,
                matrix_eps=float(settings["matrix_eps"]),
                preconditioning_compute_steps=int(settings["preconditioning_compute_steps"]),
            )
            return treated(inner, OwnGradients())

        exchange(patient, build, rate=rate, decays=kind_of(patient) not in DESCENTS)

"""Clipping by value: every entry of the gradient is cut off at a limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.optimising.exchange import EXCHANGES, KEEPS_ALL, attach
from unvanish.treat.optimising.gradients import ClipValue
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class ClipByValue:
    """Cut every entry of the gradient off at a largest size before each step.

    ## When to use
    A few entries that explode (UV102) while the rest of the gradient is sound. Where all of it
    explodes, clip-norm keeps the direction, and this does not.

    ## What it changes
    The optimiser is put into a wrapper that clamps each entry of the gradient to [-limit, limit].

    ## What it costs
    A copy of the gradients while a step runs. The direction of the gradient changes wherever an
    entry is cut: with a small limit it becomes that of the signs.

    ## Settings
    limit: 10 / sqrt(n) for n trained parameters, ten times the root mean square entry of a gradient
    of norm 1. It is derived from what clip-norm allows and was not tuned.

    ## Where we differ
    The usual limits of 0.5 or 1 do not depend on the number of parameters, and for a million of
    them allow a gradient of norm 1,000. ``.grad`` is the loss's own again after the step.

    ## Composes with
    Every other remedy. Under Adam a constant factor changes nothing, and clipping acts on spikes
    alone.

    ## Evidence
    On the exploding network of clip-norm's card 0.78, where clip-norm has 0.85 and no clipping ends
    in a loss that is no number (digits, width 64, batch 128, mean test accuracy of two seeds). It
    cures no vanishing: it makes no entry larger.

    ## Source
    Pascanu, Mikolov and Bengio (2013) name it beside clipping by norm.
    """

    name: ClassVar[str] = "clip-value"
    treats: ClassVar[frozenset[str]] = frozenset({"UV102"})
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["pascanu2013"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit every network with a parameter to train."""
        count = sum(p.numel() for p in case.model.parameters() if p.requires_grad)
        if not count:
            return NotApplicable("no parameter is trained")
        return Prescription(
            remedy=self.name,
            why="no entry of the gradient moves its weight further than ten sound ones would",
            change=self.change,
            keeps=self.keeps,
            settings={"limit": 10.0 / math.sqrt(count)},
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the clipping around the optimiser."""
        limit = float(prescription.settings["limit"])
        attach(patient, ClipValue(limit), f"gradient entries at most {limit:.3g}")

"""A learning-rate range test, and the rate that it recommends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.errors import UnvanishError
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.optimising.curvature import lost_decades, too_flat
from unvanish.treat.optimising.exchange import (
    DESCENTS,
    EXCHANGES,
    KEEPS_ALL,
    RATES,
    kind_of,
    optimizer_of,
    set_rate,
)
from unvanish.treat.optimising.sweep import held_rates, range_test
from unvanish.treat.protocol import Case, Patient

_LOW: Final = 1e-6
_HIGH: Final = 10.0
_STEPS: Final = 60
_SMALL_FALL: Final = 0.02
_SOUND: Final = 1.0
"""Decades that the gradient may lose on its way under gradient descent."""


@final
@dataclass(frozen=True, kw_only=True)
class LearningRateRange:
    """Find a learning rate by trying: a copy is trained while the rate grows.

    ## When to use
    Any optimiser whose rate is too large or too small (UV404), above all where no theory gives one,
    as for Adam.

    ## What it changes
    The learning rate of every group; their ratios stay.

    ## What it costs
    A hundred steps on a copy, once, or a few more; with a network that draws random numbers, as
    dropout does, eight more forward passes a step.

    ## Settings
    low, high, steps: the rate grows from 1e-6 to 10 by a constant factor in 60 steps, on the batch
    at hand. It ends where the loss is four times its lowest. lr: the rate at which the loss fell by
    the largest factor within five steps, but at most a tenth of that at which it ended. fall: share
    of the first loss that was taken off on the way. halvings: as in curvature-learning-rate, since
    momentum brings divergence late.

    ## Where we differ
    Smith reads the range off a plot of accuracy over epochs of the whole data; here one batch is
    used again and again, which makes a rate come out larger than noise allows. Hence the tenth.
    The loss of a network that draws random numbers is read as a mean over eight passes, with the
    same draws each time. A rate that is within a factor of three of what comes out, and holds, is
    left as it is.

    ## Composes with
    Every remedy of the network: apply those first. Warm-up.

    ## Evidence
    A tanh network of 4 layers with critical weights, 150 steps: SGD at 1e-4 or 30 comes from 0.16
    and 0.09 to 0.96, AdamW at 1e-6 or 1.0 from 0.15 and 0.10 to 0.96 (digits, width 64, batch 128,
    mean test accuracy of two seeds). Under SGD it does not fit where the gradient loses more than a
    decade on its way, for the reason on the card of curvature-learning-rate. Where the loss does
    not fall by a fiftieth at any rate it does not fit, and says so: then the rate is not what keeps
    the network from learning.

    ## Source
    Smith (2017), section 3.3.
    """

    name: ClassVar[str] = "learning-rate-range"
    treats: ClassVar[frozenset[str]] = frozenset({"UV404"})
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["smith2017"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = RATES - {"learning-rate-range"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit an optimiser that steps without a closure, on a network that learns at some rate."""
        optimizer = optimizer_of(case)
        if kind_of(case) == "LBFGS":
            return NotApplicable("L-BFGS searches along each step itself")
        if all(group.get("lr") is None for group in optimizer.param_groups):
            return NotApplicable("the optimiser has no learning rate")
        lost = lost_decades(case)
        if kind_of(case) in DESCENTS and lost > _SOUND:
            return NotApplicable(too_flat(lost))
        try:
            sweep = range_test(case, _LOW, _HIGH, _STEPS)
        except UnvanishError as error:
            return NotApplicable(error.what)
        if not sweep.fall > _SMALL_FALL:
            return NotApplicable(
                f"at no learning rate from {_LOW:g} on does the loss fall by more than "
                f"{max(0.0, sweep.fall):.1%}: it is not the rate that keeps it from learning"
            )
        found = held_rates(
            case, {"": min(sweep.steepest, sweep.rates[-1] / 10.0 if sweep.diverged else _HIGH)}
        )
        if found is None:
            return NotApplicable(
                "at no rate near what the sweep shows does the loss fall further than at the "
                "present one"
            )
        if found.why_near:
            return NotApplicable(found.why_near)
        return Prescription(
            remedy=self.name,
            why=f"the loss falls fastest at {sweep.steepest:.2g}"
            + (f" and blows up at {sweep.rates[-1]:.2g}" if sweep.diverged else ""),
            change=self.change,
            keeps=self.keeps,
            settings={
                "low": _LOW,
                "high": _HIGH,
                "steps": _STEPS,
                "fall": sweep.fall,
                "halvings": found.halvings,
                "lr": found.rates[""],
            },
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Set the rate."""
        set_rate(patient, float(prescription.settings["lr"]))

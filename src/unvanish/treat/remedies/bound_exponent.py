"""A soft bound on what an exponential is given that multiplies the signal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.prescriptions import Change, Edit, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.exponents import Bound, Exponent, Maker
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.scaling import exponents
from unvanish.treat.surgery import CannotTreatError

WITHIN: Final = " of no more than "
"""What the books say between an exponential and its bound."""

_LARGEST: Final = 2.0
"""What an exponential may be given: e squared, 7.4, is by how much a signal may be multiplied."""


@final
@dataclass(frozen=True, kw_only=True)
class BoundExponent:
    r"""Bound what an exponential is given softly, by c tanh(s / c), where it scales the signal.

    ## When to use
    A network that multiplies its signal by the exponential of what a layer says: the scale of a
    coupling layer in a normalising flow, the deviation exp(0.5 v) of a variational encoder, a gate
    or a temperature. Nothing bounds it, and 10 in the place of 1 multiplies by 22000: the gradient
    explodes or is not finite (UV102, UV403), the steps of training throw everything somewhere else
    (UV404, UV405), what reads the scaled signal is saturated (UV201, UV203).

    ## What it changes
    s becomes c tanh(s / c): s itself where it is small, c or -c where it is large. The bound stands
    where s is made, so that whatever else is computed from s, such as the log-determinant of a flow
    or the divergence of an encoder, is given the bounded one, too. Only where s is a feature of the
    network besides, it stands before the exponential alone. An exponential of 0.5 s has its s
    bounded by 2 c. Left alone are exponentials that are divided by their sum or whose logarithm is
    taken again (a softmax by hand), those of constants, and those that leave the network as they
    are: a rate that is to be 100 has to be.

    ## What it costs
    A tanh for every entry. A scale beyond exp(c) cannot be had any more in one step.

    ## Settings
    bound: c. The scales of n exponentials one behind the other multiply, and their logarithms add
    up like steps of random sign: c = 2 / sqrt(n) keeps the logarithm of the product near 2.

    ## Where we differ
    Dinh and others multiply the tanh by a factor that is learnt and starts near 1, whatever the
    number of couplings, and start the last layer at zero; here the slope for small s stays 1, so
    that a network with small scales computes nearly what it did.

    ## Composes with
    Every other remedy.

    ## Evidence
    `unvanish cure zoo:flow_unbounded_scale --remedy bound-exponent`: ten couplings, 400 steps of
    Adam, five seeds, all else as it was: 3.03 nats a point, and 2.4e13 without, which differ so
    much among themselves that the interval still includes no difference. `xavier` reaches 2.12.

    ## Source
    Dinh, Sohl-Dickstein and Bengio (2017), section 4.1.
    """

    name: ClassVar[str] = "bound-exponent"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV102", "UV201", "UV203", "UV403", "UV404", "UV405"}
    )
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["dinh2017"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network that multiplies by the exponential of something large."""
        try:
            found = exponents(case)
        except Exception as error:  # whatever the user's code says to another pass
            return NotApplicable(f"it cannot be followed: {(str(error).splitlines() or [''])[0]}")
        if not found:
            return NotApplicable("its signal is multiplied by no exponential of what a layer says")
        # What was chosen on one draw of the weights has to fit the next one, too.
        limit = _LARGEST / 2 if self.name in case.asked else _LARGEST
        chosen = _wild(found, limit)
        if not chosen:
            largest = max(one.largest for one in found)
            return NotApplicable(
                f"no exponential is given more than {limit:g}, the largest {largest:.2g}"
            )
        worst = max(chosen, key=lambda one: one.largest)
        at = f" at {worst.line}" if worst.line else ""
        bound = _LARGEST / math.sqrt(max(one.series for one in chosen))
        return Prescription(
            remedy=self.name,
            why=f"{worst.function}{at} is given up to {worst.largest:.3g} and multiplies the "
            "signal",
            change=self.change,
            keeps=self.keeps,
            settings={"bound": float(f"{bound:.2g}")},
            places=tuple(dict.fromkeys(one.path for one in chosen)),
            cost=f"no scale beyond {math.exp(bound):.2g}",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the bounds where the exponents are made.

        Raises:
            CannotTreatError: If there is no such exponential any more.
        """
        places = set(prescription.places)
        found = [one for one in exponents(patient) if one.path in places]
        found = _wild(found, _LARGEST) or found  # a start before this one may have made them small
        if not found:
            raise CannotTreatError("the signal is multiplied by no exponential any more")
        bounds = _bounds(found, float(prescription.settings["bound"]))
        for maker, one in {one.maker: one for one in found}.items():
            patient.surgery.insert(
                maker.path,
                Bound(bounds[maker]),
                "after" if one.behind else "before",
                function=maker.function,
                call=maker.call,
                element=maker.element,
            )
        for one in found:
            after = f"{one.function}{WITHIN}{bounds[one.maker] * abs(one.factor):.3g}"
            patient.surgery.hold(
                _nothing,
                Edit(place=one.path, before=one.function, after=after, source=one.line),
            )
        lines = ", ".join(dict.fromkeys(f"{o.function} at {o.line}" for o in found if o.line))
        if lines:
            patient.notes.append(
                f"to keep it, write s = c * torch.tanh(s / c) for what enters {lines}"
            )


def _nothing() -> None:
    """Put nothing back."""


def _wild(found: Sequence[Exponent], limit: float) -> list[Exponent]:
    """Return the exponentials of each line that gives one of them more than a limit."""
    lines = {_line(one) for one in found if one.largest > limit}
    return [one for one in found if _line(one) in lines]


def _line(one: Exponent) -> tuple[str, int] | str:
    """Return what groups exponentials: one line of code is bounded as a whole."""
    return (one.line.file, one.line.line) if one.line is not None else one.path


def _bounds(found: Sequence[Exponent], bound: float) -> dict[Maker, float]:
    """Return the bound of each number that is exponentiated, alone or as a multiple."""
    factors: dict[Maker, float] = {}
    for one in found:
        factors[one.maker] = max(factors.get(one.maker, 0.0), abs(one.factor))
    return {maker: float(f"{bound / factor:.3g}") for maker, factor in factors.items() if factor}

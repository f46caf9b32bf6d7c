"""Rounding: what the types of the run take from the gradient, where float64 was looked at, too.

The norms of the pass in the run's own types differ from those of a pass in float64 by a ratio at
every site. What the logarithms of the ratios at two sites differ by, rounding took in between.
Where the gains of the edges are those of float64, that is added; where they are those of the
run's own types, it is in them, and is taken out of an operation's last factor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from unvanish.core.explanations import Factor, Level, Term
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording

_NOTHING: Final = 1e-6
"""Decades; what differs by less has been rounded in float32."""


def rounding(recording: Recording, chain: Sequence[int]) -> list[float]:
    """Return the decades that rounding takes between each site of a chain and the next.

    Args:
        recording: What was observed.
        chain: Sites from the loss towards the input.

    Returns:
        One number less than sites; zeros where the run was not compared with float64. Where
        one site was not, what happened there is told at the next that was.
    """
    ratios = recording[Quantity.LOG10_ROUNDED_GRAD_RATIO]
    taken, before = [], math.nan
    for site in chain:
        here = ratios.get(site)
        known = not math.isnan(here)
        taken.append(here - before if known and not math.isnan(before) else 0.0)
        before = here if known else before
    return taken[1:]


def rounded_apart(term: Term, taken: float) -> Term:
    """Take out of an operation's last factor what rounding did, as a factor of its own.

    Args:
        term: The operation, whose gain holds it.
        taken: Its decades; ``nan`` where it is not known.
    """
    if not abs(taken) > _NOTHING or not math.isfinite(term.log10_gain):
        return term
    *others, last = term.children
    rounded = Term(
        level=Level.FACTOR,
        name=str(Factor.PRECISION),
        log10_gain=taken,
        factor=Factor.PRECISION,
        sites=term.sites,
    )
    rest = replace(last, log10_gain=last.log10_gain - taken)
    return replace(term, children=(*others, rest, rounded))

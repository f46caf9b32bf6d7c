"""Gates and other products of two signals, entry by entry, and multiplication with a constant.

Of a b, the gradient at a is b g: 1/2 log mean(b^2), and how g meets the large entries of b.
"""

from __future__ import annotations

from typing import Final

from unvanish.core.explanations import Factor
from unvanish.explain.factors.book import Part, Step

_PRODUCTS: Final = frozenset("mul div prod outer addcmul addcdiv lerp".split())


def parts(step: Step) -> tuple[Part, ...] | None:
    """Return the factors of a product."""
    return step.scaled(Factor.PRODUCT) if step.op in _PRODUCTS else None

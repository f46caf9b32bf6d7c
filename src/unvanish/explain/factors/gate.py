"""Gates and other products of two signals, entry by entry, and multiplication with a constant.

Of a b, the gradient at a is b g: 1/2 log mean(b^2), and how g meets the large entries of b. A
gate is a b that lies between 0 and 1 and is used for nothing else.
"""

from __future__ import annotations

from typing import Final

from unvanish.core.explanations import Factor
from unvanish.explain.factors.book import Book, Part, Step
from unvanish.explain.factors.pooling import LAYOUT

_PRODUCTS: Final = frozenset("mul div prod outer addcmul addcdiv lerp".split())
BOUNDED: Final = frozenset({"sigmoid", "hardsigmoid", "softmax"})
"""Functions with values from 0 to 1: of two factors, the gate is the one that ends in them."""
_TURNED: Final = LAYOUT | {"sub", "rsub", "neg", "add"}
"""Between a gate and its use: views, and ``1 - gate``."""
_FURTHEST: Final = 8


def parts(step: Step) -> tuple[Part, ...] | None:
    """Return the factors of a product."""
    if step.op not in _PRODUCTS:
        return None
    others = step.others
    is_gated = step.op == "mul" and len(others) == 1 and is_gate(step.book, others[0])
    return step.scaled(Factor.GATE if is_gated else Factor.PRODUCT)


def is_gate(book: Book, index: int) -> bool:
    """Tell whether a signal is a gate: one from 0 to 1 that only ever multiplies others.

    Args:
        book: What was observed.
        index: Index of the site that it comes from.
    """
    if not book.site(index).gates:
        return False
    here = index
    for _ in range(_FURTHEST):
        op = book.site(here).op.rstrip("_")
        if op in BOUNDED:
            return True
        behind = book.producers.get(here, [])
        if op not in _TURNED or len(behind) != 1:
            return False
        here = behind[0]
    return False

"""Numbers in the sentences of rules, in one style."""

from __future__ import annotations


def percent(share: float, *, digits: int = 0) -> str:
    """Write a share as ``30 %``.

    Args:
        share: Fraction, usually from 0 to 1.
        digits: Digits after the point.
    """
    return f"{100 * share:.{digits}f} %"

"""When a softmax over random scores no longer reacts to them."""

from __future__ import annotations

import math
from typing import Final

FROZEN: Final = 1e-3
"""A row with less than this part of an even row's reaction to its scores is frozen."""


def chance_spread(choices: int) -> float:
    """Return the standard deviation of random scores from which half of all rows freeze.

    A row p of n choices reacts with the Jacobian diag(p) - p p^T, of squared norm
    S_2 - 2 S_3 + S_2^2 with S_k = sum p^k. Where one choice has all the weight but a small q,
    that is 4 q^2; an even row has (n - 1) / n^2. The reaction is 2 q n / sqrt(n - 1) of the even
    row's and falls below `FROZEN` where the best score leads by

        gap = ln(2 n / (FROZEN sqrt(n - 1))).

    The lead of the best of n normals of standard deviation s is about exponential with mean
    s / sqrt(2 ln n), so that half of all rows lead by more where s = gap sqrt(2 ln n) / ln 2.

    Args:
        choices: Number of choices, at least 2.

    Example:
        >>> round(chance_spread(16))
        31
    """
    return _freezing_gap(choices) / math.log(2) if choices > 1 else math.inf


def chance_frozen(spread: float, choices: int) -> float:
    """Return the share of rows that random scores of a standard deviation freeze.

    That the best score leads by more than `gap` (see `chance_spread`) has, for a lead that is
    exponential with mean s / sqrt(2 ln n), the probability exp(-gap sqrt(2 ln n) / s).

    Args:
        spread: Standard deviation of the scores.
        choices: Number of choices, at least 2.

    Example:
        >>> round(chance_frozen(16.0, 16), 2)
        0.27
    """
    if choices < 2 or not spread > 0.0:
        return 0.0
    return math.exp(-_freezing_gap(choices) / spread)


def most_of_cosines(choices: int) -> float:
    """Return the largest weight that a softmax over cosines gives: one at 1, the rest at -1.

    Args:
        choices: Number of choices, at least 1.

    Example:
        >>> round(most_of_cosines(96), 3)
        0.072
    """
    return 1.0 / (1.0 + (choices - 1) * math.exp(-2.0))


def _freezing_gap(choices: int) -> float:
    """Return gap sqrt(2 ln n), the lead that freezes a row times what it is measured in."""
    gap = math.log(2 * choices / (FROZEN * math.sqrt(choices - 1)))
    return gap * math.sqrt(2 * math.log(choices))

r"""Attention: what a softmax row lets through, and how fast tokens become alike.

A row p of T weights has the Jacobian diag(p) - p p^T. For a gradient without preferred
direction its energy factor is

    (S_2 - 2 S_3 + S_2^2) / T,         S_k = sum_i p_i^k,

about 1/T^2 for even weights and 0 for a single one: both starve queries and keys.

Without skips, attention makes all tokens equal, doubly exponentially: the distance r from the
nearest matrix of equal rows obeys r' <= (4 beta / sqrt(d)) r^3. With a skip and even weights it
only falls as fast as the common part grows, see `token_correlation`.

Source: Dong, Cordonnier and Loukas (2021), theorem 2.2 (one head); the softmax factor and the
correlation map are short derivations, tested by Monte Carlo.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def softmax_energy(weights: Sequence[float]) -> float:
    """Return the energy factor of the gradient through one row of attention weights.

    Args:
        weights: The row, not negative, with sum 1.

    Raises:
        ValueError: If they do not sum to 1.

    Example:
        >>> round(math.sqrt(softmax_energy([1 / 16] * 16)), 6)
        0.060515
    """
    if not math.isclose(math.fsum(weights), 1.0, rel_tol=1e-6):
        raise ValueError(f"weights must sum to 1, but sum to {math.fsum(weights):g}")
    s_2, s_3 = (math.fsum(p**k for p in weights) for k in (2, 3))
    return max(s_2 - 2.0 * s_3 + s_2 * s_2, 0.0) / len(weights)


def token_correlation(
    correlation: float, tokens: int, gain: float = 1.0, *, skip: bool = True
) -> float:
    """Return the correlation of two tokens behind an attention layer with even weights.

    Args:
        correlation: Correlation before, in [0, 1].
        tokens: Number of tokens.
        gain: Energy factor of the value and output projections.
        skip: Whether the layer's input is added to its output.

    Example:
        >>> token_correlation(0.5, 64, skip=False)
        1.0
    """
    if not skip:
        return 1.0
    shared = gain * (1.0 + (tokens - 1) * correlation) / tokens
    return (correlation + shared) / (1.0 + shared)


def rank_collapse_bound(residual: float, layers: int, beta: float, width: int) -> float:
    """Return the bound on the distance from equal tokens after layers of pure attention.

    Args:
        residual: Relative distance before, in [0, 1].
        layers: Number of layers.
        beta: Bound on |W_Q W_K^T|_1 |W_V|_(1, inf).
        width: Width d of queries and keys.

    Returns:
        (4 beta / sqrt(d))^((3^L - 1) / 2) residual^(3^L).

    Example:
        >>> rank_collapse_bound(0.1, 2, 1.0, 16)
        1e-09
    """
    log = 0.5 * (3**layers - 1) * math.log10(4.0 * beta / math.sqrt(width))
    return float(f"{10.0 ** (log + 3**layers * math.log10(residual)):.12g}")

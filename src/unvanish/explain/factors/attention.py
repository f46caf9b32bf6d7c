"""Attention: what a softmax lets through to its scores, and the products with other signals.

A row p of a softmax has the Jacobian diag(p) - p p^T, of squared norm S_2 - 2 S_3 + S_2^2 with
S_k = sum p^k; over the number of entries, that is what it lets through without alignment. Of a
product A B of two signals, each is the other's matrix: |B| / sqrt(n) for n columns of B, as for a
layer of weights.
"""

from __future__ import annotations

from typing import Final

from unvanish.core.explanations import Factor
from unvanish.explain.factors.book import Part, Step

_PRODUCTS: Final = frozenset(
    "matmul mm bmm baddbmm addmm einsum dot mv vdot inner tensordot".split()
)


def parts(step: Step) -> tuple[Part, ...] | None:
    """Return the factors of a softmax, or of a matrix product of two signals."""
    if "softmax" in step.op:
        return step.scaled(Factor.SOFTMAX)
    return step.scaled(Factor.PRODUCT) if step.op in _PRODUCTS else None

"""Dropout: what it keeps, times one over the share that it keeps.

With p the share that is dropped, that is (1 - p)^(-1/2) on average.
"""

from __future__ import annotations

from unvanish.core.explanations import Factor
from unvanish.explain.factors.book import Part, Step


def parts(step: Step) -> tuple[Part, ...] | None:
    """Return the factors of a dropout."""
    return step.scaled(Factor.DROPOUT) if "dropout" in step.op else None

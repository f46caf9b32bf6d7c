"""Which term of a loss lies behind which other, by the gradients that both send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from unvanish.core.conditions import LossTerm
from unvanish.core.records import Recording

LEAST_DECADES: Final = 0.5
"""Decades that a term's gradient lies behind another's from which on training is asked: a prior
that lies one behind makes an autoencoder collapse, and training says for sure."""


def decades_behind(terms: Sequence[LossTerm], term: int, other: int) -> float:
    """Return by how many decades a term's gradient lies behind another's where they share.

    Args:
        terms: All the terms of the loss.
        term: Index of the one in question.
        other: Index of the one it is compared with.

    Returns:
        The decades; 0 where they are fewer than count, or share no parameters.
    """
    if term == other:
        return 0.0
    lost = terms[other].log10_grads[term] - terms[term].log10_grads[other]
    return lost if lost > LEAST_DECADES else 0.0


def most_drowned(terms: Sequence[LossTerm]) -> int | None:
    """Return the term of those that fit data which lies behind another by most, if one does."""
    most = {
        i: max(decades_behind(terms, i, j) for j in range(len(terms)))
        for i, term in enumerate(terms)
        if term.is_fit
    }
    worst = max(most, key=lambda i: most[i], default=None)
    return worst if worst is not None and most[worst] > 0.0 else None


def named_term(recording: Recording, term: LossTerm) -> str:
    """Return a term as the user would point at it: by its loss function and its line.

    Args:
        recording: What the term was read from.
        term: One of its terms.
    """
    site = recording.sites[term.site]
    what = f"the {site.function or site.op}" if term.is_fit else "the term"
    return f"{what} of line {site.source.line}" if site.source is not None else what

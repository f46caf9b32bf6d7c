"""What one operation does to the gradient, factor by factor; the factors add up exactly.

The last factor of every operation is what the others leave, so that nothing is lost. For a
gradient without preferred direction it is zero on average. One file a kind of operation; each
says what it takes for its own.

Source: the factorisations are short derivations; those of activation and linear layer follow
the variance recursions of Glorot and Bengio (2010) and He et al. (2015).
"""

from __future__ import annotations

from typing import Final

from unvanish.core.explanations import Factor, Level, Term
from unvanish.core.records import Edge
from unvanish.explain.factors import (
    activation,
    attention,
    dropout,
    gate,
    hook,
    loss,
    matrix,
    normalisation,
    pooling,
)
from unvanish.explain.factors.book import Book, Part, Step
from unvanish.explain.factors.matrix import inside, sigma_w, spread_of
from unvanish.explain.factors.normalisation import is_constant, projects
from unvanish.explain.factors.precision import rounded_apart, rounding

__all__ = [
    "Book",
    "inside",
    "is_constant",
    "operation",
    "projects",
    "rounded_apart",
    "rounding",
    "sigma_w",
    "spread_of",
]

_KINDS: Final = (
    loss.parts,
    hook.parts,
    normalisation.parts,
    activation.parts,
    dropout.parts,
    matrix.parts,
    attention.parts,
    gate.parts,
    pooling.parts,
)


def operation(book: Book, edge: Edge) -> Term:
    """Return the term of one operation: from the gradient at its output to that at one input.

    Args:
        book: What was observed.
        edge: The way the gradient takes through it.
    """
    step = Step(book, edge)
    return Term(
        level=Level.OPERATION,
        name=step.site.name,
        log10_gain=step.gain,
        sites=(step.site.index,),
        children=tuple(
            Term(
                level=Level.FACTOR,
                name=str(part.factor),
                log10_gain=part.gain,
                factor=part.factor,
                sites=(step.site.index,),
                parts=part.parts,
                against=part.against,
            )
            for part in _parts(step)
        ),
    )


def _parts(step: Step) -> tuple[Part, ...]:
    for kind in _KINDS:
        if found := kind(step):
            return found
    return (Part(Factor.OPAQUE if step.site.opaque else Factor.OTHER, step.gain),)

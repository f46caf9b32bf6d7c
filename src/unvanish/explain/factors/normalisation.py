r"""Normalisations: their own weight, what they project out, and one over the deviation.

Of y = gamma (x - mean) / sigma, the gradient at x is P (gamma g) / sigma, with P the projection
that takes out the mean and the direction of x - mean itself:

    log |c| / |g| = log |gamma g| / |g| + log |P gamma g| / |gamma g| + log |c| / |sigma c|
                       (affine)               (projection)                (1 / deviation)

group by group. In evaluation mode BatchNorm projects nothing out. A normalisation written by
hand, or run in steps, is a product with one over the size of its own input: the product is
1 / deviation, and where the two ways into it come together is the projection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from unvanish.core.explanations import Factor
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Recording, Site
from unvanish.explain.factors.book import Book, Part, Step

_SIZES: Final = frozenset("rsqrt sqrt std var linalg_vector_norm norm".split())
"""Operations that a size is taken with."""
_NOTHING: Final = 1e-6
"""Decades; what is projected out is more, unless the statistics are constants."""
_FURTHEST: Final = 12
"""Operations between an input and its division by its own size."""


def parts(step: Step) -> tuple[Part, ...] | None:
    """Return the factors of a normalisation."""
    if step.op in ("mul", "div"):
        if _is_over_size(step.book, step.edge):
            return step.scaled(Factor.NORM_SCALE)
        if step.site.function == "rms_norm" and step.site.weights:
            return step.scaled(Factor.NORM_AFFINE)
        return None
    if "norm" not in step.op or step.op in _SIZES:
        return None
    if step.gain == -math.inf:
        return (Part(Factor.NORM_PROJECTION, step.gain),)
    affine = step.recording[Quantity.LOG10_NORM_AFFINE].get(step.site)
    projection = step.recording[Quantity.LOG10_NORM_PROJECTION].get(step.site)
    if math.isnan(affine) or math.isnan(projection):
        return _estimated(step)
    return (
        Part(Factor.NORM_AFFINE, affine),
        Part(Factor.NORM_PROJECTION, projection),
        Part(Factor.NORM_SCALE, step.gain - affine - projection),
    )


def projects(book: Book, edges: Sequence[Edge]) -> bool:
    """Tell whether the uses of an output are the two ways into its own normalisation.

    Args:
        book: What was observed.
        edges: The uses.
    """
    if len({edge.consumer for edge in edges}) < 2:
        return False
    over = [edge for edge in edges if _is_over_size(book, edge)]
    return len(over) == 1 and all(
        edge is over[0] or _leads_to_size(book, edge.consumer, over[0].consumer) for edge in edges
    )


def is_constant(recording: Recording, site: Site) -> bool:
    """Tell whether a normalisation divides by numbers that do not depend on its input.

    That is BatchNorm in evaluation mode, which projects nothing out.

    Args:
        recording: What was observed.
        site: A normalisation.
    """
    return abs(recording[Quantity.LOG10_NORM_PROJECTION].get(site)) < _NOTHING


def _is_over_size(book: Book, edge: Edge) -> bool:
    """Tell whether an operation multiplies its input with one over that input's own size."""
    site = book.site(edge.consumer)
    if site.op.rstrip("_") not in ("mul", "div"):
        return False
    others = [i for i in book.producers.get(site.index, ()) if i != edge.producer]
    return len(others) == 1 and _takes_size_of(book, others[0], edge.producer)


def _takes_size_of(book: Book, start: int, source: int) -> bool:
    """Tell whether a site holds the size of another, through few operations."""
    here, has_size = [start], False
    for _ in range(_FURTHEST):
        if source in here:
            return has_size
        has_size = has_size or any(book.site(i).op.rstrip("_") in _SIZES for i in here)
        here = [i for site in here for i in book.producers.get(site, ()) if i >= source]
        if not here or len(here) > _FURTHEST:
            return False
    return False


def _leads_to_size(book: Book, start: int, end: int) -> bool:
    """Tell whether every way from a site runs into one other within few operations."""
    here = {start}
    for _ in range(_FURTHEST):
        if here == {end}:
            return True
        here = {i for site in here - {end} for i in book.consumers.get(site, ()) if i <= end} | (
            here & {end}
        )
    return False


def _estimated(step: Step) -> tuple[Part, ...]:
    """Split the gain by the parameter's and the signal's size, where no more was measured."""
    rest, found = step.gain, []
    parameters = step.book.parameters
    own = next((parameters[n] for n in step.site.weights if n in parameters), None)
    if own is not None and own.rms > 0.0:
        found.append(Part(Factor.NORM_AFFINE, math.log10(own.rms)))
    size = step.recording[Quantity.ACTIVATION_RMS].get(step.edge.producer)
    mean = step.recording[Quantity.ACTIVATION_MEAN].get(step.edge.producer)
    centred = 0.0 if "rms" in step.op else mean
    variance = size * size - centred * centred
    if variance > 1e-12 * size * size:
        found.append(Part(Factor.NORM_SCALE, -0.5 * math.log10(variance)))
    rest -= math.fsum(part.gain for part in found)
    return (*found, Part(Factor.NORM_PROJECTION, rest))

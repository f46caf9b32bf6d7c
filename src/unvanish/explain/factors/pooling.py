"""Means, maxima and sums over positions; views, parts and concatenations.

A mean over k entries hands each 1/k of one gradient: k^(-1/2) in the norm; a sum, k^(1/2). A part
of a concatenation has its share of the entries, and as much more or less of the gradient as the
alignment says.
"""

from __future__ import annotations

from typing import Final

from unvanish.core.explanations import Factor
from unvanish.explain.factors.book import Part, Step

LAYOUT: Final = frozenset(
    "view reshape flatten unflatten transpose permute squeeze unsqueeze expand expand_as split "
    "chunk unbind cat concat concatenate stack hstack vstack getitem slice select index narrow "
    "contiguous clone to float double half bfloat16 type movedim swapaxes t mT T repeat "
    "repeat_interleave pad roll flip gather index_select take_along_dim masked_fill where "
    "unsafe_split unsafe_chunk split_with_sizes tensor_split unsafe_view alias "
    "pack_padded_sequence unfold fold pixel_shuffle tile copy_ embedding".split()
)
"""Operations that move entries without changing them."""
PARTS: Final = frozenset(
    "getitem select slice split chunk unbind narrow unsafe_split unsafe_chunk split_with_sizes "
    "tensor_split index index_select".split()
)
"""Operations that take entries out; those of two of them are others, unless they overlap."""
_SUMS: Final = frozenset("add sub rsub neg positive".split())
"""They hand the gradient on as it is; to what was spread over an axis, summed over it."""
_JOINTS: Final = frozenset(
    "cat concat concatenate stack hstack vstack masked_fill where maximum minimum".split()
)
"""Those that have more than one source: each gets its part of the gradient."""
_POOLING: Final = frozenset(
    "mean sum max min max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d amax amin "
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d logsumexp "
    "adaptive_max_pool2d adaptive_max_pool3d interpolate upsample scatter_add index_add "
    "cumsum".split()
)


def parts(step: Step) -> tuple[Part, ...] | None:
    """Return the factors of pooling and of what only moves entries."""
    if step.op in _POOLING:
        return step.scaled(Factor.POOLING)
    if step.op in _JOINTS:
        return step.scaled(Factor.LAYOUT)
    return (Part(Factor.LAYOUT, step.gain),) if step.op in LAYOUT | _SUMS else None

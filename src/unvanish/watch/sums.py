"""What is added up at a sample, by name: squares, and numbers of entries. Without torch.

Everything stays a sum until a number of the recording is made of it, so that micro-batches and
processes can be put together.
"""

from __future__ import annotations

from typing import Final

SAFE: Final = (1e-15, 1e18)
"""Norms between these are right in float32; a little inside of where squares are lost."""

PARAMETER_SUMS: Final = (
    "size",
    "grad_square",
    "clipped_square",
    "param_square",
    "grad_sampled",
    "grad_zeros",
    "grad_non_finite",
    "grad_sample_square",
    "weight_sampled",
    "moved",
    "update_square",
    "weight_square",
)
"""What is added up for every parameter: squares, and numbers of entries."""

TURN_SUMS: Final = ("product", "earlier_square", "later_square")
"""What is added up over the samples of two successive gradients."""

TAP_SUMS: Final = (
    "count",
    "square",
    "cosine",
    "pairs",
    "slope_count",
    "slope_square",
    "saturated",
    "grad_count",
    "grad_square",
    "grad_sampled",
    "grad_sample_square",
    "grad_lost",
    "grad_of",
)
"""What is added up for every layer: squares, cosines, and numbers of entries and pairs."""

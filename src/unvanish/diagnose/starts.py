"""Tells matrices that still have the size PyTorch starts them with."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final

from unvanish.core.records import Parameter, Recording
from unvanish.diagnose.optimiser import embeddings

_UNIFORM_ERROR: Final = 1 / math.sqrt(5)
"""Standard error of the rms of n uniform entries, times sqrt(n) over the rms."""

_NORMAL_ERROR: Final = 1 / math.sqrt(2)
"""The same for normal entries."""


def is_untrained(recording: Recording) -> bool:
    """Tell whether vectors are still all zeros or ones, or matrices as PyTorch draws them.

    Matrices of 100 entries or more count, and 3 standard errors of their size.
    """
    vectors = [p for p in recording.parameters if len(p.shape) == 1 and p.size > 1]
    return any(p.requires_grad and p.rms in {0.0, 1.0} for p in vectors) or are_at_start(
        recording.parameters, embeddings(recording), max_standard_errors=3.0, min_entries=100
    )


def are_at_start(
    parameters: Sequence[Parameter],
    tables: Collection[str],
    *,
    max_standard_errors: float,
    min_entries: int,
) -> bool:
    """Tell whether several matrices all have the size that PyTorch starts them with.

    Args:
        parameters: Those in question; vectors and small matrices are left aside.
        tables: Names of the embeddings among them.
        max_standard_errors: How far off a size may be.
        min_entries: What a matrix needs for its size to say anything.

    Returns:
        False where fewer than two matrices are large enough.
    """
    matrices = [p for p in parameters if len(p.shape) >= 2 and p.size >= min_entries]
    return len(matrices) >= 2 and all(
        any(
            abs(p.rms / size - 1.0) * math.sqrt(p.size) <= max_standard_errors * error
            for size, error in _starts(p, is_table=p.name in tables)
        )
        for p in matrices
    )


def _starts(parameter: Parameter, *, is_table: bool) -> list[tuple[float, float]]:
    """Return the sizes with which PyTorch starts a matrix, and their relative errors."""
    if is_table:
        return [(1.0, _NORMAL_ERROR)]
    units, fan_in = parameter.shape[0], parameter.size / max(1, parameter.shape[0])
    xavier = math.sqrt(2.0 / (units + fan_in))  # the projections of MultiheadAttention
    hidden = [units / gates for gates in (1, 3, 4)]  # of a recurrent layer, gates stacked
    return [
        *((1.0 / math.sqrt(3.0 * n), _UNIFORM_ERROR) for n in (fan_in, *hidden) if n > 0.0),
        (xavier, _UNIFORM_ERROR),
    ]

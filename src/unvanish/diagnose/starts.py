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

_STANDARD_ERRORS: Final = 3.0
_FEW: Final = 100
"""Entries of a matrix whose size says whether it is as it was drawn, and how far off it may be."""


def is_untrained(recording: Recording) -> bool:
    """Tell whether vectors are still all zeros or ones, or matrices as PyTorch draws them.

    Matrices of 100 entries or more count, and 3 standard errors of their size.
    """
    vectors = [p for p in recording.parameters if len(p.shape) == 1 and p.size > 1]
    return any(p.requires_grad and p.rms in {0.0, 1.0} for p in vectors) or are_at_start(
        recording.parameters,
        embeddings(recording),
        max_standard_errors=_STANDARD_ERRORS,
        min_entries=_FEW,
    )


def is_partly_untrained(recording: Recording) -> bool:
    """Tell whether a network is untrained, or two matrices at least, and half of all, are.

    Those of layers that the user draws otherwise tell nothing. A new head on a body that was
    trained is less than half of all.
    """
    if is_untrained(recording):
        return True
    tables = embeddings(recording)
    matrices = [p for p in recording.parameters if len(p.shape) >= 2 and p.size >= _FEW]
    fresh = sum(_is_at_start(p, tables, _STANDARD_ERRORS) for p in matrices)
    return fresh >= max(2, len(matrices) / 2)


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
        _is_at_start(p, tables, max_standard_errors) for p in matrices
    )


def _is_at_start(parameter: Parameter, tables: Collection[str], standard_errors: float) -> bool:
    return any(
        abs(parameter.rms / size - 1.0) * math.sqrt(parameter.size) <= standard_errors * error
        for size, error in _starts(parameter, is_table=parameter.name in tables)
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

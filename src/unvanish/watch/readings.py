"""From sums and counts, as they come from the device, to the numbers of a recording."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from unvanish.core.glossary import LayerQuantity
from unvanish.watch.sums import PARAMETER_SUMS as SUMS
from unvanish.watch.sums import SAFE

Row = npt.NDArray[np.float64]


def parameter_rows(sums: Row, at: npt.NDArray[np.int64], layers: int) -> dict[LayerQuantity, Row]:
    """Return the quantities of the parameters, one value a layer.

    Args:
        sums: One row for each of `SUMS`, one column a parameter; see `repaired`.
        at: Position of each parameter's layer.
        layers: How many layers there are.
    """
    row = dict(zip(SUMS, sums, strict=True))
    size = row["size"]

    held = np.bincount(at, minlength=layers) > 0

    def total(values: Row) -> Row:
        return np.where(held, np.bincount(at, values, layers), math.nan)

    whole = total(size)
    by_gradient = size / np.maximum(row["grad_sampled"], 1.0)  # `nan` in a light sample
    by_weight = size / np.maximum(row["weight_sampled"], 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = {
            LayerQuantity.LOG10_PARAM_GRAD_RMS: log10_rms(total(row["grad_square"]), whole),
            LayerQuantity.MOVED_FRACTION: total(row["moved"] * by_weight) / whole,
        }
        if not np.isnan(row["param_square"]).all():
            rows[LayerQuantity.LOG10_PARAM_RMS] = log10_rms(total(row["param_square"]), whole)
        if not np.isnan(row["grad_zeros"]).all():
            zeros, odd = row["grad_zeros"] * by_gradient, row["grad_non_finite"] * by_gradient
            rows[LayerQuantity.ZERO_GRAD_FRACTION] = total(zeros) / whole
            rows[LayerQuantity.NON_FINITE_GRAD_FRACTION] = total(odd) / whole
        moves, weights = (
            total(row["update_square"] * by_weight),
            total(row["weight_square"] * by_weight),
        )
        ratio = 0.5 * (np.log10(moves) - np.log10(weights))
        rows[LayerQuantity.LOG10_UPDATE_RATIO] = np.where(moves == 0.0, -math.inf, ratio)
    return rows


def repaired(sums: Row, wide: npt.NDArray[np.bool_]) -> Row:
    """Put what the sample says where a norm in float32 lost or overflowed its squares.

    Args:
        sums: One row for each of `SUMS`, one column a parameter.
        wide: Which norms were taken in float64.
    """
    place = SUMS.index
    size, square = sums[place("size")], sums[place("grad_square")]
    with np.errstate(invalid="ignore"):
        norm = np.sqrt(square)
        safe = wide | ((norm > SAFE[0]) & (norm < SAFE[1])) | np.isnan(norm)
    sampled = sums[place("grad_sampled")]
    estimate = sums[place("grad_sample_square")] * size / np.maximum(sampled, 1.0)
    odd = sums[place("grad_non_finite")] > 0
    fixed = sums.copy()
    fixed[place("grad_square")] = np.where(safe | odd, square, estimate)
    return fixed


def turn_row(sums: Row, at: npt.NDArray[np.int64], layers: int) -> Row:
    """Return the cosine between successive gradients, one value a layer.

    Args:
        sums: One row for each of `TURN_SUMS`, one column a parameter.
        at: Position of each parameter's layer.
        layers: How many layers there are.
    """
    product, earlier, later = (np.bincount(at, values, layers) for values in sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.sqrt(earlier) * np.sqrt(later)
        return np.where(lengths > 0.0, product / lengths, math.nan)


def log10_rms(square: Row, count: Row) -> Row:
    """Return log10 sqrt(square / count); ``-inf`` for zero, ``nan`` where nothing was counted."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 0, 0.5 * np.log10(square / np.maximum(count, 1.0)), math.nan)


def half_log10(square: float) -> float:
    """Return log10 sqrt of a sum of squares, ``-inf`` for zero."""
    if math.isnan(square) or square < 0.0:
        return math.nan
    return (
        0.5 * math.log10(square) if 0.0 < square < math.inf else (math.inf if square else -math.inf)
    )

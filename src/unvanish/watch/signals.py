"""From what the taps read to the quantities between the layers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence, Sized
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from unvanish.core.glossary import LayerQuantity
from unvanish.core.runs import DEAD_WINDOW
from unvanish.watch.readings import Row, log10_rms
from unvanish.watch.sums import SAFE
from unvanish.watch.sums import TAP_SUMS as SUMS

_MARGIN: Final = 1e3


class Looked(Protocol):
    """What is asked of a tap, or of the taps of several processes put together.

    Attributes:
        wide: Whether norms are taken in float64.
    """

    wide: bool

    @property
    def function(self) -> Any:
        """The activation function it is, if it is one."""

    @property
    def on(self) -> Sized | None:
        """As long as there are units that can be dead; None where it was not looked."""

    @property
    def layer(self) -> Any:
        """Its layer, which is told its number of units."""


def repaired_taps(table: Row, wide: npt.NDArray[np.bool_]) -> Row:
    """Put what the sample says where a norm in float32 lost or overflowed its squares.

    Args:
        table: One row for each of `SUMS`, one column a tap.
        wide: Which norms were taken in float64.
    """
    row = dict(zip(SUMS, table, strict=True))
    with np.errstate(invalid="ignore"):
        norm = np.sqrt(row["grad_square"])
    safe = wide | ((norm > SAFE[0]) & (norm < SAFE[1]))
    per_entry = row["grad_sample_square"] / np.maximum(row["grad_sampled"], 1.0)
    fixed = table.copy()
    use = ~safe & (row["grad_sampled"] > 0)
    fixed[SUMS.index("grad_square")] = np.where(
        use, per_entry * row["grad_count"], row["grad_square"]
    )
    return fixed


def choose_width(taps: Sequence[Looked], table: Row) -> None:
    """Take the next norms in float64 where these come near the ends of float32."""
    with np.errstate(invalid="ignore"):
        norm = np.sqrt(table[SUMS.index("grad_square")])
    inside = (norm > SAFE[0] * _MARGIN) & (norm < SAFE[1] / _MARGIN)
    for tap, is_inside in zip(taps, inside.tolist(), strict=True):
        tap.wide = not is_inside


def tap_rows(taps: Sequence[Looked], table: Row, scale: float) -> dict[LayerQuantity, Row]:
    """Return the quantities between the layers, one value a tap.

    Args:
        taps: All taps.
        table: One row for each of `SUMS`, one column a tap.
        scale: What the loss was multiplied with.
    """
    row = dict(zip(SUMS, table, strict=True))

    def mean(total: str, count: str) -> Row:
        counts = row[count]
        return np.where(counts > 0, row[total] / np.maximum(counts, 1.0), math.nan)

    bounded = [t.function is not None and not math.isnan(t.function.flat_below) for t in taps]
    gradient = log10_rms(row["grad_square"], row["grad_count"]) - math.log10(scale)
    return {
        LayerQuantity.ACTIVATION_RMS: np.sqrt(mean("square", "count")),
        LayerQuantity.SAMPLE_COSINE: mean("cosine", "pairs"),
        LayerQuantity.SLOPE_RMS: np.sqrt(mean("slope_square", "slope_count")),
        LayerQuantity.SATURATED_FRACTION: np.where(
            bounded, mean("saturated", "slope_count"), math.nan
        ),
        LayerQuantity.LOG10_ACTIVATION_GRAD_RMS: gradient,
        LayerQuantity.UNDERFLOW_FRACTION: mean("grad_lost", "grad_of"),
    }


class DeadUnits:
    """Which units were off for every sample of the last few.

    Attributes:
        jumped: Step at which the loss jumped last. For some samples more, what died there would
            count as alive, for it was on before. So until enough have come, the later half of those
            since the jump is looked at: a jump may take some steps to do its work.
    """

    def __init__(self) -> None:
        self.jumped = -1
        self._ages: dict[int, npt.NDArray[np.int64]] = {}
        self._steps: dict[int, deque[int]] = {}

    def row(self, step: int, taps: Sequence[Looked], on: Row | None) -> Row:
        """Take one more sample and return the share of dead units, one value a tap.

        Args:
            step: Of the sample.
            taps: All taps, in the order of the sample before.
            on: 1 for every unit that was on, of all taps that have units to tell of, end to
                end; None where none has.
        """
        row = np.full(len(taps), math.nan)
        start = 0
        for number, tap in enumerate(taps):
            if on is None or tap.on is None:
                continue
            size = len(tap.on)
            ages = self._ages.get(number)
            if ages is None or len(ages) != size:
                ages = np.zeros(size, dtype=np.int64)
                self._steps[number] = deque(maxlen=2 * DEAD_WINDOW)
            self._ages[number] = ages = np.where(on[start : start + size] > 0.0, 0, ages + 1)
            self._steps[number].append(step)
            since = sum(each >= self.jumped for each in self._steps[number])
            window = min(DEAD_WINDOW, since if self.jumped < 0 else max(1, since // 2))
            start += size
            tap.layer.units = size
            row[number] = np.count_nonzero(ages >= window) / size
        return row

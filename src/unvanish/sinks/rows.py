"""A run as a stream of numbers, each with a name and a moment: what every sink starts from."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number.

    Attributes:
        step: When.
        quantity: What.
        value: The number; that of a layer is never ``nan``.
        index: Of the layer; -1 for a quantity of the whole run.
    """

    step: int
    quantity: LayerQuantity | StepQuantity
    value: float
    index: int = -1


def labels(run: RunRecording) -> tuple[str, ...]:
    """Return one name a layer, no two alike."""
    names = [layer.name for layer in run.layers]
    often = Counter(names)
    return tuple(
        f"{name} #{index}" if often[name] > 1 else name for index, name in enumerate(names)
    )


def rows(run: RunRecording) -> Iterator[Row]:
    """Yield every measured number, in the order of the steps."""
    for _, found in by_step(run):
        yield from found


def by_step(run: RunRecording) -> Iterator[tuple[int, list[Row]]]:
    """Yield every step at which something was measured, with what was, in order."""
    count = len(run.layers)
    of_layers = {q: dict(zip(s.steps, s.rows, strict=True)) for q, s in run.by_layer.items()}
    of_run = {q: dict(zip(s.steps, s.values, strict=True)) for q, s in run.by_step.items()}
    for step in sorted(
        {*(s for d in of_layers.values() for s in d), *(s for d in of_run.values() for s in d)}
    ):
        found = [Row(step, quantity, d[step]) for quantity, d in of_run.items() if step in d]
        found += [
            Row(step, quantity, value, index)
            for quantity, d in of_layers.items()
            for index, value in enumerate(d.get(step, ())[:count])
            if not math.isnan(value)
        ]
        if found:
            yield step, found


def tagged(run: RunRecording) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield every step with its numbers under the names that experiment trackers group by.

    Such as ``loss`` and ``log10_param_grad_rms/layers.3``.
    """
    names = labels(run)
    for step, found in by_step(run):
        yield step, {tag_of(row, names): row.value for row in found}


def tag_of(row: Row, names: tuple[str, ...]) -> str:
    """Return the name of a number in an experiment tracker.

    Args:
        row: The number.
        names: What `labels` returned.
    """
    return row.quantity.value if row.index < 0 else f"{row.quantity.value}/{names[row.index]}"


def clock(run: RunRecording) -> Callable[[int], float]:
    """Return the function from a step to its Unix time, read off the seconds that were measured.

    Between two of them it is a straight line, and a microsecond a step where there are none.
    """
    known = [(s, v) for s, v in run.over(StepQuantity.SECONDS) if math.isfinite(v)]
    steps = [step for step, _ in known]

    def at(step: int) -> float:
        if not known:
            return run.started + 1e-6 * step
        right = min(max(bisect_left(steps, step), 1), len(known) - 1)
        (low, start), (high, end) = known[right - 1], known[right]
        if high == low:
            return run.started + end
        return run.started + start + (end - start) * (step - low) / (high - low)

    return at


def number(row: Row) -> float:
    """Return a number without digits that 32 bits do not have."""
    return float(f"{row.value:.9g}") if row.index >= 0 else row.value

"""Fold what repeats: equal slopes of a chart, equal paths of a list."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from unvanish.core.findings import Mark, Point

SHOWN_WHOLE: Final = 12
MOST_KEPT: Final = 10
_EVENLY_KEPT: Final = 8
_SHORTEST_SPLIT: Final = 5
_NUMBER: Final = re.compile(r"\d+")


class Shape(StrEnum):
    """What the layers of a fold have in common."""

    SLOPE = "same slope"
    ZERO = "zero"
    INFINITE = "infinite"
    UNMEASURED = "not measured"
    UNEVEN = "uneven"


@dataclass(frozen=True, slots=True)
class Fold:
    """Layers that are not drawn one by one.

    Attributes:
        count: How many.
        shape: What they have in common.
        mark: The worst mark among them.
        middle: Value of the middle one, in decades.
        lowest: Smallest value among them.
        highest: Largest value among them.
    """

    count: int
    shape: Shape
    mark: Mark
    middle: float
    lowest: float
    highest: float


def fold_points(points: Sequence[Point]) -> list[Point | Fold]:
    """Choose the layers to draw and fold the runs between them.

    A run is folded as "same slope" only where every layer in it lies on the straight line
    between its neighbours, within 3 % of the range of the chart (at least 0.15 decades).
    Layers are kept where the mark changes, where zeros begin, and where the profile bends
    most; what remains uneven is said to be so.

    Args:
        points: One per layer, input side first.

    Returns:
        At most 19 rows; all layers where there are at most 12.
    """
    if len(points) <= SHOWN_WHOLE:
        return list(points)
    finite = [point.log10 for point in points if math.isfinite(point.log10)]
    spread = max(finite) - min(finite) if finite else 0.0
    tolerance = max(0.15, 0.03 * spread)
    kept = [0, len(points) - 1]
    while len(kept) < MOST_KEPT:
        split = _best_split(points, kept, tolerance)
        if split is None:
            break
        kept = sorted([*kept, split])
    kept = _spread(points, kept)
    rows: list[Point | Fold] = []
    for left, right in pairwise(kept):
        rows.append(points[left])
        if right - left == 2:
            rows.append(points[left + 1])
        elif right - left > 2:
            rows.append(_fold(points, left, right, tolerance))
    return [*rows, points[-1]]


def _best_split(points: Sequence[Point], kept: list[int], tolerance: float) -> int | None:
    """Return the layer that tells most among those not kept yet; None if all is told."""
    best: tuple[float, int] | None = None
    for left, right in pairwise(kept):
        if right - left <= 2:
            continue
        change = _change(points, left, right)
        error, where = _bend(points, left, right)
        if change is not None:
            error, where = math.inf, change
        if error > tolerance and (best is None or error > best[0]):
            best = (error, where)
    return None if best is None else best[1]


def _spread(points: Sequence[Point], kept: list[int]) -> list[int]:
    """Add layers at even distances inside long straight runs, so that the eye has a hold."""
    runs = {
        (left, right): 1
        for left, right in pairwise(kept)
        if right - left >= _SHORTEST_SPLIT and math.isfinite(points[left + 1].log10)
    }
    for _ in range(_EVENLY_KEPT - len(kept)):
        longest = max(runs, key=lambda run: (run[1] - run[0]) / runs[run], default=None)
        if longest is None or (longest[1] - longest[0]) / runs[longest] < _SHORTEST_SPLIT:
            break
        runs[longest] += 1
    added = [
        left + round((right - left) * part / parts)
        for (left, right), parts in runs.items()
        for part in range(1, parts)
    ]
    return sorted([*kept, *added])


def _kind(point: Point) -> tuple[Mark, str]:
    value = point.log10
    return point.mark, "number" if math.isfinite(value) else str(value)


def _change(points: Sequence[Point], left: int, right: int) -> int | None:
    first = _kind(points[left + 1])
    return next((i for i in range(left + 2, right) if _kind(points[i]) != first), None)


def _bend(points: Sequence[Point], left: int, right: int) -> tuple[float, int]:
    """Return the largest distance from the chord of a run, and where it is."""
    start = left if math.isfinite(points[left].log10) else left + 1
    stop = right if math.isfinite(points[right].log10) else right - 1
    low, high = points[start].log10, points[stop].log10
    if start >= stop or not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, left + 1
    slope = (high - low) / (stop - start)
    worst, where = 0.0, left + 1
    for i in range(left + 1, right):
        error = abs(points[i].log10 - (low + slope * (i - start)))
        if math.isfinite(error) and error > worst:
            worst, where = error, i
    return worst, where


def _fold(points: Sequence[Point], left: int, right: int, tolerance: float) -> Fold:
    inner = points[left + 1 : right]
    values = [point.log10 for point in inner if not math.isnan(point.log10)]
    if _change(points, left, right) is not None:
        shape = Shape.UNEVEN
    elif not values:
        shape = Shape.UNMEASURED
    elif math.isinf(values[0]):
        shape = Shape.ZERO if values[0] < 0 else Shape.INFINITE
    else:
        shape = Shape.SLOPE if _bend(points, left, right)[0] <= tolerance else Shape.UNEVEN
    return Fold(
        count=len(inner),
        shape=shape,
        mark=max((point.mark for point in inner), key=list(Mark).index),
        middle=inner[len(inner) // 2].log10,
        lowest=min(values, default=math.nan),
        highest=max(values, default=math.nan),
    )


def fold_names(names: Sequence[str], *, ellipsis: str = "…") -> list[str]:
    """Fold names that differ in one number only, at equal distances.

    Args:
        names: Module paths or parameter names; repeated ones count once.
        ellipsis: What to write between the first and the last of a run.

    Returns:
        Pieces such as ``"layers.0 … layers.18"``; names of which none folds keep their order.

    Example:
        >>> fold_names(["ls.0", "ls.1", "ls.2", "head"])
        ['ls.0 … ls.2', 'head']
    """
    families: dict[str, list[tuple[tuple[int, ...], str]]] = {}
    for name in dict.fromkeys(names):
        numbers = tuple(int(digits) for digits in _NUMBER.findall(name) if len(digits) < 19)
        families.setdefault(_NUMBER.sub("#", name), []).append((numbers, name))
    pieces: list[str] = []
    for members in families.values():
        runs = _runs(sorted(members), ellipsis)
        alone = len(runs) == len(members)
        pieces += [name for _, name in members] if alone else runs
    return pieces


def _runs(members: list[tuple[tuple[int, ...], str]], ellipsis: str) -> list[str]:
    pieces: list[str] = []
    start = 0
    while start < len(members):
        stop = start + 1
        step = _step(members[start][0], members[stop][0]) if stop < len(members) else None
        while (
            step is not None
            and stop + 1 < len(members)
            and _step(members[stop][0], members[stop + 1][0]) == step
        ):
            stop += 1
        if step is None or stop - start < 2:
            pieces.append(members[start][1])
            start += 1
        else:
            pieces.append(f"{members[start][1]} {ellipsis} {members[stop][1]}")
            start = stop + 1
    return pieces


def _step(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, int] | None:
    """Return which number differs and by how much; None unless it is exactly one."""
    if len(one) != len(other):
        return None
    differing = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    if len(differing) != 1:
        return None
    return differing[0], other[differing[0]] - one[differing[0]]

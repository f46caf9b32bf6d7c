"""The gradient at every layer before and after a treatment, each in one row of blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from unvanish.show.sheet import Sheet
from unvanish.show.spark import ASCII_BLOCKS, BLOCKS
from unvanish.show.words import power

_MOST_BLOCKS: Final = 24
_PLACE: Final = 24


def profile_rows(
    before: Mapping[str, float], after: Mapping[str, float], sheet: Sheet
) -> list[str]:
    """Draw two profiles on one scale: first layer, blocks, last layer; the worst if not the first.

    Args:
        before: Name of each layer to the decades by which the gradient changes from the outputs
            to it, input side first.
        after: The same after a treatment.
        sheet: Where to draw them.

    Returns:
        Rows, a heading first; none where a profile is not known.
    """
    if not before or not after:
        return []
    known = [value for one in (before, after) for value in one.values() if math.isfinite(value)]
    scale = min(0.0, *known, 0.0), max(0.0, *known, 0.0)
    rows = ["gradient by layer, over output, input side first:"]
    for words, profile in (("before", before), ("after", after)):
        values = list(profile.values())
        worst = max(profile, key=lambda name: _distance(profile[name]))
        row = f"  {words:6} {power(values[0]):>8} {_row(values, scale, sheet)} {power(values[-1])}"
        if worst != next(iter(profile)):
            row += f", worst {power(profile[worst])} at {sheet.elide(worst, _PLACE)}"
        rows.append(row)
    return rows


def _row(values: Sequence[float], scale: tuple[float, float], sheet: Sheet) -> str:
    """Return a block a layer; of several layers in one block the worst."""
    blocks, (low, high) = ASCII_BLOCKS if sheet.ascii else BLOCKS, scale
    room = min(len(values), _MOST_BLOCKS)
    row = ""
    for cell in range(room):
        start, end = cell * len(values) // room, (cell + 1) * len(values) // room
        value = max(values[start:end], key=_distance)
        if math.isfinite(value):
            share = (value - low) / (high - low) if high > low else 1.0
            row += blocks[min(len(blocks) - 1, int(share * len(blocks)))]
        else:
            row += " " if math.isnan(value) else sheet.glyphs.no
    return row


def _distance(value: float) -> float:
    return -1.0 if math.isnan(value) else abs(value)

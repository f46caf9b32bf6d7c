"""A series over steps as one row of blocks, with the steps below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Final

from rich.text import Text

from unvanish.show.sheet import Lines, Sheet, join, styled
from unvanish.show.words import number

BLOCKS: Final = "▁▂▃▄▅▆▇█"
"""Blocks of a row, from the lowest."""
ASCII_BLOCKS: Final = "_.-:=+*#"
"""The same in ASCII."""
_MANY_TIMES: Final = 30.0
_MOST_MARKS: Final = 3


def spark_lines(
    label: str,
    samples: Sequence[tuple[int, float]],
    sheet: Sheet,
    *,
    marks: Sequence[tuple[int, str]] = (),
) -> Lines:
    """Draw a series: its first value, a row of blocks, its last value, then steps and marks.

    Args:
        label: What is drawn.
        samples: Step and value; what is no number is drawn as a cross.
        sheet: Where to draw it.
        marks: Step and words of what to point at.

    Returns:
        Two lines and one for each mark; none where there is nothing to draw.
    """
    if not samples:
        return []
    finite = [value for _, value in samples if math.isfinite(value)]
    is_log = bool(finite) and min(finite) > 0.0 and max(finite) > _MANY_TIMES * min(finite)
    name = f"{label}, log" if is_log else label
    head = f"  {name}  {_said(samples[0][1])} "
    tail = f" {_said(samples[-1][1])}"
    room = max(8, sheet.width - len(head) - len(tail))
    low, high = samples[0][0], max(samples[-1][0], samples[0][0] + 1)
    room = min(room, high - low + 1) if high - low + 1 >= 8 else room
    row = _row(samples, room, sheet, is_log=is_log)
    lines = [join([styled(f"  {name}", "strong"), head[2 + len(name) :], row, tail])]
    lines.append(_axis(low, high, len(head), room))

    def column(step: int) -> int:
        return len(head) + min(room - 1, max(0, (step - low) * room // (high - low + 1)))

    for step, words in marks[:_MOST_MARKS]:
        lines.append(_mark(column(step), f"{words} at step {step:,}", sheet))
    return lines


def _said(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return number(value) if math.isfinite(value) else f"{value:+}"


def _row(samples: Sequence[tuple[int, float]], room: int, sheet: Sheet, *, is_log: bool) -> Text:
    blocks = ASCII_BLOCKS if sheet.ascii else BLOCKS
    low, high = samples[0][0], max(samples[-1][0], samples[0][0] + 1)
    cells: list[list[float]] = [[] for _ in range(room)]
    for step, value in samples:
        cells[(step - low) * room // (high - low + 1)].append(value)
    levels = [_level(cell, is_log=is_log) for cell in cells]
    known = [level for level in levels if level is not None and math.isfinite(level)]
    bottom, top = (min(known), max(known)) if known else (0.0, 0.0)
    row = Text()
    for level in levels:
        if level is None:
            row.append(" ")
        elif not math.isfinite(level):
            row.append_text(styled(sheet.glyphs.no, "error"))
        else:
            share = (level - bottom) / (top - bottom) if top > bottom else 0.0
            row.append(blocks[min(len(blocks) - 1, int(share * len(blocks)))])
    return row


def _level(cell: Sequence[float], *, is_log: bool) -> float | None:
    """Return the median of a cell; nan where most of it is no number, None where it is empty."""
    finite = [value for value in cell if math.isfinite(value)]
    if not cell:
        return None
    if 2 * len(finite) < len(cell) or not finite:
        return math.nan
    return math.log10(median(finite)) if is_log else median(finite)


def _axis(low: int, high: int, start: int, room: int) -> Text:
    """Write the first step, the last and what fits between them below the blocks."""
    line = " " * start + f"{low:,}"
    last = f"{high:,}"
    for quarter in (1, 2, 3):
        words = f"{low + quarter * (high - low) // 4:,}"
        at = start + quarter * room // 4 - len(words) // 2
        if at >= len(line) + 2 and at + len(words) + 2 <= start + room - len(last):
            line = line.ljust(at) + words
    at = max(len(line) + 1, start + room - len(last))
    return styled(line.ljust(at) + last, "quiet")


def _mark(column: int, words: str, sheet: Sheet) -> Text:
    """Point at a column, with words on the side where there is room."""
    words = sheet.text(words).plain
    if column + 2 + len(words) <= sheet.width:
        return join([" " * column, styled("^", "error"), " ", styled(words, "quiet")])
    start = max(0, column - 1 - len(words))
    shown = sheet.elide(words, max(4, column - 1))
    return join([" " * start, styled(shown, "quiet"), " ", styled("^", "error")])

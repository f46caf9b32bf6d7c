"""Plots of a lesson in characters: lines on a grid, filters in shades of grey."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from rich.text import Text

from unvanish.core.lessons import Curves, Picture, Pictures, Plot, Scale, Series
from unvanish.show.sheet import Lines, Sheet, join, styled

_ROWS: Final = 15
_MARKS: Final = "●○▲△■□"
_ASCII_MARKS: Final = "o+*x#%"
_STYLES: Final = ("error", "help", "warning", "clear", "note", "strong")
_SHADES: Final = " ░▒▓█"
_ASCII_SHADES: Final = " .+#@"
_INDENT: Final = 2
_TICKS_ACROSS: Final = 5
_TICKS_UP: Final = 4
_EXPRESSIBLE: Final = 300
"""Decades that a float can hold."""
_BEYOND: Final = 6
"""Most lines that their marks still tell apart."""


def draw_plot(plot: Plot, sheet: Sheet) -> Lines:
    """Draw a plot in characters.

    Args:
        plot: What to draw.
        sheet: Where to draw it.

    Returns:
        Lines no wider than the sheet: title, plot, legend.
    """
    match plot:
        case Curves():
            return _draw_curves(plot, sheet)
        case Pictures():
            return _draw_pictures(plot, sheet)


def ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """Return round numbers inside a range, evenly spaced, at most so many and at least two.

    Args:
        low: Lower end.
        high: Upper end, above the lower one.
        most: How many there may be, at least 2.
        whole: Whether to leave out fractions, where the range holds two whole numbers.
    """
    span = high - low
    step = 10.0 ** math.floor(math.log10(span / most))
    if whole and math.floor(high) > math.ceil(low):
        step = max(step, 1.0)
    for factor in (1, 2, 5, 10, 20, 50):
        first, last = math.ceil(low / (step * factor)), math.floor(high / (step * factor))
        if last - first < most:
            return [index * step * factor for index in range(first, last + 1)]
    return [low, high]


def tick_label(value: float, scale: Scale) -> str:
    """Return what stands beside a tick."""
    if scale is Scale.DECADES:
        if value == 0:
            return "1"
        whole = abs(value - round(value)) < 1e-9
        return f"1e{value:.0f}" if whole or abs(value) > _EXPRESSIBLE else f"{10.0**value:.2g}"
    return "0" if value == 0 else f"{value:.4g}"


def _draw_curves(plot: Curves, sheet: Sheet) -> Lines:
    shown = plot.series[:_BEYOND]
    xs = [x for one in shown for x, y in zip(one.x, one.y, strict=True) if math.isfinite(y)]
    ys = [y for one in shown for y in one.y if math.isfinite(y)]
    title = sheet.paragraph(Text(" " * _INDENT), [sheet.text(plot.title, "strong")])
    if not ys:
        return [
            *title,
            *sheet.paragraph(Text(" " * _INDENT), [sheet.text("nothing finite to draw")]),
        ]
    left, right = _widened(min(xs), max(xs))
    low, high = _widened(min(ys), max(ys))
    up = ticks(low, high, _TICKS_UP + 1)
    labels = [tick_label(value, plot.y_scale) for value in up]
    margin = _INDENT + max(map(len, labels)) + 1
    columns = sheet.width - margin - 2
    grid = [[" "] * columns for _ in range(_ROWS)]
    styles = [[""] * columns for _ in range(_ROWS)]
    marks = _ASCII_MARKS if sheet.ascii else _MARKS
    for index in reversed(range(len(shown))):
        for column, value in _columns(shown[index], left, right, columns):
            row = round((high - value) / (high - low) * (_ROWS - 1))
            grid[row][column] = marks[index]
            styles[row][column] = _STYLES[index]
    at_row = {
        round((high - value) / (high - low) * (_ROWS - 1)): label
        for value, label in zip(up, labels, strict=True)
    }
    side, corner, floor = ("|", "+", "-") if sheet.ascii else ("│", "└", "─")
    lines = [*title]
    lines += sheet.paragraph(Text(" " * _INDENT), [sheet.text(plot.y_label, "quiet")])
    for row in range(_ROWS):
        label = styled(f"{at_row.get(row, ''):>{margin - 1}} {side}", "quiet")
        cells = [styled(cell, style) for cell, style in zip(grid[row], styles[row], strict=True)]
        lines.append(join([label, *cells]))
    lines.append(styled(" " * margin + corner + floor * columns, "quiet"))
    lines.append(_across(plot, left, right, margin + 1, columns))
    lines += _legend(shown, marks, sheet)
    return lines


def _columns(one: Series, left: float, right: float, columns: int) -> list[tuple[int, float]]:
    """Return the height of a line in every column that it crosses, or that its dots are in."""
    points = [(x, y) for x, y in zip(one.x, one.y, strict=True)]
    found = {
        round((x - left) / (right - left) * (columns - 1)): y for x, y in points if math.isfinite(y)
    }
    if one.dots:
        return list(found.items())
    for (x0, y0), (x1, y1) in pairwise(points):
        if not (math.isfinite(y0) and math.isfinite(y1)) or x1 <= x0:
            continue
        first = (x0 - left) / (right - left) * (columns - 1)
        last = (x1 - left) / (right - left) * (columns - 1)
        for column in range(math.ceil(first), math.floor(last) + 1):
            found.setdefault(column, y0 + (y1 - y0) * (column - first) / (last - first))
    return list(found.items())


def _across(plot: Curves, left: float, right: float, margin: int, columns: int) -> Text:
    row = [" "] * (margin + columns)
    free = 0
    whole = all(x == int(x) for one in plot.series for x in one.x if math.isfinite(x))
    for value in ticks(left, right, _TICKS_ACROSS, whole=whole):
        label = tick_label(value, plot.x_scale)
        at = margin + round((value - left) / (right - left) * (columns - 1)) - len(label) // 2
        at = min(max(at, 0), margin + columns - len(label))
        if at >= free:
            row[at : at + len(label)] = label
            free = at + len(label) + 2
    words = f"  {plot.x_label}"
    if free and free - 2 + len(words) <= len(row) and not "".join(row[free:]).strip():
        row[free - 2 : free - 2 + len(words)] = words
        return styled("".join(row).rstrip(), "quiet")
    line = "".join(row).rstrip()
    return styled(f"{line}\n{plot.x_label:>{margin + columns}}", "quiet")


def _legend(shown: Sequence[Series], marks: str, sheet: Sheet) -> Lines:
    if len(shown) == 1 and not shown[0].name:
        return []
    entries = [
        join([styled(marks[index], _STYLES[index]), " ", sheet.text(one.name)])
        for index, one in enumerate(shown)
    ]
    lines: Lines = [Text(" " * _INDENT)]
    for entry in entries:
        if lines[-1].cell_len + 3 + entry.cell_len > sheet.width and lines[-1].plain.strip():
            lines.append(Text(" " * _INDENT))
        lines[-1] = join([lines[-1], "" if not lines[-1].plain.strip() else "   ", entry])
    return lines


def _widened(low: float, high: float) -> tuple[float, float]:
    if high > low:
        return low, high
    room = abs(low) / 2 or 0.5
    return low - room, high + room


def _draw_pictures(plot: Pictures, sheet: Sheet) -> Lines:
    """Draw images side by side, each pixel two characters wide so that it comes out square."""
    shades = _ASCII_SHADES if sheet.ascii else _SHADES
    lines = sheet.paragraph(Text(" " * _INDENT), [sheet.text(plot.title, "strong")])
    rest = list(plot.images)
    while rest:
        batch: list[tuple[Picture, int]] = []
        used = _INDENT
        while rest:
            wide = max(2 * len(rest[0].rows[0]), len(rest[0].name)) + 2
            if batch and used + wide > sheet.width:
                break
            batch.append((rest.pop(0), wide))
            used += wide
        for row in range(max(len(image.rows) for image, _ in batch)):
            cells = (f"{_shaded(image, row, shades):{wide}}" for image, wide in batch)
            lines.append(Text(" " * _INDENT + "".join(cells)))
        names = "".join(f"{image.name:{wide}}" for image, wide in batch)
        lines += [sheet.text(" " * _INDENT + names, "quiet"), Text()]
    return lines[:-1]


def _shaded(image: Picture, row: int, shades: str) -> str:
    if row >= len(image.rows):
        return ""
    low, high = extremes(image)
    span = (high - low) or 1.0
    steps = len(shades) - 1
    return "".join(shades[round((value - low) / span * steps)] * 2 for value in image.rows[row])


def extremes(image: Picture) -> tuple[float, float]:
    """Return what is drawn black and what is drawn white; symmetric to zero where signed."""
    low = min(map(min, image.rows))
    high = max(map(max, image.rows))
    if low < 0 < high:
        far = max(-low, high)
        return -far, far
    return low, high

"""A quantity over depth as rows of bars on a logarithmic axis, input side first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from unvanish.core.findings import Chart, Mark, Point
from unvanish.show.fold import Fold, Shape, fold_points
from unvanish.show.sheet import Lines, Sheet, join, styled
from unvanish.show.words import plural, power

_INDENT: Final = 2
_GAP: Final = 2
_STEPS: Final = (1, 2, 3, 5)
_FINER_STEPS: Final = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
_MOST_INTERVALS: Final = 4
_FEWEST_INTERVALS: Final = 3
_NARROWEST_BAR: Final = 16
_TICK_GAP: Final = 2
_NARROWEST_LABEL: Final = 12
_WIDEST_NOTE: Final = 24
_WORDS: Final = {Mark.STARVED: "starved", Mark.WEAK: "weak", Mark.FINE: "fine"}


@dataclass(frozen=True, slots=True)
class Axis:
    """A logarithmic axis in whole decades.

    Attributes:
        low: Left end, in decades.
        step: Decades between two ticks.
        intervals: How many steps it spans.
    """

    low: int
    step: int
    intervals: int

    @property
    def high(self) -> int:
        """Right end, in decades."""
        return self.low + self.step * self.intervals

    @property
    def ticks(self) -> tuple[int, ...]:
        """The decades that carry a label."""
        return tuple(range(self.low, self.high + 1, self.step))

    def fraction(self, log10: float) -> float:
        """Return how far along the axis a value lies, from 0 to 1."""
        share = (log10 - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)


def fit_axis(values: Sequence[float], *, most_intervals: int = _MOST_INTERVALS) -> Axis:
    """Choose an axis with four or five ticks that holds all finite values.

    Args:
        values: Decades; those that are not finite do not count.
        most_intervals: Into how many steps it may be divided; fewer where labels need room.

    Returns:
        The axis with the smallest of the steps 1, 2, 3, 5, 10, 20, 30, 50, ... that fits;
        with fewer intervals steps such as 15 and 80 are taken too, to waste less of the bars.

    Example:
        >>> fit_axis([-25.5, -0.1]).ticks
        (-30, -20, -10, 0)
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    scale = 1
    while True:
        digits = _STEPS if most_intervals == _MOST_INTERVALS else _FINER_STEPS
        for step in (int(scale * digit) for digit in digits if scale * digit % 1 == 0):
            first = math.floor(low / step)
            intervals = max(math.ceil(high / step) - first, 1)
            if intervals <= most_intervals:
                missing = max(min(_FEWEST_INTERVALS, most_intervals) - intervals, 0)
                return Axis((first - missing) * step, step, intervals + missing)
        scale *= 10


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the columns of one chart stand, in cells."""

    label: int
    value: int
    bar: int
    note: int

    @property
    def before_bar(self) -> int:
        return _INDENT + 2 + self.label + _GAP + self.value + _GAP

    @property
    def fold_room(self) -> int:
        return self.label + _GAP + self.value


def draw_chart(chart: Chart, sheet: Sheet) -> Lines:
    """Draw a chart: caption, axis, one row a layer, equal slopes folded.

    Args:
        chart: What to draw.
        sheet: Where to draw it.

    Returns:
        Lines no wider than the sheet; none where the chart has no points.
    """
    if not chart.points:
        return []
    rows = fold_points(chart.points)
    axis, layout = _lay_out(chart, rows, sheet)
    lines = [*_caption(chart, sheet), _header(chart, axis, layout, sheet)]
    points = [row for row in rows if isinstance(row, Point)]
    labels = iter(sheet.elide_alike([point.label for point in points], layout.label))
    for row in rows:
        if isinstance(row, Fold):
            lines.append(_fold_row(row, axis, layout, sheet))
        else:
            lines.append(_point_row(row, next(labels), axis, layout, sheet))
    for line in lines:
        line.rstrip()
    return lines


def _lay_out(chart: Chart, rows: Sequence[Point | Fold], sheet: Sheet) -> tuple[Axis, _Layout]:
    """Divide the width; where bars would be too short, the notes beside them go."""
    points = [row for row in rows if isinstance(row, Point)]
    texts = [sheet.text(point.label).cell_len for point in points]
    value = max(len(power(point.log10)) for point in points)
    notes = [sheet.text(point.note).cell_len for point in points]
    note = min(max([*notes, sheet.text(chart.note_title).cell_len]), _WIDEST_NOTE)
    folds = [f"{plural(row.count, 'layer')}, same slope" for row in rows if isinstance(row, Fold)]
    wanted = max([*texts, len("layer"), *(cell_len(fold) - _GAP - value for fold in folds)])
    while True:
        fixed = _INDENT + 2 + _GAP + value + _GAP + (_GAP + note if note else 0)
        label = min(wanted, max(sheet.width - fixed - _NARROWEST_BAR, _NARROWEST_LABEL))
        label = min(label, max(sheet.width // 3, _NARROWEST_LABEL))
        bar = sheet.width - fixed - label
        if bar >= _NARROWEST_BAR or not note:
            break
        note = 0
    values = [point.log10 for point in chart.points]
    for most in range(_MOST_INTERVALS, 0, -1):
        axis = fit_axis(values, most_intervals=most)
        layout = _Layout(label, value, bar - bar % axis.intervals, note)
        if _tick_places(axis, layout, sheet) is not None:
            break
    return axis, layout


def _caption(chart: Chart, sheet: Sheet) -> Lines:
    """Say what is drawn and what its marks mean."""
    marks = {point.mark for point in chart.points}
    legend = [
        join([styled(_glyph(mark, sheet), mark.value), styled(f" {_WORDS[mark]}", "quiet")])
        for mark in (Mark.STARVED, Mark.WEAK)
        if mark in marks
    ]
    tail = Text("   ").join(legend)
    lead = Text(" " * (_INDENT + 2))
    if not chart.title:
        return [join([lead, tail])] if legend else []
    if not legend:
        return _balanced(chart.title, lead, sheet)
    lines = _balanced(chart.title, lead, sheet)
    line = join([lines[-1], "   ", tail])
    if line.cell_len <= sheet.width:
        return [*lines[:-1], line]
    return [*lines, join([lead, tail])]


def _balanced(title: str, lead: Text, sheet: Sheet) -> Lines:
    """Wrap a title into lines of about one length, the last not the longest."""
    words = sheet.text(title, "quiet")
    lines = sheet.paragraph(lead, [words])
    for width in range(lead.cell_len + 1, sheet.width):
        narrower = replace(sheet, width=width).paragraph(lead, [words])
        if len(narrower) == len(lines) and narrower[-1].cell_len <= narrower[0].cell_len:
            return narrower
    return lines


def _glyph(mark: Mark, sheet: Sheet) -> str:
    glyphs = sheet.glyphs
    return {Mark.STARVED: glyphs.no, Mark.WEAK: glyphs.weak, Mark.FINE: " "}[mark]


def _header(chart: Chart, axis: Axis, layout: _Layout, sheet: Sheet) -> Text:
    """Return the row of tick labels, each centred on its place along the bars."""
    line = " " * (_INDENT + 2) + "layer"
    for start, label in _tick_places(axis, layout, sheet) or ():
        line = line.ljust(start) + label
    if layout.note:
        line = line.ljust(layout.before_bar + layout.bar + _GAP)
        line += sheet.elide(chart.note_title, layout.note)
    return styled(line, "quiet")


def _tick_places(axis: Axis, layout: _Layout, sheet: Sheet) -> list[tuple[int, str]] | None:
    """Return where each label starts; None where two would touch."""
    end = sheet.width if not layout.note else layout.before_bar + layout.bar
    places: list[tuple[int, str]] = []
    free = _INDENT + 2 + len("layer") + _GAP
    for index, tick in enumerate(axis.ticks):
        label = "1" if tick == 0 else f"1e{tick:+03d}"
        place = layout.before_bar + index * layout.bar // axis.intervals
        start = min(place - len(label) // 2, end - len(label))
        if start < free:
            return None
        places.append((start, label))
        free = start + len(label) + _TICK_GAP
    return places


def _point_row(point: Point, name: str, axis: Axis, layout: _Layout, sheet: Sheet) -> Text:
    measured = not math.isnan(point.log10)
    glyph = _glyph(point.mark, sheet) if measured else sheet.glyphs.unknown
    label = Text(name)
    label.append(" " * (layout.label - label.cell_len))
    bar = _bar(point.log10, axis, layout.bar, sheet)
    if not measured:
        bar = "not measured"[: layout.bar]
    line = join(
        [
            " " * _INDENT,
            styled(glyph, point.mark.value if measured else "warning"),
            " ",
            label,
            " " * _GAP,
            power(point.log10).rjust(layout.value),
            " " * _GAP,
            styled(bar, point.mark.value if measured else "quiet"),
        ]
    )
    if point.note and layout.note:
        line.append(" " * (layout.bar - cell_len(bar) + _GAP))
        line.append_text(styled(sheet.elide(point.note, layout.note), "quiet"))
    return line


def _fold_row(fold: Fold, axis: Axis, layout: _Layout, sheet: Sheet) -> Text:
    count = plural(fold.count, "layer")
    span = f"{power(fold.lowest)} {sheet.glyphs.ellipsis} {power(fold.highest)}"
    wordings = [f"{count}, {fold.shape.value}", f"{fold.count:,}, {fold.shape.value}"]
    if fold.shape is Shape.UNEVEN:
        wordings.insert(0, f"{count}, {span}")
    words = next((w for w in wordings if cell_len(w) <= layout.fold_room), f"{fold.count:,} more")
    bar = ""
    if fold.shape is not Shape.UNEVEN:
        bar = _bar(fold.middle, axis, layout.bar, sheet, folded=True)
    return join(
        [
            " " * _INDENT,
            styled(sheet.glyphs.fold, "quiet"),
            " ",
            styled(words.ljust(layout.fold_room), "quiet"),
            " " * _GAP,
            styled(bar, fold.mark.value),
        ]
    )


def _bar(log10: float, axis: Axis, width: int, sheet: Sheet, *, folded: bool = False) -> str:
    """Return a bar of eighths of a cell; any number that is not zero shows at least one."""
    if math.isnan(log10) or log10 == -math.inf:
        return ""
    glyphs = sheet.glyphs
    if folded:
        return glyphs.folded_bar * max(round(axis.fraction(log10) * width), 1)
    eighths = max(round(axis.fraction(log10) * width * 8), 1)
    whole, rest = divmod(eighths, 8)
    bar = glyphs.eighths[8] * whole + glyphs.eighths[rest]
    return bar or glyphs.eighths[8]

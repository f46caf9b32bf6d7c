"""A lesson on the terminal: claim, explanation, evidence, verdict, question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from unvanish.core.lessons import Cell, LessonRun, Option, Point, Status, Table
from unvanish.show.curves import draw_plot
from unvanish.show.page import page_lines
from unvanish.show.sheet import Lines, Sheet, join, paint, styled
from unvanish.show.words import plural

_MANY: Final = 1e5
"""Number from which a table gives powers of ten."""
_STATUS: Final = {
    Status.HOLDS: ("clear", "The claim holds"),
    Status.FAILS: ("error", "The claim does not hold"),
    Status.UNJUDGED: ("warning", "The claim could not be judged"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What the list says of a lesson.

    Attributes:
        number: Its place in the reading order.
        name: The word to type.
        title: Its title.
        claim: What it claims.
    """

    number: int
    name: str
    title: str
    claim: str


def lesson_list(
    lessons: Sequence[Heading], *, width: int = 80, color: bool = False, ascii: bool = False
) -> str:
    """Lay out the list of lessons in reading order.

    Args:
        lessons: All of them.
        width: Columns.
        color: Whether to write ANSI escape codes.
        ascii: Whether to write ASCII only.

    Returns:
        Lines no wider than the width.
    """
    sheet = Sheet.of(width, ascii=ascii)
    column = max(len(one.name) for one in lessons) + 2
    lines: Lines = []
    for one in lessons:
        lead = join([styled(f"{one.number:>2}  ", "quiet"), sheet.text(one.name, "strong")])
        if sheet.narrow:
            lines += [lead, *sheet.paragraph(Text("    "), [sheet.prose(one.title)])]
        else:
            lead.append(" " * (4 + column - lead.cell_len))
            lines += sheet.paragraph(lead, [sheet.prose(one.title)])
    lines.append(Text())
    commands = (
        ("unvanish learn NAME", "run one; its experiment takes seconds"),
        ("unvanish learn NAME --plot FILE.png", "draw its plot into a file, too"),
        ("unvanish learn glossary", "what every measured quantity means"),
    )
    longest = max(len(command) for command, _ in commands)
    for command, purpose in commands:
        lead = join([styled(f"{command:{longest}}", "strong"), "  "])
        lines += sheet.paragraph(lead, [Text(purpose)])
    return paint(lines, color=color)


def lesson_text(
    run: LessonRun, *, width: int = 80, color: bool = False, ascii: bool = False
) -> str:
    """Lay out a lesson that has been run.

    Args:
        run: The lesson and its evidence.
        width: Columns.
        color: Whether to write ANSI escape codes.
        ascii: Whether to write ASCII only.

    Returns:
        Lines no wider than the width, without trailing spaces.
    """
    sheet = Sheet.of(width, ascii=ascii)
    ticks = not color
    head = sheet.text(f"Lesson {run.number}: {run.title}" if run.number else run.title, "strong")
    lines: Lines = sheet.paragraph(Text(), [head])
    lines.append(styled(sheet.glyphs.rule * min(head.cell_len, sheet.width), "quiet"))
    lines += [Text(), *_said("claim", run.claim, sheet, ticks=ticks)]
    if run.belief:
        lines += [Text(), *_said("often said", run.belief, sheet, ticks=ticks)]
    lines += [Text(), *page_lines(run.text, sheet, ticks=ticks)]
    evidence = run.evidence
    lines += [Text(), *_heading("Experiment", sheet), *_settings(run, sheet)]
    if evidence.working:
        lines.append(Text())
        for step in evidence.working:
            lines += sheet.paragraph(Text("    "), [sheet.text(step.text)], hang=8)
    for table in evidence.tables:
        lines += [Text(), *_table(table, sheet)]
    for plot in evidence.plots:
        lines += [Text(), *draw_plot(plot, sheet)]
    for note in evidence.notes:
        lines += [Text(), *sheet.paragraph(Text("  "), [sheet.prose(note, ticks=ticks)])]
    lines += [Text(), *_verdict(run, sheet, ticks=ticks)]
    lines += [Text(), *_heading("What would show it wrong", sheet)]
    lines += sheet.paragraph(Text("  "), [sheet.prose(run.falsified_by, ticks=ticks)])
    if run.counterexample:
        there = f"It does not hold here: `{run.call(run.counterexample)}`."
        lines += sheet.paragraph(Text("  "), [sheet.prose(there, ticks=ticks)])
    lines += [Text(), *_heading("Question", sheet)]
    lines += sheet.paragraph(Text("  "), [sheet.prose(run.question, ticks=ticks)])
    lines += [Text(), *_heading("Answer", sheet)]
    lines += sheet.paragraph(Text("  "), [sheet.prose(run.answer, ticks=ticks)])
    if any(step.latex for step in evidence.working):
        lines += [Text(), *_heading("The calculation as LaTeX", sheet)]
        for step in evidence.working:
            lines += sheet.paragraph(Text("    "), [sheet.text(step.latex)], hang=8)
    lines += [Text(), *_heading("Source", sheet)]
    for source in run.sources:
        lines += sheet.paragraph(Text("  "), [sheet.text(source)], hang=4)
    if run.following:
        following = join(["next: ", styled(f"unvanish learn {run.following}", "strong")])
        lines += [Text(), following]
    for line in lines:
        line.rstrip()
    return paint(lines, color=color)


def cell(value: Cell) -> str:
    """Return a number of a table as it is shown: four significant digits, counts whole."""
    if isinstance(value, str | int):
        return str(value)
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "-inf" if value < 0 else "inf"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.3e}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def cells(values: Sequence[Cell]) -> list[str]:
    """Return a column of a table: numbers of like size with as many decimals each."""
    numbers = [abs(one) for one in values if isinstance(one, float) and math.isfinite(one) and one]
    if not numbers or max(numbers) >= _MANY:
        return [cell(one) for one in values]
    decimals = min(max(3 - math.floor(math.log10(max(numbers))), 0), 6)
    if min(numbers) < 10.0**-decimals:
        return [cell(one) for one in values]
    return [
        f"{one:.{decimals}f}" if isinstance(one, float) and math.isfinite(one) else cell(one)
        for one in values
    ]


def judged(point: Point) -> str:
    """Return a point as a sentence: what was measured, and what the claim asks for."""
    unit = f" {point.unit}" if point.unit else ""
    asked = f"{point.relation.value} {cell(point.limit)}"
    if point.tolerance:
        asked += f" within {100 * point.tolerance:.3g} %"
    return f"{point.says}: {cell(point.measured)}{unit}; the claim asks for {asked}"


def set_to(options: Sequence[Option]) -> str:
    """Return the settings of a run in one line."""
    return " · ".join(
        f"{one.name.replace('_', ' ')} "
        + (f"{one.value:g}" if isinstance(one.value, float) else str(one.value))
        for one in options
    )


def _heading(words: str, sheet: Sheet) -> Lines:
    return sheet.paragraph(Text(), [sheet.text(words, "help")])


def _said(label: str, words: str, sheet: Sheet, *, ticks: bool) -> Lines:
    return sheet.paragraph(styled(f"{label}: ", "strong"), [sheet.prose(words, ticks=ticks)])


def _settings(run: LessonRun, sheet: Sheet) -> Lines:
    lines: Lines = []
    set_to = [_shown_option(one) for one in run.options]
    longest = max(map(len, set_to), default=0)
    for one, words in zip(run.options, set_to, strict=True):
        lead = join(["  ", sheet.text(f"{words:{longest}}"), "  "])
        legal = f"{one.meaning}: {one.legal}"
        lines += sheet.paragraph(lead, [sheet.text(legal, "quiet")])
    took = f"{run.seconds:.1f} s" if run.seconds >= 0.05 else "less than 0.1 s"
    lines += sheet.paragraph(Text("  "), [sheet.text(f"took {took}", "quiet")])
    return lines


def _shown_option(option: Option) -> str:
    value = f"{option.value:g}" if isinstance(option.value, float) else str(option.value)
    return f"--{option.name.replace('_', '-')} {value}"


def _table(table: Table, sheet: Sheet) -> Lines:
    rows = [table.columns, *shown_rows(table)]
    is_text = [
        all(isinstance(row[at], str) for row in table.rows) for at in range(len(table.columns))
    ]
    widths = [max(sheet.text(row[at]).cell_len for row in rows) for at in range(len(table.columns))]
    lines = sheet.paragraph(Text("  "), [sheet.text(table.title, "strong")])
    room = sheet.width - 4 - 2 * (len(widths) - 1)
    if sum(widths) > room:
        lines += _stacked(table, sheet)
    else:
        for index, row in enumerate(rows):
            cells = [
                f"{sheet.text(word).plain:{'<' if text else '>'}{wide}}"
                for word, wide, text in zip(row, widths, is_text, strict=True)
            ]
            lines.append(styled("    " + "  ".join(cells), "quiet" if index == 0 else ""))
    if table.note:
        lines += sheet.paragraph(Text("  "), [sheet.prose(table.note)])
    return lines


def shown_rows(table: Table) -> list[tuple[str, ...]]:
    """Return the rows of a table as they are shown."""
    columns = [cells([row[at] for row in table.rows]) for at in range(len(table.columns))]
    return list(zip(*columns, strict=True))


def _stacked(table: Table, sheet: Sheet) -> Lines:
    """Lay out a table that is too wide: a paragraph a row."""
    lines: Lines = []
    for row in table.rows:
        first, *others = zip(table.columns, row, strict=True)
        named = len(others) > 1
        said = ", ".join(f"{name} {cell(one)}" if named else cell(one) for name, one in others)
        lines += sheet.paragraph(Text("    "), [sheet.text(f"{cell(first[1])}: {said}")], hang=6)
    return lines


def _verdict(run: LessonRun, sheet: Sheet, *, ticks: bool) -> Lines:
    style, words = _STATUS[run.status]
    where = " under these settings" if run.changed else ""
    if run.status is Status.UNJUDGED:
        lead = styled(f"{words}{where}: ", style)
        return sheet.paragraph(lead, [sheet.prose(run.evidence.missing, ticks=ticks)], hang=2)
    points = run.evidence.points
    kept = sum(point.holds for point in points)
    tail = f": {kept} of {plural(len(points), 'point')} kept."
    lines = sheet.paragraph(Text(), [styled(f"{words}{where}{tail}", style)])
    for point in points:
        sign = sheet.glyphs.yes if point.holds else sheet.glyphs.no
        lead = styled(f"  {sign} ", "clear" if point.holds else "error")
        lines += sheet.paragraph(lead, [sheet.prose(judged(point), ticks=ticks)])
    return lines

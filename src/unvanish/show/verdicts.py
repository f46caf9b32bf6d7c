"""What the rules said that found nothing. Not measured must never look healthy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rich.text import Text

from unvanish.core.findings import Diagnosis
from unvanish.core.incidents import Gap
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.show.sheet import Lines, Sheet, join, styled
from unvanish.show.words import plural, quantity

_LONGEST_NAME: Final = 28
_MOST_GAPS: Final = 4


def headline(diagnosis: Diagnosis, sheet: Sheet) -> Lines:
    """Say in one line how a network does of which no rule found anything wrong.

    Returns:
        One wrapped line; empty where there are findings, which speak for themselves.
    """
    if diagnosis.findings:
        return []
    verdicts = list(diagnosis.verdicts.values())
    clear = [verdict for verdict in verdicts if isinstance(verdict, Clear)]
    unseen = [verdict for verdict in verdicts if isinstance(verdict, NotMeasured)]
    glyphs = sheet.glyphs
    if not verdicts:
        lead, words = f"{glyphs.unknown} not measured", "no rule was run"
    elif unseen:
        lead = f"{glyphs.unknown} not measured"
        words = f"{len(unseen)} of {plural(len(verdicts), 'rule')} could not be judged"
        if clear:
            words += f"; {len(clear)} found nothing wrong"
    elif not clear:
        lead = f"{glyphs.unknown} nothing judged"
        words = f"none of the {len(verdicts)} rules is about a network like this"
    else:
        lead = f"{glyphs.yes} clear"
        words = f"{plural(len(clear), 'rule')} found nothing wrong"
        nearest = _nearest(clear)
        if nearest is not None:
            words += f"; the nearest limit is {quantity(nearest.margin, nearest.unit)} away"
    style = "clear" if lead.endswith("clear") else "warning"
    return sheet.paragraph(styled(f"{lead}: ", style), [styled(words, "strong")], hang=2)


def _nearest(clear: Sequence[Clear]) -> Clear | None:
    """Return the smallest margin of the first unit met; other units do not compare."""
    finite = [verdict for verdict in clear if math.isfinite(verdict.margin)]
    same = [verdict for verdict in finite if verdict.unit == finite[0].unit]
    return min(same, key=lambda verdict: verdict.margin, default=None)


def verdict_lines(diagnosis: Diagnosis, sheet: Sheet, *, verbose: bool = False) -> Lines:
    """Lay out all verdicts but the findings: not measured, clear, not applicable.

    Args:
        diagnosis: What the rules said.
        sheet: Where to lay it out.
        verbose: Whether every rule gets its own line with what it measured. Otherwise only
            those that could not be judged do, and the rest are named.

    Returns:
        The lines.
    """
    if verbose:
        return _rows(diagnosis, sheet, NotMeasured, Clear, NotApplicable)
    glyphs = sheet.glyphs
    lines = _rows(diagnosis, sheet, NotMeasured)
    lines += _named(diagnosis, sheet, Clear, glyphs.yes, "clear", "found nothing")
    lines += _named(diagnosis, sheet, NotApplicable, glyphs.none, "quiet", "not applicable")
    return lines


def _named(
    diagnosis: Diagnosis, sheet: Sheet, kind: type[Verdict], glyph: str, style: str, lead: str
) -> Lines:
    """Name the rules of one kind of verdict in a paragraph."""
    parts: list[Text | str] = []
    for code, verdict in diagnosis.verdicts.items():
        if isinstance(verdict, kind):
            name = sheet.elide(diagnosis.names.get(code, ""), _LONGEST_NAME)
            parts += [", ", sheet.text(code), " ", styled(name, "quiet")]
    if not parts:
        return []
    return sheet.paragraph(styled(f"{glyph} {lead}: ", style), [join(parts[1:])], hang=2)


def _rows(diagnosis: Diagnosis, sheet: Sheet, *kinds: type[Verdict]) -> Lines:
    rows = [
        (code, verdict)
        for kind in kinds
        for code, verdict in diagnosis.verdicts.items()
        if isinstance(verdict, kind)
    ]
    names = {
        code: sheet.elide(diagnosis.names.get(code, ""), _LONGEST_NAME)
        for code in diagnosis.verdicts
    }
    name_width = max((Text(names[code]).cell_len for code, _ in rows), default=0)
    code_width = max((sheet.text(code).cell_len for code, _ in rows), default=0)
    lines: Lines = []
    for code, verdict in rows:
        glyph, style, lead, words = _said(verdict, sheet)
        shown = sheet.text(code)
        name = Text(names[code])
        start = join(
            [
                styled(glyph, style),
                " ",
                shown,
                " " * (code_width - shown.cell_len + 1),
                name,
                " " * (name_width - name.cell_len + 2),
            ]
        )
        body = styled(lead, style)
        if words:
            body = join([body, ": ", sheet.prose(words)])
        if sheet.narrow:
            start.rstrip()
            lines += [start, *sheet.paragraph(Text("    "), [body])]
        else:
            lines += sheet.paragraph(start, [body])
    return lines


def _said(verdict: Verdict, sheet: Sheet) -> tuple[str, str, str, str]:
    glyphs = sheet.glyphs
    match verdict:
        case NotMeasured(missing):
            return glyphs.unknown, "warning", "not measured", missing
        case NotApplicable(reason):
            return glyphs.none, "quiet", "not applicable", reason
        case Clear(margin, unit, summary):
            by = f" by {quantity(margin, unit)}" if math.isfinite(margin) else ""
            return glyphs.yes, "clear", f"clear{by}", summary
        case Found():
            raise ValueError("a finding has its own block")


def gap_lines(gaps: Sequence[Gap], sheet: Sheet) -> Lines:
    """Say what could not be seen, and why."""
    lines: Lines = []
    for gap in gaps[:_MOST_GAPS]:
        lead = styled(f"{sheet.glyphs.unknown} not seen: ", "warning")
        lines += sheet.paragraph(lead, [sheet.prose(f"{gap.what}: {gap.why}")], hang=2)
    if len(gaps) > _MOST_GAPS:
        more = plural(len(gaps) - _MOST_GAPS, "more gap")
        words = f"{sheet.glyphs.unknown} and {more} not seen; --format json has them all"
        lines += sheet.paragraph(Text(), [styled(words, "warning")], hang=2)
    return lines

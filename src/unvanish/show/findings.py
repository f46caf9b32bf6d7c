"""One finding after the grammar of rustc: what, where, how it looks, why, what to do."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from unvanish.core.findings import Finding, Severity
from unvanish.show.chart import draw_chart
from unvanish.show.places import place_lines
from unvanish.show.sheet import Lines, Sheet, join, styled
from unvanish.show.words import bare, plural, quantity

MOST_OF_A_SEVERITY: Final = 6
_MOST_NOTES: Final = 6


def finding_lines(
    finding: Finding,
    sheet: Sheet,
    followers: Sequence[Finding] = (),
    ledgers: Mapping[str, Lines] | None = None,
) -> Lines:
    """Lay out one finding.

    Args:
        finding: What a rule found.
        sheet: Where to lay it out.
        followers: The findings that follow from it, told in a line each.
        ledgers: Code to what `ledger_lines` says of a finding with this code.

    Returns:
        Head line, places, chart, then ``size``, ``cause``, ``ledger``, ``note``, ``help`` and
        ``follows``.
    """
    ledgers = ledgers or {}
    code = sheet.text(finding.code).plain
    lead = join([styled(f"{finding.severity.value}[{code}]", finding.severity.value), ": "])
    lines = sheet.paragraph(lead, [sheet.prose(finding.message, "strong")], hang=2)
    lines += place_lines(finding, sheet)
    why = _why(finding, sheet, ledgers.get(finding.code, ()))
    for block in (draw_chart(finding.chart, sheet) if finding.chart else [], why):
        if block:
            lines += [Text(), *block]
    for follower in followers:
        label = sheet.text(follower.code, follower.severity.value)
        message = sheet.prose(follower.message)
        lines += sheet.paragraph(styled("follows: ", "strong"), [join([label, " ", message])])
        lines += ledgers.get(follower.code, ())
    return lines


def _why(finding: Finding, sheet: Sheet, ledger: Sequence[Text]) -> Lines:
    """Return the lines with a label: size, cause, ledger, note, help."""
    lines = _size(finding, sheet)
    if finding.causes:
        causes = ", ".join(cause.value for cause in finding.causes)
        lines += sheet.paragraph(styled("  cause: ", "strong"), [sheet.text(causes)])
    lines += ledger
    for note in finding.notes[:_MOST_NOTES]:
        lines += sheet.paragraph(styled("   note: ", "note"), [sheet.prose(note)])
    if len(finding.notes) > _MOST_NOTES:
        more = plural(len(finding.notes) - _MOST_NOTES, "more note")
        words = styled(f"and {more}; --format json has them all", "quiet")
        lines += sheet.paragraph(Text(" " * 9), [words])
    for suggestion in finding.help:
        lines += sheet.paragraph(styled("   help: ", "help"), [sheet.prose(suggestion)])
    return lines


def _size(finding: Finding, sheet: Sheet) -> Lines:
    """Return the number that was judged beside what theory expects and the limit."""
    if math.isnan(finding.measured):
        return []
    if _nothing_arrives(finding):
        words = ["no gradient arrives at all"]
        if not math.isnan(finding.limit):
            words.append(f"limit {quantity(finding.limit, finding.unit)}")
    else:
        words = [f"{quantity(finding.measured, finding.unit)} measured"]
        if not math.isnan(finding.expected):
            words.append(f"{bare(finding.expected, finding.unit)} expected")
        if not math.isnan(finding.limit):
            words.append(f"limit {bare(finding.limit, finding.unit)}")
    return sheet.paragraph(styled("   size: ", "strong"), [sheet.text("; ".join(words))])


def _nothing_arrives(finding: Finding) -> bool:
    """Tell whether infinitely many decades are lost: the gradient is exactly zero."""
    if finding.chart is None or finding.measured != math.inf:
        return False
    points = finding.chart.points
    return finding.unit.startswith("decades") and not any(p.log10 == math.inf for p in points)


def all_findings(
    findings: Sequence[Finding], sheet: Sheet, ledgers: Mapping[str, Lines] | None = None
) -> list[Lines]:
    """Lay out every root with what follows from it; beyond the sixth, in one line.

    Args:
        findings: Worst first, as `Diagnosis.findings` orders them.
        sheet: Where to lay them out.
        ledgers: Code to what `ledger_lines` says of the first finding with this code.

    Returns:
        One block of lines each.
    """
    waiting = dict(ledgers or {})
    bundles: list[list[Finding]] = []
    for finding in findings:
        if finding.root and bundles:
            bundles[-1].append(finding)
        else:
            bundles.append([finding])
    blocks: list[Lines] = []
    for severity in reversed(Severity):
        same = [bundle for bundle in bundles if bundle[0].severity is severity]
        for root, *followers in same[:MOST_OF_A_SEVERITY]:
            codes = {root.code, *(follower.code for follower in followers)}
            own = {code: waiting.pop(code) for code in codes & waiting.keys()}
            blocks.append(finding_lines(root, sheet, followers, own))
        rest = same[MOST_OF_A_SEVERITY:]
        if rest:
            counts = Counter(root.code for root, *_ in rest)
            listed = ", ".join(f"{code} x {n:,}" if n > 1 else code for code, n in counts.items())
            lead = styled(f"and {plural(len(rest), f'more {severity.value}')}: ", severity.value)
            words = f"{listed}; --format json has them all"
            blocks.append(sheet.paragraph(lead, [sheet.text(words)], hang=2))
    return blocks

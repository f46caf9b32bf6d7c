"""Where a finding is: the user's source lines, and the modules met there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.text import Text

from unvanish.core.findings import Finding
from unvanish.core.records import Site
from unvanish.show.fold import fold_names
from unvanish.show.sheet import Lines, Sheet, join, styled
from unvanish.show.words import plural

_MOST_LINES: Final = 4
_MOST_PIECES: Final = 4
_LONGEST_NAME: Final = 44


def place_lines(finding: Finding, sheet: Sheet) -> Lines:
    """Return the ``-->`` lines of a finding, equal sites folded.

    Sites are grouped by the user's line that runs them, the most telling line first. The
    line that built the modules follows where it is another one. Parameters are named
    where the finding is about parameters.
    """
    lines: Lines = []
    groups: dict[str, list[Site]] = {}
    for site in finding.sites:
        groups.setdefault(str(site.source or ""), []).append(site)
    for source, sites in list(groups.items())[:_MOST_LINES]:
        lines += _place(source, sites, sheet)
    if len(groups) > _MOST_LINES:
        lines.append(styled(f"      and {plural(len(groups) - _MOST_LINES, 'more line')}", "quiet"))
    if finding.parameters:
        names = _names(finding.parameters, sheet)
        lead = "      " if lines else "  --> "
        noun = "parameter: " if len(finding.parameters) == 1 else "parameters: "
        if len(finding.parameters) > 1:
            noun = f"{len(finding.parameters):,} parameters: "
        lines += sheet.paragraph(
            join([styled(lead, "place"), styled(noun, "quiet")]), [names], hang=6
        )
    return lines


def _place(source: str, sites: Sequence[Site], sheet: Sheet) -> Lines:
    lead = styled("  --> ", "place")
    if source:
        lead.append_text(sheet.text(source, "strong"))
        lead.append("  ")
    what = _what(sites)
    body = sheet.text(what)
    if paths := [site.path for site in sites if site.path]:
        body = join([_names(paths, sheet), "  ", sheet.text(f"({what})", "quiet")])
    if lead.cell_len > sheet.width // 2:
        first = sheet.paragraph(Text("      "), [lead[6:]])
        first[0] = join([styled("  --> ", "place"), first[0][6:]])
        lines = [*first, *sheet.paragraph(Text("      "), [body])]
    else:
        lines = sheet.paragraph(lead, [body], hang=6)
    built = dict.fromkeys(str(site.built) for site in sites if site.built)
    if built and list(built) != [source]:
        shown = list(built)[:2]
        words = " and ".join(shown)
        if len(built) > 2:
            words = f"{', '.join(shown)} and {plural(len(built) - 2, 'more line')}"
        lead = styled("      built at ", "quiet")
        lines += sheet.paragraph(lead, [sheet.text(words, "quiet")], hang=6)
    return lines


def _names(names: Sequence[str], sheet: Sheet) -> Text:
    """Return folded names, at most four pieces."""
    dots = sheet.glyphs.ellipsis
    pieces = fold_names(names, ellipsis=dots)
    short = [
        f" {dots} ".join(sheet.elide_alike(piece.split(f" {dots} "), _LONGEST_NAME))
        for piece in pieces[:_MOST_PIECES]
    ]
    words = ", ".join(short)
    if len(pieces) > _MOST_PIECES:
        words += f" and {len(pieces) - _MOST_PIECES:,} more"
    return Text(words)


def _what(sites: Sequence[Site]) -> str:
    """Say what the sites do: ``"30 linear"``, ``"linear, 100 calls"``, ``"tanh, call 8"``."""
    ops = Counter(site.op for site in sites)
    paths = len({site.path for site in sites})
    if len(sites) == 1:
        site = sites[0]
        nth = f", call {site.call + 1:,}" if site.call else ""
        words = f"{site.op}{nth}"
    elif len(ops) == 1 and paths == 1:
        words = f"{sites[0].op}, {plural(len(sites), 'call')}"
    else:
        words = ", ".join(f"{count:,} {op}" for op, count in ops.most_common(3))
        if len(ops) > 3:
            words += f", {sum(ops.values()) - sum(c for _, c in ops.most_common(3)):,} other"
    return words

"""The glossary as a page: every measured quantity, its unit, its formula, what it tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from unvanish.core.glossary import Entry
from unvanish.core.sources import SOURCES
from unvanish.show.sheet import Lines, Sheet, join, paint

Parts = Mapping[str, Mapping[Any, Entry]]
"""Title of a part to quantity to definition."""

_WORRYING = {
    "low": "low is worrying",
    "high": "high is worrying",
    "either": "far from usual is worrying",
}


def glossary_text(
    parts: Parts, *, width: int = 80, color: bool = False, ascii: bool = False
) -> str:
    """Lay out the glossary.

    Args:
        parts: What to print.
        width: Columns.
        color: Whether to write ANSI escape codes.
        ascii: Whether to write ASCII only.
    """
    sheet = Sheet.of(width, ascii=ascii)
    lines: Lines = []
    for title, entries in parts.items():
        lines += [Text()] if lines else []
        lines += [sheet.text(title, "help")]
        for quantity, entry in entries.items():
            lead = join(["  ", sheet.text(quantity.value, "strong"), "  "])
            lines += sheet.paragraph(lead, [sheet.text(entry.unit or "no unit", "quiet")])
            lines += sheet.paragraph(Text("      "), [sheet.text(entry.formula)])
            said = f"{entry.meaning}; {_WORRYING[entry.direction]}"
            source = f" ({_cited(entry)})" if entry.source else ""
            lines += sheet.paragraph(Text("      "), [sheet.prose(said + source)])
    return paint(lines, color=color)


def glossary_markdown(parts: Parts) -> str:
    """Return the glossary as Markdown."""
    lines = ["# Glossary", "", "What every measured quantity means."]
    for title, entries in parts.items():
        lines += ["", f"## {title}", "", "| quantity | unit | formula | what it tells |"]
        lines.append("|---|---|---|---|")
        for quantity, entry in entries.items():
            source = f" ({_cited(entry)})" if entry.source else ""
            said = f"{entry.meaning}; {_WORRYING[entry.direction]}{source}"
            cells = (f"`{quantity.value}`", entry.unit, f"`{entry.formula}`", said)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def glossary_json(parts: Parts) -> str:
    """Return the glossary as JSON."""
    document = {
        "schema": 1,
        "glossary": [
            {
                "part": title,
                "quantity": quantity.value,
                "unit": entry.unit,
                "formula": entry.formula,
                "meaning": entry.meaning,
                "worrying": entry.direction,
                "source": str(SOURCES[entry.source]) if entry.source else "",
            }
            for title, entries in parts.items()
            for quantity, entry in entries.items()
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _cited(entry: Entry) -> str:
    source = SOURCES[entry.source]
    return f"{source.authors}, {source.year}"

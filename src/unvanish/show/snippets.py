"""Lines of Python to paste, broken where Python lets them be broken."""

from __future__ import annotations

import re
import textwrap
from typing import Final

_INDENT: Final = "    "
_ITEM: Final = re.compile(r"""(?:"[^"]*"|'[^']*'|[^,"'])*,?\s*""")
"""A text up to a comma that is in no quotation marks."""


def fitted(line: str, room: int) -> list[str]:
    """Break a line of Python that is too long, such that it means the same.

    Args:
        line: A comment, or a statement that is a call or assigns something.
        room: Columns that there are; a single word may still go beyond.

    Returns:
        Lines without trailing blanks; the line itself where it fits or cannot be broken.
    """
    line = line.rstrip()
    if len(line) <= room:
        return [line]
    own = line[: len(line) - len(line.lstrip())]
    if line.lstrip().startswith("#"):
        return textwrap.wrap(
            line, room, subsequent_indent=f"{own}# ", break_long_words=False, break_on_hyphens=False
        )
    head, opened, rest = line.partition("(")
    if opened and rest.endswith(")"):
        return [f"{head}(", *_packed(f"{rest[:-1]},", own + _INDENT, room), f"{own})"]
    head, assigned, rest = line.partition(" = ")
    if assigned and not opened:
        return [f"{head} = (", *_packed(rest, own + _INDENT, room), f"{own})"]
    return [line]


def _packed(items: str, indent: str, room: int) -> list[str]:
    """Fill lines with items that commas keep apart."""
    lines: list[str] = []
    row = indent
    for item in filter(None, _ITEM.findall(items)):
        if row.strip() and len(row) + len(item.rstrip()) > room:
            lines.append(row.rstrip())
            row = indent
        row += item
    return [*lines, row.rstrip()]

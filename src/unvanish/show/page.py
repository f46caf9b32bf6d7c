"""A rule's page for the terminal: ``unvanish explain CODE``.

The page is the rule's docstring. Three ways of writing a heading are read: ``## What``,
a line underlined with dashes, and ``What:`` alone on a line before an indented passage.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from textwrap import dedent
from typing import Final

from rich.text import Text

from unvanish.show.sheet import Lines, Sheet, join, paint, styled

_HASHED: Final = re.compile(r"#{1,6}\s+(?P<title>.+?)\s*#*$")
_UNDERLINE: Final = re.compile(r"(-{3,}|={3,}|~{3,})$")
_TITLE: Final = re.compile(r"(?P<title>[A-Z][^:]{1,40}):$")
_BULLET: Final = re.compile(r"(?P<sign>[-*+•]|\d{1,2}[.)])\s+(?P<rest>.*)$")


class _Kind(Enum):
    HEADING = auto()
    PARAGRAPH = auto()
    BULLET = auto()
    CODE = auto()


@dataclass(slots=True)
class _Block:
    kind: _Kind
    lines: list[str] = field(default_factory=list)
    sign: str = ""


def render_page(
    text: str,
    *,
    code: str,
    name: str,
    width: int = 80,
    color: bool = False,
    ascii: bool = False,
) -> str:
    """Lay out a rule's page.

    Args:
        text: The docstring: paragraphs, headings, lists, and code in backticks, in fences
            or indented.
        code: Code of the rule, such as ``"UV101"``.
        name: Name of the rule, such as ``"vanishing-gradient"``.
        width: Columns; moved into the range from 48 to 96.
        color: Whether to write ANSI escape codes; bold type then stands for backticks.
        ascii: Whether to write ASCII only.

    Returns:
        Lines no wider than the width, without trailing spaces.
    """
    sheet = Sheet.of(width, ascii=ascii)
    title = sheet.text(f"{code} {name}".strip(), "strong")
    lines = [*sheet.paragraph(Text(), [title])]
    lines.append(styled(sheet.glyphs.rule * min(title.cell_len, sheet.width), "quiet"))
    lines += [Text(), *page_lines(text, sheet, ticks=not color)]
    for line in lines:
        line.rstrip()
    return paint(lines, color=color)


def page_lines(text: str, sheet: Sheet, *, ticks: bool) -> Lines:
    """Lay out paragraphs, headings, lists and code.

    Args:
        text: As `render_page` takes it.
        sheet: Where to lay it out.
        ticks: Whether to show the backticks of code.

    Returns:
        Lines no wider than the sheet, an empty one between two blocks.
    """
    lines: Lines = []
    previous: _Kind | None = None
    for block in _blocks(inspect.cleandoc(text)):
        tight = previous is _Kind.HEADING or previous is block.kind is _Kind.BULLET
        if lines and not tight:
            lines.append(Text())
        lines += _lay_out(block, sheet, ticks=ticks)
        previous = block.kind
    return lines


def render_list(
    rows: Sequence[tuple[str, str, str]],
    *,
    command: str,
    purpose: str,
    width: int = 80,
    color: bool = False,
    ascii: bool = False,
) -> str:
    """Lay out a list in three columns, and how to read more about one of its members.

    Args:
        rows: What stands in the columns, such as code, name and title of a rule.
        command: The command that shows one member, such as ``"unvanish explain CODE"``.
        purpose: What the command does, such as ``"shows the page of a rule"``.
        width: Columns; moved into the range from 48 to 96.
        color: Whether to write ANSI escape codes; bold type then stands for backticks.
        ascii: Whether to write ASCII only.

    Returns:
        Lines no wider than the width, without trailing spaces.
    """
    sheet = Sheet.of(width, ascii=ascii)
    columns = [max((sheet.text(row[i]).cell_len for row in rows), default=0) for i in (0, 1)]
    lines: Lines = []
    for first, second, third in rows:
        start = Text()
        for words, column, style in zip((first, second), columns, ("strong", ""), strict=True):
            cell = sheet.text(words, style)
            start.append_text(cell).append(" " * (column - cell.cell_len + 2))
        said = sheet.prose(third, ticks=not color)
        if sheet.narrow:
            lines += [start, *sheet.paragraph(Text("    "), [said])]
        else:
            lines += sheet.paragraph(start, [said])
    hint = join([styled(command, "strong"), f" {purpose}"])
    lines += [Text(), *sheet.paragraph(Text(), [hint])]
    for line in lines:
        line.rstrip()
    return paint(lines, color=color)


def _lay_out(block: _Block, sheet: Sheet, *, ticks: bool) -> Lines:
    def prose() -> Text:
        return sheet.prose(" ".join(block.lines), ticks=ticks)

    match block.kind:
        case _Kind.HEADING:
            return sheet.paragraph(Text(), [sheet.text(block.lines[0], "help")])
        case _Kind.PARAGRAPH:
            return sheet.paragraph(Text("  "), [prose()])
        case _Kind.BULLET:
            lead = styled(f"  {block.sign} ", "quiet")
            return sheet.paragraph(lead, [prose()])
        case _Kind.CODE:
            lines = [line.expandtabs(4) for line in block.lines]
            return sheet.paragraph(Text("      "), [sheet.text(line) for line in lines])


def _blocks(text: str) -> list[_Block]:
    """Split a page into headings, paragraphs, list items and code."""
    lines = text.splitlines()
    blocks: list[_Block] = []
    current: _Block | None = None
    shift = 0  # how far the passage below a `Heading:` is indented
    index = 0
    while index < len(lines):
        line = lines[index]
        following = lines[index + 1] if index + 1 < len(lines) else ""
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent < shift:
            shift = 0
        words = line.strip()
        index += 1
        if words.startswith("```"):
            fenced: list[str] = []
            while index < len(lines) and not lines[index].strip().startswith("```"):
                fenced.append(lines[index])
                index += 1
            index += 1
            blocks.append(_Block(_Kind.CODE, dedent("\n".join(fenced)).splitlines()))
            current = None
        elif not words:
            if current is not None and current.kind is _Kind.CODE:
                current.lines.append("")
            else:
                current = None
        elif title := _heading(line, following):
            blocks.append(_Block(_Kind.HEADING, [title]))
            index += bool(_UNDERLINE.match(following.strip()))
            shift = _indent_of_next(lines[index:]) if words.endswith(":") else 0
            current = None
        elif current is not None and current.kind is not _Kind.CODE and not _BULLET.match(words):
            current.lines.append(words)
        elif indent - shift >= 4:
            if current is None or current.kind is not _Kind.CODE:
                if blocks and blocks[-1].kind is _Kind.CODE:
                    current = blocks[-1]
                    current.lines.append("")
                else:
                    current = _Block(_Kind.CODE)
                    blocks.append(current)
            current.lines.append(line[shift + 4 :])
        elif item := _BULLET.match(words):
            current = _Block(_Kind.BULLET, [item["rest"]], item["sign"])
            blocks.append(current)
        else:
            current = _Block(_Kind.PARAGRAPH, [words])
            blocks.append(current)
    for block in blocks:
        while block.lines and not block.lines[-1].strip():
            block.lines.pop()
    return [block for block in blocks if block.lines]


def _heading(line: str, following: str) -> str:
    """Return the title if this line is a heading, else an empty text."""
    if hashed := _HASHED.match(line):
        return hashed["title"]
    if line[:1].strip() and _UNDERLINE.match(following.strip()):
        return line.strip()
    titled = _TITLE.match(line)
    if titled and following.startswith((" ", "\t")):
        return titled["title"]
    return ""


def _indent_of_next(lines: list[str]) -> int:
    line = next((line for line in lines if line.strip()), "")
    return len(line) - len(line.lstrip())

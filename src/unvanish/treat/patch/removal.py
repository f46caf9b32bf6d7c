"""Take expressions and statements out of source, with the comma or the line that was theirs."""

from __future__ import annotations

import ast
import re
from typing import Final

from unvanish.treat.patch.source import Source

_REST: Final = re.compile(r"[ \t]*,?[ \t]*(#[^\n]*)?\r?(\n|$)")
"""What may stand between the last element of a line and its end."""

_COMMENT: Final = re.compile(r"[ \t:)]*(#[^\n]*)")

_COMMA: Final = re.compile(r"\s*,[ \t]*")


def remove_element(source: Source, element: ast.expr | ast.keyword) -> None:
    """Take an element out of a list, a tuple or the arguments of a call.

    An element that has lines of its own takes its comment with it; other comments stay.
    """
    start, end = source.span(element)
    line = source.text.rfind("\n", 0, start) + 1
    rest = _REST.match(source.text, end)
    if not source.text[line:start].strip() and rest is not None:
        source.cut(line, rest.end())
        return
    before = source.text[:start].rstrip(" \t")
    if before.endswith(","):
        source.cut(len(before) - 1, end)
        return
    behind = _COMMA.match(source.text, end)
    source.cut(start, behind.end() if behind is not None else end)


def remove_statement(source: Source, statement: ast.stmt) -> bool:
    """Take a statement out with its line; False where it is the only one of its block."""
    holder = source.parent(statement)
    blocks = [getattr(holder, name, None) for name in ("body", "orelse", "finalbody")]
    block = next((b for b in blocks if isinstance(b, list) and statement in b), None)
    if block is None or len(block) < 2:
        return False
    start, end = source.span(statement)
    line = source.text.rfind("\n", 0, start) + 1
    rest = _REST.match(source.text, end)
    if source.text[line:start].strip() or rest is None:
        return False
    source.cut(line, rest.end())
    return True


def leave_comment(source: Source, statement: ast.stmt) -> None:
    """Take a statement out, and leave its comment on a line of its own.

    Where it is the only statement of its block, ``pass`` stands in its place.

    Args:
        source: The file.
        statement: A statement of one or more lines of its own.
    """
    start, end = source.span(statement)
    line = source.text.rfind("\n", 0, start) + 1
    rest = _REST.match(source.text, end)
    holder = source.parent(statement)
    blocks = [getattr(holder, name, None) for name in ("body", "orelse", "finalbody")]
    is_alone = any(block == [statement] for block in blocks)
    if is_alone or rest is None or source.text[line:start].strip():
        source.replace(statement, "pass")
        return
    comment = rest[1] or ""
    source.cut(start if comment else line, rest.start(1) if comment else rest.end())


def comment_behind(source: Source, position: int) -> str:
    """Return the comment that ends the line of a position; empty without one.

    Args:
        source: The file.
        position: Where the last of a line's code ends.
    """
    found = _COMMENT.match(source.text, position)
    return found[1].rstrip() if found is not None else ""


def in_brackets(source: Source, value: ast.expr) -> str:
    """Return the text of an expression so that it can stand as an operand or an argument."""
    text = source.segment(value)
    simple = isinstance(
        value, ast.Name | ast.Call | ast.Attribute | ast.Subscript | ast.Constant | ast.List
    )
    return text if simple or (text.startswith("(") and _closes(text)) else f"({text})"


def _closes(text: str) -> bool:
    """Tell whether the first bracket of a text closes with its last letter."""
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return position == len(text) - 1
    return False

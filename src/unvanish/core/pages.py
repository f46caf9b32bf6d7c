"""The page of a rule: its class docstring, also where Python has stripped docstrings."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Final

PAGE_HEADINGS: Final = (
    "What it measures",
    "Why it hurts",
    "When it stays silent",
    "False alarms",
    "What helps",
    "Source",
)
"""Headings of a rule's page, in order; each stands on a line of its own after ``## ``."""

_HEADING = re.compile(r"^## +(.+?) *$", re.MULTILINE)


def page_of(thing: object) -> str:
    """Return the page of a rule (or of any class that documents itself in its docstring).

    Args:
        thing: The class or an instance of it.

    Returns:
        The cleaned docstring; read from the source file where ``python -OO`` stripped it,
        and empty where there is none.
    """
    cls = thing if inspect.isclass(thing) else type(thing)
    text = cls.__dict__.get("__doc__")
    if not isinstance(text, str) or text.startswith(f"{cls.__name__}("):
        # A dataclass without a docstring documents itself by its signature.
        text = _docstring_from_source(cls)
    return inspect.cleandoc(text)


def title_of(page: str) -> str:
    """Return the first line of a page."""
    return page.split("\n", 1)[0].strip()


def sections_of(page: str) -> dict[str, str]:
    """Split a page into its sections.

    Args:
        page: What `page_of` returned.

    Returns:
        Heading to the text below it, in the order of the page; the text above the first
        heading is left out.
    """
    parts = _HEADING.split(page)
    return {heading: body.strip() for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


def _docstring_from_source(cls: type) -> str:
    try:
        file = inspect.getsourcefile(cls)
        tree = ast.parse(Path(file).read_text(encoding="utf-8")) if file else None
    except (OSError, TypeError, SyntaxError):
        return ""
    body = tree.body if tree else []
    found: ast.ClassDef | None = None
    for name in cls.__qualname__.split("."):
        found = next((n for n in body if isinstance(n, ast.ClassDef) and n.name == name), None)
        if found is None:
            return ""
        body = found.body
    return (ast.get_docstring(found) or "") if found else ""

"""Nearest names, for errors that say what was probably meant."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable

from unvanish.core.verbs import running_verb


def nearest(name: str, known: Iterable[str], *, count: int = 3) -> list[str]:
    """Return the known names most like a mistyped one, best first; case does not matter."""
    by_folded: dict[str, str] = {}
    for word in known:
        by_folded.setdefault(word.casefold(), word)
    matches = difflib.get_close_matches(name.casefold(), by_folded, n=count, cutoff=0.55)
    return [by_folded[match] for match in matches]


def listing(words: Iterable[str], *, most: int = 6) -> str:
    """Return words as ``a, b, c and 4 more``."""
    words = list(words)
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:most])} and {len(words) - most} more"


def joined(words: Iterable[str], *, by: str = "and") -> str:
    """Return words as ``a, b and c``."""
    *first, last = words
    return f"{', '.join(first)} {by} {last}" if first else last


def command(target: str, *options: str) -> str:
    """Return the literal call for a target, quoted for a shell where it must be.

    It is of the command that is running: ``unvanish fix net.py`` where that is ``fix``.
    """
    return shlex.join(["unvanish", running_verb(), target, *options])

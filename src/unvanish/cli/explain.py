"""`unvanish explain`: the page of a rule, or the list of all rules."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from unvanish.cli.screen import Screen
from unvanish.core.errors import UnvanishError
from unvanish.core.pages import page_of, title_of
from unvanish.core.protocols import Rule
from unvanish.diagnose import all_rules
from unvanish.show.page import render_list, render_page


def explanation(word: str | None, screen: Screen) -> str:
    """Return the page of one rule, or a line for each.

    Args:
        word: A code or a name, whatever its case; None for the list.
        screen: Where it will be shown.

    Returns:
        The text.
    """
    rules = all_rules().members
    if word is None:
        return render_list(
            [(rule.code, rule.name, title_of(page_of(rule))) for rule in rules],
            command="unvanish explain CODE",
            purpose="shows the page of a rule",
            width=screen.width,
            color=screen.color,
            ascii=screen.ascii,
        )
    wanted = word.strip().casefold().replace("_", "-")
    for rule in rules:
        if wanted in {rule.code.casefold(), rule.name.casefold()}:
            return render_page(
                page_of(rule),
                code=rule.code,
                name=rule.name,
                width=screen.width,
                color=screen.color,
                ascii=screen.ascii,
            )
    raise _unknown(word, rules)


def _unknown(word: str, rules: Sequence[Rule]) -> UnvanishError:
    known = {text.casefold(): rule for rule in rules for text in (rule.code, rule.name)}
    near = difflib.get_close_matches(word.casefold(), known, n=3, cutoff=0.5)
    codes = list(dict.fromkeys(known[text].code for text in near))
    return UnvanishError(
        f"there is no rule {word!r}",
        help=f"unvanish explain {codes[0]}" if codes else "unvanish explain   lists all rules",
    )

"""`unvanish explain`: the page of a rule, the card of a remedy, or a list of either."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from unvanish.cli.screen import Screen
from unvanish.core.errors import UnvanishError
from unvanish.core.pages import page_of, title_of
from unvanish.core.protocols import Rule, RunRule
from unvanish.diagnose import all_rules
from unvanish.diagnose.running import all_run_rules
from unvanish.show.page import render_list, render_page

REMEDIES = "remedies"
"""The word that lists all remedies."""


def explanation(word: str | None, screen: Screen) -> str:
    """Return the page of one rule, the card of one remedy, or a line for each.

    Args:
        word: A code, the name of a rule or of a remedy, whatever its case; ``"remedies"`` for a
            list of these; None for the list of rules.
        screen: Where it will be shown.

    Returns:
        The text.

    Raises:
        UnvanishError: If nothing has that name.
    """
    rules: tuple[Rule | RunRule, ...] = (*all_rules().members, *all_run_rules().members)
    if word is None:
        rows = [(rule.code, rule.name, title_of(page_of(rule))) for rule in rules]
        return _list(rows, "unvanish explain CODE", "shows the page of a rule", screen)
    wanted = word.strip().casefold().replace("_", "-")
    for rule in rules:
        if wanted in {rule.code.casefold(), rule.name.casefold()}:
            return _page(page_of(rule), rule.code, rule.name, screen)

    from unvanish.treat.registry import remedies  # loads torch, which rules do without

    known = remedies()
    if wanted == REMEDIES:
        rows = [(one.name, one.change.value, title_of(page_of(one))) for one in known]
        return _list(rows, "unvanish explain NAME", "shows the card of a remedy", screen)
    for remedy in known:
        if wanted == remedy.name:
            text = f"{page_of(remedy).rstrip()}\n\n{_written(remedy.name)}\n"
            return _page(text, remedy.name, f"({remedy.change.value})", screen)
    raise _unknown(
        word,
        {
            **{name.casefold(): rule.code for rule in rules for name in (rule.code, rule.name)},
            **{remedy.name: remedy.name for remedy in known},
        },
    )


def _written(remedy: str) -> str:
    """Return the section that says whether source code can say a remedy."""
    from unvanish.treat.patch.rewriters import REWRITERS

    if remedy in REWRITERS:
        said = f"`unvanish fix TARGET --remedy {remedy} --write` writes it."
    else:
        said = "It takes a call of unvanish; `unvanish fix` prints the lines."
    return f"## In your source\n{said}"


def _list(rows: Sequence[tuple[str, str, str]], command: str, purpose: str, screen: Screen) -> str:
    return render_list(
        rows,
        command=command,
        purpose=purpose,
        width=screen.width,
        color=screen.color,
        ascii=screen.ascii,
    )


def _page(text: str, code: str, name: str, screen: Screen) -> str:
    return render_page(
        text, code=code, name=name, width=screen.width, color=screen.color, ascii=screen.ascii
    )


def _unknown(word: str, known: dict[str, str]) -> UnvanishError:
    near = difflib.get_close_matches(word.casefold(), known, n=3, cutoff=0.5)
    return UnvanishError(
        f"there is no rule or remedy {word!r}",
        help=f"unvanish explain {known[near[0]]}"
        if near
        else "unvanish explain   lists all rules; unvanish explain remedies   all remedies",
    )

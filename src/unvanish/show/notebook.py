"""The ledger as a piece of HTML for notebooks: a tree that opens and closes, without scripts."""

from __future__ import annotations

import html
import math
from typing import Final

from unvanish.core.explanations import Explanation, Level, Term
from unvanish.core.records import Recording
from unvanish.show.ledger import place_words
from unvanish.show.words import clean

_STYLE: Final = "font-family:monospace;font-size:13px;line-height:1.5;max-width:60em;color:inherit"
_NUMBER: Final = "display:inline-block;width:5.5em;text-align:right;margin-right:.8em"
_LOST: Final = "#c0392b"
_GAINED: Final = "#2471a3"
_LONGEST_EM: Final = 16.0


def ledger_html(explanation: Explanation, recording: Recording) -> str:
    """Return a ledger as HTML: one line a term, with its decades, a bar and its source line.

    Args:
        explanation: The ledger.
        recording: What it was made from, for the source lines.

    Returns:
        Nested ``details`` elements with styles of their own, which follow the colours of the
        page around them. Everything that a network can name is escaped.
    """
    ledger = explanation.ledger
    largest = max((abs(c.log10_gain) for c in ledger.children if _finite(c)), default=0.0)
    body = "".join(_term(child, recording, largest) for child in ledger.children)
    totals = ledger.by_factor()
    most = max((abs(v) for v in totals.values() if math.isfinite(v)), default=0.0)
    factors = "".join(
        f'<div><span style="{_NUMBER}">{decades:+.2f}</span>{_bar(decades, most)}'
        f"{_text(str(factor))}</div>"
        for factor, decades in totals.items()
    )
    said = f"<p>{_text(explanation.verdict)}</p>" if explanation.verdict else ""
    return (
        f'<div style="{_STYLE}"><div><b>{_text(place_words(explanation.name))}</b>: the '
        f"gradient's norm changes by {ledger.log10_gain:+.2f} decades from the loss to here"
        f"</div><details open><summary>by factor</summary>{factors}</details>"
        f"<details open><summary>by place, from the loss to the input</summary>{body}</details>"
        f"{said}</div>"
    )


def _term(term: Term, recording: Recording, largest: float) -> str:
    line = (
        f'<span style="{_NUMBER}">{term.log10_gain:+.2f}</span>{_bar(term.log10_gain, largest)}'
        f"{_text(place_words(term.name))}{_place(term, recording)}"
    )
    if not term.children:
        return f'<div style="margin-left:1.2em">{line}</div>'
    below = "".join(_term(child, recording, largest) for child in term.children)
    return f'<details style="margin-left:1em"><summary>{line}</summary>{below}</details>'


def _bar(decades: float, largest: float) -> str:
    if not math.isfinite(decades) or largest <= 0.0:
        return ""
    width = min(_LONGEST_EM, _LONGEST_EM * abs(decades) / largest)
    color = _LOST if decades < 0 else _GAINED
    style = f"display:inline-block;height:.7em;width:{width:.2f}em;background:{color}"
    return f'<span style="{style};margin-right:.5em"></span>'


def _place(term: Term, recording: Recording) -> str:
    if term.level is not Level.OPERATION or not term.sites:
        return ""
    source = recording.sites[term.sites[0]].source
    return f' <span style="opacity:.6">{_text(str(source))}</span>' if source else ""


def _finite(term: Term) -> bool:
    return math.isfinite(term.log10_gain)


def _text(words: str) -> str:
    return html.escape(clean(words))

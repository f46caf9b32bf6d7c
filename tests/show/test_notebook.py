"""The ledger as HTML: everything in it, nothing that a browser would run."""

from __future__ import annotations

from html.parser import HTMLParser

from unvanish.core.explanations import Explanation, Factor, Level, Term
from unvanish.core.places import SourceLine
from unvanish.core.records import Recording, Site
from unvanish.show.notebook import ledger_html

HOSTILE = "</details><script>alert(1)</script>"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def made() -> str:
    site = Site(index=0, path=HOSTILE, op="tanh", source=SourceLine("net.py", 7), slope_cap=1.0)
    leaf = Term(
        level=Level.FACTOR,
        name=str(Factor.OPERATING_POINT),
        log10_gain=-2.0,
        factor=Factor.OPERATING_POINT,
        sites=(0,),
    )
    operation = Term(
        level=Level.OPERATION, name=site.name, log10_gain=-2.0, sites=(0,), children=(leaf,)
    )
    ledger = Term(level=Level.NETWORK, name="net", log10_gain=-2.0, children=(operation,))
    explanation = Explanation(target=0, name=HOSTILE, ledger=ledger)
    return ledger_html(explanation, Recording(sites=(site,)))


def test_every_term_and_its_source_line_is_there() -> None:
    text = made()
    assert "operating point" in text
    assert "net.py:7" in text
    assert text.count("-2.00") == 4  # the head, the factor, the operation, its leaf


def test_names_are_escaped_and_every_element_is_closed() -> None:
    tags = Tags()
    tags.feed(made())
    assert tags.open == []
    assert tags.seen == {"div", "b", "details", "summary", "span"}

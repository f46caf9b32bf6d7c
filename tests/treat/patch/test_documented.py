"""The page about remedies names every one that can be written into source."""

from __future__ import annotations

import re
from pathlib import Path

from unvanish.treat.patch.rewriters import REWRITERS
from unvanish.treat.registry import remedies

PAGE = Path(__file__).parents[3] / "docs" / "treat.md"


def test_every_remedy_that_can_be_written_is_named() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition("## What an edit can say")[2].partition("The others give")[0]
    assert table
    assert set(REWRITERS) <= set(re.findall(r"`([a-z0-9-]+)`", table))


def test_what_can_be_written_is_a_remedy() -> None:
    assert set(REWRITERS) <= {remedy.name for remedy in remedies()}

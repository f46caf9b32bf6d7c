"""A rule's page in the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from unvanish.show.page import render_list, render_page

PAGE = """Find a gradient that loses decades on its way to the first layer.

    A second paragraph with `code` that is long enough to be wrapped, whatever the width of the
    terminal may be.

    ## What it measures

    The decades between the last layer and the first:

        log10 rms(dL/dh_L) - log10 rms(dL/dh_1)

        one more line of code

    per layer, "σ′ ≤ ¼".

    Why it hurts
    ------------
    - an item that is long enough to go on over the end of the line, in a terminal of
      eighty columns
    - [bold]literal[/bold] \x1b[31m

    What helps:
        Use ReLU.

            code()

        1. first
        2. second

    ```python
    def f():
        return 1
    ```

    Source: Hochreiter (1991).
    """


def show(**settings: object) -> str:
    return render_page(PAGE, code="UV101", name="vanishing-gradient", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [60, 80])
def test_golden(width: int, golden: Callable[[str, str], None]) -> None:
    golden(f"page_{width}.txt", show(width=width))


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("width", [48, 60, 80, 96])
def test_lines_fit_and_colour_changes_nothing(width: int, *, ascii: bool) -> None:
    text = show(width=width, ascii=ascii)
    for line in text.splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip()
    colored = re.sub(r"\x1b\[[0-9;]*m", "", show(width=width, ascii=ascii, color=True))
    assert colored.split() == text.replace("`", "").split()
    assert not ascii or text.isascii()


def test_backticks_go_where_bold_type_stands_for_them() -> None:
    assert "with `code` that" in show()
    assert "with \x1b[1mcode\x1b[0m that" in show(color=True)


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("width", [20, 48, 60, 75, 76, 80, 96, 300])
def test_the_list_fits_and_says_how_to_go_on(width: int, *, color: bool) -> None:
    rules = [
        ("UV101", "vanishing-gradient", "The gradient does not reach the early layers."),
        ("UV202", "dead-units", "Units whose slope is `zero` on every sample, beyond what chance "
         "leaves silent."),
        ("MY1", "odd\x1b[31m", ""),
    ]  # fmt: skip
    shown = render_list(rules, command="do X", purpose="does it", width=width, color=color)
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    lines = text.splitlines()
    for line in lines:
        assert cell_len(line) <= min(max(width, 48), 96)
        assert line == line.rstrip()
    assert lines[-1] == "do X does it"
    assert ("`zero`" in text) is not color
    assert "MY1    odd\\x1b[31m" in text
    assert " ".join(rules[0][2].split()) in " ".join(text.split())


def test_three_ways_of_writing_a_heading() -> None:
    lines = show().splitlines()
    for heading in ("What it measures", "Why it hurts", "What helps"):
        assert heading in lines


def test_code_keeps_its_shape() -> None:
    assert "      def f():\n          return 1\n" in show()


@pytest.mark.parametrize("text", ["", "One line.", "## Only a heading", "    - item", "```\nopen"])
def test_small_pages(text: str) -> None:
    page = render_page(text, code="UV101", name="x", width=80)
    assert page.startswith("UV101 x\n───────\n")

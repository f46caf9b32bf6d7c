"""Numbers and names as words."""

from __future__ import annotations

import math

import pytest

from unvanish.show.words import (
    bare,
    clean,
    duration,
    number,
    plural,
    power,
    quantity,
    short_count,
)


@pytest.mark.parametrize(
    ("log10", "text"),
    [
        (-25.51, "3.1e-26"),
        (-0.13, "7.4e-01"),
        (0.0, "1.0e+00"),
        (2.9999, "1.0e+03"),
        (-3.00001, "1.0e-03"),
        (-299.9, "1.3e-300"),
        (-856.9, "1e-857"),
        (412.2, "1e+412"),
        (-math.inf, "zero"),
        (math.inf, "inf"),
        (math.nan, "?"),
    ],
)
def test_power(log10: float, text: str) -> None:
    assert power(log10) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1.0k"),
        (9_876, "9.9k"),
        (117_226, "117k"),
        (999_499, "999k"),
        (999_500, "1.0M"),
        (1_234_567, "1.2M"),
        (7_000_000_000, "7.0G"),
        (2_000_000_000_000, "2.0T"),
    ],
)
def test_short_count(count: int, text: str) -> None:
    assert short_count(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (23.94, "23.9"),
        (3.0, "3"),
        (0.0, "0"),
        (-0.3, "-0.3"),
        (999.9, "1,000"),
        (8518.1, "8,518"),
        (1e5, "1.0e+05"),
        (1e-9, "1.0e-09"),
        (math.inf, "infinite"),
        (-math.inf, "minus infinity"),
        (math.nan, "unknown"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text", "short"),
    [
        (2.7, "decades", "2.7 decades", "2.7"),
        (0.42, "fraction", "42 %", "42 %"),
        (0.42, "fraction of units", "42 % of units", "42 %"),
        (1.5, "", "1.5", "1.5"),
        (math.inf, "decades", "infinitely many decades", "infinite"),
    ],
)
def test_quantity(value: float, unit: str, text: str, short: str) -> None:
    assert quantity(value, unit) == text
    assert bare(value, unit) == short


def test_plural() -> None:
    assert [plural(n, "layer") for n in (0, 1, 2, 10_000)] == [
        "0 layers",
        "1 layer",
        "2 layers",
        "10,000 layers",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (0.41, "0.4 s"), (9.96, "10 s"), (41.2, "41 s"), (185.0, "3 min 5 s")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "plain", "in_ascii"),
    [
        ("layers.3", "layers.3", "layers.3"),
        ("a\x1b[31mb", "a\\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc", "a\\nb\\tc", "a\\nb\\tc"),
        ("\u202egpj", "\\u202egpj", "\\u202egpj"),
        ("\x9b2J", "\\x9b2J", "\\x9b2J"),
        ("\udcff", "\\udcff", "\\udcff"),
        ("[bold]", "[bold]", "[bold]"),
        ("é … σ", "é … σ", "\\xe9 ... sigma"),
    ],
)
def test_clean(text: str, plain: str, in_ascii: str) -> None:
    assert clean(text) == plain
    assert clean(text, ascii=True) == in_ascii

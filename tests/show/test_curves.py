"""Plots in characters: marks where they belong, nothing wider than the sheet."""

from __future__ import annotations

import math

import pytest

from unvanish.core.lessons import Curves, Picture, Pictures, Plot, Scale, Series
from unvanish.show.curves import draw_plot, extremes, tick_label, ticks
from unvanish.show.sheet import Sheet, paint


def drawn(plot: Plot, width: int = 80, *, ascii: bool = False) -> list[str]:
    return paint(draw_plot(plot, Sheet.of(width, ascii=ascii)), color=False).splitlines()


def curves(*series: Series, scale: Scale = Scale.LINEAR) -> Curves:
    return Curves(title="t", x_label="layer", y_label="size", series=series, y_scale=scale)


RISING = Series(name="rising", x=(0.0, 1.0, 2.0), y=(0.0, 1.0, 2.0))
FALLING = Series(name="falling", x=(0.0, 1.0, 2.0), y=(2.0, 1.0, 0.0), dots=True)


@pytest.mark.parametrize("width", [48, 60, 80, 96])
@pytest.mark.parametrize("ascii", [False, True])
def test_fits_the_sheet(width: int, ascii: bool) -> None:
    lines = drawn(curves(RISING, FALLING), width, ascii=ascii)
    assert max(map(len, lines)) <= width
    assert "\n".join(lines).isascii() == ascii


def test_a_rising_line_rises() -> None:
    marks = "".join(reversed([line for line in drawn(curves(RISING)) if "│" in line]))
    assert marks.index("●") > 0
    rows = [line.index("●") for line in drawn(curves(RISING)) if "●" in line and "│" in line]
    assert rows == sorted(rows, reverse=True)


def test_dots_are_not_joined() -> None:
    lines = drawn(curves(FALLING))
    assert sum(line.count("●") for line in lines if "│" in line) == 3


def test_the_legend_names_every_line() -> None:
    assert "● rising   ○ falling" in drawn(curves(RISING, FALLING))[-1]


@pytest.mark.parametrize(
    "series",
    [
        Series(name="n", x=(0.0, 1.0), y=(math.nan, math.inf)),
        Series(name="n", x=(), y=()),
    ],
)
def test_nothing_finite_is_said(series: Series) -> None:
    assert "nothing finite to draw" in drawn(curves(series))[-1]


def test_a_flat_line_and_a_single_point_are_drawn() -> None:
    for one in (Series(name="n", x=(1.0, 2.0), y=(3.0, 3.0)), Series(name="n", x=(1.0,), y=(0.0,))):
        assert any("●" in line and "│" in line for line in drawn(curves(one)))


def test_gaps_stay_open() -> None:
    broken = Series(name="n", x=(0.0, 1.0, 2.0, 3.0), y=(0.0, math.nan, math.nan, 0.0))
    (line,) = [line for line in drawn(curves(broken)) if "●" in line and "│" in line]
    assert line.count("●") == 2


def test_decades_are_labelled_as_powers() -> None:
    text = "\n".join(
        drawn(curves(Series(name="n", x=(0.0, 1.0), y=(-20.0, 0.0)), scale=Scale.DECADES))
    )
    assert "1e-20" in text
    assert "1e-10" in text
    assert tick_label(-0.5, Scale.DECADES) == "0.32"
    assert tick_label(-400.5, Scale.DECADES) == "1e-400"
    assert tick_label(0.0, Scale.DECADES) == "1"


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0.0, 10.0, 5) == [0.0, 5.0, 10.0]
    assert ticks(1.0, 3.0, 5, whole=True) == [1.0, 2.0, 3.0]
    for low, high in ((0.13, 0.19), (-7.0, 1e6), (1e-9, 2e-9)):
        found = ticks(low, high, 5)
        assert 2 <= len(found) <= 5
        assert low <= found[0] < found[-1] <= high * (1 + 1e-9)


def test_pictures_are_shaded_from_their_own_extremes() -> None:
    filters = Pictures(
        title="filters",
        images=(
            Picture(name="edge", rows=((-1.0, 1.0), (-1.0, 1.0))),
            Picture(name="flat", rows=((2.0, 2.0), (2.0, 2.0))),
        ),
    )
    lines = drawn(filters)
    assert lines[1].startswith("    ██")
    assert lines[3].split() == ["edge", "flat"]
    assert extremes(Picture(name="e", rows=((-1.0, 3.0),))) == (-3.0, 3.0)
    assert extremes(Picture(name="e", rows=((1.0, 3.0),))) == (1.0, 3.0)


def test_more_pictures_than_fit_go_on_below() -> None:
    many = Pictures(
        title="filters",
        images=tuple(
            Picture(name=str(index), rows=tuple((0.0,) * 8 for _ in range(8))) for index in range(9)
        ),
    )
    assert max(map(len, drawn(many, 60))) <= 60
    assert len(drawn(many, 60)) > 20

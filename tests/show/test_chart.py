"""Bars, axes and folds tell the truth about the numbers they stand for."""

from __future__ import annotations

import math
import random
import re
from itertools import pairwise

import pytest
from rich.cells import cell_len
from tests.show.parts import MEASURED, profile

from unvanish.core.findings import Chart, Mark, Point
from unvanish.show.chart import draw_chart, fit_axis
from unvanish.show.fold import Fold, Shape, fold_names, fold_points
from unvanish.show.sheet import Sheet

SHEET = Sheet.of(80)


def test_the_axis_holds_the_data_and_has_four_or_five_ticks() -> None:
    generator = random.Random(0)
    for _ in range(2_000):
        size = 10 ** generator.uniform(-2, 4)
        values = [generator.uniform(-size, size / 4) for _ in range(3)]
        axis = fit_axis(values)
        assert axis.low <= min(values)
        assert max(values) <= axis.high
        assert len(axis.ticks) in (4, 5)
        assert all(isinstance(tick, int) for tick in axis.ticks)


@pytest.mark.parametrize("values", [[], [math.nan], [-math.inf, math.inf], [0.0], [-3.0]])
def test_the_axis_of_hardly_any_data(values: list[float]) -> None:
    assert len(fit_axis(values).ticks) in (4, 5)


def test_a_drawn_bar_read_back_is_the_value() -> None:
    """Invert the drawn length through the drawn axis: within an eighth of a cell."""
    values = MEASURED[::3]
    axis = fit_axis(values)
    lines = [line.plain for line in draw_chart(profile(values), SHEET)]
    rows = [line for line in lines if "█" in line]
    start = min(line.index("█") for line in rows)
    eighths = " ▏▎▍▌▋▊▉█"
    header = next(line for line in lines if "1e-" in line and "layer" in line)
    last_label = header.split()[header.split().index("1")]
    width = header.index(f" {last_label} ") + 2 - start
    assert len(rows) == len(values)
    for line, value in zip(rows, values, strict=True):
        bar = line[start:].split("  ")[0]
        drawn = sum(eighths.index(cell) for cell in bar.rstrip()) / 8 / width
        read = axis.low + drawn * (axis.high - axis.low)
        assert read == pytest.approx(value, abs=(axis.high - axis.low) / width / 8)


def test_zero_is_an_empty_bar_with_its_word() -> None:
    lines = [line.plain for line in draw_chart(profile((-math.inf, -2.0)), SHEET)]
    row = next(line for line in lines if "layers.0" in line)
    assert row.split()[-1] == "zero"
    assert "█" not in row


def test_not_measured_is_said_and_drawn_as_unknown() -> None:
    lines = [line.plain for line in draw_chart(profile((math.nan, -2.0)), SHEET)]
    row = next(line for line in lines if "layers.0" in line)
    assert row.strip().startswith("?")
    assert row.endswith("not measured")


@pytest.mark.parametrize("width", [48, 52, 58, 60, 64, 70, 75, 80, 96])
@pytest.mark.parametrize("lowest", [-1e-3, -1.2, -6.0, -13.0, -25.5, -99.0, -870.0, -8518.0])
@pytest.mark.parametrize("note", ["", "0.245 x 0.576"])
def test_no_tick_is_missing_or_touches_another(width: int, lowest: float, note: str) -> None:
    """The labels are equal steps, one at each end, with room between them."""
    chart = profile(tuple(lowest * i / 9 for i in range(9, -1, -1)), note=note)
    lines = [line.plain for line in draw_chart(chart, Sheet.of(width))]
    header = next(line for line in lines if line.lstrip().startswith("layer "))
    labels = re.findall(r"(?:(?<=  )|^)(1|1e[+-]\d+)(?=  |$)", header)
    ticks = [0 if label == "1" else int(label[2:]) for label in labels]
    assert len(ticks) >= 2
    assert len(header.replace("slope x weight", "").split()) == 1 + len(ticks)
    assert len({after - before for before, after in pairwise(ticks)}) == 1
    assert ticks[0] <= lowest
    assert ticks[-1] >= 0


def test_a_title_that_is_wrapped_leaves_no_word_alone() -> None:
    chart = Chart(
        "gradient at each layer, in decades against the output layer",
        (Point("a", -9.0, Mark.STARVED), Point("b", 0.0)),
    )
    lines = [line.plain for line in draw_chart(chart, Sheet.of(60))]
    assert lines[:2] == [
        "    gradient at each layer, in decades",
        "    against the output layer   ✗ starved",
    ]


def test_a_chart_without_points_draws_nothing() -> None:
    assert draw_chart(Chart("title", ()), SHEET) == []


@pytest.mark.parametrize("count", [1, 2, 12, 13, 14, 100, 10_000])
@pytest.mark.parametrize("kind", ["line", "noise", "steps", "alternating", "zeros", "unmeasured"])
def test_any_chart_folds_to_twenty_rows_that_count_every_layer(count: int, kind: str) -> None:
    generator = random.Random(1)
    values = {
        "line": [-0.1 * i for i in range(count)],
        "noise": [generator.uniform(-30, 0) for _ in range(count)],
        "steps": [-5.0 * (i * 7 // count) for i in range(count)],
        "alternating": [-math.inf if i % 2 else -1.0 for i in range(count)],
        "zeros": [-math.inf] * count,
        "unmeasured": [math.nan] * count,
    }[kind]
    rows = fold_points([Point(str(i), value) for i, value in enumerate(values)])
    assert len(rows) <= 20
    assert sum(row.count if isinstance(row, Fold) else 1 for row in rows) == count
    assert isinstance(rows[0], Point)
    assert isinstance(rows[-1], Point)
    lines = draw_chart(profile(tuple(values)), SHEET)
    assert all(cell_len(line.plain) <= 80 for line in lines)


def test_same_slope_is_said_only_where_it_is_true() -> None:
    generator = random.Random(2)
    for _ in range(200):
        values = [generator.uniform(-6, 0) + i * generator.choice((0, 1)) for i in range(60)]
        points = [Point(str(i), value) for i, value in enumerate(values)]
        tolerance = max(0.15, 0.03 * (max(values) - min(values)))
        position = 0
        for row in fold_points(points):
            if isinstance(row, Point):
                position += 1
                continue
            left, right = position - 1, position + row.count
            slope = (values[right] - values[left]) / (right - left)
            off = max(
                abs(values[i] - values[left] - slope * (i - left)) for i in range(left, right)
            )
            assert (off <= tolerance) == (row.shape is Shape.SLOPE)
            position = right


def test_a_fold_does_not_hide_where_marks_change_or_zeros_begin() -> None:
    points = [
        Point(str(i), -math.inf if i < 8 else -9.0, Mark.STARVED if i < 20 else Mark.FINE)
        for i in range(40)
    ]
    rows = fold_points(points)
    labels = {row.label for row in rows if isinstance(row, Point)}
    assert labels & {"7", "8"}
    assert labels & {"19", "20"}
    assert {row.shape for row in rows if isinstance(row, Fold)} == {Shape.ZERO, Shape.SLOPE}


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        ([], []),
        (["a"], ["a"]),
        (["ls.0", "ls.1"], ["ls.0", "ls.1"]),
        (["ls.2", "ls.0", "ls.1", "head"], ["ls.0 … ls.2", "head"]),
        (["l.0", "l.2", "l.4", "l.9"], ["l.0 … l.4", "l.9"]),
        (["b.9.fc", "b.10.fc", "b.11.fc"], ["b.9.fc … b.11.fc"]),
        (["b.0.a", "b.1.a", "b.2.a", "b.0.c"], ["b.0.a … b.2.a", "b.0.c"]),
        (["x.5", "x.2", "x.0"], ["x.5", "x.2", "x.0"]),
        (["r", "r", "r"], ["r"]),
        (["p.0.0", "p.0.1", "p.0.2", "p.1.0"], ["p.0.0 … p.0.2", "p.1.0"]),
        (["v" + "9" * 5000], ["v" + "9" * 5000]),
    ],
)
def test_names_fold_where_one_number_counts_up(names: list[str], folded: list[str]) -> None:
    assert fold_names(names) == folded


def test_long_labels_keep_the_part_that_tells_them_apart() -> None:
    path = "backbone.encoder.transformer_blocks.{}.self_attention.output_projection"
    lines = [line.plain for line in draw_chart(profile(MEASURED, path=path), SHEET)]
    rows = [line for line in lines if "█" in line]
    assert len({line.split()[-3] for line in rows}) == len(rows)
    assert any(".29." in line for line in rows)

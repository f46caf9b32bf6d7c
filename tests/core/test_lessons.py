"""Points of a lesson: when they hold, and by how much."""

from __future__ import annotations

import math

import pytest

from unvanish.core.lessons import Evidence, Point, Relation, Series, Table


def point(measured: float, relation: Relation, limit: float, tolerance: float = 0.0) -> Point:
    return Point(says="x", measured=measured, relation=relation, limit=limit, tolerance=tolerance)


@pytest.mark.parametrize(
    ("one", "margin"),
    [
        (point(3.0, Relation.AT_LEAST, 2.0), 0.5),
        (point(1.0, Relation.AT_LEAST, 2.0), -0.5),
        (point(-1.0, Relation.AT_LEAST, -2.0), 0.5),
        (point(1.0, Relation.AT_MOST, 2.0), 0.5),
        (point(0.2, Relation.AT_LEAST, 0.0), 0.2),
        (point(math.inf, Relation.AT_LEAST, 2.0), math.inf),
        (point(math.inf, Relation.AT_MOST, 2.0), -math.inf),
        (point(math.nan, Relation.AT_MOST, 2.0), -math.inf),
        (point(2.0, Relation.EXACTLY, 2.0), math.inf),
        (point(2.1, Relation.EXACTLY, 2.0), -math.inf),
        (point(2.1, Relation.ABOUT, 2.0, 0.1), 0.05),
        (point(1.7, Relation.ABOUT, 2.0, 0.1), -0.05),
    ],
)
def test_margin(one: Point, margin: float) -> None:
    assert one.margin == pytest.approx(margin)
    assert one.holds == (margin >= 0)


def test_records_refuse_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="needs 2 cells"):
        Table(title="x", columns=("a", "b"), rows=((1,),))
    with pytest.raises(ValueError, match="2 abscissae, 1 ordinates"):
        Series(name="x", x=(1.0, 2.0), y=(1.0,))
    with pytest.raises(ValueError, match="points, or a reason"):
        Evidence()

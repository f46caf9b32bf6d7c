"""What a lesson came to when it was run: plain records that are drawn, written or asserted.

A claim stands on *points*. Each is a sentence, a measured number and the limit that the number has
to keep, so that whether a claim holds is worked out anew for every setting, and never written down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Cell = str | int | float
"""What stands in a table: words, a count, or a number that is rounded where it is shown."""

Value = int | float | str
"""What a setting of a lesson can be."""


class Relation(StrEnum):
    """How a measured number has to stand to its limit."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    EXACTLY = "exactly"
    ABOUT = "about"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One thing that has to be so if the claim is to hold.

    Attributes:
        says: The sentence, without its number: ``"decades lost between output and first layer"``.
        measured: The number that the experiment gave.
        relation: How it has to stand to the limit.
        limit: The limit.
        unit: Unit of both, such as ``"decades"``; empty for a bare number.
        tolerance: For `Relation.ABOUT`, the largest relative distance from the limit.
    """

    says: str
    measured: float
    relation: Relation
    limit: float
    unit: str = ""
    tolerance: float = 0.0

    @property
    def margin(self) -> float:
        """How far the number is on the right side of the limit, as a part of the limit.

        Below 0 the point does not hold. `Relation.EXACTLY` has an infinite margin where it
        holds; where the limit is 0, the number itself counts.
        """
        measured, limit = self.measured, self.limit
        if math.isnan(measured):
            return -math.inf
        scale = abs(limit) or 1.0
        match self.relation:
            case Relation.AT_LEAST:
                return (measured - limit) / scale
            case Relation.AT_MOST:
                return (limit - measured) / scale
            case Relation.EXACTLY:
                return math.inf if measured == limit else -math.inf
            case Relation.ABOUT:
                return self.tolerance - abs(measured - limit) / scale

    @property
    def holds(self) -> bool:
        """Whether the number keeps the limit."""
        return self.margin >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Numbers side by side.

    Attributes:
        title: What it shows, in a few words.
        columns: Headings, units in brackets.
        rows: As many cells each as there are columns.
        note: What has to be said below it; may be empty.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a row of another length."""
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"every row of {self.title!r} needs {len(self.columns)} cells")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a plot.

    Attributes:
        name: What the legend calls it.
        x: Abscissae, rising.
        y: Ordinates, as many; what is not finite leaves a gap.
        dots: Whether to draw points that no line joins.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    dots: bool = False

    def __post_init__(self) -> None:
        """Refuse ordinates without abscissae."""
        if len(self.x) != len(self.y):
            raise ValueError(f"{self.name!r} has {len(self.x)} abscissae, {len(self.y)} ordinates")


class Scale(StrEnum):
    """How an axis is to be read."""

    LINEAR = "linear"
    DECADES = "decades"
    """The numbers are base-10 logarithms, and the axis is labelled with what they stand for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """A plot of lines.

    Attributes:
        title: What it shows.
        x_label: What runs to the right.
        y_label: What runs up.
        series: The lines, at most six.
        x_scale: How to read the abscissae.
        y_scale: How to read the ordinates.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_scale: Scale = Scale.LINEAR
    y_scale: Scale = Scale.LINEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A small grey image, such as a filter.

    Attributes:
        name: What stands below it.
        rows: Its pixels, row by row, of any scale: each image is drawn from its own extremes,
            those of a signed one symmetric to zero.
    """

    name: str
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Small images side by side.

    Attributes:
        title: What they show.
        images: The images.
    """

    title: str
    images: tuple[Picture, ...]


Plot = Curves | Pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """One line of a calculation.

    Attributes:
        text: As a person would write it.
        latex: The same as LaTeX, without dollar signs.
    """

    text: str
    latex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an experiment gave.

    Attributes:
        points: What the claim stands on; empty where nothing could be judged.
        tables: The numbers.
        plots: The plots, the most telling first.
        working: The lines of a calculation.
        notes: Sentences that only the run could say.
        missing: Why the claim could not be judged; empty where it was.
    """

    points: tuple[Point, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    working: tuple[Working, ...] = ()
    notes: tuple[str, ...] = ()
    missing: str = ""

    def __post_init__(self) -> None:
        """Refuse evidence that neither judges nor says why not."""
        if not self.points and not self.missing:
            raise ValueError("evidence needs points, or a reason why there are none")


class Status(StrEnum):
    """What has become of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNJUDGED = "not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A setting of a lesson that can be changed.

    Attributes:
        name: Its name; ``--name`` on the command line.
        value: What it was in this run.
        default: What it is where nobody says otherwise.
        legal: What it may be, such as ``"2 to 200"``.
        meaning: What it sets.
    """

    name: str
    value: Value
    default: Value
    legal: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonRun:
    """A lesson, and what it came to under some settings.

    Attributes:
        number: Its place in the reading order, from 1.
        name: Its name in kebab case.
        title: Its name in words.
        claim: What it claims, in a sentence or two.
        text: The explanation: paragraphs, lists, and formulas indented by four spaces.
        belief: What is commonly believed, where that is wrong or half true; else empty.
        options: The settings.
        evidence: What the experiment gave.
        falsified_by: What would show that the claim is wrong.
        counterexample: Settings under which it does not hold; may be empty.
        question: A question to the reader.
        answer: Its answer.
        sources: The works that it rests on.
        seconds: Wall time of the experiment.
        following: Name of the next lesson; empty after the last.
    """

    number: int
    name: str
    title: str
    claim: str
    text: str
    belief: str = ""
    options: tuple[Option, ...]
    evidence: Evidence
    falsified_by: str
    counterexample: Mapping[str, Value] = field(default_factory=dict)
    question: str
    answer: str
    sources: tuple[str, ...]
    seconds: float = field(compare=False)
    following: str = ""

    @property
    def status(self) -> Status:
        """Whether the claim holds under these settings."""
        if not self.evidence.points:
            return Status.UNJUDGED
        return Status.HOLDS if all(one.holds for one in self.evidence.points) else Status.FAILS

    def call(self, settings: Mapping[str, Value] | None = None) -> str:
        """Return the command that runs the lesson.

        Args:
            settings: The settings to name; None for those that are not the defaults.
        """
        named = self.changed if settings is None else settings
        words = [f"--{name.replace('_', '-')} {_typed(value)}" for name, value in named.items()]
        return " ".join(["unvanish learn", self.name, *words])

    @property
    def changed(self) -> Mapping[str, Value]:
        """The settings that are not the defaults."""
        return {one.name: one.value for one in self.options if one.value != one.default}


def _typed(value: Value) -> str:
    """Return a setting as a person would type it: 1 and not 1.0, and every digit it has."""
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)

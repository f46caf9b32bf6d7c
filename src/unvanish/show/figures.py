"""Plots of a lesson as a picture file, drawn by matplotlib."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from unvanish.core.errors import UnvanishError, import_optional
from unvanish.core.lessons import Curves, Pictures, Plot, Scale
from unvanish.show.curves import extremes, tick_label

# Okabe and Ito's colours, which people who see few colours tell apart, on white and in grey.
_COLORS: Final = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES: Final = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
_MARKERS: Final = ("o", "s", "^", "D", "v", "P")
_WIDE: Final = {Scale.LINEAR: 2, Scale.DECADES: 4}
"""Span of an axis from which fractions between whole numbers need no label."""
_TITLE: Final = 56
"""Letters of a title in one line."""
_WIDTH, _HEIGHT = 7.0, 4.2
_STYLE: Final = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "svg.hashsalt": "unvanish",
    "svg.fonttype": "none",
}


def draw_figure(plots: Sequence[Plot], file: str | Path, *, title: str) -> Path:
    """Draw plots below each other into one picture.

    Args:
        plots: What to draw.
        file: Where; its ending says what kind of picture, such as ``.png`` or ``.svg``.
        title: What the file calls itself.

    Returns:
        The path.

    Raises:
        UnvanishError: If matplotlib is missing, the ending is not known, there is nothing to
            draw, or the file cannot be written.
    """
    path = Path(file)
    matplotlib: Any = import_optional("matplotlib", extra="plots", purpose="a plot in a file")
    figures: Any = import_optional("matplotlib.figure", extra="plots", purpose="a plot in a file")
    if not plots:
        raise UnvanishError("this lesson has nothing to draw", where=str(path))
    rows = [row for plot in plots for row in _rows(plot)]
    with matplotlib.rc_context(_STYLE):
        height = sum(_HEIGHT if isinstance(row, Curves) else _picture_height(row) for row in rows)
        figure = figures.Figure(figsize=(_WIDTH, height), layout="constrained")
        parts = figure.subfigures(
            len(rows),
            1,
            squeeze=False,
            height_ratios=[
                _HEIGHT if isinstance(row, Curves) else _picture_height(row) for row in rows
            ],
        )[:, 0]
        for part, row in zip(parts, rows, strict=True):
            if isinstance(row, Curves):
                _curves(row, part.subplots())
            else:
                _pictures(row, part)
        known = figure.canvas.get_supported_filetypes()
        ending = path.suffix.lstrip(".").casefold()
        if ending not in known:
            named, listed = path.name or "an empty name", ", ".join(sorted(known))
            raise UnvanishError(
                f"{named} does not end like a picture; known are {listed}",
                help=f"--plot {path.with_suffix('.png') if path.name else 'lesson.png'}",
            )
        metadata = {"Title": title} if ending in ("svg", "png", "pdf") else None
        if metadata is not None and ending == "svg":
            metadata["Date"] = None  # type: ignore[assignment]
        try:
            figure.savefig(path, dpi=150, metadata=metadata)
        except OSError as error:
            raise UnvanishError(
                f"the plot cannot be written: {error.strerror}", where=str(path)
            ) from error
    return path


_ACROSS: Final = 8
"""Most images in a row."""


def _rows(plot: Plot) -> list[Plot]:
    if isinstance(plot, Curves):
        return [plot]
    return [
        Pictures(title=plot.title if not at else "", images=plot.images[at : at + _ACROSS])
        for at in range(0, len(plot.images), _ACROSS)
    ]


def _picture_height(plot: Pictures) -> float:
    tallest = max(len(one.rows) / len(one.rows[0]) for one in plot.images)
    return tallest * _WIDTH / max(len(plot.images), 4) + 0.5


def _curves(plot: Curves, axes: Any) -> None:
    ticker: Any = import_optional("matplotlib.ticker", extra="plots", purpose="a plot in a file")
    for index, one in enumerate(plot.series):
        color = _COLORS[index % len(_COLORS)]
        if one.dots:
            marker = _MARKERS[index % len(_MARKERS)]
            axes.plot(one.x, one.y, marker, color=color, markersize=4, label=one.name)
        else:
            line = _LINES[index % len(_LINES)]
            axes.plot(one.x, one.y, linestyle=line, color=color, label=one.name)
    axes.set_title(textwrap.fill(plot.title, _TITLE))
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    across = [value for one in plot.series for value in one.x]
    up = [value for one in plot.series for value in one.y]
    for axis, scale, values in ((axes.xaxis, plot.x_scale, across), (axes.yaxis, plot.y_scale, up)):
        finite = [value for value in values if math.isfinite(value)]
        is_wide = bool(finite) and max(finite) - min(finite) >= _WIDE[scale]
        whole = all(value == int(value) for value in finite) or scale is Scale.DECADES
        axis.set_major_locator(
            ticker.MaxNLocator(nbins=7, steps=[1, 2, 5, 10], integer=is_wide and whole)
        )
        if scale is Scale.DECADES:
            axis.set_major_formatter(lambda value, _: tick_label(value, Scale.DECADES))
    if len(plot.series) > 1:
        axes.legend(frameon=False)


def _pictures(plot: Pictures, part: Any) -> None:
    part.suptitle(textwrap.fill(plot.title, _TITLE), fontweight="bold", x=0.01, ha="left")
    for axes, image in zip(
        part.subplots(1, max(len(plot.images), 4), squeeze=False)[0],
        [*plot.images, *[None] * max(0, 4 - len(plot.images))],
        strict=True,
    ):
        axes.axis("off")
        if image is not None:
            low, high = extremes(image)
            axes.imshow(image.rows, cmap="gray", vmin=low, vmax=high)
            axes.set_title(image.name, fontsize=8, fontweight="normal", loc="center")

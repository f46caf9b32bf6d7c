"""The map of plain networks, depth by weight scale: as a picture, and as rows of characters.

The picture is an SVG that needs nothing from elsewhere, as `show.picture` makes them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from unvanish.theory.depth_scales import TRAINABLE_DEPTH_SCALES
from unvanish.theory.landscape import Landscape

TRAINABLE: Final = 0.5 * TRAINABLE_DEPTH_SCALES / math.log(10.0)
"""Decades of the gradient's norm over six depth scales, 1.3: beyond, networks do not train."""

_LIMITS: Final = (-12.0, -6.0, -3.0, -TRAINABLE, TRAINABLE, 3.0, 6.0, 12.0)
_COLOURS: Final = (
    "#08306b", "#2166ac", "#6baed6", "#c6dbef",
    "#fbf9ee",
    "#fdd0a2", "#f16913", "#b93c04", "#67000d",
)  # fmt: skip
_GLYPHS: Final = ("V", "V", "v", "v", ".", "^", "^", "A", "A")
_MARKS: Final = {"default": "D", "xavier": "X", "he": "H"}
_SAID: Final = {
    "D": "D = PyTorch's default",
    "X": "X = Xavier, LeCun, orthogonal",
    "H": "H = He",
}

_INK, _QUIET, _PAPER, _EDGE = "#24292f", "#6a717b", "#fdfdfc", "#1a7f37"
_FONT: Final = "ui-sans-serif, system-ui, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
_PANEL: Final = (252.0, 150.0)
_GAP: Final = (44.0, 74.0)
_MARGIN: Final = 46.0
_HEAD: Final = 196.0
_NARROWEST: Final = 880.0
"""Room for the heading."""
_TICKS: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def bin_of(decades: float) -> int:
    """Return which colour a number of decades has, 0 for vanished to 8 for exploded."""
    return bisect_right(_LIMITS, decades)


def draw_map(maps: Sequence[Landscape], *, columns: int = 3) -> str:
    """Draw one panel an activation.

    Args:
        maps: What to draw; all of one depth.
        columns: Panels in a row.

    Returns:
        An SVG document without fonts, scripts and links.
    """
    columns = max(1, min(columns, len(maps)))
    rows = -(-len(maps) // columns)
    wide = max(2 * _MARGIN + columns * _PANEL[0] + (columns - 1) * _GAP[0], _NARROWEST)
    high = _HEAD + rows * (_PANEL[1] + _GAP[1]) + 8.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" '
        f'font-family="{_FONT}" font-size="11" fill="{_INK}" role="img">',
        "<title>How much gradient is left in a plain network</title>",
        f'<rect width="{wide:g}" height="{high:g}" fill="{_PAPER}"/>',
    ]
    parts += _head(maps[0], wide)
    for position, one in enumerate(maps):
        x = _MARGIN + (position % columns) * (_PANEL[0] + _GAP[0])
        y = _HEAD + (position // columns) * (_PANEL[1] + _GAP[1])
        parts += _panel(one, x, y, first=position % columns == 0)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _head(one: Landscape, wide: float) -> list[str]:
    depth = one.depth
    parts = [
        _text(_MARGIN, 32, "How much gradient is left in a plain network", size=18, bold=True),
        _text(
            _MARGIN,
            52,
            f"Decades by which the gradient's norm changes on its way down 1 to {depth} layers "
            "z = W\u03c6(z) + b: theory, for wide layers and data of unit variance.",
            colour=_QUIET,
        ),
    ]
    names = (
        "below -12", "-12 to -6", "-6 to -3", f"-3 to -{TRAINABLE:.1f}", "trains",
        f"{TRAINABLE:.1f} to 3", "3 to 6", "6 to 12", "above 12",
    )  # fmt: skip
    width = (wide - 2 * _MARGIN) / len(names)
    for i, (name, colour) in enumerate(zip(names, _COLOURS, strict=True)):
        x = _MARGIN + i * width
        parts.append(
            f'<rect x="{x:.1f}" y="70" width="{width:.1f}" height="13" fill="{colour}" '
            f'stroke="{_QUIET}" stroke-width="0.4"/>'
        )
        parts.append(_text(x + width / 2, 97, name, anchor="middle", size=10))
    parts.append(_text(_MARGIN, 112, "vanishes", colour=_QUIET, size=10))
    parts.append(
        _text(
            _MARGIN + 4.5 * width,
            112,
            "shallower than six depth scales",
            anchor="middle",
            colour=_QUIET,
            size=10,
        )
    )
    parts.append(_text(wide - _MARGIN, 112, "explodes", anchor="end", colour=_QUIET, size=10))
    x = _MARGIN
    for said in _SAID.values():
        parts.append(_text(x, 136, said, size=10.5))
        x += 24 + 6.0 * len(said)
    parts.append(
        f'<line x1="{x:.1f}" y1="132" x2="{x + 22:.1f}" y2="132" stroke="{_EDGE}" '
        'stroke-width="2.2" stroke-dasharray="5 3"/>'
    )
    parts.append(_diamond(x + 11, 132))
    parts.append(_text(x + 29, 136, "edge of chaos, the critical weights", size=10.5))
    return parts


def _panel(one: Landscape, x: float, y: float, *, first: bool) -> list[str]:
    wide, high = _PANEL
    parts = [_text(x, y - 21, one.activation, size=13, bold=True)]
    parts.append(_text(x + wide, y - 21, edge_said(one), anchor="end", colour=_QUIET, size=10))
    step = wide / len(one.gains)
    areas: dict[str, list[str]] = {}
    for i, column in enumerate(one.log10_gain):
        for begin, end, colour in _runs(column):
            top, bottom = (y + high * (1.0 - d / one.depth) for d in (end, begin))
            areas.setdefault(colour, []).append(
                f"M{x + i * step:.1f} {top:.1f}h{step + 0.2:.1f}V{bottom:.1f}h-{step + 0.2:.1f}z"
            )
    parts += [
        f'<path fill="{colour}" shape-rendering="crispEdges" d="{"".join(area)}"/>'
        for colour, area in areas.items()
    ]
    marks: dict[str, float] = {_MARKS[name]: gain for name, gain in one.named.items()}
    for letter, gain in marks.items():
        at = x + wide * _place(one, gain)
        parts += [
            f'<line x1="{at:.1f}" y1="{y:.1f}" x2="{at:.1f}" y2="{y + high:.1f}" '
            f'stroke="{colour}" stroke-width="{thick}" stroke-opacity="0.6"/>'
            for colour, thick in ((_PAPER, 2.4), (_INK, 0.9))
        ]
        parts.append(_text(at, y - 4, letter, anchor="middle", size=10, bold=True))
    if _is_inside(one):
        at = x + wide * _place(one, one.edge)
        parts.append(
            f'<line x1="{at:.1f}" y1="{y:.1f}" x2="{at:.1f}" y2="{y + high:.1f}" '
            f'stroke="{_EDGE}" stroke-width="2.2" stroke-dasharray="5 3"/>'
        )
        parts.append(_diamond(at, y))
    parts.append(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:g}" height="{high:g}" fill="none" '
        f'stroke="{_QUIET}" stroke-width="0.7"/>'
    )
    for tick in _TICKS:
        at = x + wide * _place(one, tick)
        parts.append(
            f'<line x1="{at:.1f}" y1="{y + high:.1f}" x2="{at:.1f}" y2="{y + high + 4:.1f}" '
            f'stroke="{_QUIET}" stroke-width="0.7"/>'
        )
        parts.append(_text(at, y + high + 15, f"{tick:g}", anchor="middle", colour=_QUIET, size=10))
    parts.append(
        _text(
            x + wide / 2,
            y + high + 28,
            "scale of the weights, \u03c3_w",
            anchor="middle",
            colour=_QUIET,
            size=10,
        )
    )
    for layers in _layer_ticks(one.depth):
        at = y + high * (1.0 - layers / one.depth)
        parts.append(_text(x - 5, at + 3.5, f"{layers}", anchor="end", colour=_QUIET, size=10))
    if first:
        middle = y + high / 2
        parts.append(
            f'<text x="{x - 30:.1f}" y="{middle:.1f}" font-size="10" fill="{_QUIET}" '
            f'text-anchor="middle" transform="rotate(-90 {x - 30:.1f} {middle:.1f})">layers</text>'
        )
    return parts


def edge_said(one: Landscape) -> str:
    """Say where the edge of chaos is, or that there is none."""
    if math.isnan(one.edge):
        return "no critical weights"
    said = f"critical at {one.edge:.4g}"
    return said + (f", bias variance {one.sigma_b2:.3g}" if one.sigma_b2 else "")


def _runs(column: Sequence[float]) -> Iterator[tuple[float, float, str]]:
    """Yield runs of equal colour: from which depth, to which, and the colour.

    Between two layers the decades are taken as straight, so that colours end in smooth lines.
    """
    begin, before = 0.0, 0.0
    for layer, value in enumerate(column):
        low, high = bin_of(before), bin_of(value)
        step = 1 if high > low else -1
        for colour in range(low, high, step):
            limit = _LIMITS[colour if step > 0 else colour - 1]
            end = layer + (limit - before) / (value - before)
            yield begin, end, _COLOURS[colour]
            begin = end
        before = value
    yield begin, float(len(column)), _COLOURS[bin_of(before)]


def _place(one: Landscape, gain: float) -> float:
    """Return where a weight scale lies, from 0 at the left to 1 at the right."""
    first, last = math.log(one.gains[0]), math.log(one.gains[-1])
    half = 0.5 * (last - first) / (len(one.gains) - 1)  # a column is about its weight scale
    return (math.log(gain) - first + half) / (last - first + 2 * half)


def _is_inside(one: Landscape) -> bool:
    return one.gains[0] <= one.edge <= one.gains[-1]  # never with nan


def _layer_ticks(depth: int) -> list[int]:
    raw = depth / 4
    unit = 10.0 ** math.floor(math.log10(max(raw, 1.0)))
    step = max(1, int(unit * next(f for f in (1, 2, 2.5, 5, 10) if f * unit >= raw)))
    return list(range(step, depth + 1, step)) or [depth]


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    colour: str = _INK,
    size: float = 11,
    bold: bool = False,
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" '
        f'fill="{colour}"{weight}>{escape(words)}</text>'
    )


def _diamond(x: float, y: float) -> str:
    return (
        f'<path d="M{x:.1f} {y - 5:.1f} l5 5 l-5 5 l-5 -5 z" fill="{_EDGE}" stroke="{_PAPER}" '
        'stroke-width="1.2"/>'
    )


def map_lines(maps: Sequence[Landscape]) -> list[str]:
    """Return the map as rows of characters.

    One activation gets a row a depth, several get a row each, at the full depth.

    Args:
        maps: What to write; all of one depth, with the same weight scales.
    """
    gains = maps[0].gains
    lead = 18 if len(maps) > 1 else 7
    ruler = [" "] * (len(gains) + 4)
    for tick in _TICKS:
        at = min(range(len(gains)), key=lambda i: abs(gains[i] - tick))
        ruler[at : at + len(f"{tick:g}")] = f"{tick:g}"
    lines = [f"{'sigma_w' if len(maps) > 1 else '':{lead}}" + "".join(ruler).rstrip()]
    if len(maps) == 1:
        one = maps[0]
        count = min(one.depth, 12)
        depths = sorted({math.ceil(one.depth * (i + 1) / count) for i in range(count)})
        lines += [f"{d:>5}  {_row(one, d, edge=True)}" for d in reversed(depths)]
        return lines
    return lines + [f"{one.activation:{lead}}{_row(one, one.depth, edge=True)}" for one in maps]


def _row(one: Landscape, depth: int, *, edge: bool) -> str:
    row = [_GLYPHS[bin_of(column[depth - 1])] for column in one.log10_gain]
    if edge and _is_inside(one):
        row[min(range(len(row)), key=lambda i: abs(one.gains[i] - one.edge))] = "|"
    return "".join(row)

"""What the size of a gradient does not tell, in a line each: samples, tokens, attention, noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean

from unvanish.core.explanations import Axes, LayerAxis
from unvanish.show.ledger import place_words
from unvanish.show.sheet import Lines, Sheet, styled
from unvanish.show.words import number, plural

Reading = Callable[[LayerAxis], float]
Said = Callable[[float], str]


def axes_lines(axes: Axes, sheet: Sheet) -> Lines:
    """Return a line for every axis that was measured, from the first layer to the last.

    Args:
        axes: What was measured beside the size.
        sheet: Where to lay it out.
    """
    lines: Lines = []
    for label, said in (
        ("samples: ", _samples(axes.layers)),
        (" tokens: ", _tokens(axes.layers)),
        ("softmax: ", _attention(axes)),
        ("  noise: ", _noise(axes)),
    ):
        if said:
            lines += sheet.paragraph(styled(label, "strong"), [sheet.prose(said)])
    return lines


def _samples(layers: Sequence[LayerAxis]) -> str:
    return _changes(
        layers,
        ("cosine of two outputs", lambda one: one.cosine, number),
        ("directions in which outputs differ", lambda one: one.rank, number),
        ("directions of their gradients", lambda one: one.grad_rank, number),
    )


def _tokens(layers: Sequence[LayerAxis]) -> str:
    return _changes(
        layers,
        ("share of the signal that tells them apart", lambda one: one.deviation, _share),
        ("share of the gradient", lambda one: one.grad_deviation, _share),
    )


def _attention(axes: Axes) -> str:
    if not axes.attention:
        return ""
    shares = [
        f"{_share(fmean(values))} to the {name}"
        for name, values in (
            ("values", [one.value for one in axes.attention]),
            ("queries", [one.query for one in axes.attention]),
            ("keys", [one.key for one in axes.attention]),
        )
    ]
    spread = [one.entropy for one in axes.attention if not math.isnan(one.entropy)]
    even = f"; rows are even to {_share(fmean(spread))}" if spread else ""
    return (
        f"of the gradient's energy {', '.join(shares)}, on average over "
        f"{plural(len(axes.attention), 'attention')}{even}"
    )


def _noise(axes: Axes) -> str:
    known = [(name, ratio) for name, ratio in axes.signal_to_noise if math.isfinite(ratio)]
    if not known:
        return ""
    least = min(known, key=lambda item: item[1])
    most = max(known, key=lambda item: item[1])
    return (
        f"over the batches the signal-to-noise ratio of the gradient is {_ratio(least[1])} for "
        f"{least[0]} and {_ratio(most[1])} for {most[0]}"
    )


def _ratio(value: float) -> str:
    """Name a ratio; its estimate is unbiased, and below zero where there is only noise."""
    return number(value) if value > 0.0 else "nothing that stands out"


def _changes(layers: Sequence[LayerAxis], *readings: tuple[str, Reading, Said]) -> str:
    """Say how readings change from the first layer to the last where they were taken."""
    parts = []
    ends = ""
    for what, of, said in readings:
        known = [one for one in layers if math.isfinite(of(one))]
        if len(known) < 2:
            continue
        first, last = known[0], known[-1]
        between = f"from {place_words(first.name)} to {place_words(last.name)}"
        where = f"{between}, " if between != ends else ""
        ends = between
        parts.append(f"{where}{what} {said(of(first))} to {said(of(last))}")
    return "; ".join(parts)


def _share(value: float) -> str:
    return f"{number(round(100.0 * value, 1))} %"

"""Write down what a sample brought: sums become quantities, and quantities rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runfile import RunWriter
from unvanish.core.runs import EventKind, RunEvent
from unvanish.watch.flat import Flat
from unvanish.watch.jumps import Jumps
from unvanish.watch.layers import Layers
from unvanish.watch.parameters import LeftOver, ParameterGroup
from unvanish.watch.readings import Row, half_log10, parameter_rows, repaired, turn_row
from unvanish.watch.samples import Sample
from unvanish.watch.shares import Share
from unvanish.watch.signals import DeadUnits, choose_width, repaired_taps, tap_rows
from unvanish.watch.sums import PARAMETER_SUMS as SUMS
from unvanish.watch.sums import SAFE
from unvanish.watch.taps import Tap

_MARGIN: Final = 1e3
"""How far inside of `SAFE` a norm has to be for the next one to be taken in float32."""

Rows = dict[LayerQuantity, list[float]]
Numbers = dict[StepQuantity, float]

Places = np.ndarray[Any, np.dtype[np.int64]]
"""Position of each parameter's layer."""


def _name(number: int) -> str:
    return f"parameters {number}"


def put_parameters(flat: Flat, samples: Sequence[Sample]) -> None:
    """Put the sums of parameters into a transfer; `Scribe.parameters` takes them out of it."""
    for number, group in enumerate(samples[0].groups):
        flat.put(_name(number), group.sums([sample.of_groups[number] for sample in samples]))


class Scribe:
    """Writes samples into a recording.

    Args:
        writer: The recording.
        layers: The layers, whose places give a row its order.

    Attributes:
        share: Where sums go instead, of one process of several; None for one process.
    """

    def __init__(self, writer: RunWriter, layers: Layers) -> None:
        self._writer = writer
        self._layers = layers
        self._dead = DeadUnits()
        self._jumps = Jumps()
        self._at: tuple[Sequence[ParameterGroup], Places] | None = None
        self._was_finite = True
        self.share: Share | None = None

    def let_go(self) -> None:
        """Keep no parameter any more."""
        self._at = None

    def parameters(
        self, samples: Sequence[Sample], fetched: Mapping[str, Row]
    ) -> tuple[list[Rows], list[Numbers]]:
        """Return what the parameters' sums amount to.

        Args:
            samples: Samples of the same parameters; one, where there is a `share`.
            fetched: What was fetched, `put_parameters` among it.

        Returns:
            For every sample, the rows of its layers and the norms of the whole gradient.
        """
        groups = samples[0].groups
        sums = [fetched[name] for n in range(len(groups)) if (name := _name(n)) in fetched]
        if not sums:
            return [{} for _ in samples], [{} for _ in samples]
        count = sum(map(len, groups))
        by_sample = [each.reshape(len(SUMS), len(samples), -1) for each in sums]
        wide = np.tile(np.concatenate([group.wide for group in groups]), len(samples))
        whole = repaired(np.concatenate(by_sample, axis=2).reshape(len(SUMS), -1), wide)
        _choose_width(groups, whole)
        if self.share is not None:
            self.share.parameters(groups, whole)
            return [{}], [{}]
        if self._at is None or self._at[0] != groups:
            self._at = (groups, self._places(groups))
        layers = len(self._layers.settled)
        at = np.concatenate([self._at[1] + number * layers for number in range(len(samples))])
        found = parameter_rows(whole, at, layers * len(samples))
        held = sum(len(group) for group in groups if not isinstance(group, LeftOver))
        numbers = []
        for start in range(0, whole.shape[1], count):
            part = whole[:, start : start + held]
            raw, clipped = (part[SUMS.index(n)] for n in ("grad_square", "clipped_square"))
            numbers.append(
                {
                    StepQuantity.LOG10_GRAD_NORM: half_log10(_sum_of_known(raw)),
                    StepQuantity.LOG10_CLIPPED_GRAD_NORM: half_log10(_sum_of_known(clipped)),
                }
            )
        return _of_samples(found, layers), numbers

    def activations(self, samples: Sequence[Sample], fetched: Mapping[str, Row]) -> list[Rows]:
        """Return what the taps' sums amount to, as rows of the layers for every sample.

        Args:
            samples: Samples of the same taps, none but the last whole; one, where there is a
                `share`.
            fetched: What was fetched, what `put_taps` put among it.
        """
        taps = samples[0].taps
        if "taps" not in fetched:
            return [{} for _ in samples]
        wide = np.array([tap.wide for tap in taps] * len(samples))
        table = repaired_taps(fetched["taps"], wide)
        _choose_widths(taps, table)
        if self.share is not None:
            self.share.activations(taps, table, fetched.get("on"), samples[0].scale)
            return [{}]
        rows = tap_rows([*taps] * len(samples), table, 1.0)
        scales = np.repeat([sample.scale for sample in samples], len(taps))
        rows[LayerQuantity.LOG10_ACTIVATION_GRAD_RMS] -= np.log10(scales)
        rows[LayerQuantity.DEAD_FRACTION] = dead = np.full(table.shape[1], math.nan)
        dead[-len(taps) :] = self._dead.row(samples[-1].step, taps, fetched.get("on"))
        layers = len(self._layers.settled)
        places = np.array([tap.layer.position for tap in taps])
        first = layers * np.arange(len(samples))[:, None]
        at = np.where(places >= 0, places + first, -1).ravel()
        placed = {}
        for quantity, values in rows.items():
            known = ~np.isnan(values) & (at >= 0)
            if known.any():
                placed[quantity] = row = np.full(layers * len(samples), math.nan)
                row[at[known]] = values[known]
        return _of_samples(placed, layers)

    def turns(self, turns: Sequence[tuple[int, ParameterGroup]], found: Mapping[str, Row]) -> None:
        """Write how gradients turned from one step to the next.

        Args:
            turns: Step and parameters of ``"turn 0"``, ``"turn 1"``, ...
            found: These pieces.
        """
        if self.share is not None:
            self.share.turns(turns, found)
            return
        for step in sorted({step for step, _ in turns}):
            row = np.full(len(self._layers.settled), math.nan)
            for number, (at_step, group) in enumerate(turns):
                if at_step == step:
                    cosines = turn_row(found[f"turn {number}"], self._places([group]), len(row))
                    row = np.where(np.isnan(cosines), row, cosines)
            self._writer.sample(step, {LayerQuantity.GRAD_ALIGNMENT: row.tolist()})

    def losses(self, losses: Sequence[tuple[int, float]]) -> None:
        """Write step and loss, where it ceased to be a number, and where it jumped."""
        if losses:
            self._writer.steps(StepQuantity.LOSS, losses)
        for step, value in losses:
            is_finite = math.isfinite(value)
            if self._was_finite and not is_finite:
                kind, text = EventKind.NON_FINITE, f"the loss is {value}"
                self._writer.event(RunEvent(step=step, kind=kind, text=text))
            self._was_finite = is_finite
        if self.share is not None:  # how the loss of all goes on is not known here
            return
        for jump in self._jumps.heard(losses):
            self._dead.jumped = jump.step
            text = f"the loss jumped from {jump.before:.3g} to {jump.height:.3g}"
            self._writer.event(RunEvent(step=jump.step, kind=EventKind.JUMPED, text=text))

    def numbers(self, by_step: Sequence[tuple[int, Numbers]]) -> None:
        """Write numbers of the whole run, but for those that were not measured."""
        for quantity in dict.fromkeys(quantity for _, numbers in by_step for quantity in numbers):
            pairs = [(step, numbers.get(quantity, math.nan)) for step, numbers in by_step]
            self._writer.steps(quantity, [pair for pair in pairs if not math.isnan(pair[1])])

    def _places(self, groups: Iterable[ParameterGroup]) -> Places:
        holders = (self._layers.holder(p) for group in groups for p in group.parameters)
        return np.array([-1 if h is None else h.position for h in holders], dtype=np.int64)


def _choose_width(groups: Sequence[ParameterGroup], sums: Row) -> None:
    """Take the next norms in float64 where these come near the ends of float32."""
    norm = np.sqrt(sums[SUMS.index("grad_square")])
    inside = (norm > SAFE[0] * _MARGIN) & (norm < SAFE[1] / _MARGIN)
    wide = iter((~inside.reshape(-1, sum(map(len, groups))).all(axis=0)).tolist())
    for group in groups:
        group.wide = [next(wide) for _ in group.parameters]


def _choose_widths(taps: Sequence[Tap], table: Row) -> None:
    """Do the same for the layers: in float64 where one of several samples asks for it."""
    wide = [False] * len(taps)
    for start in range(0, table.shape[1], len(taps)):
        choose_width(taps, table[:, start : start + len(taps)])
        wide = [before or tap.wide for before, tap in zip(wide, taps, strict=True)]
    for tap, is_wide in zip(taps, wide, strict=True):
        tap.wide = is_wide


def _of_samples(rows: Mapping[LayerQuantity, Row], layers: int) -> list[Rows]:
    """Cut rows of several samples end to end into those of each, without the empty ones."""
    found: list[Rows] = []
    for start in range(0, len(next(iter(rows.values()), ())), layers):
        parts = {quantity: row[start : start + layers] for quantity, row in rows.items()}
        found.append({q: p.tolist() for q, p in parts.items() if not np.isnan(p).all()})
    return found


def _sum_of_known(values: Row) -> float:
    known = values[~np.isnan(values)]
    return float(known.sum()) if len(known) else math.nan

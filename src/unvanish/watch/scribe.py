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
from unvanish.watch.layers import Layers
from unvanish.watch.parameters import SAFE, SUMS, LeftOver, ParameterGroup
from unvanish.watch.readings import Row, half_log10, parameter_rows, repaired, turn_row
from unvanish.watch.signals import DeadUnits, choose_width, repaired_taps, tap_rows
from unvanish.watch.taps import Tap

_MARGIN: Final = 1e3
"""How far inside of `SAFE` a norm has to be for the next one to be taken in float32."""

Places = np.ndarray[Any, np.dtype[np.int64]]
"""Position of each parameter's layer."""


def put_parameters(flat: Flat, groups: Sequence[ParameterGroup]) -> None:
    """Put the sums of parameters with the rest of a sample; `Scribe.parameters` takes them out."""
    for number, group in enumerate(groups):
        flat.put(f"parameters {number}", group.sums())


class Scribe:
    """Writes samples into a recording.

    Args:
        writer: The recording.
        layers: The layers, whose places give a row its order.
    """

    def __init__(self, writer: RunWriter, layers: Layers) -> None:
        self._writer = writer
        self._layers = layers
        self._dead = DeadUnits()
        self._at: tuple[Sequence[ParameterGroup], Places] | None = None
        self._was_finite = True

    def parameters(
        self, step: int, groups: Sequence[ParameterGroup], found: Mapping[str, Row]
    ) -> dict[StepQuantity, float]:
        """Write what the parameters' sums amount to.

        Args:
            step: The step.
            groups: As they were put.
            found: All pieces of the sample, fetched and reduced.

        Returns:
            The norms of the whole gradient.
        """
        sums = [found[name] for n in range(len(groups)) if (name := f"parameters {n}") in found]
        if not sums:
            return {}
        wide = np.concatenate([group.wide for group in groups])
        whole = repaired(np.concatenate(sums, axis=1), wide)
        _choose_width(groups, whole)
        if self._at is None or self._at[0] != groups:
            self._at = (groups, self._places(groups))
        rows = parameter_rows(whole, self._at[1], len(self._layers.settled))
        self._writer.sample(
            step, {q: row.tolist() for q, row in rows.items() if not np.isnan(row).all()}
        )
        held = sum(len(group) for group in groups if not isinstance(group, LeftOver))
        raw, clipped = (whole[SUMS.index(n), :held] for n in ("grad_square", "clipped_square"))
        return {
            StepQuantity.LOG10_GRAD_NORM: half_log10(_sum_of_known(raw)),
            StepQuantity.LOG10_CLIPPED_GRAD_NORM: half_log10(_sum_of_known(clipped)),
        }

    def activations(
        self, step: int, taps: Sequence[Tap], found: Mapping[str, Row], scale: float
    ) -> None:
        """Write what the taps' sums amount to.

        Args:
            step: The step.
            taps: As they were put.
            found: All pieces of the sample, fetched and reduced.
            scale: What the loss was multiplied with.
        """
        table = repaired_taps(found["taps"], np.array([tap.wide for tap in taps]))
        choose_width(taps, table)
        rows = tap_rows(taps, table, scale)
        rows[LayerQuantity.DEAD_FRACTION] = self._dead.row(taps, found.get("on"))
        at = np.array([tap.layer.position for tap in taps])
        placed = {}
        for quantity, values in rows.items():
            known = ~np.isnan(values) & (at >= 0)
            if known.any():
                row = np.full(len(self._layers.settled), math.nan)
                row[at[known]] = values[known]
                placed[quantity] = row.tolist()
        self._writer.sample(step, placed)

    def turns(self, turns: Sequence[tuple[int, ParameterGroup]], found: Mapping[str, Row]) -> None:
        """Write how gradients turned from one step to the next.

        Args:
            turns: Step and parameters of ``"turn 0"``, ``"turn 1"``, ...
            found: These pieces.
        """
        for step in sorted({step for step, _ in turns}):
            row = np.full(len(self._layers.settled), math.nan)
            for number, (at_step, group) in enumerate(turns):
                if at_step == step:
                    cosines = turn_row(found[f"turn {number}"], self._places([group]), len(row))
                    row = np.where(np.isnan(cosines), row, cosines)
            self._writer.sample(step, {LayerQuantity.GRAD_ALIGNMENT: row.tolist()})

    def losses(self, losses: Sequence[tuple[int, float]]) -> None:
        """Write step and loss, and where it ceased to be a number."""
        if losses:
            self._writer.steps(StepQuantity.LOSS, losses)
        for step, value in losses:
            is_finite = math.isfinite(value)
            if self._was_finite and not is_finite:
                kind, text = EventKind.NON_FINITE, f"the loss is {value}"
                self._writer.event(RunEvent(step=step, kind=kind, text=text))
            self._was_finite = is_finite

    def numbers(self, step: int, by_step: Mapping[StepQuantity, float]) -> None:
        """Write numbers of the whole run, but for those that were not measured."""
        for quantity, value in by_step.items():
            if not math.isnan(value):
                self._writer.steps(quantity, [(step, value)])

    def _places(self, groups: Iterable[ParameterGroup]) -> Places:
        holders = (self._layers.holder(p) for group in groups for p in group.parameters)
        return np.array([-1 if h is None else h.position for h in holders], dtype=np.int64)


def _choose_width(groups: Sequence[ParameterGroup], sums: Row) -> None:
    """Take the next norms in float64 where these come near the ends of float32."""
    norm = np.sqrt(sums[SUMS.index("grad_square")])
    inside = (norm > SAFE[0] * _MARGIN) & (norm < SAFE[1] / _MARGIN)
    wide = iter((~inside).tolist())
    for group in groups:
        group.wide = [next(wide) for _ in group.parameters]


def _sum_of_known(values: Row) -> float:
    known = values[~np.isnan(values)]
    return float(known.sum()) if len(known) else math.nan

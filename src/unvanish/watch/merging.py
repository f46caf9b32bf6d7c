"""Put the recordings of several processes together: the figures are those of one.

At every sampled step the sums of all processes stand side by side and are added up at once; what
several hold as copies of one another counts once. Copies are told from namesakes, such as the
first layers of two stages of a pipeline, by their figures. Without torch.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import (
    EventKind,
    LayerSeries,
    RunConditions,
    RunEvent,
    RunRecording,
    StepSeries,
    WatchedLayer,
)
from unvanish.watch.columns import Added, Columns, add_units, columns_of, put_together
from unvanish.watch.grouping import Grouping, Rank, grouping_of
from unvanish.watch.jumps import Jumps
from unvanish.watch.parts import Cuts
from unvanish.watch.readings import Row, half_log10, parameter_rows, turn_row
from unvanish.watch.signals import DeadUnits, tap_rows
from unvanish.watch.sums import PARAMETER_SUMS, TAP_SUMS

_BOUNDED: Final = 0.0
"""Where an activation is flat, for those that saturate; only that there is such a place counts."""

_ALONE: Final = (
    "several processes train this model: what stands here is of one of them, its own batches and, "
    "of parameters that are sharded, its own shards"
)

_ADDENDS: Final = (
    "each process holds an addend of some gradients, which nobody has summed up when they are "
    "read, as sequence parallelism leaves those of norms: they and the norm of the whole gradient "
    "are not measured"
)


def whole(recordings: Sequence[RunRecording]) -> RunRecording:
    """Return the recording of a run out of those of its processes.

    Args:
        recordings: Of one run, each with `RunRecording.sums`; some may be missing.
    """
    ranks = sorted((Rank(each) for each in recordings if each.sums), key=lambda r: r.number)
    if not ranks:
        return recordings[0]
    return _Merged(ranks).recording()


@dataclass(slots=True)
class _Layer:
    """A layer of the whole, as `DeadUnits` and `tap_rows` ask for it.

    Attributes:
        record: What the recording says of it.
        flat_below: A number for an activation that saturates, else ``nan``.
        on: The units of the present sample; None where none were looked at.
        units: How many there are.
    """

    record: WatchedLayer
    flat_below: float = math.nan
    on: Row | None = None
    units: int = 0
    wide: bool = True

    @property
    def function(self) -> _Layer:
        return self

    @property
    def layer(self) -> _Layer:
        return self


@dataclass(slots=True)
class _Merged:
    """A run in the making."""

    ranks: Sequence[Rank]
    layers: list[_Layer] = field(default_factory=list)
    _alike: list[int] = field(default_factory=list)
    _places: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _columns: dict[tuple[str, ...], Columns] = field(default_factory=dict)
    _rows: dict[LayerQuantity, dict[int, Row]] = field(default_factory=dict)
    _numbers: dict[StepQuantity, dict[int, float]] = field(default_factory=dict)
    _events: list[RunEvent] = field(default_factory=list)
    _sizes: dict[int, float] = field(default_factory=dict)

    def recording(self) -> RunRecording:
        """Return the whole."""
        grouping = grouping_of(self.ranks)
        self._alike = [grouping.groups.count(group) for group in grouping.groups]
        self._find_layers(grouping)
        self._take_numbers()
        self._take_events()
        losses = sorted(self._numbers.get(StepQuantity.LOSS, {}).items())
        dead, jumps, heard = DeadUnits(), Jumps(), 0
        for step in sorted({step for rank in self.ranks for step in rank.steps}):
            pieces = [
                (number, contents, sums)
                for number, rank in enumerate(self.ranks)
                for contents, sums in rank.sums_at(step)
            ]
            until = next((n for n in range(heard, len(losses)) if losses[n][0] > step), len(losses))
            self._hear(jumps, dead, losses[heard:until])
            heard = until
            self._add_parameters(step, pieces)
            self._add_taps(step, pieces, dead)
        self._hear(jumps, dead, losses[heard:])
        first = self.ranks[0].recording
        return RunRecording(
            conditions=self._conditions(grouping),
            layers=tuple(self._records()),
            by_layer={
                quantity: LayerSeries(
                    quantity, tuple(sorted(rows)), tuple(array("f", rows[n]) for n in sorted(rows))
                )
                for quantity in LayerQuantity
                if (rows := self._rows.get(quantity))
            },
            by_step={
                quantity: StepSeries(
                    quantity, tuple(sorted(known)), array("d", (known[n] for n in sorted(known)))
                )
                for quantity in StepQuantity
                if (known := self._numbers.get(quantity))
            },
            events=tuple(sorted(self._events, key=lambda event: event.step)),
            last_step=max(
                *(rank.recording.last_step for rank in self.ranks),
                *(max(rank.steps) for rank in self.ranks),
            ),
            is_ended=all(rank.recording.is_ended for rank in self.ranks),
            started=first.started,
        )

    # --- layers ----------------------------------------------------------------------

    def _find_layers(self, grouping: Grouping) -> None:
        """Give every layer of every process its place in the whole."""
        holders: dict[tuple[str, str], set[int]] = {}
        for rank, group in zip(self.ranks, grouping.groups, strict=True):
            for layer in rank.recording.layers:
                holders.setdefault((layer.path, layer.function), set()).add(group)
        known: dict[tuple[int, str, str], int] = {}
        for number, (rank, group) in enumerate(zip(self.ranks, grouping.groups, strict=True)):
            places = []
            for layer in rank.recording.layers:
                is_apart = (layer.path, layer.function) in grouping.apart
                holder = number if is_apart else group
                has_namesakes = is_apart or len(holders[layer.path, layer.function]) > 1
                key = (holder if has_namesakes else -1, layer.path, layer.function)
                if key not in known:
                    known[key] = len(self.layers)
                    path = layer.path
                    if has_namesakes:
                        path = f"rank{self.ranks[holder].number}/{path}".rstrip("/")
                    record = replace(layer, index=len(self.layers), path=path)
                    self.layers.append(_Layer(record, units=layer.units))
                places.append(known[key])
            self._places.append(np.array([*places, -1], dtype=np.int64))

    def _records(self) -> Iterator[WatchedLayer]:
        for layer in self.layers:
            size = max(layer.record.size, self._sizes.get(layer.record.index, 0.0))
            yield replace(layer.record, units=layer.units, size=round(size))

    # --- parameters ------------------------------------------------------------------

    def _add_parameters(self, step: int, pieces: Sequence[Added]) -> None:
        for name in ("parameters", "turn"):
            found = [each for each in pieces if name in each[2]]
            if not found:
                continue
            columns = self._columns_of(found)
            sums = columns.added([each[2][name] for each in found])
            if name == "turn":
                cosines = turn_row(sums, columns.layer, len(self.layers))
                self._put(step, LayerQuantity.GRAD_ALIGNMENT, cosines)
                continue
            for quantity, row in parameter_rows(sums, columns.layer, len(self.layers)).items():
                self._put(step, quantity, row)
            if not self._sizes and columns.is_known.all():
                total = np.bincount(columns.layer, sums[0], len(self.layers))
                self._sizes = {n: size for n, size in enumerate(total.tolist()) if size}
            for norm, square in (
                (StepQuantity.LOG10_GRAD_NORM, "grad_square"),
                (StepQuantity.LOG10_CLIPPED_GRAD_NORM, "clipped_square"),
            ):
                row = sums[PARAMETER_SUMS.index(square), columns.is_moved]
                if len(row) and not np.isnan(row).any():
                    values = self._numbers.setdefault(norm, {})
                    values[step] = half_log10(float(row.sum()))

    def _columns_of(self, found: Sequence[Added]) -> Columns:
        """Return where the columns of these processes belong."""
        key = tuple(f"{number}:{id(contents)}" for number, contents, _ in found)
        if key not in self._columns:
            self._columns[key] = columns_of(found, self._places)
        return self._columns[key]

    # --- between the layers ----------------------------------------------------------

    def _add_taps(
        self,
        step: int,
        pieces: Sequence[Added],
        dead: DeadUnits,
    ) -> None:
        found = [each for each in pieces if "taps" in each[2]]
        if not found:
            return
        stacked, at = [], []
        units: dict[int, dict[Cuts, Row]] = {}
        for number, contents, sums in found:
            table = sums["taps"].copy()
            divisor = contents.divisor or contents.batches or self._alike[number]
            factor = float(sums["scale"]) * divisor * contents.passes
            table[TAP_SUMS.index("grad_square")] /= factor**2
            places = self._places[number][[tap.layer for tap in contents.taps]]
            stacked.append(table)
            at.append(places)
            for tap, place in zip(contents.taps, places.tolist(), strict=True):
                if tap.is_bounded and place >= 0:
                    self.layers[place].flat_below = _BOUNDED
            add_units(units, contents, places, sums)
        total = np.zeros((len(self.layers) + 1, len(TAP_SUMS)))  # the last is of none
        np.add.at(total, np.concatenate(at), np.concatenate(stacked, axis=1).T)
        rows = tap_rows(self.layers, total[:-1].T, 1.0)
        on = []
        for place, layer in enumerate(self.layers):
            layer.on = put_together(units.get(place, {}))
            if layer.on is not None:
                on.append(layer.on)
        row = dead.row(step, self.layers, np.concatenate(on) if on else None)
        rows[LayerQuantity.DEAD_FRACTION] = row
        for quantity, values in rows.items():
            self._put(step, quantity, values)

    def _hear(self, jumps: Jumps, dead: DeadUnits, losses: Sequence[tuple[int, float]]) -> None:
        for jump in jumps.heard(losses):
            dead.jumped = jump.step
            text = f"the loss jumped from {jump.before:.3g} to {jump.height:.3g}"
            self._events.append(RunEvent(step=jump.step, kind=EventKind.JUMPED, text=text))

    def _put(self, step: int, quantity: LayerQuantity, row: Row) -> None:
        if not np.isnan(row).all():
            self._rows.setdefault(quantity, {})[step] = row

    # --- the whole run ---------------------------------------------------------------

    def _take_numbers(self) -> None:
        """Take the numbers of the whole run: of the loss the mean, else those of the first.

        But for the share of signal: the first pass's gradient is that of one process, the sum's
        that of all.
        """
        losses: dict[int, list[float]] = {}
        for rank in self.ranks:
            by_step = rank.recording.by_step
            for quantity, series in by_step.items():
                pairs = zip(series.steps, series.values, strict=True)
                if quantity is StepQuantity.LOSS:
                    contents = rank.contents
                    share = contents.batches / (contents.divisor or contents.batches or 1.0)
                    factor = (share or 1.0) / contents.passes
                    for step, value in pairs:
                        losses.setdefault(step, []).append(factor * value)
                elif quantity is not StepQuantity.SIGNAL_SHARE and quantity not in self._numbers:
                    self._numbers[quantity] = dict(pairs)
        means = {
            step: math.fsum(v) / len(v) if _is_finite(v) else sum(v) for step, v in losses.items()
        }
        if means:
            self._numbers[StepQuantity.LOSS] = means

    def _take_events(self) -> None:
        """Take what happened on all of them once, and what happened on some with their names."""
        seen: dict[tuple[int, EventKind, str, int], list[int]] = {}
        for number, rank in enumerate(self.ranks):
            for event in rank.recording.events:
                layer = int(self._places[number][event.layer])
                if event.kind is not EventKind.JUMPED:
                    key = (event.step, event.kind, event.text, layer)
                    seen.setdefault(key, []).append(rank.number)
        for (step, kind, text, layer), numbers in seen.items():
            own = text if numbers[0] == self.ranks[0].number else f"rank {numbers[0]}: {text}"
            self._events.append(RunEvent(step=step, kind=kind, text=own, layer=layer))

    def _conditions(self, grouping: Grouping) -> RunConditions:
        first, contents = self.ranks[0].recording.conditions, self.ranks[0].contents
        strategies = [rank.contents.strategy for rank in self.ranks]
        sentences = [s for rank in self.ranks for s in rank.recording.conditions.unwatched]
        if any(rank.contents.has_addends for rank in self.ranks):
            sentences.append(_ADDENDS)
        missing = sorted(set(range(contents.world)) - {rank.number for rank in self.ranks})
        if missing and len(self.ranks) == 1:
            sentences.append(_ALONE)
        elif missing:
            sentences.append(
                f"{len(missing)} of {contents.world} processes left no recording beside this one, "
                f"rank {missing[0]} among them: what stands here is of the others"
            )
        if len(set(grouping.groups)) > 1 and not any("pipeline" in each for each in strategies):
            sentences.append(
                "the processes do not hold the same weights: layers of one name stand apart, with "
                "the rank in front"
            )
        return replace(
            first,
            world_size=contents.world,
            strategy=strategies[0],
            batch=first.batch * max(1, contents.batches) * contents.passes,
            unwatched=tuple(dict.fromkeys(sentences)),
        )


def _is_finite(values: Sequence[float]) -> bool:
    return all(map(math.isfinite, values))

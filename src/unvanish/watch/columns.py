"""Where what several processes added up belongs in the whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unvanish.watch.parts import Contents, Cuts, out_of_bytes
from unvanish.watch.readings import Row

Added = tuple[int, Contents, Mapping[str, Row]]
"""Of which process, what it added up, and the sums."""

Places = npt.NDArray[np.int64]
"""For each layer of a process its place in the whole."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the columns of some processes belong, which are put side by side.

    Attributes:
        slot: For each column its piece of a parameter; copies have the same.
        copies: For each piece, how many of them there are.
        layer: For each piece the place of its layer.
        is_moved: For each piece whether an optimiser moves it.
        is_known: For each piece whether all the others of its parameter are there too.
    """

    slot: npt.NDArray[np.int64]
    copies: Row
    layer: npt.NDArray[np.int64]
    is_moved: npt.NDArray[np.bool_]
    is_known: npt.NDArray[np.bool_]

    def added(self, rows: Sequence[Row]) -> Row:
        """Return one column a piece, out of what the processes have.

        Args:
            rows: For each process the same sums, one column a parameter.
        """
        stacked = np.concatenate(rows, axis=1)
        total = np.zeros((len(self.copies), len(stacked)))
        np.add.at(total, self.slot, stacked.T)
        mean: Row = total.T / self.copies
        mean[:, ~self.is_known] = math.nan
        return mean


def columns_of(found: Sequence[Added], places: Sequence[Places]) -> Columns:
    """Return where the columns of some processes belong.

    Args:
        found: The processes that are there.
        places: Of every process, of its layers.
    """
    slots: dict[tuple[int, str, Cuts], int] = {}
    there: dict[tuple[int, str], set[Cuts]] = {}
    wanted: dict[tuple[int, str], int] = {}
    slot: list[int] = []
    layer: list[int] = []
    is_moved: list[bool] = []
    for number, contents, _ in found:
        for part in contents.parameters:
            at = int(places[number][part.layer])
            own = (at, part.name, part.cuts)
            if own not in slots:
                slots[own] = len(slots)
                layer.append(at)
                is_moved.append(part.is_moved)
            slot.append(slots[own])
            there.setdefault(own[:2], set()).add(part.cuts)
            wanted[own[:2]] = math.prod(size for size, _ in part.cuts)
    is_known = [len(there[own[:2]]) >= wanted[own[:2]] for own in slots]
    return Columns(
        slot=np.array(slot, dtype=np.int64),
        copies=np.bincount(slot, minlength=len(slots)).astype(np.float64),
        layer=np.array(layer, dtype=np.int64),
        is_moved=np.array(is_moved, dtype=np.bool_),
        is_known=np.array(is_known, dtype=np.bool_),
    )


def add_units(
    units: dict[int, dict[Cuts, Row]],
    contents: Contents,
    places: npt.NDArray[np.int64],
    sums: Mapping[str, Row],
) -> None:
    """Note which units were on; one that was on anywhere was on."""
    if "on" not in sums:
        return
    start, on = 0, out_of_bytes(sums["on"])
    for tap, place, count in zip(contents.taps, places, sums["units"].astype(int), strict=True):
        own = on[start : start + count]
        start += count
        if count and place >= 0:
            known = units.setdefault(int(place), {})
            earlier = known.get(tap.cuts)
            if earlier is not None and len(earlier) == len(own):
                own = np.maximum(earlier, own)
            known[tap.cuts] = own


def put_together(pieces: Mapping[Cuts, Row]) -> Row | None:
    """Return the units of a layer in order; None where some are missing."""
    if not pieces:
        return None
    cuts = sorted(pieces)
    if len(cuts) < math.prod(size for size, _ in cuts[0]):
        return None
    return np.concatenate([pieces[each] for each in cuts])

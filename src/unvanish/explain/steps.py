"""Which call of a repeated part of the network a site belongs to: the time step of a recurrence.

A layer that is called at least three times marks the beginning of each step; what runs between
two of its calls belongs to the first. Of several such layers that are called in turn, the one
that is called most, and of these the earliest, tells the time. The last step is as long as the
one before it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from unvanish.core.records import Recording

_FEWEST: Final = 3
"""Calls of a layer that make it a repeated one."""

Label = tuple[int, int]
"""Index of the first call of the layer that tells the time, and the step."""


class Clock:
    """Tells the step of every site of a repeated part.

    Args:
        recording: What was observed.
    """

    def __init__(self, recording: Recording) -> None:
        calls: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
        for site in recording.signal_sites():
            if site.weights:
                calls.setdefault((site.path, site.op, site.weights), []).append(site.index)
        self._marks: list[tuple[list[int], int]] = []
        repeated = [found for found in calls.values() if len(found) >= _FEWEST]
        for marks in sorted(repeated, key=lambda found: (-len(found), found[0])):
            end = 2 * marks[-1] - marks[-2]
            if all(marks[0] >= last or end <= own[0] for own, last in self._marks):
                self._marks.append((marks, end))

    def step(self, site: int) -> Label | None:
        """Return the step of a site; None where it lies in no repeated part."""
        for marks, end in self._marks:
            if marks[0] <= site < end:
                return marks[0], bisect_right(marks, site) - 1
        return None

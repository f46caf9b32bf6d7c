"""Samples between the step that they are of and their writing.

What follows closely is fetched together: most of what a small sample costs is the same for one
and for eight. A sample waits no longer than a loss does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from torch import Tensor

from unvanish.watch import parameters
from unvanish.watch import taps as tapping
from unvanish.watch.parameters import ParameterGroup
from unvanish.watch.readings import Row
from unvanish.watch.taps import Tap

LONGEST_WAIT: Final = 1.0
"""Seconds that anything waits to be written, where reading it takes no synchronisation."""

_MOST: Final = 8
"""Samples that are fetched together."""


@dataclass(slots=True, kw_only=True)
class Sample:
    """What was read at one step.

    Attributes:
        step: The step.
        is_whole: Whether it brings all quantities.
        seconds: When, from the beginning of the watch.
        rate: Learning rate of the step.
        groups: The parameters.
        of_groups: What was read of each group.
        taps: The taps.
        of_taps: What each of them read.
        pieces: What else belongs to it, on its device, by name.
        answers: Calls without gradient, as the glossary has it; -1 where none could be heard.
        found: The same, once it is fetched.
    """

    step: int
    is_whole: bool
    seconds: float
    rate: float
    groups: Sequence[ParameterGroup]
    of_groups: Sequence[parameters.Reading]
    taps: Sequence[Tap]
    of_taps: Sequence[tapping.Reading]
    pieces: Mapping[str, Tensor]
    answers: int = -1
    found: dict[str, Row] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        """What the loss was multiplied with."""
        return float(self.found["scale"]) if "scale" in self.found else 1.0


class Samples:
    """Samples that wait to be fetched, of the same parameters and layers."""

    def __init__(self) -> None:
        self._waiting: list[Sample] = []
        self._oldest = 0.0
        self._latest = -math.inf

    def __len__(self) -> int:
        return len(self._waiting)

    def fits(self, groups: Sequence[ParameterGroup], taps: Sequence[Tap]) -> bool:
        """Tell whether a sample of these can wait with those that do."""
        if not self._waiting:
            return True
        last = self._waiting[-1]
        return last.groups == groups and len(last.taps) == len(taps)

    def put(self, sample: Sample) -> bool:
        """Add a sample.

        Returns:
            Whether it is time to fetch them: this one is whole, or the next would come too late.
        """
        now = time.perf_counter()
        apart, self._latest = now - self._latest, now
        if not self._waiting:
            self._oldest = now
        self._waiting.append(sample)
        is_late = now - self._oldest + apart > LONGEST_WAIT
        return sample.is_whole or is_late or len(self._waiting) >= _MOST

    def take(self) -> list[Sample]:
        """Let go of all that wait."""
        samples, self._waiting = self._waiting, []
        return samples

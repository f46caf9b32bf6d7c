"""The loss over a run: its levels, what was gained, spikes, and where it lost the gain again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from unvanish.core.glossary import StepQuantity
from unvanish.core.runs import RunRecording
from unvanish.diagnose.running.course import end_of_numbers

FEWEST_STEPS: Final = 64
"""Below so many steps nothing is said of whether a loss falls."""

STANDARD_ERRORS: Final = 4.0
"""How far apart two levels are that differ: the least of twenty levels of pure noise stands
about 2 standard errors below the first, and 4 in less than one run in a thousand."""

BEHIND: Final = 50
"""A jump of the loss is judged by so many steps before it."""

AHEAD: Final = 5
"""And by the median of so many from it on."""

LEAST_BEHIND: Final = 16
"""Before which step nothing is a jump."""

_FIRST: Final = 8
_LEVELS: Final = 20
_FEWEST_CLIMBING: Final = 3
_MAD: Final = 1.4826
_MEDIAN: Final = 1.2533


@dataclass(frozen=True, slots=True)
class Level:
    """The median loss over some steps.

    Attributes:
        first: First step.
        last: Last step.
        count: Number of losses.
        value: The median.
        spread: Standard deviation of the losses, estimated from their median distance to it.
        low: Below which a tenth of the losses lie.
        high: Above which a tenth of them lie.
    """

    first: int
    last: int
    count: int
    value: float
    spread: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Spike:
    """A jump of the loss that undid at least half of what had been gained.

    Attributes:
        step: The first step with the high loss.
        before: Median loss of the steps before.
        height: Median loss of the first steps of the spike.
        limit: What counts as a spike there.
        back: First step at which the loss was back near where it had been; -1 for never.
    """

    step: int
    before: float
    height: float
    limit: float
    back: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run has gained.

    Attributes:
        levels: Medians over windows that double in length at first and are a twentieth of the
            run later on, so that a fast beginning of a long run is not lost.
        start: The level at which the loss begins: of the first eight steps, and of twice as many
            as long as the next ones are no different, up to a quarter of the run.
        losses: Step and loss, as long as it is a number.
    """

    levels: tuple[Level, ...]
    start: Level
    losses: tuple[tuple[int, float], ...]

    @property
    def end(self) -> Level:
        """The last level."""
        return self.levels[-1]

    @property
    def best(self) -> Level:
        """The lowest level."""
        return min(self.levels, key=lambda level: level.value)

    @property
    def gained(self) -> float:
        """How far the best level is below the first."""
        return self.start.value - self.best.value

    @property
    def has_fallen(self) -> bool:
        """Whether the loss was once lower than at first, beyond its noise."""
        return self.best.first > self.start.last and apart(self.best, self.start)

    @property
    def has_sunk(self) -> bool:
        """Whether the first eight losses stand above those of the last half, by their ranks.

        That sees a fall within the first few steps, too fast and too small to make a level.
        """
        first = [value for _, value in self.losses[:_FIRST]]
        late = [value for _, value in self.losses[len(self.losses) // 2 :]]
        wins = sum((a > b) + 0.5 * (a == b) for a in first for b in late)
        pairs = len(first) * len(late)
        spread = math.sqrt(pairs * (len(first) + len(late) + 1) / 12.0)
        return wins - 0.5 * pairs > STANDARD_ERRORS * spread

    @property
    def is_learned(self) -> bool:
        """Whether the loss has fallen, and three quarters of the gain are still there."""
        kept = self.end.value - self.best.value <= 0.25 * self.gained
        return self.has_fallen and (kept or not apart(self.best, self.end))

    @property
    def is_lost(self) -> bool:
        """Whether more than half of what was gained is lost again at the end."""
        limit = self.best.value + 0.5 * self.gained
        return (
            self.has_fallen
            and apart(self.best, self.end)
            and all(level.value > limit for level in self.levels[-2:])
        )

    @property
    def scale(self) -> float:
        """What there was to gain: the first level, or where losses can be negative, their noise."""
        if all(value >= 0.0 for _, value in self.losses):
            return self.start.value
        return self.start.spread


def apart(lower: Level, higher: Level) -> bool:
    """Tell whether one level is below another beyond the noise of both.

    Either by their standard errors or, where the loss falls so fast that a level is no noise around
    a mean, because nine tenths of the one lie below nine tenths of the other: with eight losses in
    each, one case in ten thousand by chance.
    """
    spread = max(lower.spread, higher.spread)  # that of a few losses may come out far too small
    noise = _MEDIAN * spread * math.sqrt(1.0 / lower.count + 1.0 / higher.count)
    return lower.high < higher.low or higher.value - lower.value > STANDARD_ERRORS * noise


def progress_of(run: RunRecording) -> Progress | None:
    """Return what a run has gained; None where there are too few steps to tell."""
    end = end_of_numbers(run)
    losses = [
        (step, float(value))
        for step, value in run.over(StepQuantity.LOSS)
        if step < end and math.isfinite(value)
    ]
    if len(losses) < FEWEST_STEPS:
        return None
    widest = max(_FIRST, -(-len(losses) // _LEVELS))
    levels: list[Level] = []
    at, width = 0, _FIRST
    while at < len(losses):
        part = losses[at : at + width]
        if len(part) < _FIRST and levels:
            break
        levels.append(_level(part))
        at += len(part)
        width = min(at, widest)
    return Progress(tuple(levels), _start(losses), tuple(losses))


def _start(losses: Sequence[tuple[int, float]]) -> Level:
    """Return the level that a run begins at, over as many steps as belong to it."""
    count = _FIRST
    while 8 * count <= len(losses):
        first, following = _level(losses[:count]), _level(losses[count : 2 * count])
        if apart(first, following) or apart(following, first):
            break
        count *= 2
    return _level(losses[:count])


def _level(part: Sequence[tuple[int, float]]) -> Level:
    values = [value for _, value in part]
    middle = median(values)
    spread = _MAD * median(abs(value - middle) for value in values)
    ordered, tenth = sorted(values), len(values) // 10
    return Level(
        part[0][0], part[-1][0], len(part), middle, spread, ordered[tenth], ordered[-1 - tenth]
    )


def jump_limit(behind: Sequence[float], start: float) -> tuple[float, float]:
    """Return the usual loss of the steps before, and above which the next one is a jump.

    Args:
        behind: Losses of the steps before; `BEHIND` of them where there are so many.
        start: The loss that the run began at.
    """
    middle, top = median(behind), max(behind)
    gained = max(start - middle, 0.1 * abs(start))
    return middle, middle + max(3.0 * (top - middle), 0.5 * gained)


def spikes(progress: Progress) -> list[Spike]:
    """Return the jumps that undid half of what had been gained and lasted several steps.

    A jump stands three times as far above the median of the 50 steps before as the largest loss
    among them, for the median of five steps: one strange batch is none.
    """
    losses, start = progress.losses, progress.start.value
    least = 0.5 * (start + progress.best.value)
    found: list[Spike] = []
    at = LEAST_BEHIND
    while at + AHEAD <= len(losses):
        value = losses[at][1]
        if value <= least or losses[at - 1][1] >= value:
            at += 1
            continue
        behind = [one for _, one in losses[max(0, at - BEHIND) : at]]
        height = median(one for _, one in losses[at : at + AHEAD])
        middle, limit = jump_limit(behind, start)
        if value <= limit or height <= limit:
            at += 1
            continue
        back = _back(losses, at, middle + 0.25 * (limit - middle))
        step, healed = losses[at][0], losses[back][0] if back > 0 else -1
        found.append(Spike(step, middle, height, limit, healed))
        at = back + _FIRST if back > 0 else len(losses)
    return found


def _back(losses: Sequence[tuple[int, float]], at: int, limit: float) -> int:
    """Return where the median of five steps is below a limit again; -1 for nowhere."""
    values = [value for _, value in losses]
    for i in range(at + 1, len(values) - AHEAD + 1):
        if values[i] <= limit and median(values[i : i + AHEAD]) <= limit:
            return i
    return -1


def lost_since(progress: Progress) -> tuple[int, int]:
    """Return the step from which on half of the gain is lost, and the last one before it.

    Args:
        progress: Of a run that has lost what it gained.
    """
    limit = progress.best.value + 0.5 * progress.gained
    above = len(progress.levels) - 1
    while above > 0 and progress.levels[above - 1].value > limit:
        above -= 1
    begin = progress.levels[max(above - 1, 0)].first
    values = [(step, value) for step, value in progress.losses if step >= begin]
    for i, (step, value) in enumerate(values):
        ahead = [one for _, one in values[i : i + AHEAD]]
        if value > limit and median(ahead) > limit:
            return step, values[i - 1][0] if i else -1
    return progress.levels[above].first, -1


def climbing_since(run: RunRecording) -> tuple[int, int]:
    """Return the step from which on the loss only climbed, up to the end of its numbers.

    It is the first one after which the loss was never again at its first level, or, where that is
    earlier, never again at the level from which it climbs to the end.

    Returns:
        The step and the one before it; both the end of numbers where it fell to the last.
    """
    end = end_of_numbers(run)
    losses = [(s, v) for s, v in run.over(StepQuantity.LOSS) if s < end and math.isfinite(v)]
    if not losses:
        return end, -1
    start = median(value for _, value in losses[:_FIRST])
    start = min(start, losses[0][1]) if len(losses) < 2 * _FIRST else start
    sound = max((step for step, value in losses if value <= start), default=-1)
    progress = progress_of(run)
    if progress is not None:
        foot = _foot(progress)
        sound = min(sound, max(step for step, value in losses if value <= foot.high))
    if sum(step > sound for step, _ in losses) < _FEWEST_CLIMBING:
        sound = losses[-1][0]
    return next((step for step, _ in losses if step > sound), end), sound


def _foot(progress: Progress) -> Level:
    """Return the level from which the loss climbs without a halt up to the last one."""
    levels = progress.levels
    at = len(levels) - 1
    while at > 0 and levels[at - 1].value < levels[at].value:
        at -= 1
    return levels[at] if apart(levels[at], levels[-1]) else levels[-1]

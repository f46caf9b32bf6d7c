"""The loops over time of a recording, and what the gradient loses from call to call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.verdicts import NotApplicable, NotMeasured
from unvanish.core.wiring import Wiring

_FEWEST_CALLS: Final = 4
_SUMS: Final = frozenset({"add", "sub", "rsub", "lerp", "addcmul", "addcdiv"})
_ROUNDED_AWAY: Final = 24 * math.log10(2)


@dataclass(frozen=True, slots=True)
class Loop:
    """One recurrence, without its first call, which has no memory to read.

    Attributes:
        calls: The step that reads the memory, first time step first.
        fed: Decades by which the loss gradient at each call is below that of the best-fed
            later call.
        back: The same for a gradient that enters at the last call alone.
        gated: Whether a gate multiplies the signal on its way from call to call.
    """

    calls: tuple[Site, ...]
    fed: tuple[float, ...]
    back: tuple[float, ...]
    gated: bool

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return len(self.calls) + 1

    @property
    def has_matrix(self) -> bool:
        """Whether a matrix carries the state from step to step, rather than a factor alone."""
        return bool(self.calls[0].weights) and self.calls[0].op not in _SUMS

    @property
    def starved(self) -> bool:
        """Whether the loss gradient vanishes with the memory, and is not fed to every step."""
        return max(self.fed) > min(max(self.back) / 2, _ROUNDED_AWAY)

    @property
    def lost(self) -> tuple[float, ...]:
        """Decades lost at each call, in the reading that counts."""
        return self.fed if self.starved else self.back


def recurrences(recording: Recording) -> list[tuple[Site, ...]]:
    """Return the calls of every recurrence that the loss depends on, in time order."""
    profile = recording[Quantity.LOG10_LAST_STEP_GRAD_RMS]
    reached = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    groups: dict[tuple[object, ...], list[Site]] = {}
    for site in recording.signal_sites():
        if site in profile and site in reached:
            line = None if site.weights else site.source
            groups.setdefault((site.path, site.op, site.weights, line), []).append(site)
    wiring = Wiring(recording)
    found = []
    for sites in groups.values():
        run: list[Site] = []
        for site in sorted(sites, key=lambda s: s.call):
            # The same weights over another sequence. A state that no matrix multiplies gets no
            # deeper from call to call.
            if run and (
                site.depth < run[-1].depth
                or (site.depth == run[-1].depth and not _depends(wiring, site, run[-1]))
            ):
                found.append(tuple(run))
                run = []
            run.append(site)
        found.append(tuple(run))
    return [run for run in found if len(run) >= _FEWEST_CALLS]


def without_recurrence(recording: Recording) -> NotApplicable | NotMeasured:
    """Tell a network without recurrence from one whose recurrence could not be seen.

    A cell that is fed by its last call and by nothing new is depth, as slots and message
    passing have it. One whose calls do not lie behind each other hides how they are connected.
    """
    calls: dict[str, dict[tuple[str, ...], list[int]]] = {}
    for site in recording.signal_sites():
        recurrent = site.function.removesuffix("_cell") in _RECURRENT or site.op == "rnn_layer"
        if recurrent and site.opaque:
            return NotMeasured(f"the gradient at the time steps of {site.path or site.op}")
        if recurrent and site.weights:
            calls.setdefault(site.path, {}).setdefault(site.weights, []).append(site.depth)
    probed = Quantity.LOG10_PROBE_GRAD_RMS in recording.measured()
    for path, by_weights in calls.items():
        often = max(map(len, by_weights.values())) >= _FEWEST_CALLS
        deep = max(len(set(depths)) for depths in by_weights.values()) >= _FEWEST_CALLS
        if often and not (deep and probed):
            return NotMeasured(f"the gradient at the time steps of {path or 'a recurrent cell'}")
    return NotApplicable("the network has no recurrence over time")


_RECURRENT: Final = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})


def loops_of(recording: Recording, repeated: Sequence[tuple[Site, ...]]) -> list[Loop]:
    """Return what every recurrence loses on its way back, where both passes reached it."""
    loss, last = (
        recording[Quantity.LOG10_ACTIVATION_GRAD_RMS],
        recording[Quantity.LOG10_LAST_STEP_GRAD_RMS],
    )
    fed = {run: _lost([loss.get(site) for site in run[1:]]) for run in repeated}
    wiring = Wiring(recording)
    loops = []
    for run in repeated:
        mine, back = fed[run], _lost([last.get(site) for site in run[1:]])
        if not mine or not back:
            continue
        for other in repeated:  # it may read the same steps in the other direction
            if other is not run and fed[other] and _side_by_side(wiring, run, other):
                mine = [min(a, b) for a, b in zip(mine, reversed(fed[other]), strict=True)]
        gated = _is_gated(wiring, run)
        loops.append(Loop(run[1:], tuple(mine), tuple(back), gated))
    return loops


def _lost(log10_grads: list[float]) -> list[float]:
    """Decades below the best-fed later step; empty where numbers are missing.

    A gradient that grows on its way back loses nothing, and after the last step that the
    loss reads (padding) there is nothing to lose.
    """
    if any(math.isnan(value) for value in log10_grads) or max(log10_grads) in (math.inf, -math.inf):
        return []
    lost, best = [], -math.inf
    for value in reversed(log10_grads):
        best = max(best, value)
        lost.append(best - value if best > -math.inf else 0.0)
    return lost[::-1]


def _side_by_side(wiring: Wiring, a: tuple[Site, ...], b: tuple[Site, ...]) -> bool:
    """Tell whether two recurrences read the same, and none reads the other's states.

    Of stacked layers, the first call of each is fed by zeros and has the same depth.
    """
    if len(a) != len(b) or a[0].depth != b[0].depth:
        return False
    if a[0].weights and a[0].weights == b[0].weights:
        return False
    return not _depends(wiring, a[-1], b[0]) and not _depends(wiring, b[-1], a[0])


def _depends(wiring: Wiring, site: Site, earlier: Site) -> bool:
    """Tell whether a site is computed from an earlier one."""
    stack = [site]
    seen = {site.index}
    while stack:
        for one in wiring.producers(stack.pop()):
            if one.index == earlier.index:
                return True
            if one.index > earlier.index and one.index not in seen:
                seen.add(one.index)
                stack.append(one)
    return False


def _is_gated(wiring: Wiring, run: tuple[Site, ...]) -> bool:
    """Tell whether signal is multiplied with signal between two calls in the middle."""
    start, end = run[len(run) // 2 - 1], run[len(run) // 2]
    between = (site for site in wiring.behind(end, past=start) if site.index > start.index)
    return any(site.op == "mul" and len(wiring.producers(site)) > 1 for site in between)

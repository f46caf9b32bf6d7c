"""One function of every entry, written in several steps, as one step.

PyTorch runs softsign as abs, add and div; a person writes ``x * sigmoid(x)``. Taken apart, such a
function is a fork whose branches meet again and cancel. As one step it is an activation, with the
gain that was measured between what goes in and what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Recording, Role, Site
from unvanish.theory.activations import ACTIVATIONS

COMPOSITE: Final = "composite"
"""The function that a step belongs to which stands for several."""

_CURVES: Final = frozenset(
    "exp exp2 expm1 log log1p log2 sqrt rsqrt reciprocal square pow sin cos abs erf sigmoid tanh "
    "relu softplus sign logaddexp clamp clamp_min clamp_max softsign tanhshrink".split()
)
_LINEAR: Final = frozenset("neg add sub rsub mul div rtruediv".split())
_APART: Final = ("mul", "div", "sqrt", "rsqrt")
"""Outside of a fork, scales and sizes, which the ledger knows as such."""

_MOST: Final = 12
"""Steps of one function."""
_FEWEST: Final = 2


def collapsed(recording: Recording) -> Recording:
    """Return a recording in which every function of several steps is one.

    Args:
        recording: What was observed, or what this function returned.

    Returns:
        The same sites, with the last step of such a function renamed after all of them, and one
        edge from what goes in to it in place of those between.
    """
    lay = _Layout(recording)
    if not lay.may_hold_any:
        return recording
    found: dict[int, tuple[int, set[int]]] = {}
    inside: set[int] = set()
    for site in recording.sites:
        if site.index in inside or site.role is not Role.SIGNAL:
            continue
        steps = lay.function(site)
        if steps:
            last = max(steps)
            found[last] = (site.index, steps)
            inside |= steps - {last}
    return _rewritten(recording, found) if found else recording


class _Layout:
    """Who uses whose output."""

    def __init__(self, recording: Recording) -> None:
        self.sites = recording.sites
        self.norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
        self.consumers: dict[int, set[int]] = {}
        self.producers: dict[int, set[int]] = {}
        self.may_hold_any = any(
            s.role is Role.SIGNAL and not s.weights and s.op.rstrip("_") in _CURVES
            for s in recording.sites
        )
        for edge in recording.edges if self.may_hold_any else ():
            self.consumers.setdefault(edge.producer, set()).add(edge.consumer)
            self.producers.setdefault(edge.consumer, set()).add(edge.producer)

    def _fits(self, index: int, source: Site) -> bool:
        site = self.sites[index]
        return (
            site.role is Role.SIGNAL
            and not site.weights
            and site.size == source.size
            and not site.is_output
            and site.op.rstrip("_") in _CURVES | _LINEAR
            and math.isfinite(self.norms.get(index))
        )

    def function(self, source: Site) -> set[int]:
        """Return the steps of one function of what a site gives; empty where there is none.

        Forks that meet again and curves one behind the other. A product with a constant outside
        of a fork is a scale of its own, and an activation that PyTorch knows stands alone.
        """
        steps: set[int] = set()
        here = source
        while len(steps) < _MOST:
            fork = self._forked(here)
            if fork and self.sites[max(fork)].slope_cap > 0.0:
                return steps or fork
            found = fork or self._next(here)
            if not found:
                break
            steps |= found
            here = self.sites[max(found)]
        if len(steps) < _FEWEST or not math.isfinite(self.norms.get(source.index)):
            return set()
        return steps if any(self.sites[i].op.rstrip("_") in _CURVES for i in steps) else set()

    def _forked(self, source: Site) -> set[int]:
        """Return the steps that fork from a site and meet again in one; empty without any."""
        waiting = set(self.consumers.get(source.index, ()))
        steps: set[int] = set()
        while len(waiting) + len(steps) > 1 and len(steps) < _MOST:
            here = min(waiting)
            waiting.discard(here)
            known = self.producers.get(here, set()) <= steps | {source.index}
            if not known or not self._fits(here, source):
                return set()
            steps.add(here)
            if not waiting:
                return set() if self._is_skip(here, source) else steps
            waiting |= self.consumers.get(here, set())
        return set()

    def _is_skip(self, last: int, source: Site) -> bool:
        """Tell whether a sum is that of a branch and of what goes past it."""
        site = self.sites[last]
        added = site.op.rstrip("_") in ("add", "sub") and not site.slope_cap > 0.0
        return added and source.index in self.producers.get(last, ())

    def _next(self, source: Site) -> set[int]:
        """Return the one step behind, where it is a function of nothing else."""
        behind = self.consumers.get(source.index, set())
        if len(behind) != 1:
            return set()
        (one,) = behind
        op = self.sites[one].op.rstrip("_")
        is_alone = self.producers.get(one, set()) == {source.index} and op not in _APART
        known = self.sites[one].slope_cap >= 0.0
        return {one} if is_alone and not known and self._fits(one, source) else set()


def _rewritten(recording: Recording, found: Mapping[int, tuple[int, set[int]]]) -> Recording:
    norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    hooks = recording[Quantity.LOG10_HOOK_GAIN]
    slopes = recording[Quantity.SLOPE_RMS]
    sites = list(recording.sites)
    inner = {i for _, steps in found.values() for i in steps}
    edges = []
    for last, (source, steps) in found.items():
        sites[last] = _named(recording, last, steps)
        slope = slopes.get(last)
        known = slope > 0.0 and sites[last].slope_cap > 0.0
        gain = norms[source] - hooks.get(source, 0.0) - norms[last]
        scale = math.log10(slope) if known else math.nan
        edges.append(Edge(source, last, gain, log10_scale=scale))
    edges += [edge for edge in recording.edges if edge.consumer not in inner]
    edges.sort(key=lambda edge: edge.consumer)
    return replace(recording, sites=tuple(sites), edges=tuple(edges))


def _named(recording: Recording, last: int, steps: set[int]) -> Site:
    site = recording.sites[last]
    if site.slope_cap > 0.0:  # one that PyTorch offers
        return replace(site, function=COMPOSITE)
    ops = [recording.sites[i].op.rstrip("_") for i in sorted(steps)]
    if ops == ["sigmoid", "mul"]:
        cap = ACTIVATIONS["silu"].slope_cap
        return replace(site, op="silu", function=COMPOSITE, slope_cap=cap)
    return replace(site, op="+".join(ops), function=COMPOSITE)

"""The residual branches of a network: where each begins, what ends it, where it joins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from unvanish.core.operations import RECURRENT_FUNCTIONS, VIEW_OPS
from unvanish.core.records import Recording, Site
from unvanish.core.wiring import Wiring
from unvanish.treat.anatomy import activation_name
from unvanish.treat.ways import NORMS, weight_of

_MOVED: Final = VIEW_OPS | {"dropout"}
_SCALED: Final = _MOVED | {"mul", "div"}
_FARTHEST: Final = 12
"""Steps that may lie between the sum of one block and the skip of the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One residual branch: x + branch(x).

    Attributes:
        join: The sum.
        start: Where branch and skip part; None where both read the data.
        inside: The layers of the branch, in forward order.
        entries: Those of them that nothing but moves, dropout and normalisation separates from
            the stream.
        last: The layer that ends it, where only moves, dropout and factors follow it.
        norm: The normalisation that stands directly behind the sum; None without one.
        begins_normalised: Whether a normalisation stands between the stream and the entries.
        stream: Number of the stream, from 0.
    """

    join: Site
    start: Site | None
    inside: tuple[Site, ...]
    entries: tuple[Site, ...]
    last: Site | None
    norm: Site | None
    begins_normalised: bool
    stream: int


def branches_of(recording: Recording) -> tuple[Branch, ...]:
    """Return the residual branches of a network, in forward order.

    A shortcut with weights of its own is none: x must reach the sum as it is.

    Args:
        recording: One look at the network.
    """
    return _Reader(recording).branches()


def reaches(wiring: Wiring, end: Site, start: Site) -> bool:
    """Tell whether a step is computed from an earlier one.

    Args:
        wiring: The op graph.
        end: The later step.
        start: The earlier one.
    """
    return start.index in _between(wiring, end, start.index)


def _between(wiring: Wiring, end: Site, first: int) -> dict[int, Site]:
    """Return what a step is computed from, itself included, back to the site of an index."""
    found = {end.index: end}
    waiting = [end]
    while waiting:
        for site in wiring.producers(waiting.pop()):
            if site.index >= first and site.index not in found:
                found[site.index] = site
                waiting.append(site)
    return found


def _adds(site: Site) -> bool:
    """Tell a sum, one that is written into a view of its first part included."""
    return site.op == "add" or (site.op == "copy_slices" and site.function == "add")


class _Reader:
    """Reads the branches off one recording."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.wiring = Wiring(recording)
        self.shapes: Mapping[str, tuple[int, ...]] = {p.name: p.shape for p in recording.parameters}

    def branches(self) -> tuple[Branch, ...]:
        sums = [
            site
            for site in self.recording.signal_sites()
            if _adds(site) and site.function not in RECURRENT_FUNCTIONS
        ]
        parted: dict[int, tuple[Site, Site]] = {}
        for site in sums:
            if way := self._parted(site, parted):
                parted[site.index] = way
        kinds = Counter((s.module, s.op, s.function) for s in sums if s.index in parted)
        found: list[Branch] = []
        streams: dict[int, int] = {}
        for site in sums:
            if site.index not in parted and not self._reads_data(site, kinds):
                continue
            start, end = parted.get(site.index) or (None, self.wiring.producers(site)[0])
            inside, last = self._inside(end, start), self._last(end)
            whole = last is not None if start is None else start.size == site.size
            if not inside or not whole:
                continue
            before = self._sum_before(start, streams) if start is not None else None
            skip = next(
                (one.index for one in self.wiring.producers(site) if one.index in streams), None
            )
            before = skip if before is None else before
            stream = streams[before] if before is not None else len(set(streams.values()))
            streams[site.index] = stream
            entries, normalised = self._entries(inside, start)
            found.append(
                Branch(
                    join=site,
                    start=start,
                    inside=tuple(inside),
                    entries=entries,
                    last=last,
                    norm=self._norm(site),
                    begins_normalised=normalised,
                    stream=stream,
                )
            )
        return tuple(found)

    def _parted(
        self, join: Site, known: Mapping[int, tuple[Site, Site]]
    ) -> tuple[Site, Site] | None:
        """Return where skip and branch part, and the end of the branch.

        In x + f(x) + g(x) the second sum's branch leaves the stream where the first one's does.
        """
        producers = self.wiring.producers(join)
        if len(producers) != 2:
            return None
        for skip, end in (tuple(producers), tuple(reversed(producers))):
            start = self._unmoved(skip)
            starts = (start, known[start.index][0]) if start.index in known else (start,)
            for one in starts:
                if one.index < end.index and reaches(self.wiring, end, one):
                    return one, end
        return None

    def _reads_data(self, join: Site, kinds: Counter[tuple[str, str, str]]) -> bool:
        """Tell whether a sum with one part seen is a block's whose stream is the data itself."""
        alone = len(self.wiring.producers(join)) == 1 and not join.weights
        return alone and bool(join.module) and kinds[join.module, join.op, join.function] > 0

    def _unmoved(self, site: Site) -> Site:
        while site.op in VIEW_OPS and len(before := self.wiring.producers(site)) == 1:
            site = before[0]
        return site

    def _is_layer(self, site: Site) -> bool:
        return bool(weight_of(site, self.shapes))

    def _inside(self, end: Site, start: Site | None) -> list[Site]:
        first = start.index if start is not None else -1
        between = _between(self.wiring, end, first)
        return [
            site
            for index, site in sorted(between.items())
            if index != first and self._is_layer(site)
        ]

    def _entries(self, inside: list[Site], start: Site | None) -> tuple[tuple[Site, ...], bool]:
        found, normalised = [], False
        for layer in inside:
            met, norm = self._way_to(layer, start)
            if met:
                found.append(layer)
                normalised = normalised or norm
        return tuple(found), normalised

    def _way_to(self, layer: Site, start: Site | None) -> tuple[bool, bool]:
        """Tell whether no other layer lies between the stream and a layer, and whether a norm."""
        waiting, seen, norm = [layer], {layer.index}, False
        met = start is None and not self.wiring.producers(layer)
        while waiting:
            before = self.wiring.producers(waiting.pop())
            for site in before:
                if start is not None and site.index == start.index:
                    met = True
                elif self._is_layer(site) or activation_name(site):
                    continue
                elif site.index not in seen and (start is None or site.index > start.index):
                    seen.add(site.index)
                    waiting.append(site)
                    norm = norm or self._is_norm(site)
            met = met or (start is None and not before)
        return met, norm

    def _is_norm(self, site: Site) -> bool:
        return bool({site.op, site.function} & NORMS) or site.module.casefold().endswith("norm")

    def _last(self, end: Site) -> Site | None:
        site = end
        while not self._is_layer(site):
            before = self.wiring.producers(site)
            is_bias = site.op == "add" and bool(site.weights)
            if len(before) != 1 or not (site.op in _SCALED or is_bias):
                return None
            site = before[0]
        return site

    def _norm(self, join: Site) -> Site | None:
        """Return the end of the normalisation directly behind a sum that nothing else uses."""
        site = join
        while after := self.wiring.consumers(site):
            if len(after) == 1 and after[0].op in NORMS:
                return after[0]
            paths = {one.path for one in after}
            if len(paths) == 1 and join.path not in paths and all(map(self._is_norm, after)):
                return self._end_of_call(after[-1])
            site = after[0]
            is_rest = site.op == "add" and len(self.wiring.producers(site)) == 1
            if len(after) > 1 or not (site.op in _MOVED or is_rest):
                return None
        return None

    def _end_of_call(self, site: Site) -> Site:
        while inside := [one for one in self.wiring.consumers(site) if one.path == site.path]:
            site = inside[-1]
        return site

    def _sum_before(self, start: Site, known: Iterable[int]) -> int | None:
        """Return the sum that a stream comes from, through norms and functions."""
        site, sums = start, set(known)
        for _ in range(_FARTHEST):
            if site.index in sums:
                return site.index
            by_steps = self._is_norm(site) and site.op not in NORMS
            before = self._outside(site) if by_steps else self.wiring.producers(site)
            if len(before) != 1 or self._is_layer(site):
                return None
            site = before[0]
        return None

    def _outside(self, site: Site) -> list[Site]:
        """Return what the call of a module that a step ends is made of."""
        found: dict[int, Site] = {}
        waiting, seen = [site], {site.index}
        while waiting:
            for one in self.wiring.producers(waiting.pop()):
                if one.path != site.path:
                    found[one.index] = one
                elif one.index not in seen:
                    seen.add(one.index)
                    waiting.append(one)
        return list(found.values())

"""How the signal is wired: what a step uses, what uses it, in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from unvanish.core.records import Recording, Role, Site

_MIXING: Final = frozenset({"matmul", "bmm", "mm", "baddbmm", "einsum", "tensordot"})


@dataclass(frozen=True)
class Wiring:
    """The op graph of a recording without its weights and its loss.

    Attributes:
        recording: What was measured.
    """

    recording: Recording
    _producers: Mapping[int, list[int]] = field(init=False, repr=False)
    _consumers: Mapping[int, list[int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sites = self.recording.sites
        producers: dict[int, list[int]] = {}
        consumers: dict[int, list[int]] = {}
        for edge in self.recording.edges:
            # Forward order only, so that every walk ends.
            ordered = 0 <= edge.producer < edge.consumer < len(sites)
            if ordered and sites[edge.producer].role is Role.SIGNAL:
                producers.setdefault(edge.consumer, []).append(edge.producer)
                consumers.setdefault(edge.producer, []).append(edge.consumer)
        object.__setattr__(self, "_producers", producers)
        object.__setattr__(self, "_consumers", consumers)

    def producers(self, site: Site) -> list[Site]:
        """Return the sites whose signal a site uses."""
        return [self.recording.sites[i] for i in self._producers.get(site.index, ())]

    def consumers(self, site: Site) -> list[Site]:
        """Return the sites that use a site's output."""
        return [self.recording.sites[i] for i in self._consumers.get(site.index, ())]

    def joins(self) -> Iterator[Site]:
        """Yield the sites that bring several signals together, in forward order."""
        for index in sorted(self._producers):
            if len(self._producers[index]) > 1:
                yield self.recording.sites[index]

    def behind(self, site: Site, *, past: Site | None = None) -> Iterator[Site]:
        """Yield everything that a site is computed from, nearest first.

        Args:
            site: Where to start; it is not part of the result.
            past: A site through which no way may lead.
        """
        seen = {site.index}
        if past is not None:
            seen.add(past.index)
        level = [site.index]
        while level:
            above = [p for i in level for p in self._producers.get(i, ()) if p not in seen]
            level = list(dict.fromkeys(above))
            seen.update(level)
            yield from (self.recording.sites[i] for i in level)

    def source(self, site: Site) -> Site | None:
        """Return the nearest weight-bearing site that a site is computed by."""
        return next((one for one in self.behind(site) if one.weights), None)

    def is_mixing(self, site: Site) -> bool:
        """Tell whether a site is a matrix product of two signals."""
        return site.op in _MIXING and not site.weights

    def weighs(self, softmax: Site) -> Site | None:
        """Return the product in which the rows of a softmax weigh other signal.

        That makes it attention; a softmax between weights, or of a router, has none.
        """
        seen: set[int] = set()
        stack = [softmax]
        while stack:
            for site in self.consumers(stack.pop()):
                if site.index in seen:
                    continue
                seen.add(site.index)
                if self.is_mixing(site):
                    return site
                # Dropout, casts and views pass the rows on as they are.
                if len(self._producers[site.index]) == 1 and not site.weights:
                    stack.append(site)
        return None

"""How the signal is wired: what a step uses, what uses it, in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
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
        """Return the step in which the rows of a softmax weigh other signal.

        That is a matrix product, or a product whose sum over the keys is taken. It makes the
        softmax attention; one between weights, or of a router, has none.
        """
        rows = {softmax.index}  # what is made of the rows alone: dropout, casts, rows over sums
        level = [softmax]
        while level:
            after = {c.index: c for site in level for c in self.consumers(site)}
            level = []
            for index in sorted(after.keys() - rows):
                site = after[index]
                if self.is_mixing(site) or (site.op == "mul" and self._is_summed(site, rows)):
                    return site
                if not site.weights and rows.issuperset(self._producers[index]):
                    rows.add(index)
                    level.append(site)
        return None

    def _is_summed(self, product: Site, rows: Set[int]) -> bool:
        """Tell whether a product brings in other signal and nothing but its sum is used.

        The entropy of the rows themselves is no such sum.
        """
        other = [site for site in self.producers(product) if site.index not in rows]
        if not other or any("log" in site.op for site in other):
            return False
        after = self.consumers(product)
        while len(after) == 1 and after[0].op != "sum" and not after[0].weights:
            if len(self._producers[after[0].index]) > 1:
                return False
            after = self.consumers(after[0])
        return bool(after) and all(site.op == "sum" for site in after)

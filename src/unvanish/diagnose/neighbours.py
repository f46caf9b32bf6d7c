"""Who feeds whom: the op graph of a recording, read in either direction."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Recording, Role, Site

VIEWS: Final = frozenset(
    "view reshape flatten unflatten transpose permute squeeze unsqueeze expand select slice to "
    "getitem contiguous clone to float double half bfloat16 movedim swapaxes t mT T alias "
    "unbind chunk split narrow view_as type_as".split()
)
"""Operations with one input that move its numbers and change none."""

_ROUNDING: Final = 1e-3


@dataclass(frozen=True)
class Neighbours:
    """The edges of a recording, sorted by either end.

    Attributes:
        recording: What was measured.
    """

    recording: Recording
    _into: Mapping[int, list[Edge]] = field(init=False, repr=False)
    _out_of: Mapping[int, list[Edge]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        count = len(self.recording.sites)
        into: dict[int, list[Edge]] = {}
        out_of: dict[int, list[Edge]] = {}
        for edge in self.recording.edges:
            # Forward order only, so that a walk always ends.
            if 0 <= edge.producer < edge.consumer < count:
                into.setdefault(edge.consumer, []).append(edge)
                out_of.setdefault(edge.producer, []).append(edge)
        object.__setattr__(self, "_into", into)
        object.__setattr__(self, "_out_of", out_of)

    def edges_into(self, site: Site) -> list[Edge]:
        """Return the edges along which a site sends its gradient back."""
        return self._into.get(site.index, [])

    def producers(self, site: Site) -> list[Site]:
        """Return the sites whose output a site uses, each as often as it is used."""
        return [self.recording.sites[edge.producer] for edge in self.edges_into(site)]

    def consumers(self, site: Site) -> list[Site]:
        """Return the sites that use a site's output."""
        return [self.recording.sites[edge.consumer] for edge in self._out_of.get(site.index, [])]

    def only_multiplies(
        self, site: Site, products: Collection[str] = ("mul",), *, data: bool = True
    ) -> bool:
        """Tell whether a signal is used for nothing but to scale others.

        A decay of a state may be a sigmoid, times a constant, summed over time, in an
        exponential: as long as steps work on it alone it is a scale, and it ends as one where
        it is multiplied with a signal that is made without it. What the loss makes of it
        besides does not count.

        Args:
            site: Where the signal is made.
            products: Operations that multiply two signals.
            data: Whether data, which is no step of its own, may be what is scaled.
        """
        size = self.recording[Quantity.ACTIVATION_RMS]
        own, scales = {site.index}, False
        waiting = sorted(step.index for step in self.consumers(site))
        while waiting:
            # In forward order, so that what a step works on is sorted out before it.
            step = self.recording.sites[heapq.heappop(waiting)]
            if step.index in own:
                continue
            if step.role is not Role.SIGNAL:
                continue
            if step.weights and step.op != "mul":
                return False
            if size.get(step) == 0.0:
                continue  # a first step that scales an empty state
            after = [consumer.index for consumer in self.consumers(step)]
            before = [p for p in self.producers(step) if p.role is not Role.WEIGHT]
            alone = data and step.op == "mul" and len(before) == 1
            if alone and not self._by_a_number(before[0], step):
                scales = True
            elif all(producer.index in own for producer in before):
                own.add(step.index)
                if not any(self.recording.sites[i].role is Role.SIGNAL for i in after):
                    return False
                for index in after:
                    heapq.heappush(waiting, index)
            elif step.op in products:
                scales = True
            else:
                return False
        return scales

    def _by_a_number(self, before: Site, after: Site) -> bool:
        """Tell whether a product is one with a single number, which scales mean and rms alike.

        The other factor may be data, which is no step of its own.
        """
        size = self.recording[Quantity.ACTIVATION_RMS]
        mean = self.recording[Quantity.ACTIVATION_MEAN]
        products = size.get(after) * mean.get(before), size.get(before) * mean.get(after)
        return not abs(abs(products[0]) - abs(products[1])) > _ROUNDING * abs(products[0])

    def source(self, site: Site, through: Collection[str] = VIEWS) -> Site | None:
        """Return the step whose output reaches a site, past steps that only pass it on.

        Args:
            site: Where to begin; its own operation does not matter.
            through: Operations to walk past.

        Returns:
            The nearest step of any other operation; None where the way branches, begins, or
            is scaled by a parameter.
        """
        while True:
            producers = self.producers(site)
            if len(producers) != 1 or producers[0].role is Role.WEIGHT:
                return None
            site = producers[0]
            if site.op not in through:
                return site
            if site.weights:
                return None

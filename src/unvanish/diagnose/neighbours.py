"""Who feeds whom: the op graph of a recording, read in either direction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from unvanish.core.records import Edge, Recording, Role, Site

VIEWS: Final = frozenset(
    "view reshape flatten unflatten transpose permute squeeze unsqueeze expand select slice to "
    "getitem contiguous clone to float double half bfloat16 movedim swapaxes t mT T alias "
    "unbind chunk split narrow view_as type_as".split()
)
"""Operations with one input that move its numbers and change none."""


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

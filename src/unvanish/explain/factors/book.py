"""What the kinds of operation read from: one use of one operation, and what lies around it."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Final

from unvanish.core.explanations import Factor
from unvanish.core.records import Edge, Parameter, Recording, Role, Site

_NOTHING: Final = 1e-6
"""Decades; an alignment below this is rounding: the step has one gain for every gradient."""


class Part:
    """One factor of an operation.

    Attributes:
        factor: Which one.
        gain: Its decades.
        parts: Name to decades, where it is split further.
        against: Of a weight scale, decades over the critical one.
    """

    __slots__ = ("against", "factor", "gain", "parts")

    def __init__(
        self,
        factor: Factor,
        gain: float,
        parts: tuple[tuple[str, float], ...] = (),
        against: float = math.nan,
    ) -> None:
        self.factor = factor
        self.gain = gain
        self.parts = parts
        self.against = against


class Book:
    """A recording with the neighbours of every site at hand."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.parameters: dict[str, Parameter] = {p.name: p for p in recording.parameters}

    def site(self, index: int) -> Site:
        """Return a site by its index."""
        return self.recording.sites[index]

    @cached_property
    def producers(self) -> dict[int, list[int]]:
        """Site to the sites whose outputs it uses, in the order of its inputs."""
        found: dict[int, list[int]] = {}
        for edge in self.recording.edges:
            found.setdefault(edge.consumer, []).append(edge.producer)
        return found

    @cached_property
    def consumers(self) -> dict[int, list[int]]:
        """Site to the sites that use its output."""
        found: dict[int, list[int]] = {}
        for edge in self.recording.edges:
            found.setdefault(edge.producer, []).append(edge.consumer)
        return found


class Step:
    """One use of one operation.

    Attributes:
        book: What was observed.
        edge: The way the gradient takes through it.
        site: The operation.
        op: Its name, without the underscore of the in-place form.
        gain: Decades by which the gradient changes.
        scale: Decades by which one without preferred direction would; ``nan`` if not known.
    """

    def __init__(self, book: Book, edge: Edge) -> None:
        self.book = book
        self.edge = edge
        self.site = book.site(edge.consumer)
        self.op = self.site.op.rstrip("_")
        self.gain = edge.log10_gain
        self.scale = edge.log10_scale

    @property
    def recording(self) -> Recording:
        """What was observed."""
        return self.book.recording

    @property
    def others(self) -> list[int]:
        """The other signals that go into the operation."""
        producers = self.book.producers.get(self.site.index, [])
        return [
            i
            for i in producers
            if i != self.edge.producer and self.book.site(i).role is not Role.WEIGHT
        ]

    def scaled(self, factor: Factor, against: float = math.nan) -> tuple[Part, ...]:
        """Split the gain into the scale, under a factor's name, and the alignment."""
        rest = self.gain - self.scale
        if not abs(rest) > _NOTHING or not math.isfinite(rest):
            return (Part(factor, self.gain, against=against),)
        return (
            Part(factor, self.scale, against=against),
            Part(Factor.ALIGNMENT, self.gain - self.scale),
        )

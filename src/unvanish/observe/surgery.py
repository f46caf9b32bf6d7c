"""Swap one factor of the Jacobian while the forward pass stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from unvanish.core.interventions import Intervention, Swap
from unvanish.core.records import Role
from unvanish.observe.extended import Place, call_node
from unvanish.observe.graph import Graph

_Change = Callable[[Sequence[Tensor | None], list[Tensor | None]], list[Tensor | None]]


class CannotSwapError(Exception):
    """An intervention does not fit this graph; its text says why."""


class Surgeon:
    """Carries out one intervention on the backward pass of one graph.

    Args:
        graph: The computation.
        intervention: What to swap; its sites are those of the graph. None for nothing.
        hooks: Node to what the user's hooks multiply with what arrives there.

    Raises:
        CannotSwapError: If it does not fit the graph.
    """

    def __init__(
        self, graph: Graph, intervention: Intervention | None, hooks: Mapping[int, float]
    ) -> None:
        self._graph = graph
        self._changes: dict[int, _Change] = {}
        self._beside: dict[int, list[tuple[Place, float]]] = {}
        self._blocked: set[tuple[int, int]] = set()
        self._hooks = dict(hooks)
        if intervention is None:
            return
        prepare = {
            Swap.JACOBIAN: self._replace,
            Swap.SKIP: self._add,
            Swap.GAIN: self._multiply,
            Swap.GATE: self._open,
            Swap.DEAD_SLOPE: self._revive,
            Swap.SOFTMAX: self._even_out,
            Swap.HOOKS: self._take_out,
        }[intervention.swap]
        values = intervention.values or (1.0,) * len(intervention.sites)
        sources = intervention.sources or (-1,) * len(intervention.sites)
        for site, source, value in zip(intervention.sites, sources, values, strict=True):
            prepare(site, source, value)

    def sent(
        self, node: int, arrived: Sequence[Tensor | None], sent: Sequence[Tensor | None]
    ) -> Sequence[Tensor | None]:
        """Return what a node sends back, in place of what its own formula gives."""
        change = self._changes.get(node)
        return sent if change is None else change(arrived, list(sent))

    def entering(self, node: int) -> float:
        """Return what the hooks of the user's multiply with what arrives at a node."""
        return self._hooks.get(node, 1.0)

    def passes(self, consumer: int, producer: int) -> bool:
        """Tell whether what one node sends to another arrives there."""
        return (consumer, producer) not in self._blocked

    def beside(self, node: int) -> Iterable[tuple[Place, float]]:
        """Yield where a multiple of what arrives at a node goes past its formula."""
        return self._beside.get(node, ())

    def _replace(self, site: int, source: int, value: float) -> None:
        inside = self._uses_between(site, source)
        self._blocked.update((consumer, source) for consumer, _ in inside)
        self._past(site, source, inside, value)

    def _add(self, site: int, source: int, value: float) -> None:
        self._past(site, source, self._uses_between(site, source), value)

    def _past(self, site: int, source: int, inside: list[tuple[int, int]], value: float) -> None:
        slots = {slot for _, slot in inside}
        names = f"{self._graph.sites[source].name} and {self._graph.sites[site].name}"
        if len(slots) != 1:
            raise CannotSwapError(f"there is no single way between {names}")
        (slot,) = slots
        if self._shape(site, 0) != self._shape(source, slot):
            raise CannotSwapError(f"{names} differ in shape")
        self._beside.setdefault(site, []).append(((source, slot), value))

    def _uses_between(self, site: int, source: int) -> list[tuple[int, int]]:
        """Return each use of the source on a way to the site: the user, and the slot it uses."""
        found: dict[tuple[int, int], None] = {}
        seen = {site}
        stack = [site]
        while stack:
            node = stack.pop()
            for link in self._graph.links[node]:
                if link.producer == source:
                    found[node, link.slot] = None
                elif (
                    link.producer is not None
                    and link.producer > source
                    and link.producer not in seen
                ):
                    seen.add(link.producer)
                    stack.append(link.producer)
        return list(found)

    def _shape(self, node: int, slot: int) -> tuple[int, ...]:
        metadata = self._graph.notes[node].node._input_metadata[slot]
        return tuple(int(extent) for extent in metadata.shape)

    def _take_out(self, site: int, _: int, __: float) -> None:
        self._hooks.pop(site, None)

    def _multiply(self, site: int, _: int, value: float) -> None:
        positions = {
            link.position
            for link in self._graph.links[site]
            if link.producer is not None
            and self._graph.sites[link.producer].role is not Role.WEIGHT
        }

        def change(_: Sequence[Tensor | None], sent: list[Tensor | None]) -> list[Tensor | None]:
            return [
                value * tensor if tensor is not None and position in positions else tensor
                for position, tensor in enumerate(sent)
            ]

        self._changes[site] = change

    def _open(self, site: int, source: int, value: float) -> None:
        positions = [link.position for link in self._graph.links[site] if link.producer == source]

        def change(
            arrived: Sequence[Tensor | None], sent: list[Tensor | None]
        ) -> list[Tensor | None]:
            incoming = arrived[0]
            if incoming is not None:
                for position in positions:
                    sent[position] = value * incoming
            return sent

        self._changes[site] = change

    def _revive(self, site: int, _: int, value: float) -> None:
        note = self._graph.notes[site]

        def change(
            arrived: Sequence[Tensor | None], sent: list[Tensor | None]
        ) -> list[Tensor | None]:
            incoming, outgoing = arrived[0], sent[0]
            if incoming is None or outgoing is None or incoming.shape != outgoing.shape:
                return sent
            slope = call_node(note.node, [torch.ones_like(incoming)])[0]
            if slope is None:
                return sent
            unit = note.unit_dim % incoming.ndim
            others = [dim for dim in range(incoming.ndim) if dim != unit]
            largest = slope.abs().amax(others, keepdim=True) if others else slope.abs()
            sent[0] = torch.where(largest == 0.0, value * incoming, outgoing)
            return sent

        self._changes[site] = change

    def _even_out(self, site: int, _: int, value: float) -> None:
        node: Any = self._graph.notes[site].node
        try:
            dim = int(node._saved_dim)
        except AttributeError:
            raise CannotSwapError(
                f"{self._graph.sites[site].name} does not tell along which axis it runs"
            ) from None
        dim = dim - 2**64 if dim >= 2**63 else dim

        def change(
            arrived: Sequence[Tensor | None], sent: list[Tensor | None]
        ) -> list[Tensor | None]:
            incoming = arrived[0]
            if incoming is None:
                return sent
            rest = incoming - incoming.mean(dim, keepdim=True)
            sent[0] = value * rest / incoming.shape[dim]
            return sent

        self._changes[site] = change

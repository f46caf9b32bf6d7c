"""Random draws whose derivative is zero, and what their parameters never hear of.

`torch.normal`, `torch.bernoulli` and `torch.poisson` take numbers with a gradient and give out
numbers with one, and the derivative between them is zero. A decoder behind such a draw learns. The
encoder before it does not learn from the decoder, though the rest of the loss may reach it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.operations import MATMUL_OPS, VIEW_OPS
from unvanish.core.records import Parameter, Recording, Role, Site
from unvanish.diagnose.neighbours import Neighbours

DRAWS: Final = frozenset({"normal", "bernoulli", "poisson"})
"""Functions that draw by what they are given, and pass it no gradient."""

_JOINS: Final = VIEW_OPS | {"add", "sum", "mean", "broadcast_tensors"}
"""Steps that bring a draw and what it is drawn by together without measuring how likely it is."""


@dataclass(frozen=True, slots=True)
class DeafDraw:
    """A line that draws, and parameters that hear nothing of what is made of the draw.

    Attributes:
        sites: Its calls, in forward order.
        feeds: Names of the trainable parameters of the layers that work on what was drawn first.
        deaf: Parameters that it is drawn by, and that these layers send no gradient.
    """

    sites: tuple[Site, ...]
    feeds: tuple[str, ...]
    deaf: tuple[Parameter, ...]


def deaf_draws(recording: Recording) -> list[DeafDraw]:
    """Find draws that keep what layers make of them from the parameters they are drawn by.

    A gradient has to arrive at the draw from a layer with trainable weights, and no way but through
    the draw may lead from that layer, or from another call of it, to the parameters. A draw whose
    likelihood is computed, as that of an action, is none.

    Args:
        recording: What was measured.
    """
    arrived = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    lines: dict[tuple[str, str, str], list[Site]] = {}
    for site in recording.sites:
        if site.op in DRAWS and arrived.get(site) > -math.inf:
            lines.setdefault((site.op, site.path, str(site.source)), []).append(site)
    if not lines:
        return []
    graph = _Graph(recording)
    found = []
    for drawing in lines.values():
        feeds, deaf = graph.unheard(drawing)
        if feeds and deaf:
            found.append(DeafDraw(tuple(drawing), feeds, deaf))
    return found


class _Graph:
    """The steps of a recording, with what of them is trained."""

    def __init__(self, recording: Recording) -> None:
        self._sites = recording.sites
        self._neighbours = Neighbours(recording)
        self._arrived = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
        self._trained = {
            name: one
            for one in recording.parameters
            if one.requires_grad and one.in_optimizer is not False
            for name in (one.name, *one.aliases)
        }
        self._used: Mapping[int, list[Parameter]] = _uses(self._trained.values())

    def unheard(self, drawing: Sequence[Site]) -> tuple[tuple[str, ...], tuple[Parameter, ...]]:
        """Return the first layers behind some draws, and the parameters these never teach."""
        layers = self._first_layers({one.index for one in drawing})
        feeds = tuple(dict.fromkeys(name for one in layers for name in self._weights(one)))
        if not feeds:
            return (), ()
        teachers = self._later_layers(layers)
        own = {name for one in teachers for name in one.weights}
        teachers += [one for one in self._sites if not own.isdisjoint(one.weights)]
        heard = self._parameters(self._behind(teachers))
        before = self._parameters(self._behind(drawing, through=drawing))
        return feeds, tuple(
            one for name, one in before.items() if name not in heard and one.has_grad
        )

    def _first_layers(self, drawing: Collection[int]) -> list[Site]:
        """Follow draws to the layers that use them; to none where their likelihood is computed."""
        drawn, drawn_by = set(drawing), self._given(drawing)
        layers = []
        for site in self._sites:
            if site.index in drawing or site.index in drawn_by:
                continue
            before = {one.index for one in self._neighbours.producers(site)}
            if drawn.isdisjoint(before):
                if not (drawn_by.isdisjoint(before) or site.weights or site.op in MATMUL_OPS):
                    drawn_by.add(site.index)
            elif self._is_layer(site):
                layers.append(site)
            elif not drawn_by.isdisjoint(before) and site.op not in _JOINS:
                return []
            else:
                drawn.add(site.index)
        return [one for one in layers if self._arrived.get(one) > -math.inf]

    def _given(self, drawing: Iterable[int]) -> set[int]:
        """Return the steps that make what is drawn by, back to the layers before them."""
        found: set[int] = set()
        waiting = list(drawing)
        while waiting:
            for one in self._neighbours.producers(self._sites[waiting.pop()]):
                if one.index not in found and one.role is not Role.WEIGHT:
                    found.add(one.index)
                    if not one.weights and one.op not in MATMUL_OPS:
                        waiting.append(one.index)
        return found

    def _later_layers(self, layers: Sequence[Site]) -> list[Site]:
        """Return some layers and all that work on what they make."""
        seen = {one.index for one in layers}
        waiting = list(layers)
        while waiting:
            for one in self._neighbours.consumers(waiting.pop()):
                if one.index not in seen:
                    seen.add(one.index)
                    waiting.append(one)
        return [self._sites[index] for index in sorted(seen) if self._is_layer(self._sites[index])]

    def _behind(self, ends: Iterable[Site], *, through: Sequence[Site] = ()) -> set[int]:
        """Return some steps and all that they are computed from, by ways that pass no draw.

        Args:
            ends: The steps.
            through: Draws that are passed all the same.
        """
        passed = {one.index for one in through}
        seen = {one.index for one in ends}
        waiting = sorted(seen)
        while waiting:
            site = self._sites[waiting.pop()]
            if site.op in DRAWS and site.index not in passed:
                continue
            for one in self._neighbours.producers(site):
                if one.index not in seen:
                    seen.add(one.index)
                    waiting.append(one.index)
        return seen

    def _is_layer(self, site: Site) -> bool:
        """Tell whether a step multiplies its input with a matrix that is trained."""
        return bool(self._weights(site)) and (site.op in MATMUL_OPS or site.function in MATMUL_OPS)

    def _weights(self, site: Site) -> list[str]:
        return [name for name in site.weights if name in self._trained]

    def _parameters(self, steps: Collection[int]) -> dict[str, Parameter]:
        """Return the trained parameters that some steps use, by name."""
        found: dict[str, Parameter] = {}
        for index in sorted(steps):
            named = (self._trained[name] for name in self._weights(self._sites[index]))
            found.update((one.name, one) for one in (*named, *self._used.get(index, ())))
        return found


def _uses(parameters: Iterable[Parameter]) -> dict[int, list[Parameter]]:
    """Return the parameters that each step uses."""
    found: dict[int, list[Parameter]] = {}
    for one in parameters:
        for use in one.uses:
            found.setdefault(use.site, []).append(one)
    return found

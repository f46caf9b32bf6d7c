"""Collect the local factors of one backward pass, in few transfers."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from unvanish.core.glossary import Quantity
from unvanish.core.operations import Node
from unvanish.core.records import Role
from unvanish.observe.failures import is_out_of_memory
from unvanish.observe.graph import Graph
from unvanish.observe.local import functions, kernels, layout, products
from unvanish.observe.local.normalisations import NORMS
from unvanish.observe.statistics.attention import token_deviation
from unvanish.observe.statistics.magnitude import dense_values, log10_norm, norms

_log = logging.getLogger(__name__)

_FLUSH_TENSORS: Final = 96
_FLUSH_BYTES: Final = 4 * 2**20
_SCALES: Final = {**products.SCALES, **kernels.SCALES, **functions.SCALES, **layout.SCALES}
_SIGNALS: Final = {**products.SIGNALS, **kernels.SIGNALS}


class LocalFactors:
    """Collects the local factors of one backward pass, in few transfers.

    Args:
        graph: The computation that is walked.
        batch_size: Samples in the batch, to tell the tokens of one sample from samples.

    Attributes:
        scales: (consumer, position) to log10 |J|_F / sqrt(n).
        profiles: What was measured at sites, each site once.
    """

    def __init__(self, graph: Graph, batch_size: int = 0) -> None:
        self.graph = graph
        self.scales: dict[tuple[int, int], float] = {}
        self.profiles: dict[Quantity, dict[int, float]] = {}
        self._batch_size = batch_size
        self._waiting: dict[torch.device, list[tuple[Any, Tensor, float]]] = {}
        self._bytes = 0
        self._norms: dict[tuple[str, int], float] = {}
        self._apart: dict[int, Tensor] = {}

    def visit(
        self, index: int, arrived: Sequence[Tensor | None], sent: Sequence[Tensor | None]
    ) -> None:
        """Take the factors of one node.

        Args:
            index: Index of the node.
            arrived: Accumulated gradient of each output slot.
            sent: Contribution along each edge, in the same scale.
        """
        note, site = self.graph.notes[index], self.graph.sites[index]
        if site.role is not Role.SIGNAL:
            return
        gradient = arrived[0] if arrived else None
        if gradient is None or gradient.layout is not torch.strided or not gradient.numel():
            return
        try:
            with torch.no_grad():
                if site.weights or site.op == "add":
                    values = dense_values(gradient)
                    if math.prod(note.shape) == values.numel():  # a matrix product folds tokens
                        values = values.reshape(note.shape)
                    apart = token_deviation(values, self._batch_size)
                    if apart is not None:
                        self._apart[index] = apart
                if note.packed or gradient.is_complex():
                    return  # reading what a node keeps may run the user's code
                self._read(index, note.node, gradient, sent)
        except Exception as error:  # a tensor changed in place, a sparse one: no factor then
            if is_out_of_memory(error):
                raise
            _log.debug("no local factor at %s", site.name, exc_info=True)

    def finish(self) -> None:
        """Read everything that waits for a transfer."""
        self._flush()
        self._slopes()
        for name, quantity in (
            ("signal", Quantity.LOG10_WEIGHT_SIGNAL_NORM),
            ("affine", Quantity.LOG10_NORM_AFFINE),
            ("projection", Quantity.LOG10_NORM_PROJECTION),
        ):
            for (kind, index), value in self._norms.items():
                if kind == name:
                    less = {"affine": "arrived", "projection": "affine"}.get(name)
                    value -= self._norms[less, index] if less else 0.0
                    if math.isfinite(value) or (name == "signal" and value == -math.inf):
                        self.profiles.setdefault(quantity, {})[index] = value
        if self._apart:
            values = torch.stack([v.cpu() for v in self._apart.values()]).tolist()
            found = dict(zip(self._apart, values, strict=True))
            self.profiles[Quantity.GRAD_TOKEN_DEVIATION] = {
                i: v for i, v in found.items() if math.isfinite(v)
            }

    def _read(
        self, index: int, node: Node, gradient: Tensor, sent: Sequence[Tensor | None]
    ) -> None:
        name = node.name()
        wanted = {
            link.position: self._leads_to_weights(link.producer) for link in self.graph.links[index]
        }
        if name in NORMS:
            if sent and sent[0] is not None:
                for kind, values in NORMS[name](node, gradient, sent[0]):
                    self._add((kind, index), values, 0.0)
            return
        if name in _SCALES and Quantity.SLOPE_RMS not in self.graph.notes[index].values:
            for position, tensor, log10 in _SCALES[name](node, gradient):
                if wanted.get(position) is False:
                    self._add((index, position), tensor, log10)
        if name in _SIGNALS:
            for position, tensor in _SIGNALS[name](node, gradient):
                if wanted.get(position):
                    self._add(("signal", index), tensor, 0.0)

    def _leads_to_weights(self, producer: int | None) -> bool:
        return producer is None or self.graph.sites[producer].role is Role.WEIGHT

    def _slopes(self) -> None:
        """Take the scale of every activation from its slopes, which the forward pass showed."""
        found = {
            index: torch.as_tensor(note.values[Quantity.SLOPE_RMS], dtype=torch.float64).cpu()
            for index, note in enumerate(self.graph.notes)
            if Quantity.SLOPE_RMS in note.values
        }
        if not found:
            return
        values = torch.stack([value.reshape(()) for value in found.values()]).tolist()
        for index, slope in zip(found, values, strict=True):
            if slope > 0.0:
                for link in self.graph.links[index]:
                    if not self._leads_to_weights(link.producer):
                        self.scales[index, link.position] = math.log10(slope)

    def _add(self, key: Any, tensor: Tensor | None, log10: float) -> None:
        if tensor is None:
            self._keep(key, log10)
            return
        values = dense_values(tensor)
        if not values.is_floating_point():
            values = values.double()
        self._waiting.setdefault(values.device, []).append((key, values, log10))
        self._bytes += values.numel() * values.element_size()
        if self._bytes >= _FLUSH_BYTES or sum(map(len, self._waiting.values())) >= _FLUSH_TENSORS:
            self._flush()

    def _flush(self) -> None:
        for waiting in self._waiting.values():
            read = norms([values for _, values, _ in waiting])
            for (key, values, log10), norm in zip(waiting, read, strict=True):
                self._keep(key, log10_norm(values, norm) + log10)
        self._waiting.clear()
        self._bytes = 0

    def _keep(self, key: Any, value: float) -> None:
        if isinstance(key[0], str):
            self._norms[key] = value
        elif math.isfinite(value):
            self.scales[key] = value

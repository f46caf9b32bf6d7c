"""Read the gradient at every node and along every edge of one backward pass.

A hook on an autograd node sees the gradient that arrived (accumulated over all uses of
the node's output) and the contribution it sends along each edge, before accumulation. On
every path from the loss, log|gradient at a node| - log|gradient at the loss| is then the
exact sum of edge gains and merges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from unvanish.core.glossary import Quantity
from unvanish.core.operations import MATMUL_OPS
from unvanish.core.records import Edge
from unvanish.observe.failures import is_out_of_memory
from unvanish.observe.graph import Graph, Link
from unvanish.observe.local import LocalFactors
from unvanish.observe.opaque import in_the_open
from unvanish.observe.statistics.magnitude import (
    LOG10_2,
    dense_values,
    dot64,
    log10_norm,
    norms,
)
from unvanish.observe.statistics.samples import directions, sample_matrix

_FLUSH_TENSORS = 96
_SMALLEST_ENERGY = 1e-280
"""Below this a float64 sum of squares has lost entries."""
_SMALLEST_LOG10_NORM = -30.0
"""Below this single entries of a float32 gradient may have been rounded to zero."""
_FLUSH_BYTES = 4 * 2**20


@dataclass(slots=True)
class ParameterGradient:
    """A parameter's gradient: the true value is ``tensor * 2**exponent``."""

    tensor: Tensor
    exponent: int = 0


@dataclass(slots=True)
class Gradients:
    """What one backward pass showed.

    Attributes:
        log10_norms: Node index to log10 of the Euclidean norm of the gradient that
            arrived there, over all its output slots.
        contributions: (consumer, position) to log10 norm of what was sent along the edge.
        shares: (consumer, position) to the signed share in what arrived at the producer.
        non_finite: Node index to the share of entries that are NaN or infinite.
        ranks: Node index to the number of directions that the samples' gradients take,
            where it was asked for.
        parameters: Name to gradient; parameters that none arrived at are absent.
        deepest_exponent: Most negative power of two that had to be kept apart.
        unmeasured: Node index to what our own code raised there.
        scales: (consumer, position) to the gain of a gradient without preferred direction.
        local: Other factors of single steps, where they were asked for.
        before_hooks: Node index to log10 of the norm that arrived before a hook of the user's.
        parameter_hooks: Name to the decades by which the hooks on its gradient change that.
    """

    log10_norms: dict[int, float] = field(default_factory=dict)
    contributions: dict[tuple[int, int], float] = field(default_factory=dict)
    shares: dict[tuple[int, int], float] = field(default_factory=dict)
    non_finite: dict[int, float] = field(default_factory=dict)
    ranks: dict[int, float] = field(default_factory=dict)
    parameters: dict[str, ParameterGradient] = field(default_factory=dict)
    deepest_exponent: int = 0
    unmeasured: dict[int, Exception] = field(default_factory=dict)
    scales: dict[tuple[int, int], float] = field(default_factory=dict)
    local: dict[Quantity, dict[int, float]] = field(default_factory=dict)
    before_hooks: dict[int, float] = field(default_factory=dict)
    parameter_hooks: dict[str, float] = field(default_factory=dict)

    def edges(self, graph: Graph) -> tuple[Edge, ...]:
        """Return the measured edges between sites, in forward order of the consumer."""
        found = []
        for row in graph.links:
            for link in row:
                key = (link.consumer, link.position)
                if link.producer is None or key not in self.contributions:
                    continue
                arrived = self.log10_norms.get(link.consumer, math.nan)
                sent = self.contributions[key]
                gain = -math.inf if sent == -math.inf else sent - arrived
                share, scale = self.shares.get(key, 1.0), self.scales.get(key, math.nan)
                found.append(Edge(link.producer, link.consumer, gain, share, scale))
        return tuple(found)


class GradientSink:
    """Collects the numbers of one backward pass, in few transfers and bounded memory.

    Args:
        graph: The computation that is walked.
        rank_of: Samples in the batch, where the directions of the samples' gradients are to
            be counted at the layers; 0 where not.
        local: Collects the factors of single steps; None where they are not asked for.
        hooked: Names of the parameters with hooks on their gradient, where hooks run.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        rank_of: int = 0,
        local: LocalFactors | None = None,
        hooked: frozenset[str] = frozenset(),
    ) -> None:
        self.graph = graph
        self._hooked = hooked
        self._before: dict[tuple[int, int], Tensor] = {}
        self._raw: dict[str, Tensor] = {}
        self._local = local
        self._rank_of = rank_of
        self._ranks: dict[int, tuple[Tensor, int]] = {}
        self.result = Gradients()
        self._waiting: list[tuple[Any, Tensor, int]] = []
        self._bytes = 0
        self._open: dict[tuple[int, int], list[tuple[Link, Tensor, int]]] = {}
        self._joint: dict[int, list[float]] = {}
        self._joint_before: dict[int, list[float]] = {}
        self._sent_alone: list[tuple[tuple[int, int], int]] = []

    def visit(
        self,
        node: int,
        arrived: Sequence[Tensor | None],
        sent: Sequence[Tensor | None],
        exponent: int = 0,
    ) -> None:
        """Take the numbers of one node: what arrived at its outputs, what it sent on.

        Args:
            node: Index of the node.
            arrived: Accumulated gradient of each output slot, scaled by ``2**-exponent``.
            sent: Contribution along each edge, in the same scale.
            exponent: Power of two the tensors must be multiplied with; 0 in a plain pass.
        """
        self.result.deepest_exponent = min(self.result.deepest_exponent, exponent)
        if self._local is not None:
            self._local.visit(node, arrived, sent)
        for slot, tensor in enumerate(arrived):
            if tensor is None:
                continue
            values = dense_values(tensor)
            self._add(("arrived", node), values, exponent)
            before = self._before.pop((node, slot), None)
            if before is not None:
                self._add(("before", node), before, exponent)
            if self._rank_of > 1 and slot == 0:
                self._count_directions(node, values, exponent)
            for link, contribution, its_exponent in self._open.pop((node, slot), ()):
                self._share(link, contribution, its_exponent, values, exponent)
        for link in self.graph.links[node]:
            tensor = sent[link.position] if link.position < len(sent) else None
            if tensor is None:
                continue
            key = (link.consumer, link.position)
            if link.producer is not None and self.graph.notes[link.producer].hooked:
                self.enter(link.producer, link.slot, tensor)
                tensor = tensor.clone()  # the hook may work in place
            elif link.parameter in self._hooked and tensor.layout is torch.strided:
                self._keep(str(link.parameter), dense_values(tensor))
            elif link.producer is not None and self.graph.uses.get(link.producer, 0) == 1:
                self._sent_alone.append((key, link.producer))  # equals what arrives there
                continue
            values = dense_values(tensor)
            self._add(("sent", key), values, exponent)
            if link.producer is not None:
                waiting = self._open.setdefault((link.producer, link.slot), [])
                waiting.append((link, values, exponent))

    def enter(self, node: int, slot: int, tensor: Tensor) -> None:
        """Add up what is on its way to a node with hooks, before they run."""
        with torch.no_grad():
            values, waiting = dense_values(tensor), self._before.get((node, slot))
            self._before[node, slot] = values.clone() if waiting is None else waiting + values

    def _keep(self, name: str, values: Tensor) -> None:
        with torch.no_grad():
            waiting = self._raw.get(name)
            self._raw[name] = values.clone() if waiting is None else waiting + values

    def raw(self, name: str) -> float:
        """Return log10 of the norm of a parameter's gradient before its hooks; ``nan`` if none."""
        return log10_norm(self._raw[name]) if name in self._raw else math.nan

    def finish(self) -> Gradients:
        """Return everything that was collected."""
        self._flush()
        result = self.result
        if self._local is not None:
            self._local.finish()
            result.scales, result.local = self._local.scales, self._local.profiles
        for node, parts in self._joint.items():
            result.log10_norms[node] = _joint_norm(parts)
        for node, parts in self._joint_before.items():
            result.before_hooks[node] = _joint_norm(parts)
        for key, producer in self._sent_alone:
            if producer in result.log10_norms:
                result.contributions[key] = result.log10_norms[producer]
        counted = {
            node: rank
            for node, (rank, exponent) in self._ranks.items()
            if result.log10_norms.get(node, math.nan) - exponent * LOG10_2 > _SMALLEST_LOG10_NORM
        }
        if counted:
            values = torch.stack(list(counted.values())).tolist()
            found = zip(counted, values, strict=True)
            result.ranks.update((node, rank) for node, rank in found if math.isfinite(rank))
        return result

    def _count_directions(self, node: int, values: Tensor, exponent: int) -> None:
        """Count the directions of the samples' gradients at the output of a layer."""
        site = self.graph.sites[node]
        if not site.weights or site.op not in MATMUL_OPS:
            return
        with torch.no_grad():
            samples = sample_matrix(values, self._rank_of)
            if samples is not None:
                self._ranks[node] = directions(samples), exponent

    def _add(self, key: Any, values: Tensor, exponent: int) -> None:
        if values.numel() == 0:
            return
        self._waiting.append((key, values, exponent))
        self._bytes += values.numel() * values.element_size()
        if len(self._waiting) >= _FLUSH_TENSORS or self._bytes >= _FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        with torch.no_grad():
            tensors = [values for _, values, _ in self._waiting]
            for (key, values, exponent), norm in zip(self._waiting, norms(tensors), strict=True):
                kind, where = key
                log10 = log10_norm(values, norm) + exponent * LOG10_2
                if math.isnan(log10) and kind == "arrived":
                    bad = values.numel() - int(torch.isfinite(values).sum())
                    self.result.non_finite[where] = bad / values.numel()
                if kind == "arrived":
                    self._joint.setdefault(where, []).append(log10)
                elif kind == "before":
                    self._joint_before.setdefault(where, []).append(log10)
                else:
                    self.result.contributions[where] = log10
        self._waiting.clear()
        self._bytes = 0

    def _share(
        self, link: Link, contribution: Tensor, its_exponent: int, total: Tensor, exponent: int
    ) -> None:
        if contribution.shape != total.shape:
            return
        with torch.no_grad():
            energy = float(dot64(total, total))
            if energy < _SMALLEST_ENERGY and total.numel():
                largest = float(total.abs().amax())
                if largest == 0.0:
                    return
                contribution, total = contribution / largest, total / largest
                energy = float(dot64(total, total))
            if not 0.0 < energy < math.inf:
                return
            share = float(dot64(contribution, total)) / energy
        self.result.shares[(link.consumer, link.position)] = share * 2.0 ** (
            its_exponent - exponent
        )


def _joint_norm(log10_parts: list[float]) -> float:
    """Combine norms of several slots: log10 sqrt(sum 10^(2 p))."""
    largest = max(log10_parts)
    if math.isnan(sum(log10_parts)):
        return math.nan
    if largest == -math.inf:
        return -math.inf
    return largest + 0.5 * math.log10(sum(10 ** (2 * (p - largest)) for p in log10_parts))


def run_backward(
    graph: Graph,
    roots: Sequence[Tensor],
    cotangents: Sequence[Tensor] | None,
    parameters: dict[str, Tensor],
    *,
    keep: bool = True,
    rank_of: int = 0,
    local: LocalFactors | None = None,
) -> Gradients:
    """Run PyTorch's own backward pass and read every node on the way.

    The graph is kept. A function with a backward pass of its own may differentiate a part of
    the network by itself, as a reversible layer does, and add to ``.grad`` what no edge of
    this graph carries; that is taken from there.

    Args:
        graph: The computation behind the roots.
        roots: Tensors to start from, usually the loss alone.
        cotangents: Gradient at each root; None for a scalar loss.
        parameters: Name to parameter, those that want a gradient.
        keep: Whether to keep the parameters' gradients, not only the numbers on the way.
        rank_of: Samples in the batch, to count the directions of their gradients; 0 not to.
        local: Collects the factors of single steps; None where they are not asked for.

    Returns:
        The gradients; parameters without a path from the roots are absent.
    """
    hooked = frozenset(name for name, one in parameters.items() if one._backward_hooks)
    sink = GradientSink(graph, rank_of=rank_of, local=local, hooked=hooked)
    for position, root in enumerate(roots):
        index = graph.index[root.grad_fn]
        if graph.notes[index].hooked:
            entering = torch.ones_like(root) if cotangents is None else cotangents[position]
            sink.enter(index, root.output_nr, entering)

    def hook_for(index: int) -> Any:
        def hook(sent: Sequence[Tensor | None], arrived: Sequence[Tensor | None]) -> None:
            try:
                sink.visit(index, arrived, sent)
            except Exception as error:  # the engine would blame the user's backward pass
                if is_out_of_memory(error):
                    raise
                sink.result.unmeasured[index] = error

        return hook

    grads_before = {name: parameter.grad for name, parameter in parameters.items()}
    handles = [note.node.register_hook(hook_for(index)) for index, note in enumerate(graph.notes)]
    try:
        with in_the_open():  # a checkpoint runs its part of the forward pass again
            grads = torch.autograd.grad(
                list(roots),
                list(parameters.values()),
                grad_outputs=list(cotangents) if cotangents is not None else None,
                retain_graph=True,
                allow_unused=True,
            )
    finally:
        for handle in handles:
            handle.remove()
    result = sink.finish()
    given: dict[str, Tensor | None] = dict(zip(parameters, grads, strict=True))
    for name, parameter in parameters.items():
        before, added = grads_before[name], parameter.grad
        parameter.grad = before
        found = added if given[name] is None and added is not before else given[name]
        if keep and found is not None:
            result.parameters[name] = ParameterGradient(found.detach())
            if name in hooked and math.isfinite(raw := sink.raw(name)):
                after = log10_norm(dense_values(found.detach()))
                result.parameter_hooks[name] = 0.0 if after == raw else after - raw
    return result

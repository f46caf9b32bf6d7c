"""Recurrences: the same weights called again and again, each call fed by the one before.

They are found in the graph and not by module, so that a loop over cells or over plain
matrix products is seen as `nn.LSTM` is; so is a state that no matrix multiplies, such as that
of a leaky integrator or of a diagonal state-space model. A loop counts as time only where every
turn brings input of its own: a tied stack of layers, an equilibrium model or an ODE solver turns
the same input over, and is depth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from unvanish.core.operations import MATMUL_OPS
from unvanish.core.records import Role
from unvanish.observe.graph import Graph, Link
from unvanish.observe.opaque import in_the_open
from unvanish.observe.statistics.magnitude import dense_values, norm64

SELECTING: Final = frozenset(
    "select slice getitem index index_select gather narrow unbind split chunk unsafe_split "
    "split_with_sizes".split()
)
"""Operations that hand out part of a tensor: each turn of a loop may take another part."""

_PLAIN_SUMS: Final = frozenset({"add", "sub", "rsub"})
_SUMS: Final = _PLAIN_SUMS | {"lerp", "addcmul", "addcdiv"}
"""Operations in which a state without a matrix takes up what is new."""

FEWEST_CALLS: Final = 4
_MOST_PASSES: Final = 3
_MOST_LOOPS: Final = 64


@dataclass(frozen=True, slots=True)
class Recurrence:
    """One step of a loop over time: the one that bears weights, or that adds up the state.

    Attributes:
        calls: Its nodes, first time step first.
        after: Node index to the last node that it depends on of all that call these weights.
    """

    calls: tuple[int, ...]
    after: Mapping[int, int]

    def reaches(self, other: Recurrence) -> bool:
        """Tell whether the last call of another recurrence depends on this one."""
        return self.after.get(other.calls[-1]) in self.calls


def recurrences(graph: Graph) -> list[Recurrence]:
    """Return every loop over time, each once, whatever number of weights it has."""
    found: list[Recurrence] = []
    for calls in _repeated(graph)[:_MOST_LOOPS]:
        for chain in _chains(graph, calls):
            same = any(one.reaches(chain) and chain.reaches(one) for one in found)
            if not same and _is_fed(graph, chain):
                found.append(chain)
    for calls in _summed(graph)[:_MOST_LOOPS]:
        for chain in _chains(graph, calls):
            if not _fades(graph, chain):
                continue
            same = any(one.reaches(chain) and chain.reaches(one) for one in found)
            if not same and _is_fed(graph, chain):
                found.append(chain)
    return found


def probe_last_steps(graph: Graph, found: Sequence[Recurrence]) -> dict[int, float]:
    """Send random signs back from the last call of every recurrence alone.

    Recurrences that do not depend on each other share one backward pass.

    Args:
        graph: The computation.
        found: Its recurrences.

    Returns:
        Index of each call to log10 of the Euclidean norm of the gradient that arrives.
    """
    passes: list[list[Recurrence]] = []
    for one in found:
        free = (
            group
            for group in passes
            if not any(one.reaches(other) or other.reaches(one) for other in group)
        )
        group = next(free, None)
        if group is not None:
            group.append(one)
        elif len(passes) < _MOST_PASSES:
            passes.append([one])
    log10_norms: dict[int, float] = {}
    for group in passes:
        log10_norms.update(_backward(graph, group))
    return log10_norms


def _repeated(graph: Graph) -> list[list[int]]:
    """Return the weight-bearing nodes that are called often, and deeper at every call."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
    for site in graph.sites:
        if site.role is Role.SIGNAL and site.weights and site.op in MATMUL_OPS:
            groups.setdefault((site.path, site.op, site.weights), []).append(site.index)
    return [
        calls
        for calls in groups.values()
        if len(calls) >= FEWEST_CALLS and len({graph.sites[i].depth for i in calls}) >= FEWEST_CALLS
    ]


def _summed(graph: Graph) -> list[list[int]]:
    """Return the sums without a matrix that one line of the user's makes often."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for site in graph.sites:
        if site.role is Role.SIGNAL and site.op in _SUMS:
            key = (site.path, site.op, site.weights, site.source, site.shape)
            groups.setdefault(key, []).append(site.index)
    return [calls for calls in groups.values() if len(calls) >= FEWEST_CALLS]


def _fades(graph: Graph, chain: Recurrence) -> bool:
    """Tell whether something happens to a state between the sums, all alike at every turn.

    A plain running sum, a residual stream among them, keeps all that it ever took up. Where
    other weights are met at every turn, the loop is one over layers.
    """
    turns: list[frozenset[str]] = []
    for start, end in pairwise(chain.calls):
        plain = graph.sites[end].op in _PLAIN_SUMS
        if plain and any(link.producer == start for link in graph.links[end]):
            return False
        inside = (i for i in range(start + 1, end + 1) if chain.after.get(i) in (start, end))
        turns.append(frozenset(name for i in inside for name in graph.sites[i].weights))
    return len(set(turns[:-1])) < 2


def _chains(graph: Graph, calls: list[int]) -> list[Recurrence]:
    """Cut the calls of one step into runs in which each depends on the one before."""
    called = set(calls)
    after: dict[int, int] = {}
    before: dict[int, int] = {}
    for node in range(calls[0], len(graph.links)):
        behind = [
            after[link.producer]
            for link in graph.links[node]
            if link.producer is not None and link.producer in after
        ]
        if node in called:
            if behind:
                before[node] = max(behind)
            after[node] = node
        elif behind:
            after[node] = max(behind)
    taken: set[int] = set()
    chains = []
    for last in reversed(calls):
        run = []
        call: int | None = last
        while call is not None and call not in taken:
            taken.add(call)
            run.append(call)
            call = before.get(call)
        if len(run) >= FEWEST_CALLS:
            chains.append(Recurrence(tuple(reversed(run)), after))
    return chains[::-1]


Token = tuple[str, int, int]
"""One piece of input: a slot of a node, or data that never was on the graph."""


def _is_fed(graph: Graph, chain: Recurrence) -> bool:
    """Tell whether most calls bring input that no other call of the chain brings."""
    known: dict[int, frozenset[Token]] = {}
    brought = [_brought(graph, chain, k, known) for k in range(1, len(chain.calls))]
    count: dict[Token, int] = {}
    for tokens in brought:
        for token in tokens:
            count[token] = count.get(token, 0) + 1
    fed = sum(any(count[token] == 1 for token in tokens) for tokens in brought)
    return 2 * fed >= len(brought)


def _brought(
    graph: Graph, chain: Recurrence, k: int, known: dict[int, frozenset[Token]]
) -> set[Token]:
    """Collect the input that joins between call k - 1 and the end of call k's turn."""
    end, start = chain.calls[k], chain.calls[k - 1]
    tokens: set[Token] = set()
    seen = {start}
    stack = [end]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        tokens.update(("data", key, 0) for key in graph.notes[node].data)
        for link in graph.links[node]:
            if link.producer is None:
                continue
            at = chain.after.get(link.producer)
            if at is None:
                tokens.update(_tokens_of(graph, link, chain.after, known))
            elif at == start:
                stack.append(link.producer)
    return tokens


def _tokens_of(
    graph: Graph, link: Link, after: Mapping[int, int], known: dict[int, frozenset[Token]]
) -> Iterable[Token]:
    """Trace what a side input is made of, back to where it was cut out of something."""
    assert link.producer is not None
    if graph.sites[link.producer].op in SELECTING:
        return (("slot", link.producer, link.slot),)
    stack = [link.producer]
    while stack:
        node = stack[-1]
        if node in known:
            stack.pop()
            continue
        behind = [
            one
            for one in graph.links[node]
            if one.producer is not None
            and one.producer not in after
            and graph.sites[one.producer].role is not Role.WEIGHT
        ]
        cut = [one for one in behind if graph.sites[one.producer].op in SELECTING]  # type: ignore[index]
        whole = [one.producer for one in behind if one not in cut]
        waiting = [p for p in whole if p is not None and p not in known]
        if waiting:
            stack.extend(waiting)
            continue
        tokens: set[Token] = {("data", key, 0) for key in graph.notes[node].data}
        tokens.update(("slot", one.producer or 0, one.slot) for one in cut)
        for producer in whole:
            tokens.update(known[producer])  # type: ignore[index]
        known[node] = frozenset(tokens)
        stack.pop()
    return known[link.producer]


def _backward(graph: Graph, group: Sequence[Recurrence]) -> dict[int, float]:
    """Run one backward pass from the last calls to the first ones."""
    arrived: dict[int, Tensor] = {}

    def hook_for(index: int) -> object:
        def hook(grads: Sequence[Tensor | None]) -> None:
            if grads[0] is not None:
                arrived[index] = norm64(dense_values(grads[0]))

        return hook

    ends, starts, signs = [], [], []
    handles: list[Any] = []
    for one in group:
        last = graph.notes[one.calls[-1]].node
        ends.append(GradientEdge(last, 0))
        starts.append(GradientEdge(graph.notes[one.calls[0]].node, 0))
        signs.append(_signs_like(last))
    try:
        for one in group:
            handles.extend(
                graph.notes[index].node.register_prehook(hook_for(index)) for index in one.calls
            )
        with in_the_open():
            at_start = torch.autograd.grad(
                ends, starts, grad_outputs=signs, retain_graph=True, allow_unused=True
            )
    finally:
        for handle in handles:
            handle.remove()
    for one, grad in zip(group, at_start, strict=True):
        if grad is not None:  # the pass ends before these nodes run
            arrived[one.calls[0]] = norm64(dense_values(grad))
    if not arrived:
        return {}
    values = torch.stack(list(arrived.values())).tolist()
    return {
        index: math.log10(value) if value > 0.0 else (-math.inf if value == 0.0 else math.nan)
        for index, value in zip(arrived, values, strict=True)
    }


def _signs_like(node: object) -> Tensor:
    """Draw a random sign for every entry of a node's first output."""
    kind = node._input_metadata[0]  # type: ignore[attr-defined]
    shape = tuple(int(extent) for extent in kind.shape)
    draw = torch.randint(0, 2, shape, device=kind.device)
    return draw.mul_(2).sub_(1).to(kind.dtype)

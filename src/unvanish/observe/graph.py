"""From noted autograd nodes to sites and edges: depth, roles, where the output begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from torch import Tensor

from unvanish.core.operations import MATMUL_OPS, VIEW_OPS, Node, is_leaf_node, shape_of
from unvanish.core.records import Role, Site
from unvanish.observe.forward import ForwardTape
from unvanish.observe.opaque import is_opaque
from unvanish.observe.readings import NodeNote

_PASSING_GATES: Final = VIEW_OPS | {"sub", "rsub"}
"""A gate stays one when it is moved, or turned into ``1 - gate`` (highway, GRU)."""


@dataclass(frozen=True, slots=True)
class Link:
    """One edge of the autograd graph, as the backward pass walks it.

    Attributes:
        consumer: Index of the node that sends the gradient.
        position: Which of its inputs the edge belongs to.
        producer: Index of the node that receives it, or None for a parameter.
        slot: Which output of the producer was used.
        parameter: Name of the parameter, where the edge ends in one.
    """

    consumer: int
    position: int
    producer: int | None
    slot: int
    parameter: str | None


@dataclass(slots=True)
class Graph:
    """The computation of one look: sites, links, and the nodes behind them.

    Nodes stand in forward order: a producer always comes before its consumers.
    """

    notes: list[NodeNote]
    sites: list[Site]
    links: list[list[Link]]
    index: Mapping[Node, int]
    uses: dict[int, int] = field(default_factory=dict)
    """Number of links into each node."""
    leaf_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Shape of each parameter that some node uses."""


def build_graph(
    tape: ForwardTape,
    loss: Tensor,
    outputs: Iterable[Tensor],
    parameter_names: Mapping[int, str],
) -> Graph:
    """Turn what the tape noted into sites in forward order.

    Args:
        tape: The finished forward pass.
        loss: The loss; a tensor without ``grad_fn`` is allowed.
        outputs: The network's outputs, which separate the signal from the loss.
        parameter_names: id of a parameter to its name.
    """
    outputs = list(outputs)
    for tensor in (*outputs, loss):
        if tensor.grad_fn is not None:
            tape.discover(tensor.grad_fn)
    for node in tape.hooked & tape.notes.keys():
        tape.notes[node].hooked = True
    notes = list(tape.notes.values())
    index = {note.node: i for i, note in enumerate(notes)}
    links = [_links_of(i, note, index, parameter_names) for i, note in enumerate(notes)]
    uses: dict[int, int] = {}
    for row in links:
        for link in row:
            if link.producer is not None:
                uses[link.producer] = uses.get(link.producer, 0) + 1
    weighted = [_is_weighted(note, row, notes) for note, row in zip(notes, links, strict=True)]
    roles = _roles(notes, links, weighted, index, outputs)
    weights = _weights(notes, links)
    depths = _depths(links, weighted, roles)
    hidden = _leads_to_weights(links, weighted, roles)
    gates = _gates(notes, links)
    sites: list[Site] = []
    calls: dict[tuple[str, str, tuple[str, ...]], int] = {}
    for i, note in enumerate(notes):
        names = weights[i] if roles[i] is not Role.WEIGHT else ()
        path = _path_of(note, names, weighted[i])
        key = (path, note.op, names)
        call = calls.get(key, 0)
        calls[key] = call + 1
        size = 1
        shape = note.shape or shape_of(note.node)
        for extent in shape:
            size *= extent
        sites.append(
            Site(
                index=i,
                path=path,
                op=note.op,
                call=call,
                depth=depths[i],
                role=roles[i],
                size=size,
                shape=shape,
                module=note.module,
                function=note.function,
                source=note.source,
                built=note.built,
                weights=names,
                is_output=roles[i] is Role.SIGNAL and not hidden[i],
                gates=gates[i],
                can_saturate=note.activation is not None and note.activation.can_saturate,
                slope_cap=note.activation.cap if note.activation is not None else float("nan"),
                opaque=is_opaque(note.node.name()),
            )
        )
    leaf_shapes = {
        name: tuple(node.variable.shape)
        for note in notes
        for node, _ in note.node.next_functions
        if node is not None
        and is_leaf_node(node)
        and (name := parameter_names.get(id(node.variable))) is not None
    }
    return Graph(notes, sites, links, index, uses, leaf_shapes)


def _links_of(
    i: int, note: NodeNote, index: Mapping[Node, int], parameter_names: Mapping[int, str]
) -> list[Link]:
    row = []
    for position, (node, slot) in enumerate(note.node.next_functions):
        if node is None:
            continue
        if is_leaf_node(node):
            name = parameter_names.get(id(node.variable))
            row.append(Link(i, position, None, 0, name))
        else:
            row.append(Link(i, position, index[node], slot, None))
    return row


def _is_weighted(note: NodeNote, row: list[Link], notes: list[NodeNote]) -> bool:
    return (
        not note.from_weights
        and note.op in MATMUL_OPS
        and any(
            link.parameter is not None
            or (link.producer is not None and notes[link.producer].from_weights)
            for link in row
        )
    )


def _weights(notes: list[NodeNote], links: list[list[Link]]) -> list[tuple[str, ...]]:
    """Names of the parameters each node uses, directly or through weight-side nodes."""
    names: list[tuple[str, ...]] = []
    for row in links:
        own: dict[str, None] = {}
        for link in row:
            if link.parameter is not None:
                own[link.parameter] = None
            elif link.producer is not None and notes[link.producer].from_weights:
                own.update(dict.fromkeys(names[link.producer]))
        # "weight" before "bias", whichever order the autograd node keeps them in.
        names.append(tuple(sorted(own, key=lambda n: (n.rsplit(".", 1)[-1].startswith("bias"), n))))
    return names


def _roles(
    notes: list[NodeNote],
    links: list[list[Link]],
    weighted: list[bool],
    index: Mapping[Node, int],
    outputs: Iterable[Tensor],
) -> list[Role]:
    in_output = [False] * len(notes)
    for tensor in outputs:
        if tensor.grad_fn in index:
            in_output[index[tensor.grad_fn]] = True
    anything = any(in_output)
    for i in range(len(notes) - 1, -1, -1):
        if in_output[i]:
            for link in links[i]:
                if link.producer is not None:
                    in_output[link.producer] = True
    # Whatever a weighted step still comes after is not the loss, even if no output shows it.
    for i in range(len(notes) - 1, -1, -1):
        if weighted[i] or in_output[i]:
            for link in links[i]:
                if link.producer is not None:
                    in_output[link.producer] = True
            in_output[i] = True
    return [
        Role.WEIGHT
        if note.from_weights
        else Role.SIGNAL
        if in_output[i] or not anything
        else Role.LOSS
        for i, note in enumerate(notes)
    ]


def _depths(links: list[list[Link]], weighted: list[bool], roles: list[Role]) -> list[int]:
    depths: list[int] = []
    for i, row in enumerate(links):
        behind = [
            depths[link.producer]
            for link in row
            if link.producer is not None and roles[link.producer] is not Role.WEIGHT
        ]
        depths.append(max(behind, default=0) + weighted[i])
    return depths


def _leads_to_weights(
    links: list[list[Link]], weighted: list[bool], roles: list[Role]
) -> list[bool]:
    """Whether some weighted step of the signal path still uses this node's output."""
    hidden = [False] * len(links)
    for i in range(len(links) - 1, -1, -1):
        if roles[i] is Role.SIGNAL and (weighted[i] or hidden[i]):
            for link in links[i]:
                if link.producer is not None:
                    hidden[link.producer] = True
    return hidden


def _gates(notes: list[NodeNote], links: list[list[Link]]) -> list[bool]:
    """Whether a node's output is only ever multiplied with another signal."""
    consumers: dict[int, list[int]] = {}
    for i, row in enumerate(links):
        for link in row:
            if link.producer is not None:
                consumers.setdefault(link.producer, []).append(i)
    gates = [False] * len(notes)
    for i in range(len(notes) - 1, -1, -1):
        behind = consumers.get(i, [])
        gates[i] = bool(behind) and all(
            (notes[c].op == "mul" and _operands(links[c], notes) > 1)
            or (gates[c] and notes[c].op in _PASSING_GATES)
            for c in behind
        )
    return gates


def _operands(row: list[Link], notes: list[NodeNote]) -> int:
    """Count the signals a step works on; a constant or a parameter is none."""
    return sum(link.producer is not None and not notes[link.producer].from_weights for link in row)


def _path_of(note: NodeNote, names: tuple[str, ...], weighted: bool) -> str:
    """Prefer the module that owns the weights where one call uses several (attention)."""
    if weighted and names:
        owner = names[0].rpartition(".")[0]
        if owner.startswith(note.path) and ".parametrizations" not in owner:
            return owner
    return note.path

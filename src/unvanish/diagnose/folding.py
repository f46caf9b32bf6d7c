"""Flow over the layers of a recurrent network: all time steps of a layer count as one.

Unrolled in time, a stack of recurrent layers is as deep as it is long, and the state that each
layer starts from enters at depth 1: a cut at any depth is crossed by some early step of the top
layer, and hides what the layers below lose. Here the calls of the same weights are put together,
with all that lies on a way from one of them to another, so that what is left is depth alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from unvanish.core.flow import Flow, gradient_flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Profile, Recording, Site


def folded_flow(recording: Recording) -> Flow | None:
    """Return the flow over depth alone, or None where nothing is repeated over time.

    The levels stand for whole loops and name the call that gets most gradient.

    Args:
        recording: What was observed.
    """
    if not len(recording[Quantity.LOG10_LAST_STEP_GRAD_RMS]):
        return None
    quantity = Quantity.LOG10_PROBE_GRAD_RMS
    if not len(recording[quantity]):
        quantity = Quantity.LOG10_ACTIVATION_GRAD_RMS
    members = _members(recording)
    flow = gradient_flow(_folded(recording, quantity, members), quantity)
    if flow is None:
        return None
    grads = recording[quantity]

    def strongest(site: Site) -> Site:
        calls = [recording.sites[i] for i in members[site.index] if i in grads]
        layers = [call for call in calls if call.weights] or calls
        return max(layers, key=lambda call: _norm(call, grads[call]))

    return Flow(
        tuple(
            replace(level, layer=strongest(level.layer), widest=strongest(level.widest))
            for level in flow.levels
        )
    )


def _members(recording: Recording) -> list[list[int]]:
    """Partition the signal into loops and single steps, in an order that producers lead.

    Calls of the same weights are joined, and so is every cycle that this makes.
    """
    steps = [site.index for site in recording.signal_sites()]
    first: dict[tuple[str, str, tuple[str, ...]], int] = {}
    owner = {i: i for i in steps}
    for site in recording.signal_sites():
        if site.weights:
            owner[site.index] = first.setdefault((site.path, site.op, site.weights), site.index)
    uses: dict[int, set[int]] = {owner[i]: set() for i in steps}
    for edge in recording.edges:
        if edge.producer in owner and edge.consumer in owner:
            uses[owner[edge.producer]].add(owner[edge.consumer])
    component = {node: i for i, nodes in enumerate(_components(uses)) for node in nodes}
    parts: dict[int, list[int]] = defaultdict(list)
    for i in steps:
        parts[component[owner[i]]].append(i)
    return [parts[key] for key in sorted(parts, reverse=True)]


def _components(uses: Mapping[int, Iterable[int]]) -> list[list[int]]:
    """Return the strongly connected parts of a graph, consumers first (Tarjan)."""
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    open_nodes: list[int] = []
    closed: set[int] = set()
    found: list[list[int]] = []
    for root in uses:
        if root in number:
            continue
        walk = [(root, iter(uses[root]))]
        number[root] = low[root] = len(number)
        open_nodes.append(root)
        while walk:
            node, rest = walk[-1]
            for following in rest:
                if following not in number:
                    number[following] = low[following] = len(number)
                    open_nodes.append(following)
                    walk.append((following, iter(uses[following])))
                    break
                if following not in closed:
                    low[node] = min(low[node], number[following])
            else:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[node])
                if low[node] == number[node]:
                    part = [open_nodes.pop()]
                    while part[-1] != node:
                        part.append(open_nodes.pop())
                    found.append(part)
                    closed.update(part)
    return found


def _folded(
    recording: Recording, quantity: Quantity, members: Sequence[Sequence[int]]
) -> Recording:
    """Write the recording anew with one site for every part, its numbers pooled."""
    part_of = {i: part for part, steps in enumerate(members) for i in steps}
    pairs = sorted(
        {
            (part_of[edge.producer], part_of[edge.consumer])
            for edge in recording.edges
            if edge.producer in part_of and edge.consumer in part_of
        }
    )
    behind: dict[int, list[int]] = defaultdict(list)
    for producer, consumer in pairs:
        if producer != consumer:
            behind[consumer].append(producer)
    grads, rms = recording[quantity], recording[Quantity.ACTIVATION_RMS]
    sites: list[Site] = []
    log10_grads: dict[int, float] = {}
    sizes: dict[int, float] = {}
    for part, steps in enumerate(members):
        every = [recording.sites[i] for i in steps]
        layers = [site for site in every if site.weights] or every
        layers = [site for site in layers if site in grads] or layers
        size = sum(max(1, site.size) for site in layers)
        depth = max((sites[p].depth for p in behind[part]), default=0)
        is_layer = any(site.weights and site.depth > 0 for site in every)
        sites.append(replace(layers[0], index=part, call=0, size=size, depth=depth + is_layer))
        known = [(site, grads[site]) for site in layers if site in grads]
        if known:
            log10_grads[part] = _pooled(known) - 0.5 * math.log10(size)
        measured = [site for site in layers if site in rms]
        if measured:
            energy = sum(rms[site] * rms[site] * max(1, site.size) for site in measured)
            sizes[part] = math.sqrt(energy / sum(max(1, site.size) for site in measured))
    return Recording(
        sites=tuple(sites),
        edges=tuple(Edge(p, c, 0.0) for p, c in pairs if p != c),
        profiles={
            quantity: Profile(quantity, log10_grads),
            Quantity.ACTIVATION_RMS: Profile(Quantity.ACTIVATION_RMS, sizes),
        },
    )


def _norm(site: Site, log10_rms: float) -> float:
    return log10_rms + 0.5 * math.log10(max(1, site.size))


def _pooled(known: Sequence[tuple[Site, float]]) -> float:
    """Return log10 of the norm of several gradients together."""
    norms = [_norm(site, value) for site, value in known]
    most = max(norms)
    if not math.isfinite(most) or any(map(math.isnan, norms)):
        return math.nan if any(map(math.isnan, norms)) else most
    return most + 0.5 * math.log10(sum(10.0 ** (2.0 * (norm - most)) for norm in norms))

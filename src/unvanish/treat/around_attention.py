"""Attentions that nothing leads round.

Attention is a block as a layer with its function is, from the stream that asks to the layer that
ends it. It averages over tokens: a stack of it without a way round brings them together until
nothing tells them apart, whatever function or normalisation stands between.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from torch import nn

from unvanish.core.operations import VIEW_OPS
from unvanish.treat.attention import FUSED, MODULE
from unvanish.treat.blocks import (
    Block,
    Chain,
    blocks_of,
    computed_of,
    end_of,
    hidden_of,
    is_next_step,
    not_bypassed,
    start_place,
)
from unvanish.treat.calls import Call, Calls, Place, is_layer, start_of

_PRODUCTS: Final = frozenset({"matmul", "bmm", "einsum", "baddbmm"})
_MOVES: Final = VIEW_OPS | {"dropout"}
_ASKED: Final = 3
"""Query, key and value: the first signals that a fused attention is given."""
_RUNS: Final = 5
"""How many runs of the same weights are looked at."""
_TOKENS: Final = 3
"""Axes of a batch of sequences, and the fewest that attention over tokens has."""


def with_attentions(
    calls: Calls, model: nn.Module, blocks: list[Block], left: dict[str, int]
) -> list[Block]:
    """Return some blocks and the attentions that nothing leads round, in forward order.

    Args:
        calls: All calls.
        model: The network.
        blocks: Blocks of layers.
        left: Why others get no connection, to how many; added to here.
    """
    runs: dict[Place, list[Call]] = {}
    for call in calls:
        runs.setdefault(call.place, []).append(call)
        if is_layer(call) and (start := start_of(call, model)) != call.place:
            runs.setdefault(start, []).append(call)
    found = list(blocks)
    chains = _attention_chains(calls, model)
    for block in blocks_of(calls, chains, model):
        own = [chain for chain in chains if start_place(chain, model) == block.start]
        reason = _unfit_attention(calls, block, own, len(runs[block.start]))
        if reason:
            left[reason] = left.get(reason, 0) + len(block.weights)
        else:
            found.append(block)
    return sorted(found, key=lambda block: runs[block.start][0].index)


def _attention_chains(calls: Calls, model: nn.Module) -> list[Chain]:
    """Return the attentions of tokens to their own sequence that nothing leads round.

    Where something leads round one of them, none is returned: the network has its skips.

    Args:
        calls: All calls.
        model: The network.
    """
    computed, hidden = computed_of(calls), hidden_of(calls)
    found: dict[int, Chain] = {}
    for mix in _mixes(calls):
        whole = _module(calls, mix, model) if mix.function == MODULE else None
        chain = whole or _written_out(calls, mix, computed)
        if chain is None or chain.end.index not in hidden:
            continue
        asked = chain.layers[0].before[0]
        if asked in computed and len(chain.end.shape) >= _TOKENS:
            found.setdefault(chain.end.index, chain)
    chains = list(found.values())
    return chains if len(not_bypassed(calls, chains, computed)) == len(chains) else []


def _unfit_attention(calls: Calls, block: Block, chains: Sequence[Chain], runs: int) -> str:
    """Return why an attention gets no connection; empty where it does.

    Args:
        calls: All calls.
        block: The attention.
        chains: All that begin where it does.
        runs: How often the layer runs that it begins with.
    """
    if runs > block.calls:
        return "that make queries, keys or values in several places"
    if block.mixed:
        return "that run by turns with others and end in the same function"
    for first, second in itertools.pairwise(chains[:_RUNS]):
        if is_next_step(calls, first.end, calls[second.layers[0].before[0]]):
            return "that a loop over time runs"
    return ""


def _mixes(calls: Calls) -> Iterator[Call]:
    """Yield the calls in which tokens are averaged by weights that a softmax made."""
    for call in calls:
        if call.function in (FUSED, MODULE):
            yield call
        elif call.function == "softmax":
            yield from _weighed(calls, call)


def _weighed(calls: Calls, softmax: Call) -> Iterator[Call]:
    """Yield the products of a softmax with other signal."""
    waiting = [softmax]
    while waiting:
        for user in calls.users(waiting.pop().index):
            if user.function in _PRODUCTS and len(set(user.before)) > 1:
                yield user
            elif user.function in _MOVES:
                waiting.append(user)


def _module(calls: Calls, mix: Call, model: nn.Module) -> Chain | None:
    """Return the whole of a call of `nn.MultiheadAttention` that asks what it is asked."""
    if not isinstance(model.get_submodule(mix.path), nn.MultiheadAttention):
        return None
    if len(mix.before) < _ASKED or len(set(mix.before[:_ASKED])) > 1:
        return None
    end = mix
    for user in calls.users(mix.index):
        if user.place == (mix.path, "", None):
            end = user
    return Chain((mix,), end, whole=mix.path) if end.place[1] == "" else None


def _written_out(calls: Calls, mix: Call, computed: set[int]) -> Chain | None:
    """Return an attention whose queries, keys and values are layers of one and the same signal."""
    met = _entries(calls, mix, computed)
    if met is None or not _asks(calls, mix, met[1], computed):
        return None
    moved, end = _last(calls, mix, met[0][0].first)
    met = _entries(calls, moved, computed)
    if met is None or len({layer.before[0] for layer in met[0]}) != 1:
        return None
    first = min(met[0], key=lambda layer: layer.index)
    return Chain((first,), end) if first.first == end.shape else None


def _last(calls: Calls, mix: Call, stream: tuple[int, ...]) -> tuple[Call, Call]:
    """Return what moves a mixture last, and the layer behind it, if it is one of the attention's.

    That one brings it back to the shape of the stream. A layer with a function behind it begins
    something else.
    """
    here = mix
    while len(users := calls.users(here.index)) == 1:
        after = users[0]
        if is_layer(after) and after.shape == stream and end_of(calls, after) is None:
            return here, _with_bias(calls, after)
        if is_layer(after) or after.function not in _MOVES:
            break
        here = after
    return here, here


def _with_bias(calls: Calls, layer: Call) -> Call:
    """Return a layer, or the sum or dropout directly behind it that is a part of it."""
    here = layer
    while len(users := calls.users(here.index)) == 1:
        after = users[0]
        bias = after.function == "add" and after.weights and len(after.before) == 1
        if not bias and after.function != "dropout":
            break
        here = after
    return here


def _entries(
    calls: Calls, end: Call, computed: set[int]
) -> tuple[list[Call], dict[int, Call]] | None:
    """Return the nearest layers that a call is computed from, and what stands between.

    None where it is computed from anything else that is computed: a class token or a memory that
    no layer reads here, what a network remembers.
    """
    layers: dict[int, Call] = {}
    inside = {end.index: end}
    waiting = [end]
    while waiting:
        call = waiting.pop()
        above = [calls[index] for index in set(call.before) if index in computed]
        if call.index in computed and not above:
            return None
        for one in above:
            if is_layer(one):
                layers[one.index] = one
            elif one.index not in inside:
                inside[one.index] = one
                waiting.append(one)
    return (list(layers.values()), inside) if layers else None


def _asks(calls: Calls, mix: Call, inside: dict[int, Call], computed: set[int]) -> bool:
    """Tell whether queries and keys, or what is weighed, are all computed in this network."""
    if mix.function == FUSED:
        return len(mix.before) >= _ASKED and all(i in computed for i in mix.before[:_ASKED])
    softmaxes = [one for one in inside.values() if one.function == "softmax"]
    return len(softmaxes) == 1 and any(
        one.function in _PRODUCTS
        and len(one.before) > 1
        and all(index in computed for index in one.before[-2:])
        for one in _above(calls, softmaxes[0], inside)
    )


def _above(calls: Calls, call: Call, inside: dict[int, Call]) -> Iterator[Call]:
    """Yield what a call is computed from among some calls."""
    waiting, seen = [call], {call.index}
    while waiting:
        for index in waiting.pop().before:
            if index in inside and index not in seen:
                seen.add(index)
                waiting.append(calls[index])
                yield calls[index]

"""Blocks that nothing leads round: a layer, or two, and the functions behind them; an attention.

A block begins with the input of a layer and ends behind the function that follows it, with one
way between the two. What leads round it already, such as the skip of a residual network or of a
U-Net, or another step of a loop over time, leaves it alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from torch import nn

from unvanish.observe.statistics.slope import ACTIVATIONS
from unvanish.treat.anatomy import NORMS
from unvanish.treat.calls import Call, Calls, Place, axes_of, is_layer, start_of, weight_of

_DROPOUT: Final = frozenset(
    "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout".split()
)
_BETWEEN: Final = NORMS | _DROPOUT
_PRODUCTS: Final = frozenset({"matmul", "mm", "bmm", "spmm", "einsum"})
BYPASSED: Final = "that signal leads round already"
_PAIRS: Final = 4
"""How many pairs of calls with the same weights are looked at."""
_MOST_CALLS: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One or more layers with their functions, and nothing that leads round them.

    Attributes:
        start: Call whose first argument is the block's input.
        end: Call whose result is its output.
        weights: Name of the weight of each layer, in forward order.
        last: Call of the last layer; what stands behind it is its function.
        entering: Shape of the input.
        leaving: Shape of the output.
        axes: Axes behind the channels: 0 for a linear layer, 2 for images.
        activation: The function that it ends in; empty for an attention.
        shared: Whether other places call the end as well.
        passes: Calls of the end between start and end that are not meant.
        mixed: Whether another block that ends at the same place begins within it.
        calls: How often the block runs in one pass.
    """

    start: Place
    end: Place
    weights: tuple[str, ...]
    last: Place
    entering: tuple[int, ...]
    leaving: tuple[int, ...]
    axes: int
    activation: str
    shared: bool = False
    passes: int = 0
    mixed: bool = False
    calls: int = 1

    @property
    def channels(self) -> tuple[int, int]:
        """Number of channels of the input and of the output."""
        axis = -1 - self.axes
        return self.entering[axis], self.leaving[axis]

    @property
    def is_attention(self) -> bool:
        """Whether it mixes tokens, and ends in no function."""
        return not self.activation

    @property
    def keeps_shape(self) -> bool:
        """Whether the input can be added to the output as it is."""
        return self.entering == self.leaving


@dataclass(frozen=True, slots=True)
class Chain:
    """Layers, or an attention, with all that lies between its input and its output."""

    layers: tuple[Call, ...]
    end: Call
    activation: str = ""
    whole: str = ""
    """Path of the module whose call is the whole of it, such as an attention of PyTorch's."""


def chains_of(calls: Calls) -> tuple[list[Chain], dict[str, int]]:
    """Return the layers with a function of their own, and why others are left alone.

    Args:
        calls: All calls.
    """
    left: dict[str, int] = {}
    found = []
    computed = computed_of(calls)
    hidden = hidden_of(calls)
    for call in calls:
        if not is_layer(call):
            continue
        if call.before[0] < 0 or call.before[0] not in computed:
            _count(left, "that read the data")
            continue
        end = end_of(calls, call)
        if end is None:
            if call.index in hidden:
                _count(left, "with no function of their own behind them")
        elif end[0].index not in hidden:
            continue
        else:
            found.append(Chain((call,), *end))
    open_ = not_bypassed(calls, found)
    if len(open_) < len(found):
        left[BYPASSED] = len(found) - len(open_)
    return open_, left


def _count(left: dict[str, int], reason: str) -> None:
    left[reason] = left.get(reason, 0) + 1


def computed_of(calls: Calls) -> set[int]:
    """Return the calls with a weight at them or before them."""
    found: set[int] = set()
    for call in calls:
        if call.weights or any(index in found for index in call.before):
            found.add(call.index)
    return found


def hidden_of(calls: Calls) -> set[int]:
    """Return the calls that a layer follows."""
    found: set[int] = set()
    for call in reversed(calls.calls):
        if any(user.index in found or user.weights for user in calls.users(call.index)):
            found.add(call.index)
    return found


def end_of(calls: Calls, layer: Call) -> tuple[Call, str] | None:
    """Return the function that stands behind a layer, or the dropout behind it, and its name."""
    here, activation = layer, ""
    while True:
        users = calls.users(here.index)
        if len(users) != 1 or sum(index >= 0 for index in users[0].before) != 1:
            break
        after = users[0]
        known = ACTIVATIONS.get(after.function)
        if not activation and known is not None and known.cap > 0:
            activation = after.function
        elif after.function not in (_DROPOUT if activation else _BETWEEN) and (
            activation or not _belongs_to_layer(after)
        ):
            break
        here = after
    return (here, activation) if activation else None


def _belongs_to_layer(call: Call) -> bool:
    """Tell whether a call adds a bias, or mixes rows by a matrix of the data, as of a graph."""
    if call.weights:
        return call.function == "add" and len(call.before) == 1
    return call.function in _PRODUCTS and len(call.before) == 2


def pairs_of(calls: Calls, chains: Sequence[Chain]) -> list[Chain]:
    """Join every two chains of which one feeds the other alone."""
    starts = {chain.layers[0].index: chain for chain in chains}
    taken: set[int] = set()
    found = []
    for first in chains:
        users = calls.users(first.end.index)
        second = starts.get(users[0].index) if len(users) == 1 else None
        if first.layers[0].index in taken or second is None:
            continue
        taken.update((first.layers[0].index, second.layers[0].index))
        found.append(Chain(first.layers + second.layers, second.end, second.activation))
    return found


def not_bypassed(
    calls: Calls, chains: Sequence[Chain], among: Collection[int] | None = None
) -> list[Chain]:
    """Leave out the chains that signal of their own leads round and meets behind them.

    Args:
        calls: All calls.
        chains: The chains.
        among: Calls whose results count as such signal; None for all. What masks attention is
            computed from the data alone.
    """
    edges = sorted(
        (p, c.index)
        for c in calls
        for p in set(c.before)
        if p >= 0 and p + 1 < c.index and (among is None or p in among)
    )
    active: list[tuple[int, int]] = []
    above: list[int] | None = None
    found, position = [], 0
    for chain in sorted(chains, key=lambda one: one.end.index):
        end = chain.end.index
        while position < len(edges) and edges[position][0] < end:
            active.append(edges[position])
            position += 1
        active = [edge for edge in active if edge[1] > end]
        if active and len(calls) > _MOST_CALLS:
            continue
        if active and above is None:
            above = _ancestors(calls)
        if not active or above is None or not _meets(calls, above, chain, active):
            found.append(chain)
    return sorted(found, key=lambda one: one.layers[0].index)


def _ancestors(calls: Calls) -> list[int]:
    """Return what each call is computed from, itself included, as bits of a number."""
    above: list[int] = []
    for call in calls:
        bits = 1 << call.index
        for index in set(call.before):
            if index >= 0:
                bits |= above[index]
        above.append(bits)
    return above


def _meets(calls: Calls, above: list[int], chain: Chain, active: Sequence[tuple[int, int]]) -> bool:
    start, end = chain.layers[0], chain.end.index
    for producer, consumer in active:
        inside = above[end] >> producer & 1 and not above[start.index] >> producer & 1
        if inside or not above[start.index] >> producer & 1:
            continue
        if any(
            above[index] >> end & 1 and above[index] >> consumer & 1
            for index in range(consumer, len(calls))
        ):
            return True
    return False


def blocks_of(calls: Calls, chains: Sequence[Chain], model: nn.Module) -> list[Block]:
    """Tell the places of chains apart; several runs of one are one block."""
    by_place: dict[tuple[Place, Place], list[Chain]] = {}
    for chain in chains:
        key = (start_place(chain, model), _end_place(chain.end))
        by_place.setdefault(key, []).append(chain)
    ends: dict[Place, int] = {}
    for call in calls:
        ends[_end_place(call)] = ends.get(_end_place(call), 0) + 1
    mixed = _mixed(chains)
    found = []
    for (start, end), runs in by_place.items():
        one = runs[0]
        layer = one.layers[0]
        between = calls.calls[layer.index : one.end.index]
        found.append(
            Block(
                start=start,
                end=end,
                weights=tuple(weight_of(call) for call in one.layers),
                last=one.layers[-1].place,
                entering=one.end.shape if one.whole else layer.first,
                leaving=one.end.shape,
                axes=axes_of(layer),
                activation=one.activation,
                shared=bool(end[1]) or ends[end] > len(runs),
                passes=sum(_end_place(call) == end for call in between),
                mixed=any(run.layers[0].index in mixed for run in runs),
                calls=len(runs),
            )
        )
    return found


def start_place(chain: Chain, model: nn.Module) -> Place:
    """Return the place whose first argument is the input of layers, or of an attention.

    Args:
        chain: The layers.
        model: The network.
    """
    return (chain.whole, "", None) if chain.whole else start_of(chain.layers[0], model)


def _end_place(call: Call) -> Place:
    """Return the place of an end: of a function, its next call in that forward, whichever it is.

    How many there were before may differ from pass to pass, as with the length of a sequence.
    """
    path, function, _ = call.place
    return path, function, None


def _mixed(chains: Sequence[Chain]) -> set[int]:
    """Return the chains, by first call, within which another one begins that ends at one place."""
    found: set[int] = set()
    last: dict[Place, Chain] = {}
    for chain in chains:
        end = _end_place(chain.end)
        before = last.get(end)
        if before is not None and chain.layers[0].index < before.end.index:
            found.update((before.layers[0].index, chain.layers[0].index))
        if before is None or chain.end.index > before.end.index:
            last[end] = chain
    return found


def unfit(calls: Calls, block: Block, runs: Sequence[Call], *, has_skips: bool) -> str:
    """Return why a block gets no connection; empty where it does.

    Args:
        calls: All calls.
        block: The block.
        runs: Every call of its first layer.
        has_skips: Whether signal leads round layers of the network already.
    """
    single = len(block.weights) == 1
    if block.shared and single:
        # What is shared must be followed by the same wherever it runs, or the ends get mixed up.
        ends = [end_of(calls, run) for run in runs]
        if any(end is None or _end_place(end[0]) != block.end for end in ends):
            return "that run in several places with different functions behind them"
    if block.mixed:
        return "that run by turns with others and end in the same function"
    if len(runs) > block.calls and not single:
        return "that run several times within one block"
    if any(is_next_step(calls, *pair) for pair in itertools.pairwise(runs[: _PAIRS + 1])):
        return "that a loop over time runs"
    if block.keeps_shape:
        return ""
    if len(block.entering) != len(block.leaving):
        return "whose output is of another kind than their input"
    outer = len(block.entering) - 1 - block.axes
    if block.entering[:outer] != block.leaving[:outer]:
        return "whose output is of another kind than their input"
    if len(runs) > 1:
        return "that run several times and change the width"
    if has_skips:
        return "that change the width between the blocks there are"
    return ""


def is_next_step(calls: Calls, first: Call, second: Call) -> bool:
    """Tell whether a call works on another one's result and on signal that is new since."""
    reached = {first.index}
    for call in calls.calls[first.index + 1 : second.index + 1]:
        if any(index in reached for index in call.before):
            reached.add(call.index)
    waiting = [second.index] if second.index in reached else []
    seen: set[int] = set()
    while waiting:
        index = waiting.pop()
        if index in seen or index == first.index:
            continue
        seen.add(index)
        if any(before not in reached for before in calls[index].before):
            return True
        waiting.extend(calls[index].before)
    return False

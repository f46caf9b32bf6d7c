"""Equal blocks of a ledger under one term each: thirty layers are told in a line.

Blocks are equal where the network between their two ends is built of the same operations,
whichever way through it the gradient was strongest. Two residual blocks do not differ because
one's skip carries 51 % and the other's 49.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from unvanish.core.explanations import Level, Term, total
from unvanish.core.records import Recording

_LONGEST_PERIOD = 4
_FEWEST_REPEATS = 3


def folded(recording: Recording, blocks: Sequence[Term]) -> list[Term]:
    """Put runs of equal blocks, or of equal pairs, triples and quadruples, under one term each.

    Args:
        recording: What the blocks were made from.
        blocks: From the loss towards the input.

    Returns:
        The terms in the same order; they add up to the same.
    """
    consumers: dict[int, list[int]] = {}
    for edge in recording.edges:
        consumers.setdefault(edge.producer, []).append(edge.consumer)
    kinds = [_kind(recording, consumers, block) for block in blocks]
    result: list[Term] = []
    start = 0
    while start < len(blocks):
        period, repeats = _longest_run(kinds[start:])
        if repeats < _FEWEST_REPEATS:
            result.append(blocks[start])
            start += 1
            continue
        run = blocks[start : start + period * repeats]
        result.append(group(_pattern(run), repeats, run))
        start += period * repeats
    return result


def group(name: str, repeats: int, run: Sequence[Term]) -> Term:
    """Return the term that stands for a run of equal blocks."""
    return Term(
        level=Level.GROUP,
        name=f"{repeats} x {name}",
        log10_gain=total([block.log10_gain for block in run]),
        sites=tuple(i for block in run for i in block.sites),
        repeats=repeats,
        children=tuple(run),
    )


def _longest_run(kinds: Sequence[Hashable]) -> tuple[int, int]:
    """Return the period and the number of repeats of the first run that covers most blocks."""
    best = (1, 1)
    for period in range(1, _LONGEST_PERIOD + 1):
        repeats = 1
        while kinds[period * repeats : period * (repeats + 1)] == kinds[:period]:
            repeats += 1
        if repeats >= _FEWEST_REPEATS and period * repeats > best[0] * best[1]:
            best = (period, repeats)
    return best


def _kind(
    recording: Recording, consumers: dict[int, list[int]], block: Term
) -> tuple[Hashable, ...]:
    """Return what makes two blocks equal: the operations on all ways through them."""
    merges = [term for term in block.children if term.shares]
    if block.level is not Level.BLOCK or not merges:
        return _shape(block)
    top, bottom = block.children[0].sites[0], merges[-1].sites[0]
    between = {bottom}
    waiting = [bottom]
    while waiting:
        for consumer in consumers.get(waiting.pop(), ()):
            if consumer not in between and consumer <= top:
                between.add(consumer)
                waiting.append(consumer)
    ops = Counter(recording.sites[i].op for i in between - {bottom})
    return (block.level, len(merges[-1].shares), frozenset(ops.items()))


def _shape(term: Term) -> tuple[Hashable, ...]:
    """Return the kinds of steps of a block with one way through it, not their numbers or places."""
    operation = term.name.split()[1:2] if term.level is Level.OPERATION else []
    return (
        term.level,
        term.factor,
        len(term.shares),
        *operation,
        tuple(_shape(child) for child in term.children),
    )


def _pattern(blocks: Sequence[Term]) -> str:
    """Return the name of a run of equal blocks: where it begins and ends, input side first."""
    first, last = (block.name.partition(" ")[0] for block in (blocks[-1], blocks[0]))
    whole = max(blocks, key=lambda block: len(block.sites)).name
    what = whole.partition("(")[2].rstrip(")") or whole.partition(" ")[2]
    return f"{first} to {last} ({what})" if what else f"{first} to {last}"

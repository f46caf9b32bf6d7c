"""Rows of a table that are chosen by comparing them with what an encoder made: a codebook.

The index of the nearest row has no gradient, so what works on the rows teaches the encoder nothing
unless something hands the gradient on: ``z + (rows - z).detach()``. The encoder's parameters do not
starve where a commitment term pulls what it makes towards the rows.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Final

from unvanish.core.incidents import Lookup
from unvanish.core.operations import MATMUL_OPS, VIEW_OPS
from unvanish.observe.blind import with_a_way_back
from unvanish.observe.lineage import Lineage
from unvanish.observe.look import Look
from unvanish.observe.rows import CHOOSING, compared, leaves, upstream_of, used

_STOPS: Final = CHOOSING | {"detach", "data"}
_SUMS: Final = VIEW_OPS | {"add", "sub", "sum", "mean"}
_OF_LIKELIHOOD: Final = frozenset(
    "softmax log_softmax log logsumexp logsigmoid cross_entropy nll_loss".split()
)
_MOST_PLACES: Final = 16


def lookups(look: Look) -> tuple[Lookup, ...]:
    """Return every place at which rows are looked up that no gradient leads past to the encoder.

    What is chosen has to be compared with the rows of the same table, and as long as one of them.
    A place is none where the gradient of any layer that works on the rows comes to what they were
    compared with or to the layers before, by whatever way: a straight-through estimator, a gate, a
    skip, the likelihood of the choice.

    Args:
        look: What was seen.
    """
    lineage = look.tape.lineage
    end = lineage.maker(look.loss)
    if end is None:
        return ()
    places: dict[tuple[str, str], list[int]] = {}
    for index, call in enumerate(lineage.calls[: end + 1]):
        if call.op in CHOOSING and call.learned and not call.carries:
            places.setdefault((call.path, str(call.source)), []).append(index)
    if not places:
        return ()
    upstream, alive = lineage.upstream([end]), with_a_way_back(lineage, end)
    chosen = [frozenset(one) for one in places.values() if not upstream.isdisjoint(one)]
    uses = [(one, *used(lineage, one, end)) for one in chosen[:_MOST_PLACES]]
    every_row = {row for _, _, rows in uses for row in rows}
    found = []
    for choosing, indices, rows in uses:
        book = _Codebook.of(lineage, choosing, indices, rows, every_row, end)
        feeds = book.feeds(alive) if book is not None else ()
        if book is not None and feeds:
            found.append(book.told(feeds))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Codebook:
    """A place at which rows are chosen, and the calls that matter to it.

    Attributes:
        lineage: All calls.
        choosing: The calls that choose.
        indices: Calls that move what was chosen, with those that chose it.
        rows: Calls that look rows up with it.
        table: Names of the parameters of the rows.
        encoder: The calls that made what the rows were compared with.
        end: The call that made the loss.
    """

    lineage: Lineage
    choosing: Set[int]
    indices: Set[int]
    rows: Sequence[int]
    table: tuple[str, ...]
    encoder: Set[int]
    end: int

    @classmethod
    def of(
        cls,
        lineage: Lineage,
        choosing: Set[int],
        indices: Set[int],
        rows: Sequence[int],
        every_row: Set[int],
        end: int,
    ) -> _Codebook | None:
        """Find what rows were compared with; None where there is no such thing.

        What rows leave over, the next codebook is compared with (residual quantisation): rows are
        never a way to the encoder.
        """
        calls = lineage.calls
        above = lineage.upstream(choosing)
        names, buffers = leaves(lineage, above)
        known, table, kept = set[int](), dict[str, None](), list[int]()
        seen: set[tuple[tuple[int, ...], frozenset[str], frozenset[int]]] = set()
        for row in rows:
            made_of = lineage.upstream(set(calls[row].parents) - indices)
            own, held = leaves(lineage, made_of)
            own |= set(calls[row].parameters)
            held |= set(calls[row].buffers)
            if any(calls[one].signal for one in made_of) or not (own & names or held & buffers):
                continue
            kept.append(row)
            table.update(dict.fromkeys(sorted(own)))
            kind = (calls[row].shape, frozenset(own), frozenset(held))
            if kind not in seen:
                seen.add(kind)
                known |= compared(lineage, above - every_row, every_row, *kind)
        if not known:
            return None
        encoder = upstream_of(lineage, known, every_row)
        return cls(lineage, choosing, indices, kept, tuple(table), encoder, end)

    def feeds(self, alive: Set[int]) -> tuple[str, ...]:
        """Return the weights that work on the rows; none where the encoder hears of it.

        Args:
            alive: The calls to which the gradient of the loss leads back.
        """
        calls = self.lineage.calls
        hears = self._hearing()
        if self._is_likely(hears):
            return ()
        names: dict[str, None] = {}
        drawn, stopped, beyond, joined = set(self.rows), set[int](), set[int](), set[int]()
        weights: dict[int, tuple[str, ...]] = {}  # calls that compute with parameters alone
        for index in range(min(self.rows), self.end + 1):
            call, parents = calls[index], set(calls[index].parents)
            own = [*call.parameters, *(n for one in parents for n in weights.get(one, ()))]
            if own and not call.signal:
                weights[index] = tuple(own)
            if not beyond.isdisjoint(parents):
                beyond.add(index)
                if joined & parents:
                    joined.add(index)
                elif index in hears:
                    if call.op not in _SUMS or len(call.shape) > 1:
                        return ()
                    joined.add(index)
            elif not drawn.isdisjoint(parents) and index not in drawn:
                if own and call.op in MATMUL_OPS:
                    if index in alive and parents & drawn - stopped:
                        if index in hears:
                            return ()
                        beyond.add(index)
                        names.update(dict.fromkeys(own))
                    continue
                drawn.add(index)
                if (call.op in _STOPS and not call.carries) or parents & drawn <= stopped:
                    stopped.add(index)
        return tuple(names)

    def told(self, feeds: tuple[str, ...]) -> Lookup:
        """Return the place in plain words."""
        calls = self.lineage.calls
        first, row = calls[min(self.choosing)], calls[self.rows[0]]
        names, _ = leaves(self.lineage, self.encoder)
        return Lookup(
            op=first.op,
            path=first.path,
            source=row.source or first.source,
            table=self.table,
            parameters=tuple(sorted(names)),
            feeds=feeds,
        )

    def _hearing(self) -> set[int]:
        """Return the calls whose gradient comes to what the rows were compared with."""
        calls = self.lineage.calls
        hears = {one for one in self.encoder if calls[one].carries and calls[one].signal}
        for index in range(min(hears), self.end + 1):
            call = calls[index]
            if call.bridged:
                # Inside of a function with a backward pass of its own no call carries a gradient.
                if not hears.isdisjoint(self.lineage.upstream(call.parents)):
                    hears.add(index)
            elif call.carries and not hears.isdisjoint(call.parents):
                hears.add(index)
        return hears

    def _is_likely(self, hears: Set[int]) -> bool:
        """Tell whether the likelihood of what was chosen is computed, with a gradient."""
        calls = self.lineage.calls
        for index in range(min(self.choosing), self.end + 1):
            call = calls[index]
            if index not in hears or self.indices.isdisjoint(call.parents) or index in self.rows:
                continue
            between = self.lineage.upstream([index]) - self.encoder
            if any(calls[one].op in _OF_LIKELIHOOD for one in between):
                return True
        return False

"""A gradient for rows that are chosen: what they were compared with gets a copy of theirs.

The index of the nearest row is a whole number and has no gradient. As long as a network's forward
runs, it is remembered what every tensor was made of. Where an index looks rows up, what they were
compared with is known by that: it is as long as a row, and the table has no part in it.

Only layers are given rows with the copy. A term of the loss that draws the rows towards what they
were compared with would push that away from them, had it a part in the term's gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from unvanish.core.operations import MATMUL_OPS, VIEW_OPS, clean
from unvanish.observe.rows import CHOOSING, LOOKING_UP, MOVES, ONE_HOT, PRODUCTS, are_alike
from unvanish.treat.insertions import is_in_place, name_of
from unvanish.treat.remembering import Remembering

_PASSED: Final = (VIEW_OPS - {"detach"}) | frozenset("add sub mul div sum mean ravel t".split())
"""Functions behind which rows are followed further: what they make may be given to a layer."""
_LAYERS: Final = frozenset(
    "layer_norm batch_norm group_norm instance_norm rms_norm normalize dropout dropout1d dropout2d "
    "relu leaky_relu elu selu gelu silu mish softplus tanh sigmoid prelu hardtanh glu sin pad "
    "interpolate pixel_shuffle avg_pool1d avg_pool2d max_pool1d max_pool2d".split()
)
"""Functions that a network goes on with, whatever weights they have."""


class CodeScope(TorchFunctionMode):
    """Follows what is chosen through one forward, and what it was chosen by."""

    def __init__(self) -> None:
        super().__init__()
        self._expected: dict[int, tuple[Tensor, float]] = {}
        self._known: dict[int, Tensor] = {}  # held, so that no other tensor has its id
        self._parents: dict[int, tuple[int, ...]] = {}
        self._signal: set[int] = set()
        self._chosen: dict[int, frozenset[int]] = {}  # an index to the scores behind it
        self._hot: set[int] = set()
        self._rows: set[int] = set()
        self._given: dict[int, Tensor] = {}  # rows to what a layer is given in their place
        self._records = torch.is_grad_enabled()

    def expect(self, scores: Tensor, factor: float) -> None:
        """Take note that what is chosen by these scores is to hand its gradient on.

        Args:
            scores: The scores.
            factor: What the gradient is multiplied by.
        """
        self._expected[id(scores)] = scores, factor

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if not self._records:
            return func(*args, **options)
        name = clean(name_of(func))
        given = list(_tensors((*args, *options.values())))
        rows = any(id(one) in self._given for one in given)
        if rows and self._is_a_layer(name, given):
            args, options = self._exchanged(args), self._exchanged(options)
        output = func(*args, **options)
        made = list(_tensors((output,)))
        if not made:
            return output
        self._note(given, made)
        if rows and name in _PASSED and not is_in_place(name_of(func), args, options):
            other = _tensors((func(*self._exchanged(args), **self._exchanged(options)),))
            self._given.update(zip(map(id, made), other, strict=True))
        self._follow(name, given, made)
        return output

    def _follow(self, name: str, given: list[Tensor], made: list[Tensor]) -> None:
        """Take note of an index that is chosen, moved, or looks something up."""
        whole = [one for one in made if not one.is_floating_point()]
        if name in CHOOSING and given and whole and id(given[0]) in self._expected:
            self._chosen.update((id(one), frozenset({id(given[0])})) for one in whole)
            return
        indices = [one for one in given if id(one) in self._chosen]
        if not indices:
            return
        hot = any(id(one) in self._hot for one in indices)
        table = [one for one in given if id(one) not in self._chosen]
        if table and made[0].is_floating_point() and name in (PRODUCTS if hot else LOOKING_UP):
            self._look_up(made[0], indices, table)
        elif name in ONE_HOT | MOVES:
            hot = hot or name in ONE_HOT
            scores = frozenset().union(*(self._chosen[id(one)] for one in indices))
            moved = [one for one in made if hot or not one.is_floating_point()]
            self._chosen.update((id(one), scores) for one in moved if not one.requires_grad)
            self._hot.update(map(id, moved if hot else ()))

    def _note(self, given: list[Tensor], made: list[Tensor]) -> None:
        """Remember what some tensors were made of, and whether data has a part in them."""
        for one in given:
            if id(one) not in self._known:
                self._known[id(one)] = one
                if not isinstance(one, nn.Parameter):
                    self._signal.add(id(one))
        names = tuple(map(id, given))
        is_signal = not self._signal.isdisjoint(names)
        for one in made:
            self._parents[id(one)] = (*self._parents.get(id(one), ()), *names)
            self._known[id(one)] = one
            if is_signal:
                self._signal.add(id(one))

    def _is_a_layer(self, name: str, given: list[Tensor]) -> bool:
        """Tell whether a function works on what it is given with weights, or as layers do."""
        weighs = any(id(one) not in self._signal for one in given if id(one) in self._known)
        weighs = weighs or any(isinstance(one, nn.Parameter) for one in given)
        return name in _LAYERS or (name in MATMUL_OPS and weighs)

    def _exchanged(self, values: Any) -> Any:
        """Return arguments of a function, with what layers are given in the place of rows."""
        if isinstance(values, Tensor):
            return self._given.get(id(values), values)
        if isinstance(values, dict):
            return {key: self._exchanged(one) for key, one in values.items()}
        if type(values) in (tuple, list):
            return type(values)(map(self._exchanged, values))
        return values

    def _look_up(self, rows: Tensor, indices: list[Tensor], table: list[Tensor]) -> None:
        """Let layers be given rows that hand their gradient on to what they were compared with."""
        scores = frozenset().union(*(self._chosen[id(one)] for one in indices))
        own = self._made_of(map(id, table))
        leaves = {one for one in own if not self._parents.get(one)}
        order = {one: place for place, one in enumerate(self._known)}
        alike = [
            known
            for one in sorted(self._made_of(scores), key=order.__getitem__, reverse=True)
            if (known := self._known[one]).requires_grad
            and one in self._signal
            and are_alike(known.shape, rows.shape)
            and leaves.isdisjoint(self._made_of([one], but=self._rows))
        ]
        found = next((one for one in alike if one.shape == rows.shape), alike[0] if alike else None)
        self._rows.add(id(rows))
        if found is None or id(found) in self._given:
            return  # what other rows leave over: the gradient of these is handed on already
        factor = self._expected[next(iter(scores))][1]
        with torch.enable_grad():  # an index, and its row, are often taken without
            copy = (found - found.detach()).reshape(rows.shape).to(rows.dtype)
            self._given[id(rows)] = rows + factor * copy

    def _made_of(self, start: Iterable[int], but: Collection[int] = ()) -> set[int]:
        """Return some tensors and all that they were made of, but not by way of some others."""
        seen: set[int] = set()
        waiting = list(start)
        while waiting:
            one = waiting.pop()
            if one not in seen and one not in but:
                seen.add(one)
                waiting.extend(self._parents.get(one, ()))
        return seen


class Codes(Remembering):
    """Remembers what was chosen, and by what, as long as a forward runs."""

    __slots__ = ()

    opens: ClassVar[type[CodeScope]] = CodeScope
    what: ClassVar[str] = "choice"


class Handed(nn.Module):
    """Called with the scores of a choice whose rows are to hand their gradient on; returns them.

    Args:
        codes: What remembers it.
        factor: What the gradient is multiplied by.
    """

    def __init__(self, codes: Codes, factor: float) -> None:
        super().__init__()
        self.codes, self.factor = codes, factor

    def forward(self, scores: Tensor) -> Tensor:
        """Return the scores."""
        self.codes.expect(scores, self.factor)
        return scores

    def extra_repr(self) -> str:
        """Return the factor."""
        return f"factor={self.factor:g}"


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from (one for one in value if isinstance(one, Tensor))

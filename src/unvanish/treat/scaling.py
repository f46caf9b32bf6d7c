"""Exponentials that multiply a signal, and where what they are given is made.

A flow multiplies by ``exp(s)`` and counts ``s`` in its log-density too: what bounds the one has to
bound the other. So the place that is sought is not the exponential but the call that made ``s``,
found by following every tensor through one forward pass.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.operations import clean
from unvanish.core.places import SourceLine
from unvanish.core.stack import user_line
from unvanish.observe.batch import call_model
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.look import Conditions, running
from unvanish.treat.exponents import EXPONENTIALS, Exponent, Maker
from unvanish.treat.following import Following
from unvanish.treat.insertions import is_in_place, name_of
from unvanish.treat.protocol import Case, Patient

_WHOLE: Final = frozenset(
    "view reshape unsqueeze squeeze expand expand_as transpose permute contiguous flatten "
    "unflatten clone to float double half bfloat16 type_as movedim swapaxes getitem T mT".split()
)
"""Operations that may hand a tensor on, all of it, with other axes or of another type."""

_COUNTED: Final = frozenset(
    "sum mean add radd sub rsub neg getitem select narrow cat stack chunk split clamp detach numel "
    "size dim mul div cumsum index_add scatter_add isfinite abs max min shape device dtype "
    "requires_grad is_floating_point grad_fn ndim zeros_like ones_like".split()
)
"""What is done with a logarithm beside taking its exponential: it is added up, or looked at."""

_PRODUCTS: Final = frozenset({"mul", "div", "true_divide", "addcmul"})
"""What multiplies a signal by an exponential."""

_SUMS: Final = frozenset({"sum", "mean", "cumsum", "scatter_add", "index_add", "matmul", "einsum"})
_OF_A_SUM: Final = frozenset(
    "add radd sub rsub neg clamp clamp_min clamp_max getitem gather index_select log1p".split()
)
"""What leaves a sum of exponentials what it is."""


_Key = tuple[int, float]
"""What an exponential is taken of, by its number, and how many times that."""


@dataclass(slots=True)
class _Known:
    """What is known of a tensor.

    Attributes:
        maker: The call that made it.
        root: The tensor that it is a multiple of: itself, or one before it.
        factor: What that is multiplied by.
        series: How many exponentials it was multiplied by, one behind the other.
        exponentials: Those that it is made of, without another signal in it.
        sums: Those that it is a sum of.
    """

    maker: Maker
    root: int
    factor: float = 1.0
    series: int = 0
    exponentials: frozenset[_Key] = frozenset()
    sums: frozenset[_Key] = frozenset()


@dataclass(slots=True)
class _Taken:
    """An exponential that was taken."""

    path: str
    call: int
    function: str
    line: SourceLine | None
    largest: float
    root: int
    factor: float
    series: int
    in_place: bool

    @property
    def key(self) -> _Key:
        """What it is taken of."""
        return self.root, self.factor


def exponents(known: Case | Patient) -> list[Exponent]:
    """Run a network once, and return the exponentials by which it multiplies its signal.

    Left out are those that nothing trained moves, those that are divided by their sum or whose
    logarithm is taken again (a softmax by hand), and those that leave the network as they are: a
    rate or a variance may have to be large.

    Args:
        known: The network; it stays as it is.
    """
    context = known.anatomy.recording.context
    model = known.model
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    conditions = Conditions(None, context.seed, context.autocast, {})
    watch = _Watch(model)
    with untouched(model, seed=context.seed), running(conditions, device), torch.enable_grad():
        seed_everything(context.seed)
        with watch:
            output = call_model(model, known.batch.inputs)
    return list(watch.found(output))


class _Watch(Following):
    """Follows every tensor of a forward pass from the call that made it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self._known: dict[int, _Known] = {}
        self._held: list[Any] = []
        self._makers: dict[int, Maker] = {}
        self._made: dict[Maker, int] = {}
        self._uses: dict[int, set[str]] = {}
        self._taken: list[_Taken] = []
        self._harmless: set[_Key] = set()
        self._longest = 1

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        raw = name_of(func)
        name = clean(raw)
        call = self._count(name) if args or "input" in options else 0
        given = [one for one in _tensors((*args, *options.values())) if id(one) in self._known]
        for one in given:
            self._uses.setdefault(self._known[id(one)].root, set()).add(name)
        taken = self._take(raw, call, args, options) if name in EXPONENTIALS else None
        self._note_shares(name, given)
        line = [self._known[id(one)] for one in given]  # before a call in place changes it
        output = func(*args, **options)
        for element, made in enumerate(_listed(output)):
            if isinstance(made, Tensor) and made.is_floating_point():
                maker = Maker(self._path if self._running else "", name, call, element)
                self._learn(made, maker, line, self._handed_on(name, made, args))
                if taken is not None:
                    self._known[id(made)].exponentials = frozenset({taken.key})
                    self._known[id(made)].series = taken.series
        return output

    def _take(
        self, raw: str, call: int, args: tuple[Any, ...], options: Mapping[str, Any]
    ) -> _Taken | None:
        """Write an exponential down; None where nothing that is trained moves it."""
        given = args[0] if args else options.get("input")
        known = self._known.get(id(given))
        if known is None or not isinstance(given, Tensor) or not given.requires_grad:
            return None
        values = given.detach()
        largest = float(values.max()) if values.numel() else -math.inf
        self._taken.append(
            _Taken(
                path=self._path if self._running else "",
                call=call,
                function=clean(raw),
                line=user_line(sys._getframe(2)),
                largest=math.inf if math.isnan(largest) else largest,
                root=known.root,
                factor=known.factor,
                series=known.series + 1,
                in_place=is_in_place(raw, args, options),
            )
        )
        return self._taken[-1]

    def _note_shares(self, name: str, given: Sequence[Tensor]) -> None:
        """Take note of exponentials whose size goes out again: shares of a sum, logarithms."""
        known = [self._known[id(one)] for one in given]
        if name in ("log", "log1p", "log2", "log10"):
            for one in known:
                self._harmless |= one.sums | one.exponentials
        elif name in ("div", "true_divide", "divide", "rdiv") and len(known) > 1:
            for one in known[1:]:
                self._harmless |= (one.sums | one.exponentials) & (
                    known[0].exponentials | known[0].sums
                )
        elif name in ("reciprocal", "rdiv") and known:
            self._harmless |= known[0].sums  # 1 / (1 + exp(-x))

    def _handed_on(self, name: str, made: Tensor, args: tuple[Any, ...]) -> float:
        """Return what a call multiplies its first tensor by, all of it; 0 where it does more."""
        numbers = [one for one in args[1:] if isinstance(one, int | float)]
        others = any(isinstance(one, Tensor) for one in args[1:])
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if name in _WHOLE and first is not None:
            return 1.0 if made.numel() == first.numel() or "expand" in name else 0.0
        if others or first is None:
            return 0.0
        if name == "neg":
            return -1.0
        if name in ("mul", "rmul") and numbers:
            return float(numbers[0])
        if name in ("div", "true_divide") and numbers and numbers[0]:
            return 1.0 / float(numbers[0])
        return 0.0

    def _learn(self, made: Tensor, maker: Maker, line: Sequence[_Known], factor: float) -> None:
        """Take note of a tensor, and of what it is made of."""
        self._held.append(made)  # no other one may get its identity
        self._made[maker] = self._made.get(maker, 0) + 1
        scales = maker.function in _PRODUCTS and any(one.exponentials for one in line)
        series = max((one.series + (scales and not one.exponentials) for one in line), default=0)
        series = series if made.requires_grad else 0  # of noise, only the shape is the signal's
        self._longest = max(self._longest, series)
        new = _Known(maker, len(self._held), series=series)
        self._makers[new.root] = maker
        if line and factor:
            new = replace(line[0], maker=maker, factor=line[0].factor * factor)
        elif line:
            if maker.function in ("add", "sub", "radd", "rsub") and all(
                one.exponentials for one in line
            ):
                new.exponentials = frozenset().union(*(one.exponentials for one in line))
            if maker.function in _SUMS:
                new.sums = frozenset().union(*(one.exponentials | one.sums for one in line))
            elif maker.function in _OF_A_SUM:
                new.sums = frozenset().union(*(one.sums for one in line))
                if len(line) == 1:
                    new.exponentials = line[0].exponentials
                    if "add" in maker.function or "sub" in maker.function:  # 1 + exp(x)
                        new.sums |= line[0].exponentials
        self._known[id(made)] = new

    def found(self, output: Any) -> Iterator[Exponent]:
        """Yield what can be bounded.

        Args:
            output: What the network returned.
        """
        for one in _tensors([output]):
            if id(one) in self._known:
                self._harmless |= self._known[id(one)].exponentials | self._known[id(one)].sums
        for taken in self._taken:
            if taken.key in self._harmless:
                continue
            maker = self._makers[taken.root]
            uses = self._uses.get(taken.root, set())
            behind = uses <= _COUNTED | _WHOLE | EXPONENTIALS and self._made[maker] == sum(
                self._makers[root] == maker for root in {one.root for one in self._taken}
            )
            if not behind:
                if taken.in_place:
                    continue
                maker = Maker(taken.path, taken.function, taken.call, 0)
            yield Exponent(
                path=taken.path,
                function=taken.function,
                line=taken.line,
                largest=taken.largest,
                maker=maker,
                behind=behind,
                factor=taken.factor if behind else 1.0,
                series=self._longest,
            )


def _listed(output: Any) -> Sequence[Any]:
    return output if isinstance(output, tuple | list) else (output,)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the tensors among some values, and in what they hold."""
    for one in values:
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, tuple | list):
            yield from _tensors(one)
        elif isinstance(one, Mapping):
            yield from _tensors(one.values())
        elif hasattr(one, "__dataclass_fields__"):
            yield from _tensors(vars(one).values())

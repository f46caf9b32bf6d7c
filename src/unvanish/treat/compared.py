"""What was compared with what in one forward, and the numbers that are made of the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from unvanish.core.operations import clean

COMPARISONS: Final[Mapping[str, float]] = {
    "gt": 1.0,
    "ge": 1.0,
    "greater": 1.0,
    "greater_equal": 1.0,
    "lt": -1.0,
    "le": -1.0,
    "less": -1.0,
    "less_equal": -1.0,
}
"""Comparisons to the direction in which their first argument makes them true."""

_MOVES: Final = frozenset(
    "view reshape flatten unflatten ravel unsqueeze squeeze transpose swapaxes permute movedim t "
    "expand expand_as view_as reshape_as contiguous clone detach cpu cuda select getitem narrow "
    "split chunk unbind tensor_split cat concat stack repeat repeat_interleave flip roll tile "
    "broadcast_to sum cumsum".split()
)
"""Functions that only move entries or add them up: what they do to the answers, they do to the
gradient too."""
_WHOLE: Final = frozenset({"long", "int", "bool", "byte", "short"})
_TO_NUMBERS: Final = frozenset({"float", "double", "half", "bfloat16", "to", "type", "type_as"})
_NEGATIONS: Final = frozenset({"logical_not", "invert", "bitwise_not"})
_CONJUNCTIONS: Final = frozenset({"logical_and", "and", "bitwise_and"})
_DISJUNCTIONS: Final = frozenset({"logical_or", "or", "bitwise_or"})
_ARITHMETIC: Final = frozenset("mul add sub rsub div matmul mm bmm einsum linear mean".split())


@dataclass(frozen=True, slots=True)
class _Answer:
    """Truth values, or whole numbers made of them, and a zero with their gradient.

    Attributes:
        tensor: The answers; held, so that no other tensor has its id.
        delta: Zeros with a gradient, of the same shape.
    """

    tensor: Tensor
    delta: Tensor


class ComparisonScope(TorchFunctionMode):
    """Follows the answers of comparisons through one forward."""

    def __init__(self) -> None:
        super().__init__()
        self._expected: dict[int, tuple[Tensor, float]] = {}
        self._answers: dict[int, _Answer] = {}

    def expect(self, compared: Tensor, width: float) -> None:
        """Take note that the comparison of a tensor is to have a gradient.

        Args:
            compared: Its first argument.
            width: How far from the threshold the soft step has half of its height on a side.
        """
        self._expected[id(compared)] = compared, width

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options: dict[str, Any] = dict(kwargs or {})
        if not self._expected:
            return func(*args, **options)
        raw = getattr(func, "__name__", "")
        name = clean(raw)
        if not args and isinstance(options.get("input"), Tensor):
            args = (options.pop("input"),)
        expected = self._expected.get(id(args[0])) if args else None
        if expected is not None and name in COMPARISONS:
            output = func(*args, **options)
            other = args[1] if len(args) > 1 else options.get("other", 0.0)
            if isinstance(output, Tensor) and output.dtype is torch.bool:
                delta = _soft_step(expected[0], other, COMPARISONS[name] / expected[1])
                self._answers[id(output)] = _Answer(output, delta)
            return output
        if not self._answers:
            return func(*args, **options)
        in_place = raw.endswith("_") and not raw.endswith("__")
        return self._use(func, name, args, options, in_place=in_place)

    def _of(self, value: Any) -> _Answer | None:
        return self._answers.get(id(value)) if isinstance(value, Tensor) else None

    def _use(
        self,
        func: Callable[..., Any],
        name: str,
        args: tuple[Any, ...],
        options: dict[str, Any],
        *,
        in_place: bool,
    ) -> Any:
        """Return the output of a function that may be given answers, with their gradient."""
        if name in _ARITHMETIC and not in_place and any(map(self._of, args)):
            kind = _kind(args)
            numbers = args if kind is None else [self._as_number(one, kind) for one in args]
            return func(*numbers, **options)
        output = func(*args, **options)
        if name in ("where", "masked_fill") and isinstance(output, Tensor):
            return self._chosen(name, args, options, output)
        if not isinstance(output, Tensor | tuple | list):
            return output
        first = self._of(args[0]) if args else None
        if name in _TO_NUMBERS | _WHOLE and isinstance(output, Tensor):
            if first is None:
                return output
            if output.is_floating_point():
                return output + first.delta.to(output)
            self._answers[id(output)] = _Answer(output, first.delta)
        elif name in _NEGATIONS and first is not None and isinstance(output, Tensor):
            self._answers[id(output)] = _Answer(output, -first.delta)
        elif name in _CONJUNCTIONS | _DISJUNCTIONS:
            self._join(args, output, is_and=name in _CONJUNCTIONS)
        elif name in _MOVES and not in_place:
            self._move(func, args, options, output)
        return output

    def _as_number(self, value: Any, kind: torch.dtype) -> Any:
        answer = self._of(value)
        return value if answer is None else value.to(kind) + answer.delta.to(kind)

    def _chosen(
        self, name: str, args: tuple[Any, ...], options: Mapping[str, Any], output: Tensor
    ) -> Tensor:
        """Return what a condition chose of two values, with the gradient of their difference."""
        if name == "where":
            values = [*args, *(options[k] for k in ("input", "self", "other") if k in options)]
            condition, rest = (values[0] if values else None), values[1:]
        else:
            given = [*args, *(options[k] for k in ("mask", "value") if k in options)]
            condition = given[1] if len(given) > 1 else None
            rest = [given[2], given[0]] if len(given) > 2 else []
        answer = self._of(condition)
        if answer is None or len(rest) != 2 or not output.is_floating_point():
            return output
        yes, no = (one.detach() if isinstance(one, Tensor) else one for one in rest)
        apart = torch.as_tensor(yes - no, device=output.device).to(output.dtype)
        return output + answer.delta.to(output) * torch.nan_to_num(apart, 0.0, 0.0, 0.0)

    def _join(self, args: tuple[Any, ...], output: Any, *, is_and: bool) -> None:
        """Remember what two answers together say: a product, or what is left of one."""
        both = [one for one in args[:2] if isinstance(one, Tensor) and one.dtype is torch.bool]
        if len(both) != 2 or not any(self._of(one) for one in both):
            return
        delta: Any = 0.0
        for one, other in (both, both[::-1]):
            answer = self._of(one)
            if answer is not None:
                decides = other if is_and else other.logical_not()
                delta = delta + answer.delta * decides.to(answer.delta.dtype)
        self._answers[id(output)] = _Answer(output, delta)

    def _move(
        self, func: Callable[..., Any], args: tuple[Any, ...], options: Any, output: Any
    ) -> None:
        """Remember a view, a part, a concatenation or a sum of answers."""
        first = args[0] if args else None
        given: list[Any] = list(first) if isinstance(first, list | tuple) else [first]
        answers = [self._of(one) for one in given]
        if not any(answers) or not all(isinstance(one, Tensor) for one in given):
            return
        kind = next(one.delta.dtype for one in answers if one is not None)
        deltas = [
            torch.zeros_like(one, dtype=kind) if answer is None else answer.delta
            for one, answer in zip(given, answers, strict=True)
        ]
        moved = func(
            type(first)(deltas) if isinstance(first, list | tuple) else deltas[0],
            *args[1:],
            **{k: v for k, v in options.items() if k != "dtype"},
        )
        if isinstance(output, Tensor):
            output, moved = (output,), (moved,)
        for one, delta in zip(output, moved, strict=True):
            if isinstance(one, Tensor) and not one.is_floating_point():
                self._answers[id(one)] = _Answer(one, delta)


def _kind(values: tuple[Any, ...]) -> torch.dtype | None:
    """Return the type of the real numbers among some values; None where there are none."""
    tensors = [one for one in values if isinstance(one, Tensor) and one.is_floating_point()]
    if tensors:
        return tensors[0].dtype
    return torch.get_default_dtype() if any(isinstance(one, float) for one in values) else None


def _soft_step(left: Tensor, right: Any, slope: float) -> Tensor:
    """Return zeros with the gradient of a soft step: half a fast sigmoid, x / (1 + |x|)."""
    with torch.enable_grad():
        apart = torch.nan_to_num((left - right) * slope, 0.0)
        soft = 0.5 * apart / (1.0 + apart.abs())
        return soft - soft.detach()

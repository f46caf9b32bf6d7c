"""What was chosen by which scores in one forward, and what looks something up with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from unvanish.core.operations import clean

CHOICES: Final = frozenset({"argmax", "argmin", "max", "min", "topk", "multinomial"})
"""Functions that choose one of several by their scores, which are their first argument."""

_LOWEST: Final = frozenset({"argmin", "min"})
_MOVES: Final = frozenset(
    "view reshape flatten unflatten ravel unsqueeze squeeze transpose swapaxes permute movedim t "
    "expand expand_as view_as reshape_as contiguous clone detach to long int cpu cuda select "
    "getitem narrow split chunk unbind tensor_split cat concat stack repeat repeat_interleave "
    "flip roll tile broadcast_to".split()
)
_TO_FLOATS: Final = frozenset({"float", "double", "half", "bfloat16", "to", "type", "type_as"})
_PRODUCTS: Final = frozenset({"mul", "matmul", "mm", "bmm", "einsum", "linear"})


@dataclass(frozen=True, slots=True)
class _Choice:
    """A tensor that was chosen, and a zero with the gradient of what it was chosen by.

    Attributes:
        tensor: The indices, or one-hot vectors of them; held, so that no other has its id.
        delta: Zeros with a gradient, of shape (choices, shape of the indices); of the shape of the
            vectors where it is one-hot.
        is_hot: Whether it holds one-hot vectors.
    """

    tensor: Tensor
    delta: Tensor
    is_hot: bool = False


class ChoiceScope(TorchFunctionMode):
    """Follows what is chosen through one forward."""

    def __init__(self) -> None:
        super().__init__()
        self._expected: dict[int, tuple[Tensor, float]] = {}
        self._chosen: dict[int, _Choice] = {}

    def expect(self, scores: Tensor, temperature: float) -> None:
        """Take note that a choice by these scores is to have a gradient.

        Args:
            scores: The scores.
            temperature: What they are divided by before the softmax; 0 for probabilities.
        """
        self._expected[id(scores)] = scores, temperature

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options: dict[str, Any] = dict(kwargs or {})
        output = func(*args, **options)
        if not self._expected:
            return output
        raw = getattr(func, "__name__", "")
        name = clean(raw)
        if not args and isinstance(options.get("input"), Tensor):
            args = (options.pop("input"),)
        expected = self._expected.get(id(args[0])) if args else None
        if expected is not None and name in CHOICES:
            with torch.enable_grad():  # an index is often taken without
                self._choose(name, expected, args, options, output)
            return output
        if not self._chosen:
            return output
        in_place = raw.endswith("_") and not raw.endswith("__")
        return self._use(func, name, args, options, output, in_place=in_place)

    def _choose(
        self,
        name: str,
        expected: tuple[Tensor, float],
        args: tuple[Any, ...],
        options: Mapping[str, Any],
        output: Any,
    ) -> None:
        """Remember what was chosen by which scores."""
        index = output if isinstance(output, Tensor) else output[1]
        if index.is_floating_point() or (name == "multinomial" and index.shape[-1] != 1):
            return
        scores, temperature = expected
        dim = -1
        if name in ("topk", "multinomial"):
            place = args[2] if name == "topk" and len(args) > 2 else -1
            dim = options.get("dim", place) if name == "topk" else -1
            if index.shape[dim] != 1:
                return
        else:
            given = options.get("dim", args[1] if len(args) > 1 else None)
            if isinstance(given, Tensor) or (given is None and name in ("max", "min")):
                return
            scores, dim = (scores, given) if given is not None else (scores.flatten(), -1)
        if name == "multinomial":
            soft = scores / scores.sum(dim, keepdim=True)
        elif temperature <= 0.0:
            soft = scores
        else:
            sign = -1.0 if name in _LOWEST else 1.0
            # A row of which nothing may be chosen has no softmax.
            allowed = scores.isfinite().any(dim, keepdim=True)
            soft = torch.softmax(scores.where(allowed, 0.0) * (sign / temperature), dim)
        delta = (soft - soft.detach()).movedim(dim, 0)
        self._remember(index, delta.reshape(delta.shape[0], *index.shape))

    def _remember(self, tensor: Tensor, delta: Tensor, *, is_hot: bool = False) -> None:
        self._chosen[id(tensor)] = _Choice(tensor, delta, is_hot)

    def _of(self, value: Any) -> _Choice | None:
        return self._chosen.get(id(value)) if isinstance(value, Tensor) else None

    def _use(
        self,
        func: Callable[..., Any],
        name: str,
        args: tuple[Any, ...],
        options: dict[str, Any],
        output: Any,
        *,
        in_place: bool,
    ) -> Any:
        """Return the output of a function that may use a choice, with the gradient of it."""
        if name == "embedding":
            return self._looked_up(args, options, output)
        if name in ("gather", "take_along_dim", "index_select"):
            return self._gathered(name, args, options, output)
        if name == "getitem" and len(args) == 2 and self._of(args[0]) is None:
            return self._indexed(args[0], args[1], output)
        if name == "one_hot":
            choice = self._of(args[0])
            if choice is not None and not choice.is_hot:
                self._remember(output, _padded(choice.delta, output.shape[-1]), is_hot=True)
            return output
        if name == "scatter":
            return self._scattered(args, options, output, in_place=in_place)
        if name in _TO_FLOATS and isinstance(output, Tensor) and output.is_floating_point():
            choice = self._of(args[0])
            return output + choice.delta.to(output) if choice and choice.is_hot else output
        if name in _PRODUCTS and any(c.is_hot for c in map(self._of, args) if c is not None):
            return func(*(self._floats(one, args) for one in args), **options)
        if name in _MOVES and not in_place:
            with torch.enable_grad():
                self._move(func, args, options, output)
        return output

    def _floats(self, value: Any, beside: Sequence[Any]) -> Any:
        """Return one-hot vectors as numbers with a gradient."""
        choice = self._of(value)
        if choice is None or not choice.is_hot:
            return value
        like = next(
            (t for t in beside if isinstance(t, Tensor) and t.is_floating_point()), choice.delta
        )
        return value.to(like.dtype) + choice.delta.to(like.dtype)

    def _looked_up(self, args: tuple[Any, ...], options: Mapping[str, Any], output: Any) -> Any:
        both = [*args[:2], *(options[k] for k in ("weight", "indices") if k in options)]
        choice = next((c for c in map(self._of, both) if c is not None and not c.is_hot), None)
        table = next((t for t in both if isinstance(t, Tensor) and t.is_floating_point()), None)
        if choice is None or table is None:
            return output
        return output + _weighed(choice.delta, table)

    def _indexed(self, table: Any, key: Any, output: Any) -> Any:
        """Return ``table[index]``, with more axes behind or other indices beside it."""
        keys = key if isinstance(key, tuple) else (key,)
        choices = [self._of(one) for one in keys]
        place = next((n for n, c in enumerate(choices) if c is not None and not c.is_hot), None)
        if place is None or not isinstance(table, Tensor) or not table.is_floating_point():
            return output
        choice = choices[place]
        assert choice is not None
        rest = keys[:place] + keys[place + 1 :]
        if place == 0 and all(_is_whole(one) for one in rest):
            return output + _weighed(choice.delta, table)
        if not all(isinstance(one, Tensor) and not one.is_floating_point() for one in rest):
            return output
        moved = table.movedim(place, 0)[: choice.delta.shape[0]]
        if moved.shape[0] < choice.delta.shape[0]:
            return output
        could = moved[(slice(None), *rest)]  # (choices, shape of the indices, axes behind)
        behind = could.ndim - 1 - len(torch.broadcast_shapes(*(one.shape for one in rest)))
        delta = choice.delta.reshape(*choice.delta.shape, *(1,) * behind)
        return output + (delta * could).sum(0)

    def _gathered(
        self, name: str, args: tuple[Any, ...], options: Mapping[str, Any], output: Any
    ) -> Any:
        dim = options.get("dim", args[1] if len(args) > 1 and isinstance(args[1], int) else None)
        found = [self._of(one) for one in (*args[1:], *options.values())]
        choice = next((c for c in found if c is not None and not c.is_hot), None)
        if choice is None or dim is None or not output.is_floating_point():
            return output
        source = args[0]
        if name == "index_select":
            weighed = _weighed(choice.delta.flatten(1), source.movedim(dim, 0))
            return output + weighed.movedim(0, dim)
        axis = dim % source.ndim
        if choice.tensor.ndim != source.ndim or choice.delta.shape[0] != source.shape[axis]:
            return output
        cut = tuple(slice(0, n) if k != axis else slice(None) for k, n in enumerate(output.shape))
        could = source[cut].movedim(axis, 0).unsqueeze(1 + axis)
        return output + (choice.delta.to(could) * could).sum(0)

    def _scattered(
        self, args: tuple[Any, ...], options: Mapping[str, Any], output: Any, *, in_place: bool
    ) -> Any:
        """Return zeros into which a one was written at every chosen place."""
        given = [*args[1:], *options.values()]
        choice = next((c for c in map(self._of, given) if c is not None and not c.is_hot), None)
        dim = options.get("dim", args[1] if len(args) > 1 else None)
        is_one = any(isinstance(one, int | float) and one == 1.0 for one in given[1:])
        if choice is None or not isinstance(dim, int) or not is_one:
            return output
        axis = dim % output.ndim
        if choice.tensor.ndim != output.ndim or choice.tensor.shape[axis] != 1:
            return output
        delta = choice.delta.squeeze(1 + axis).movedim(0, axis)
        if delta.shape != output.shape:
            return output
        if not output.is_floating_point():
            self._remember(output, delta, is_hot=True)
            return output
        return output.add_(delta.to(output)) if in_place else output + delta.to(output)

    def _move(
        self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any], output: Any
    ) -> None:
        """Remember a view, a part or a concatenation of choices, by where its entries come from."""
        first = args[0] if args else options.get("tensors")
        given = list(first) if isinstance(first, list | tuple) else [first]
        choices = [self._of(one) for one in given]
        known = [choice for choice in choices if choice is not None]
        if not known or len(known) < len(given) or any(id(o) in self._chosen for o in args[1:]):
            return
        hot = known[0].is_hot
        if any(c.is_hot != hot or c.delta.shape[0] != known[0].delta.shape[0] for c in known):
            return
        places, start = [], 0
        for choice in known:
            count = choice.tensor.numel()
            numbers = torch.arange(start, start + count, device=choice.tensor.device)
            places.append(numbers.reshape(choice.tensor.shape))
            start += count
        moved = type(first)(places) if isinstance(first, list | tuple) else places[0]
        came = func(moved, *args[1:], **options)
        flat = torch.cat([c.delta.flatten(0 if hot else 1) for c in known], dim=-1)
        outputs = [output] if isinstance(output, Tensor) else list(output)
        origins = [came] if isinstance(came, Tensor) else list(came)
        for one, origin in zip(outputs, origins, strict=True):
            self._remember(one, flat[..., origin.long()], is_hot=hot)


def _is_whole(key: Any) -> bool:
    return key is Ellipsis or (isinstance(key, slice) and key == slice(None))


def _padded(delta: Tensor, width: int) -> Tensor:
    """Return the gradient of one-hot vectors, classes last."""
    last = delta.movedim(0, -1)
    return nn.functional.pad(last, (0, width - last.shape[-1]))


def _weighed(delta: Tensor, table: Tensor) -> Tensor:
    """Return zeros with the gradient of a sum of a table's rows, weighed by a choice."""
    rows = table[: delta.shape[0]]
    flat = delta[: rows.shape[0]].movedim(0, -1).to(rows.dtype) @ rows.flatten(1)
    return flat.reshape(*delta.shape[1:], *table.shape[1:])

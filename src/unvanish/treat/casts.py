"""Casts to 16 bits that a forward makes by hand: where they are, and another in their place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.operations import clean
from unvanish.core.places import SourceLine
from unvanish.core.stack import user_line
from unvanish.observe.batch import call_model, map_tensors
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.look import Conditions, running
from unvanish.observe.tracing import trace
from unvanish.treat.following import Following
from unvanish.treat.precision import HALVES
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import Surgery

_CASTS: Final = frozenset({"to", "half", "bfloat16", "type", "type_as"})
"""Methods of a tensor that give it another type."""

_WIDE: Final = (torch.float32, torch.float64)

_MOST: Final = 16
"""Calls of a method in one forward that are told from others of it."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Calls of one method, in one module's own forward, that cast to 16 bits.

    Attributes:
        path: Path of the module.
        function: The method, such as ``"to"``.
        numbers: Which calls of it; None for every one.
        dtype: ``"float16"`` or ``"bfloat16"``.
        lines: The user's lines, in the order of the calls.
    """

    path: str
    function: str
    numbers: tuple[int, ...] | None
    dtype: str
    lines: tuple[SourceLine, ...]


class Recast(nn.Module):
    """A cast to another type than the code says.

    Args:
        dtype: ``"float32"`` or ``"bfloat16"``.
    """

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, cast: Tensor, given: Any) -> Tensor:
        """Return what was given in that type, where it was cast from a wider one to 16 bits.

        What another cast before has given the type keeps it.
        """
        wanted: torch.dtype = getattr(torch, self.dtype)
        if cast.dtype not in HALVES or not isinstance(given, Tensor):
            return cast
        if given.dtype not in _WIDE and given.dtype is not wanted:
            return cast
        return given.to(device=cast.device, dtype=wanted)

    def extra_repr(self) -> str:
        """Return the type."""
        return self.dtype


def narrowed(case: Case) -> frozenset[str]:
    """Return the types of 16 bits that gradients of wider weights pass although nobody asked.

    Args:
        case: The network; empty under autocast, and where the weights themselves are of 16 bits.
    """
    context = case.recording.context
    trained = [p for p in case.model.parameters() if p.requires_grad]
    if context.autocast or any(p.dtype in HALVES for p in trained):
        return frozenset()
    return frozenset(p.carried_in for p in case.recording.parameters if p.carried_in)


def casts(known: Case | Patient, *, types: Sequence[torch.dtype] = HALVES) -> list[Cast]:
    """Return the casts to 16 bits that are met with gradients switched on, in forward order.

    Args:
        known: The network; it stays as it is.
        types: The types of 16 bits that are meant.
    """
    context = known.anatomy.recording.context
    device = next((p.device for p in known.model.parameters()), torch.device("cpu"))
    conditions = Conditions(known.loss, context.seed, context.autocast, {})
    hearing = _Hearing(known.model, types)
    with untouched(known.model, seed=context.seed), running(conditions, device):
        seed_everything(context.seed)
        inputs = map_tensors(known.batch.inputs, lambda t: t.detach().clone())
        with hearing:
            call_model(known.model, inputs)
    return hearing.found()


def recast(surgery: Surgery, found: Sequence[Cast], dtype: str) -> None:
    """Let casts give another type.

    Args:
        surgery: Of the network.
        found: The casts.
        dtype: ``"float32"`` or ``"bfloat16"``.
    """
    after = "left in float32" if dtype == "float32" else f"to {dtype}"
    for one in found:
        for number in one.numbers if one.numbers is not None else (None,):
            is_first = number is None or number == (one.numbers or (number,))[0]
            surgery.insert(
                one.path,
                Recast(dtype),
                "through",
                function=one.function,
                call=number,
                before=f".{one.function}() to {one.dtype}" if is_first else "",
                after=after if is_first else "",
                source=one.lines[0] if one.lines else None,
            )


def still_narrow(case: Case, found: Sequence[Cast], dtype: str) -> frozenset[str]:
    """Return the weights whose gradient passes float16 even behind other casts.

    Args:
        case: The network; it stays as it is.
        found: The casts that give another type.
        dtype: The type that they give.

    Raises:
        UnvanishError: If the network does not run with it: other tensors of it are of 16 bits.
    """
    surgery = Surgery(case.model)
    recast(surgery, found, dtype)
    try:
        seed = case.recording.context.seed
        after = trace(case.model, case.batch, case.loss, batches=1, probe_steps=0, seed=seed)
    finally:
        surgery.undo()
    other = frozenset({"float16", "bfloat16"} - {dtype})
    return frozenset(p.name for p in after.parameters if p.carried_in in other)


def spoken(found: Sequence[Cast]) -> str:
    """Say where casts stand, such as ``"net.py:12, net.py:14"``."""
    lines = dict.fromkeys(str(line) for one in found for line in one.lines)
    return ", ".join(lines)


class _Hearing(Following):
    """Takes note of the casts in one forward pass."""

    def __init__(self, model: nn.Module, types: Sequence[torch.dtype]) -> None:
        super().__init__(model)
        self._types = types
        self._met: dict[tuple[str, str], dict[int, SourceLine | None]] = {}
        self._others: dict[tuple[str, str], set[int]] = {}
        self._dtypes: dict[tuple[str, str], str] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        name = clean(getattr(func, "__name__", ""))
        if name in _CASTS and self._running and args and isinstance(args[0], Tensor):
            number = self._count(name)
            given = (*args[1:], *(kwargs or {}).values())
            if name != "to" or any(isinstance(one, torch.dtype | Tensor) for one in given):
                self._hear((self._path, name), number, args[0], output)
        return output

    def _hear(self, key: tuple[str, str], number: int, given: Tensor, output: Any) -> None:
        # One of what is of 16 bits already does nothing yet, and would behind another cast.
        narrows = isinstance(output, Tensor) and output.dtype in self._types
        if narrows and given.is_floating_point() and torch.is_grad_enabled():
            self._met.setdefault(key, {}).setdefault(number, user_line(sys._getframe(2)))
            self._dtypes[key] = str(output.dtype).removeprefix("torch.")
        elif narrows and given.is_floating_point():
            self._others.setdefault(key, set()).add(number)

    def found(self) -> list[Cast]:
        """Return the casts; those of a forward are told apart only where others stay."""
        casts = []
        for (path, function), lines in self._met.items():
            stay = self._others.get((path, function), set())
            numbers = tuple(sorted(lines.keys() - stay)) if stay else None
            if numbers is None or 0 < len(numbers) <= _MOST:
                seen = tuple(dict.fromkeys(line for line in lines.values() if line is not None))
                casts.append(Cast(path, function, numbers, self._dtypes[path, function], seen))
        return casts

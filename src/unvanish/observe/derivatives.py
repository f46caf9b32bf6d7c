"""Derivatives that the loss is made of, and that carry no gradient of their own.

``torch.autograd.grad(u, t)`` without ``create_graph=True`` gives a number that the loss may hold
and that nothing can learn from. Which use is meant, the way to the loss tells: an equation or a
penalty compares the number, an adversarial example hands it to layers as a part of their input, a
step of an inner optimiser is taken along it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import FrameType
from typing import Any, Final

import torch
from torch import Tensor

from unvanish.core.incidents import Cut
from unvanish.core.operations import MATMUL_OPS, VIEW_OPS
from unvanish.core.stack import Owner, nearest_line, owner_of
from unvanish.observe.draws import ENDS
from unvanish.observe.lineage import EXPORTS, Lineage

DERIVATIVE: Final = "derivative"
"""What a derivative without a gradient stands under among the cuts."""

_FUNCTIONAL: Final = os.path.join("torch", "autograd", "functional.py")  # noqa: PTH118 (a part)
_PRODUCTS: Final = MATMUL_OPS | {"mul", "div", "true_divide"}
_LINEAR: Final = (
    VIEW_OPS | _PRODUCTS | frozenset("add sub rsub neg sum mean nansum nanmean cumsum".split())
)
"""Calls after which a derivative is still the factor that it was."""

_MOST: Final = 4
"""Calls of one line that are followed, from either end: steps of a loop are alike."""

_OWED = "owed"  # a function of torch.autograd.functional has still to detach it
_PLAIN = "plain"
_FACTOR = "factor"  # of what carries a gradient, as in the surrogate of a policy's gradient


def note_derivative(lineage: Lineage, args: Sequence[Any], options: Mapping[str, Any]) -> None:
    """Write down what the call of `torch.autograd.grad` that was noted last has differentiated.

    Args:
        lineage: The calls of the forward pass.
        args: What the call was given by place: what is differentiated, and by what.
        options: What it was given by name.
    """
    if len(args) < 2:
        return
    call = lineage.calls[-1]
    makers = (lineage.maker(one) for one in _tensors(args[0]))
    call.derives = tuple(maker for maker in makers if maker is not None)
    if options.get("create_graph") or not torch.is_grad_enabled():
        return
    found = nearest_line(sys._getframe(1))
    if found is not None and found[1]:
        return  # a library does it of its own
    call.lost = not any(_is_weight(lineage, one) for one in _tensors(args[1]))
    call.under = _asked_by(sys._getframe(1)) if call.lost else call.under


def lost_derivatives(lineage: Lineage, end: int) -> tuple[Cut, ...]:
    """Return the derivatives that the loss is made of and that carry no gradient, line by line.

    Args:
        lineage: The calls of a forward pass and its loss.
        end: The call that made the loss.
    """
    upstream = lineage.upstream([end])
    lines: dict[tuple[str, str], list[int]] = {}
    for index in sorted(upstream):
        call = lineage.calls[index]
        if call.lost:
            lines.setdefault((call.path, str(call.source)), []).append(index)
    weights = _weights(lineage) if lines else set()
    found = []
    for same in lines.values():
        some = dict.fromkeys((*same[:_MOST], *same[-_MOST:]))
        told = [one for one in some if _is_compared(lineage, upstream, weights, one, end)]
        names = _behind(lineage, told)
        if names:
            first = lineage.calls[told[0]]
            op = first.under or first.op
            found.append(Cut(op, first.path, first.source, names, DERIVATIVE))
    return tuple(found)


def _tensors(given: Any) -> Iterable[Tensor]:
    several = given if isinstance(given, list | tuple) else (given,)
    return (one for one in several if isinstance(one, Tensor))


def _is_weight(lineage: Lineage, tensor: Tensor) -> bool:
    """Tell whether a tensor is a parameter, or was computed from parameters alone."""
    maker = lineage.maker(tensor)
    if maker is None:
        return id(tensor) in lineage.parameter_names
    return not lineage.calls[maker].signal and bool(_behind(lineage, [maker]))


def _asked_by(frame: FrameType | None) -> str:
    """Return the function of `torch.autograd.functional` that runs; empty where none does."""
    name = ""
    while frame is not None and owner_of(frame.f_code.co_filename) is not Owner.USER:
        if frame.f_code.co_filename.endswith(_FUNCTIONAL):
            name = frame.f_code.co_name
        frame = frame.f_back
    return name


def _behind(lineage: Lineage, start: Iterable[int]) -> tuple[str, ...]:
    """Return the parameters that some values come from, derivatives among them included."""
    waiting, seen = list(start), set[int]()
    while waiting:
        index = waiting.pop()
        if index not in seen:
            seen.add(index)
            waiting.extend((*lineage.calls[index].parents, *lineage.calls[index].derives))
    names: dict[str, None] = {}
    for index in sorted(seen):
        names.update(dict.fromkeys(lineage.calls[index].parameters))
    return tuple(names)


def _weights(lineage: Lineage) -> set[int]:
    """Return the calls that compute with parameters alone."""
    found: set[int] = set()
    for index, call in enumerate(lineage.calls):
        if not call.signal and (call.parameters or not found.isdisjoint(call.parents)):
            found.add(index)
    return found


def _is_compared(
    lineage: Lineage, upstream: AbstractSet[int], weights: set[int], start: int, end: int
) -> bool:
    """Tell whether a derivative comes to the loss as a value, and neither as input nor as factor.

    Args:
        lineage: The calls.
        upstream: Those that the loss comes from.
        weights: Those that compute with parameters alone.
        start: The call that gave the derivative.
        end: The call that made the loss.
    """
    calls = lineage.calls
    first = calls[start]
    ways: dict[int, set[str]] = {start: {_OWED if first.under else _PLAIN}}
    for index in sorted(one for one in upstream if one > start):
        call = calls[index]
        before = set[str]().union(*(ways.get(parent, ()) for parent in call.parents))
        if not before:
            continue
        others = [one for one in call.parents if one not in ways]
        has_weights = bool(call.parameters) or not weights.isdisjoint(others)
        if has_weights and call.op in MATMUL_OPS:
            return False
        if call.op in ENDS or call.op in EXPORTS:
            at_home = (call.path, call.source) == (first.path, first.source)
            if _OWED in before and call.op == "detach" and at_home:
                ways[index] = {_PLAIN}
            continue
        mixed = [one for one in call.parents if one in ways]
        is_factor = bool(call.parameters) or any(calls[one].carries for one in others)
        if call.op not in _LINEAR:
            ways[index] = {_OWED} if before == {_OWED} else {_PLAIN}
        elif call.op in _PRODUCTS and is_factor and not any(calls[one].carries for one in mixed):
            ways[index] = {_FACTOR}
        else:
            ways[index] = before
    return bool(ways.get(end, set[str]()) - {_FACTOR})

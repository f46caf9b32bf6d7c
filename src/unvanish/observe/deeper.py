"""A second backward pass for gradients that the first may have lost.

It runs in float64 on a copy, with exponents kept. Where no such copy can run, it runs on
the graph of the first look, in the types of that run.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.core.incidents import Gap
from unvanish.observe.backward import Gradients, ParameterGradient
from unvanish.observe.batch import Batch, map_tensors
from unvanish.observe.copies import copied
from unvanish.observe.graph import Graph
from unvanish.observe.look import Conditions, Look, extend, look_extended
from unvanish.observe.measure import grad_profile, positions

_log = logging.getLogger(__name__)

_UNDERFLOW_LOG10: Final = {torch.float32: -36.0, torch.bfloat16: -36.0, torch.float64: -140.0}
"""Gradients below this may have lost entries in the type that was measured."""
_FP16_FLOOR: Final = -4.0

_AGREE: Final = 0.1
"""Decades by which two passes over the same graph may differ."""
_CANCELLED: Final = 1.0
"""Decades by which contributions may exceed their sum before the rest is rounding noise."""

_SMALL_GRADIENTS: Final = "gradients below the range of the measured type"


def look_deeper(
    model: nn.Module, first: Look, batch: Batch, conditions: Conditions, gaps: list[Gap]
) -> Look | None:
    """Repeat a look with exponents kept, where the plain one may hold false zeros.

    Args:
        model: The model that was looked at.
        first: The plain look.
        batch: Its batch.
        conditions: Its conditions.
        gaps: Where it is noted that the look was needed and could not be made.

    Returns:
        The deeper look; None where the plain one is good enough, or is all there is.
    """
    if not _needs_depth(first, model):
        return None
    deep = _in_float64(model, batch, conditions)
    try:
        if deep is None:
            deep = extend(first, model)
        place = _changed_by_hooks(first, deep)
        if place is not None and deep.graph is not first.graph:
            # Rounding and other random numbers differ in float64; on one graph, hooks alone.
            place = _changed_by_hooks(first, extend(first, model))
    except Exception as error:
        _log.debug("the extended pass failed", exc_info=True)
        why = f"{type(error).__name__}: {first_line(error)}"
        gaps.append(Gap(_SMALL_GRADIENTS, f"no pass with exponents kept could be made: {why}"))
        return None
    if place is not None:
        name = first.graph.sites[place].name
        why = f"a backward hook changes the gradient at {name}; only the plain pass runs hooks"
        gaps.append(Gap(_SMALL_GRADIENTS, why, place))
        return None
    _trust_hooked_parameters(model, first.gradients, deep.gradients)
    return deep


def grad_dtype(own: str, deep: Look | None, first: Look) -> str:
    """Name the type in which gradients were measured.

    Args:
        own: The model's commonest parameter type.
        deep: The deeper look, if one was made.
        first: The plain look.
    """
    if deep is None:
        return own
    narrow = deep.graph is first.graph and own != "float64"
    beyond = -1000 if not narrow else -120
    if deep.gradients.deepest_exponent < beyond:
        return "extended"
    return own if narrow else "float64"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def _in_float64(model: nn.Module, batch: Batch, conditions: Conditions) -> Look | None:
    try:
        twin = copied(model).double()
        wide = Batch(map_tensors(batch.inputs, _widen), map_tensors(batch.target, _widen))
        return look_extended(twin, wide, replace(conditions, autocast=""))
    except Exception:
        _log.debug("the float64 look failed", exc_info=True)
        return None


def _widen(tensor: Tensor) -> Tensor:
    return tensor.detach().double() if tensor.is_floating_point() else tensor


def _needs_depth(first: Look, model: nn.Module) -> bool:
    if first.gradients.non_finite:
        return False
    if any(note.low_precision for note in first.graph.notes):
        return True
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    floor = _floor(dtype) if dtype is not torch.bfloat16 else _FP16_FLOOR
    return any(
        value < floor
        for norms in _norms(first)
        for index, value in grad_profile(first.graph, norms).items()
        if first.graph.sites[index].weights
    )


def _floor(dtype: torch.dtype | None) -> float:
    return _UNDERFLOW_LOG10.get(dtype, _FP16_FLOOR) if dtype is not None else _FP16_FLOOR


def _norms(look: Look) -> Iterator[Mapping[int, float]]:
    yield look.gradients.log10_norms
    if look.probe is not None:
        yield look.probe.log10_norms


def _changed_by_hooks(first: Look, deep: Look) -> int | None:
    """Return the first site, from the loss on, where the two passes part without a reason.

    Every user of the site got the same gradient in both passes, well inside the range of
    its type; so what arrived at the site was changed on the way. A C++ node does not show
    its hooks, and only the engine runs them.
    """
    graph = first.graph
    place = {theirs: mine for mine, theirs in positions(deep.graph, graph).items()}
    plain = first.gradients
    mine = grad_profile(graph, plain.log10_norms)
    theirs = grad_profile(deep.graph, deep.gradients.log10_norms)
    users: dict[int, list[int]] = {}
    for row in graph.links:
        for link in row:
            if link.producer is not None and link.consumer in mine:
                users.setdefault(link.producer, []).append(link.consumer)

    def inside(i: int, value: float) -> bool:
        return value > _floor(_dtype(graph, i))

    def agree(i: int) -> bool:
        other = theirs.get(place[i], math.nan) if i in place else math.nan
        return inside(i, mine[i]) and abs(mine[i] - other) <= _AGREE

    for i in sorted(mine, reverse=True):
        other = theirs.get(place[i], math.nan) if i in place else math.nan
        if agree(i) or not (inside(i, mine[i]) or (mine[i] == -math.inf and inside(i, other))):
            continue
        if math.isnan(other) or not all(agree(user) for user in users.get(i, ())):
            continue
        if not _cancels(graph, plain, i):
            return i
    return None


def _cancels(graph: Graph, plain: Gradients, i: int) -> bool:
    """Tell whether what arrives at a site is a small rest of large contributions."""
    if graph.uses.get(i, 0) < 2:
        return False
    sent = [
        plain.contributions[key]
        for row in graph.links
        for link in row
        if link.producer == i and (key := (link.consumer, link.position)) in plain.contributions
    ]
    return bool(sent) and max(sent) - plain.log10_norms[i] > _CANCELLED


def _dtype(graph: Graph, i: int) -> torch.dtype | None:
    try:
        dtype: torch.dtype = graph.notes[i].node._input_metadata[0].dtype
    except (AttributeError, IndexError, RuntimeError):
        return None
    return dtype


def _trust_hooked_parameters(model: nn.Module, plain: Gradients, deep: Gradients) -> None:
    """Keep the plain gradient of parameters whose own hooks change it."""
    for name, parameter in model.named_parameters():
        found: ParameterGradient | None = plain.parameters.get(name)
        if parameter._backward_hooks and found is not None:
            deep.parameters[name] = found

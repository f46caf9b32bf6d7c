"""Random draws without a gradient, and the layers that work on what was drawn.

``distribution.sample()`` draws under ``no_grad`` what ``rsample()`` draws with a gradient. Which
of the two is meant, the use tells: a policy takes the logarithm of the probability of what it
drew, an autoencoder hands it to a decoder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Set
from types import FrameType
from typing import Final

from unvanish.core.operations import MATMUL_OPS, VIEW_OPS
from unvanish.core.stack import Owner, owner_of
from unvanish.observe.blind import with_a_way_back
from unvanish.observe.lineage import Lineage

_DISTRIBUTIONS: Final = os.path.join("torch", "distributions") + os.sep  # noqa: PTH118 (a part)
ENDS: Final = frozenset(
    "sign sgn round floor ceil trunc fix bernoulli heaviside "
    "detach detach_ data argmax argmin argsort long int short bool byte one_hot multinomial".split()
)
"""Calls behind which no gradient is asked for: none would pass, or it is stopped on purpose."""

_BY_HAND: Final = ("normal", "no_grad")
"""Call and what it stands under where ``torch.normal(mean, std)`` draws, and no distribution."""

_VIEWS: Final = VIEW_OPS | {"broadcast_tensors"}
_JOINS: Final = VIEW_OPS | {"add", "sum", "mean"}
"""Calls that bring a draw and its distribution together without measuring how likely it is."""


def is_a_draw(frame: FrameType | None = None) -> bool:
    """Tell whether a distribution of PyTorch's draws in ``sample()`` and could in ``rsample()``.

    Args:
        frame: The innermost of the calls that are running; the caller's own by default.
    """
    current = frame if frame is not None else sys._getframe(1)
    found = False
    while current is not None:
        code = current.f_code
        owner = owner_of(code.co_filename)
        if owner not in (Owner.OURS, Owner.FRAMEWORK):
            break
        if code.co_name == "sample" and _DISTRIBUTIONS in code.co_filename:
            found = bool(getattr(current.f_locals.get("self"), "has_rsample", False))
        current = current.f_back  # type: ignore[assignment]
    return found


def fed_by_draws(lineage: Lineage, end: int) -> Mapping[int, tuple[str, ...]]:
    """Return the weights that work on what each draw gave, on a way with a gradient.

    Nothing is returned for a draw whose likelihood is computed: the gradient of an action's
    logarithmic probability stands in the place of a gradient through the action.

    Args:
        lineage: The calls of a forward pass and its loss.
        end: The call that made the loss.

    Returns:
        Index of a drawing call to the names of the parameters.
    """
    places: dict[tuple[str, str], list[int]] = {}
    for index, call in enumerate(lineage.calls):
        if call.cuts and (call.under == "sample" or (call.op, call.under) == _BY_HAND):
            places.setdefault((call.path, str(call.source)), []).append(index)
    alive = with_a_way_back(lineage, end) if places else set()
    found: dict[int, tuple[str, ...]] = {}
    for drawing in places.values():
        names = _fed(lineage, alive, set(drawing))
        found.update(dict.fromkeys(drawing, names) if names else {})
    return found


def _fed(lineage: Lineage, alive: Set[int], drawing: set[int]) -> tuple[str, ...]:
    """Follow what was drawn, and what it was drawn by, to the first layers that use it."""
    calls = lineage.calls
    drawn, drawn_by, stopped = set(drawing), _given(lineage, drawing), set[int]()
    weights: dict[int, tuple[str, ...]] = {}  # calls that compute with parameters alone
    names: dict[str, None] = {}
    for index, call in enumerate(calls):
        own = [*call.parameters, *(n for one in call.parents for n in weights.get(one, ()))]
        if own and not call.signal:
            weights[index] = tuple(own)
        if index in drawing or index in drawn_by:
            continue
        parents = set(call.parents)
        if drawn.isdisjoint(parents):
            if not (drawn_by.isdisjoint(parents) or call.parameters or call.op in MATMUL_OPS):
                drawn_by.add(index)
        elif own and call.op in MATMUL_OPS:
            if index in alive and parents & drawn - stopped:
                names.update(dict.fromkeys(own))
        elif call.carries and not drawn_by.isdisjoint(parents) and call.op not in _JOINS:
            return ()
        else:
            drawn.add(index)
            ends = call.op in ENDS and call.under != "sample"
            if ends or parents & drawn <= stopped:
                stopped.add(index)
    return tuple(names)


def _given(lineage: Lineage, drawing: set[int]) -> set[int]:
    """Return the calls with a gradient that made what is drawn by, and those they are views of."""
    found: set[int] = set()
    waiting = [parent for index in drawing for parent in lineage.calls[index].parents]
    seen = set(waiting)
    while waiting:
        index = waiting.pop()
        call = lineage.calls[index]
        if call.carries:
            found.add(index)
            if call.op not in _VIEWS:
                continue
        above = [one for one in call.parents if one not in seen]
        seen.update(above)
        waiting.extend(above)
    return found

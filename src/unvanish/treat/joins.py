"""Residual branches: the sums of a signal and of what is computed from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import nn

from unvanish.observe.statistics.slope import ACTIVATIONS
from unvanish.treat.anatomy import NORMS
from unvanish.treat.calls import Call, Calls, Place, axes_of, start_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One side of a sum that computes something, while the other only passes on.

    Attributes:
        end: Call whose result is added.
        join: The sum.
        weights: Names of the weights of its layers, in forward order.
        layers: The calls of these layers.
        activations: Names of the functions between them.
        norms: Paths of the modules in it that standardise.
        shape: Shape of what is added.
        axes: Axes behind the channels.
        skip: Which argument of the sum is the other side.
        projected: Whether the other side holds a layer.
        normalised: Whether the sum is standardised before anything else uses it.
        calls: How often the sum is made in one pass.
    """

    end: Place
    join: Place
    weights: tuple[str, ...]
    layers: tuple[Place, ...]
    activations: tuple[str, ...]
    norms: tuple[str, ...]
    shape: tuple[int, ...]
    axes: int
    skip: int
    projected: bool
    normalised: bool
    calls: int = 1


def branches_of(calls: Calls, model: nn.Module) -> list[Branch]:
    """Return the sums of a signal and of what is computed from it.

    What no gradient comes back through is no branch: in ``z + (q - z).detach()``, the estimator of
    a discrete code, it holds the whole of the signal.

    A loop that is fed at each step, ``h = f(W h + u)``, adds as well; what it adds is the next
    step, which holds the ones before it, and no branch beside a stream.
    """
    looping: set[Place] = set()
    wide = {name for name, parameter in model.named_parameters() if parameter.dim() > 1}
    found: dict[tuple[Place, Place], Branch] = {}
    runs: dict[tuple[Place, Place], int] = {}
    for join in calls:
        ways = list(dict.fromkeys(join.before))
        if join.function not in ("add", "sub") or len(ways) != 2 or join.weights or -1 in ways:
            continue
        sides = _sides(calls, *ways)
        if sides is None:
            continue
        layers = [[c for c in side if _has_matrix(c, wide)] for side in sides]
        branch = 0 if len(layers[0]) > len(layers[1]) else 1
        other = layers[1 - branch]
        if len(layers[branch]) <= len(other) or len(other) > 1:
            continue
        if any(c.function in ACTIVATIONS for c in sides[1 - branch]):
            continue
        if any(c.cuts for c in sides[branch]):
            continue
        steps = [start_of(c, model) for c in layers[branch]]
        if steps.count(steps[-1]) > 1:
            looping.add(steps[-1])
        end = calls[ways[branch]]
        place = (join.path, join.function, join.number)
        key = (end.place, place)
        runs[key] = runs.get(key, 0) + 1
        found[key] = Branch(
            end=end.place,
            join=place,
            weights=tuple(dict.fromkeys(n for c in layers[branch] for n in c.weights if n in wide)),
            layers=tuple(dict.fromkeys(steps)),
            activations=tuple(c.function for c in sides[branch] if c.function in ACTIVATIONS),
            norms=tuple(dict.fromkeys(c.path for c in sides[branch] if c.function in NORMS)),
            shape=end.shape,
            axes=max((axes_of(c) for c in layers[branch]), default=0),
            skip=1 - branch,
            projected=bool(other),
            normalised=[c.function in NORMS for c in calls.users(join.index)] == [True],
            calls=runs[key],
        )
    return [branch for branch in found.values() if branch.layers[-1] not in looping]


def _has_matrix(call: Call, wide: Collection[str]) -> bool:
    is_layer = call.function not in NORMS and call.function != "prelu"
    return is_layer and any(name in wide for name in call.weights)


def _sides(calls: Calls, one: int, other: int) -> tuple[list[Call], list[Call]] | None:
    """Return the calls of two ways that end in one sum, back to where they part."""
    marks = {one: 1, other: 2}
    sides: tuple[list[Call], list[Call]] = ([], [])
    while marks:
        index = max(marks)
        mark = marks.pop(index)
        if mark == 3:
            if len({1, 2} & set(marks.values())) < 2:
                return sides[0][::-1], sides[1][::-1]
            above = calls[index].before
        else:
            sides[mark - 1].append(calls[index])
            above = calls[index].before
        for before in above:
            if before < 0:
                continue
            marks[before] = marks.get(before, 0) | mark
    return None

"""The gates of a network: which numbers in which bias shift them, found by differentiation.

A gate's bias may stand in the layer that computes it, in a normalisation behind that layer or in
a sum of its own; it may make several gates at once that are taken apart later. What it shifts is
asked of autograd and not of names: one entry that moves one unit, by as much for every sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.operations import clean
from unvanish.core.records import Site
from unvanish.observe.batch import Batch, call_model
from unvanish.observe.guard import untouched
from unvanish.treat.following import Following

_TOLERANCE: Final = 0.02
"""How far a unit's number, read off a gradient in float32, may be from a whole one."""

_OPENINGS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "sigmoid": torch.sigmoid,
    "glu": torch.sigmoid,
    "hardsigmoid": torch.nn.functional.hardsigmoid,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifted:
    """A bias and the units of a gate that it shifts.

    Attributes:
        name: Name of the bias.
        entries: Positions in the bias, flattened.
        units: The unit of the gate that each of them shifts.
        factor: By how much an entry shifts its unit.
    """

    name: str
    entries: Tensor
    units: Tensor
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What goes into a gate on one batch.

    Attributes:
        mean: Average of each unit over samples, positions and calls.
        opening: Average of what comes out of it.
        within: How far the units of one sample lie apart, beyond their averages.
        bias: The bias that shifts it; None where there is none that is trained.
    """

    mean: Tensor
    opening: Tensor
    within: float
    bias: Shifted | None

    @property
    def offsets(self) -> float:
        """How far apart the averages of the units lie (standard deviation)."""
        return float(self.mean.std(correction=0))


def scores_of(
    model: nn.Module, batch: Batch, sites: Iterable[Site], *, names: Iterable[str]
) -> Scores | None:
    """Run a network once and return what goes into one gate; it stays as it is.

    Args:
        model: The network.
        batch: What it is run on.
        sites: The gate: one step, or the same one at every time step.
        names: Names of the biases to try, the likeliest first.

    Returns:
        None where the gate was not met.
    """
    wanted = tuple(sites)
    path, function = wanted[0].path, wanted[0].function
    with untouched(model, seed=0), torch.enable_grad():
        meeting = _Meeting(model, path, function)
        with meeting:
            call_model(model, batch.inputs)
        met = [_gate_half(*one) for one in meeting.met]
        if not met or not met[0].ndim:
            return None
        known = dict(model.named_parameters(remove_duplicate=False))
        chosen = _chosen(met, wanted)
        axis, bias = -1, None
        for name in names:
            for axis in (-1, 1) if chosen[0].ndim > 2 else (-1,):
                bias = bias or _shifted(chosen[0], axis, name, known[name])
                if bias is not None:
                    break
            if bias is not None:
                break
    units = [one.detach().double().movedim(axis if bias else -1, 0).flatten(1) for one in chosen]
    opened = _OPENINGS.get(function, torch.sigmoid)
    mean = torch.stack([one.mean(1) for one in units]).mean(0)
    apart = torch.cat([one - one.mean(0) for one in units], dim=1)
    within = float(apart.var(dim=1, correction=0).mean().sqrt())
    opening = torch.stack([opened(one).mean(1) for one in units]).mean(0)
    return Scores(mean=mean, opening=opening, within=within, bias=bias)


class _Meeting(Following):
    """Keeps what goes into the calls of one function in one module's forward."""

    def __init__(self, model: nn.Module, path: str, function: str) -> None:
        super().__init__(model)
        self._wanted = path, function
        self.met: list[tuple[str, Tensor, int]] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options: Mapping[str, Any] = kwargs or {}
        name = clean(getattr(func, "__name__", ""))
        given = args[0] if args else options.get("input")
        if (self._path, name) == self._wanted and isinstance(given, Tensor):
            dim = options.get("dim", args[1] if name == "glu" and len(args) > 1 else -1)
            # What follows may write into it.
            self.met.append((name, given.clone(), dim))
        return func(*args, **options)


def _gate_half(function: str, given: Tensor, dim: int) -> Tensor:
    return given.chunk(2, dim)[1] if function == "glu" else given


def _chosen(met: list[Tensor], wanted: tuple[Site, ...]) -> list[Tensor]:
    """Return the calls that are meant, where they can be told by their numbers."""
    numbers = [site.call for site in wanted]
    if max(numbers) >= len(met):
        return met
    chosen = [met[number] for number in numbers]
    return [one for one in chosen if one.shape[1:] == chosen[0].shape[1:]]


def _shifted(given: Tensor, axis: int, name: str, bias: nn.Parameter) -> Shifted | None:
    """Return the units that a parameter shifts; None where it does anything else to them."""
    if not bias.requires_grad or not given.requires_grad or bias.numel() != max((*bias.shape, 1)):
        return None
    count = int(given.shape[axis])
    shape = [1] * given.ndim
    shape[axis] = -1
    numbers = torch.arange(1, count + 1, dtype=given.dtype, device=given.device).reshape(shape)
    even = torch.ones_like(given)
    plain = _slope(given, bias, even)
    if plain is None or not plain.any():
        return None
    first, last = torch.zeros_like(given), torch.zeros_like(given)
    first[0], last[-1] = 1.0, 1.0
    ends = _slope(given, bias, first), _slope(given, bias, last)
    weighted, squared = _slope(given, bias, even * numbers), _slope(given, bias, even * numbers**2)
    if ends[0] is None or ends[1] is None or weighted is None or squared is None:
        return None
    entries = plain.nonzero().flatten()
    ratio, square = (weighted / plain)[entries], (squared / plain)[entries]
    unit = ratio.round()
    each = given.numel() / count
    factor = float(plain[entries[0]]) / each
    fits = (
        torch.allclose(ratio, unit, atol=_TOLERANCE, rtol=0.0)
        and torch.allclose(square.sqrt(), unit, atol=_TOLERANCE, rtol=0.0)
        and torch.allclose(plain[entries], plain[entries[0]].expand(len(entries)), rtol=1e-3)
        and torch.allclose(ends[0], ends[1], rtol=1e-3)
        and len(unit.unique()) == len(unit) == len(entries)
        and factor != 0.0
    )
    if not fits:
        return None
    return Shifted(name=name, entries=entries, units=unit.long() - 1, factor=factor)


def _slope(given: Tensor, bias: nn.Parameter, direction: Tensor) -> Tensor | None:
    try:
        slopes: tuple[Tensor | None, ...] = torch.autograd.grad(
            given, bias, direction, retain_graph=True, allow_unused=True, materialize_grads=False
        )
    except RuntimeError:  # a reentrant checkpoint gives no gradient to a part of its inputs
        return None
    slope = slopes[0]
    return None if slope is None else slope.detach().double().flatten()

"""Outputs on the flat part of their function: does the loss want them out, and could it?

A converged network and a stuck one look alike there. The sign of the loss gradient tells
whether gradient descent would go further in or come back, and a second forward pass, with
the output pulled back to where its function has a slope, tells what gradient there could be.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.overrides import TorchFunctionMode

from unvanish.core.glossary import Quantity
from unvanish.core.records import Profile, Role
from unvanish.observe.batch import Batch, call_model, map_tensors
from unvanish.observe.guard import seed_everything
from unvanish.observe.look import Conditions, Look, running
from unvanish.observe.loss import compute_loss
from unvanish.observe.names import Node, clean, is_leaf_node
from unvanish.observe.opaque import in_the_open
from unvanish.observe.readings import is_wrapped
from unvanish.observe.statistics.magnitude import norm64

_log = logging.getLogger(__name__)

_FLAT: Final = 0.1
"""Share of the largest slope below which an entry counts as flat, as in UV201."""

_MOST: Final = 0.5
_INSIDE: Final = 0.5
"""How far from the centre an entry is pulled back to; sigmoid keeps 94 % of its slope there."""

_UNMASKED: Final = 1e4
_MANY: Final = 8


@dataclass(frozen=True, slots=True)
class _Flat:
    """Which entries of an output are on the flat part, and how to pull them back.

    Attributes:
        mask: One truth value an entry; for softmax the same one for a whole row.
        outwards: The output's distance from its centre.
        pull: Maps the pre-activation to one on the sloped part.
        dim: Dimension of a softmax; None for a function of single entries.
    """

    mask: Tensor
    outwards: Tensor
    pull: Callable[[Tensor], Tensor]
    dim: int | None = None

    def wants_out(self, gradient: Tensor) -> Tensor:
        """Tell which entries gradient descent would take back towards the centre."""
        towards = gradient * self.outwards
        if self.dim is None:
            return towards > 0
        return (towards.sum(self.dim, keepdim=True) > 0).expand_as(towards)

    def error(self, gradient: Tensor) -> Tensor:
        """Return the part of a gradient that the function can answer to, squared."""
        if self.dim is not None:
            gradient = gradient - gradient.mean(self.dim, keepdim=True)
        return gradient.double().square()


def stuck_outputs(
    model: nn.Module, seen: Look, batch: Batch, conditions: Conditions
) -> dict[Quantity, Profile]:
    """Measure how far the outputs are stuck on the flat part of their function.

    Args:
        model: The model that was looked at; its state may be another one afterwards.
        seen: The look.
        batch: Its batch.
        conditions: Its conditions.

    Returns:
        Up to three profiles over the outputs' activation functions.
    """
    values: dict[Quantity, dict[int, float]] = {}
    for site in _candidates(seen):
        try:
            for quantity, value in _measure(site, model, seen, batch, conditions).items():
                values.setdefault(quantity, {})[site] = value
        except Exception:  # a trial that the user's code does not take is no trial
            _log.debug("the output at site %d was not measured", site, exc_info=True)
    return {quantity: Profile(quantity, row) for quantity, row in values.items()}


def _candidates(seen: Look) -> list[int]:
    """Return the activation functions with flat ends that shape the output, last first."""
    graph = seen.graph
    if seen.loss.grad_fn is None:
        return []
    outputs = {tensor.grad_fn for tensor in seen.outputs}
    return [
        site.index
        for site, note in zip(reversed(graph.sites), reversed(graph.notes), strict=True)
        if site.op in _FUNCTIONS
        and site.op == note.function
        and not site.gates
        and (site.is_output or site.role is Role.LOSS or note.node in outputs)
        and seen.gradients.log10_norms.get(site.index, -math.inf) > -math.inf
    ][:_MANY]


def _measure(
    site: int, model: nn.Module, seen: Look, batch: Batch, conditions: Conditions
) -> Mapping[Quantity, float]:
    node = seen.graph.notes[site].node
    before, slot = node.next_functions[0]
    with torch.no_grad():
        flat = _FUNCTIONS[seen.graph.sites[site].op](node)
        if float(flat.mask.double().mean()) <= _MOST:
            return {Quantity.STUCK_FRACTION: 0.0}
    edges = [GradientEdge(node, 0)]
    if before is not None and not is_leaf_node(before):
        edges.append(GradientEdge(before, slot))
    at_output, *at_input = torch.autograd.grad(seen.loss, edges, retain_graph=True)
    stuck = flat.mask & flat.wants_out(at_output)
    error = flat.error(at_output)
    total = float(error.sum())
    if not math.isfinite(total):
        return {}
    if total == 0.0:
        return {Quantity.STUCK_FRACTION: 0.0}
    share = float(error[stuck].sum()) / total
    if not share > _MOST or not at_input:
        return {Quantity.STUCK_FRACTION: share}
    loss, there = _pulled_back(site, flat.pull, model, seen, batch, conditions)
    now, then = float(norm64(at_input[0][stuck])), float(norm64(there[stuck]))
    here = float(seen.loss.detach().real)
    return {
        Quantity.STUCK_FRACTION: share,
        Quantity.LOG10_STUCK_GRAD_RATIO: _log10(now) - _log10(then) if then > 0.0 else 0.0,
        Quantity.UNDECIDED_GAIN: (here - loss) / ((abs(here) + abs(loss)) or 1.0),
    }


def _pulled_back(
    site: int,
    pull: Callable[[Tensor], Tensor],
    model: nn.Module,
    seen: Look,
    batch: Batch,
    conditions: Conditions,
) -> tuple[float, Tensor]:
    """Run the model once more with one output pulled back.

    Returns:
        The loss, and its gradient at the pre-activation that was pulled back.
    """
    name = seen.graph.sites[site].op
    earlier = sum(n.function == name == n.op for n in seen.graph.notes[:site])
    mode = _PullBack(name, earlier, pull)
    seed_everything(conditions.seed)
    fresh = Batch(map_tensors(batch.inputs, lambda t: t.detach().clone()), batch.target)
    with running(conditions, seen.loss.device), in_the_open(), mode:
        loss, _, _ = compute_loss(conditions.loss, call_model(model, fresh.inputs), fresh)
    if mode.pulled is None:
        raise LookupError("the call was not met again")
    (gradient,) = torch.autograd.grad(loss, mode.pulled)
    return float(loss.detach().real), gradient


class _PullBack(TorchFunctionMode):
    """Replaces the input of one call of a function.

    Args:
        name: The function.
        earlier: How many of its calls come before.
        pull: Makes the new input of the old one.
    """

    def __init__(self, name: str, earlier: int, pull: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.pulled: Tensor | None = None
        self._name = name
        self._earlier = earlier
        self._pull = pull

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        raw = getattr(func, "__name__", "")
        given = args[0] if args else kwargs.get("input")
        if clean(raw) != self._name or not isinstance(given, Tensor) or is_wrapped(given):
            return func(*args, **kwargs)
        if not (given.requires_grad and torch.is_grad_enabled()):
            return func(*args, **kwargs)
        self._earlier -= 1
        if self._earlier != -1:
            return func(*args, **kwargs)
        if raw.endswith("_") or kwargs.get("inplace") or any(a is True for a in args[1:]):
            raise NotImplementedError("the call works in place")
        self.pulled = self._pull(given.detach()).requires_grad_()
        if args:
            return func(self.pulled, *args[1:], **kwargs)
        return func(**{**kwargs, "input": self.pulled})


def _log10(value: float) -> float:
    return math.log10(value) if value > 0.0 else -math.inf


def _of_result(cap: float, centre: float, slope: Callable[[Tensor], Tensor]) -> Any:
    """Describe a function whose slope is one of its own output."""

    def describe(node: Node) -> _Flat:
        y = node._saved_result.detach()
        return _Flat(slope(y) < _FLAT * cap, y - centre, lambda z: z.clamp(-_INSIDE, _INSIDE))

    return describe


def _hardtanh(node: Node) -> _Flat:
    z, low, high = node._saved_self.detach(), node._saved_min_val, node._saved_max_val
    centre, half = (low + high) / 2, (high - low) / 2

    def pull(z: Tensor) -> Tensor:
        return z.clamp(centre - _INSIDE * half, centre + _INSIDE * half)

    return _Flat((z <= low) | (z >= high), z - centre, pull)


def _hardsigmoid(node: Node) -> _Flat:
    z = node._saved_self.detach()
    return _Flat(z.abs() >= 3.0, z, lambda z: z.clamp(-_INSIDE, _INSIDE))


def _softmax(node: Node) -> _Flat:
    p = node._saved_result.detach()
    dim = int(node._saved_dim)
    dim = dim - 2**64 if dim >= 2**63 else dim  # kept as an unsigned number
    top = p.amax(dim, keepdim=True)

    def pull(z: Tensor) -> Tensor:
        below = z - z.amax(dim, keepdim=True)
        return torch.where(below > -_UNMASKED, below.clamp(min=-2 * _INSIDE), below)

    sure = (top * (1 - top) < _FLAT / 4).expand_as(p)
    return _Flat(sure, p - 1.0 / p.shape[dim], pull, dim)


_FUNCTIONS: Final[dict[str, Callable[[Node], _Flat]]] = {
    "sigmoid": _of_result(0.25, 0.5, lambda y: y * (1 - y)),
    "tanh": _of_result(1.0, 0.0, lambda y: 1 - y.square()),
    "softmax": _softmax,
    "hardtanh": _hardtanh,
    "hardsigmoid": _hardsigmoid,
}

"""Outputs on the flat part of their function: does the loss want them out, and could it?

A converged network and a stuck one look alike there. The sign of the loss gradient tells
whether gradient descent would go further in or come back. Further forward passes, with the
output undecided and the same for every sample, tell what gradient there could be, and
whether what the output says now is worth anything.
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

_log = logging.getLogger(__name__)

_FLAT: Final = 0.1
"""Share of the largest slope below which an entry counts as flat, as in UV201."""

_MOST: Final = 0.5
_MOSTLY: Final = 0.75
_WITHIN: Final = (0.5, 1.0, 2.0, 3.0)
"""How far from the centre a constant answer is tried; all on the sloped part of a sigmoid."""

_SAMPLES: Final = 8
_UNMASKED: Final = 1e4
_MANY: Final = 8


@dataclass(frozen=True, slots=True)
class _Flat:
    """Which entries of an output are on the flat part, and what an undecided one is.

    Attributes:
        mask: One truth value an entry; for softmax the same one for a whole row.
        outwards: The output's distance from its centre.
        centre: Centre of the function's domain.
        half: Width of its sloped part against that of sigmoid.
        dim: Dimension of a softmax; None for a function of single entries.
        keeps_offset: Whether a gradient that is the same for all entries of a row is answered
            to; a softmax, whose sum is fixed, does not.
    """

    mask: Tensor
    outwards: Tensor
    centre: float = 0.0
    half: float = 1.0
    dim: int | None = None
    keeps_offset: bool = False

    def wants_out(self, gradient: Tensor) -> Tensor:
        """Tell which entries gradient descent would take back towards the centre."""
        towards = gradient * self.outwards
        if self.dim is None:
            return towards > 0
        return (towards.sum(self.dim, keepdim=True) > 0).expand_as(towards)

    def error(self, gradient: Tensor) -> Tensor:
        """Return the part of a gradient that the function can answer to, squared."""
        if self.dim is not None and not self.keeps_offset:
            gradient = gradient - gradient.mean(self.dim, keepdim=True)
        return gradient.double().square()

    def constant(self, z: Tensor, unit_dim: int, within: float) -> Tensor:
        """Return pre-activations that are the same for every sample and not too far out.

        Args:
            z: The pre-activations as they are.
            unit_dim: Dimension that counts units.
            within: Largest distance from the centre; for softmax, from the largest score.
        """
        keep = (self.dim if self.dim is not None else unit_dim) % max(1, z.ndim)
        others = [d for d in range(z.ndim) if d != keep]
        mean = z.mean(others, keepdim=True) if others else z
        if self.dim is not None:
            below = mean - mean.amax(self.dim, keepdim=True)
            row = torch.where(below > -_UNMASKED, below.clamp(min=-within), below)
        else:
            reach = within * self.half
            row = mean.clamp(self.centre - reach, self.centre + reach)
        return row.expand_as(z).clone()


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
        and (site.op != "sub" or _is_log_softmax(note.node))
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
    levels = _WITHIN if at_output.shape[:1].numel() >= _SAMPLES else _WITHIN[:1]
    losses, there = [], at_output
    for within in levels:
        loss, gradient = _with_constant(site, flat, within, model, seen, batch, conditions)
        losses.append(loss)
        there = gradient if within == levels[0] else there
    now, then = at_input[0][stuck].double().abs(), there[stuck].double().abs()
    here, best = float(seen.loss.detach().real), min(losses)
    return {
        Quantity.STUCK_FRACTION: share,
        Quantity.LOG10_STUCK_GRAD_RATIO: _typical_ratio(now, then),
        Quantity.UNDECIDED_GAIN: (here - best) / ((abs(here) + abs(best)) or 1.0),
    }


def _with_constant(
    site: int,
    flat: _Flat,
    within: float,
    model: nn.Module,
    seen: Look,
    batch: Batch,
    conditions: Conditions,
) -> tuple[float, Tensor]:
    """Run the model once more with one output the same for every sample, and undecided.

    Returns:
        The loss, and its gradient at the pre-activations that were put in.
    """
    note = seen.graph.notes[site]
    earlier = sum(n.function == note.op == n.op for n in seen.graph.notes[:site])
    function = (lambda z: z.log_softmax(flat.dim)) if note.op == "sub" else None
    mode = _Replacement(
        note.op, earlier, lambda z: flat.constant(z, note.unit_dim, within), function
    )
    seed_everything(conditions.seed)
    fresh = Batch(map_tensors(batch.inputs, lambda t: t.detach().clone()), batch.target)
    with running(conditions, seen.loss.device), in_the_open(), mode:
        loss, _, _ = compute_loss(conditions.loss, call_model(model, fresh.inputs), fresh)
    if mode.replaced is None:
        raise LookupError("the call was not met again")
    (gradient,) = torch.autograd.grad(loss, mode.replaced)
    return float(loss.detach().real), gradient


class _Replacement(TorchFunctionMode):
    """Replaces the input of one call of a function.

    Args:
        name: The function.
        earlier: How many of its calls come before.
        make: Makes the new input of the old one.
        function: What to call in its place, where it is not one of the new input alone.
    """

    def __init__(
        self,
        name: str,
        earlier: int,
        make: Callable[[Tensor], Tensor],
        function: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self._function = function
        self.replaced: Tensor | None = None
        self._name = name
        self._earlier = earlier
        self._make = make

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
        self.replaced = self._make(given.detach()).requires_grad_()
        if self._function is not None:
            return self._function(self.replaced)
        if args:
            return func(self.replaced, *args[1:], **kwargs)
        return func(**{**kwargs, "input": self.replaced})


def _typical_ratio(now: Tensor, then: Tensor) -> float:
    """Return log10 of the now / then that three quarters stay below, weighed by then squared.

    A norm over all entries is that of the few which lie next to the slope. What the last
    quarter passes is at most half of the amplitude that there could be.
    """
    ratio, order = (now / then.clamp_min(1e-300)).sort()
    weight = then[order].square().cumsum(0)
    if not float(weight[-1]) > 0.0:
        return 0.0
    return _log10(float(ratio[int((weight < _MOSTLY * weight[-1]).sum())]))


def _log10(value: float) -> float:
    return math.log10(value) if value > 0.0 else -math.inf


def _of_result(
    cap: float, centre: float, half: float, slope: Callable[[Tensor], Tensor]
) -> Callable[[Node], _Flat]:
    """Describe a function whose slope is one of its own output."""

    def describe(node: Node) -> _Flat:
        y = node._saved_result.detach()
        return _Flat(slope(y) < _FLAT * cap, y - centre, half=half)

    return describe


def _hardtanh(node: Node) -> _Flat:
    z, low, high = node._saved_self.detach(), node._saved_min_val, node._saved_max_val
    centre = (low + high) / 2
    return _Flat((z <= low) | (z >= high), z - centre, centre, (high - low) / 8)


def _hardsigmoid(node: Node) -> _Flat:
    z = node._saved_self.detach()
    return _Flat(z.abs() >= 3.0, z, half=0.9)


def _softmax(node: Node) -> _Flat:
    p, dim = node._saved_result.detach(), _signed(node._saved_dim)
    return _Flat(_is_sure(p, dim), p - 1.0 / p.shape[dim], dim=dim)


def _log_softmax(node: Node) -> _Flat:
    return _logarithms(node._saved_result.detach().exp(), _signed(node._saved_dim))


def _log_softmax_by_hand(node: Node) -> _Flat:
    """Describe ``z - logsumexp(z)``, as `torch.distributions.Categorical` writes it."""
    total = node.next_functions[1][0]
    dim = _signed(total._saved_dim[0])
    return _logarithms(total._saved_self.detach().softmax(dim), dim)


def _is_log_softmax(node: Node) -> bool:
    """Tell whether a difference is one between scores and the logsumexp of the same scores."""
    if len(node.next_functions) != 2:
        return False
    (scores, slot), (total, _) = node.next_functions
    if total is None or not total.name().startswith("Logsumexp"):
        return False
    return total.next_functions[0] == (scores, slot) and len(total._saved_dim) == 1


def _is_sure(p: Tensor, dim: int) -> Tensor:
    top = p.amax(dim, keepdim=True)
    return (top * (1 - top) < _FLAT / 4).expand_as(p)


def _logarithms(p: Tensor, dim: int) -> _Flat:
    """Where one entry has nearly all, its logarithm is flat; that of the others is not."""
    largest = (p == p.amax(dim, keepdim=True)).to(p.dtype)
    return _Flat(_is_sure(p, dim), largest, dim=dim, keeps_offset=True)


def _signed(dim: int) -> int:
    return dim - 2**64 if dim >= 2**63 else dim  # a node keeps it as an unsigned number


def _softplus(node: Node) -> _Flat:
    z = node._saved_self.detach() * float(node._saved_beta)
    return _Flat(z.sigmoid() < _FLAT, z, half=1.0 / float(node._saved_beta))


def _log_sigmoid(node: Node) -> _Flat:
    z = node._saved_self.detach()
    return _Flat((-z).sigmoid() < _FLAT, z)


_FUNCTIONS: Final[dict[str, Callable[[Node], _Flat]]] = {
    "sigmoid": _of_result(0.25, 0.5, 1.0, lambda y: y * (1 - y)),
    "tanh": _of_result(1.0, 0.0, 0.5, lambda y: 1 - y.square()),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "sub": _log_softmax_by_hand,
    "softplus": _softplus,
    "logsigmoid": _log_sigmoid,
    "log_sigmoid": _log_sigmoid,
    "hardtanh": _hardtanh,
    "hardsigmoid": _hardsigmoid,
}

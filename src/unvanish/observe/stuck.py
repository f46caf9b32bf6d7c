"""Outputs on the flat part of their function: does the loss want them out, and could it?

A converged network and a stuck one look alike there. The sign of the loss gradient tells
whether gradient descent would go further in or come back. Further forward passes, with the
output undecided and the same for every sample, tell what gradient there could be, and
whether what the output says now is worth anything: to the loss, or by what the loss would
have an undecided output say.
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
_SAMPLES_OF_A_MEAN: Final = 16
_CLEARLY: Final = 0.999
"""Of the largest gradient in a row, what another one has to stay below to be no equal."""

_UNMASKED: Final = 1e4
_MANY: Final = 8
_BINARY: Final = "binary_cross_entropy_with_logits"
_UNREDUCED: Final = 0


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
        right: Where the function knows the target of every entry, which ones are answered so.
    """

    mask: Tensor
    outwards: Tensor
    centre: float = 0.0
    half: float = 1.0
    dim: int | None = None
    keeps_offset: bool = False
    right: Tensor | None = None

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

    def worth(self, gradient: Tensor) -> float:
        """Return how far beyond chance the answers agree with an undecided one's gradient.

        Args:
            gradient: The loss gradient at an undecided pre-activation.

        Returns:
            The mean agreement of a sample in its standard errors; ``nan`` for few samples.
        """
        agreement = -(gradient.double() * self.outwards.double())
        samples = (agreement if self.dim is None else agreement.sum(self.dim)).flatten()
        if samples.numel() < _SAMPLES_OF_A_MEAN:
            return math.nan
        mean, spread = float(samples.mean()), float(samples.std())
        if not spread > 0.0:
            return math.copysign(math.inf, mean) if mean else math.nan
        return mean / spread * math.sqrt(samples.numel())

    def own_answers(self, at_output: Tensor, at_input: Tensor) -> float:
        """Return the share of an undecided one's gradient that is about the answers given now.

        Args:
            at_output: The loss gradient at an undecided output.
            at_input: The one at its pre-activations.

        Returns:
            The share; ``nan`` where it cannot be told from a gradient which answer it is about,
            as for two classes that share one.
        """
        weight = at_input.double().square()
        if self.right is not None:
            own, told = self.right, weight
        elif self.dim is None or at_output.shape[self.dim] < 2:
            return math.nan
        else:
            weight = weight.sum(self.dim)
            if not self.keeps_offset:
                at_output = at_output - at_output.mean(self.dim, keepdim=True)
            size, answer = at_output.abs().topk(2, self.dim)
            own = answer.select(self.dim, 0) == self.outwards.argmax(self.dim)
            clear = size.select(self.dim, 1) < _CLEARLY * size.select(self.dim, 0)
            told = weight * clear
        if not float(told.sum()) > _MOSTLY * float(weight.sum()):
            return math.nan
        return float(told[own].sum() / told.sum())

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
        Up to six profiles over the outputs' activation functions.
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
        and (site.op != _BINARY or note.node._saved_reduction == _UNREDUCED)
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
    share = _stuck_share(flat, at_output)
    if math.isnan(share):
        return {}
    if share == 0.0 and float(at_output.abs().amax()) > 0.0 and flat.right is None:
        return {Quantity.STUCK_FRACTION: 0.0}  # it speaks, and wants nothing out
    if not at_input:
        return {Quantity.STUCK_FRACTION: share}
    told = share > _MOST
    levels = _WITHIN if told and at_output.shape[:1].numel() >= _SAMPLES else _WITHIN[:1]
    trials = [_with_constant(site, flat, w, model, seen, batch, conditions) for w in levels]
    first = trials[0]
    now, then = at_input[0].double().abs(), first.at_input.double().abs()
    values = {
        Quantity.STUCK_FRACTION: share,
        Quantity.LOG10_ANSWER_GRAD_RATIO: _typical_ratio(now.flatten(), then.flatten()),
        Quantity.ANSWER_WORTH: flat.worth(first.at_input),
        Quantity.OWN_ANSWER_FRACTION: flat.own_answers(first.at_output, first.at_input),
    }
    if told:
        stuck = flat.mask & flat.wants_out(at_output)
        here, best = float(seen.loss.detach().real), min(trial.loss for trial in trials)
        values[Quantity.LOG10_STUCK_GRAD_RATIO] = _typical_ratio(now[stuck], then[stuck])
        values[Quantity.UNDECIDED_GAIN] = (here - best) / ((abs(here) + abs(best)) or 1.0)
    return {quantity: value for quantity, value in values.items() if not math.isnan(value)}


def _stuck_share(flat: _Flat, at_output: Tensor) -> float:
    """Return the share of the error that the function hides; ``nan`` where there is no number."""
    error = flat.error(at_output)
    total = float(error.sum())
    if not math.isfinite(total):
        return math.nan
    if total == 0.0 or flat.right is not None:
        return 0.0  # the loss is silent, or part of the function
    return float(error[flat.mask & flat.wants_out(at_output)].sum()) / total


@dataclass(frozen=True, slots=True)
class _Trial:
    """A pass with one output the same for every sample, and undecided.

    Attributes:
        loss: The loss.
        at_input: Its gradient at the pre-activations that were put in.
        at_output: Its gradient at what the function made of them.
    """

    loss: float
    at_input: Tensor
    at_output: Tensor


def _with_constant(
    site: int,
    flat: _Flat,
    within: float,
    model: nn.Module,
    seen: Look,
    batch: Batch,
    conditions: Conditions,
) -> _Trial:
    """Run the model once more with one output the same for every sample, and undecided."""
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
    if mode.replaced is None or mode.result is None:
        raise LookupError("the call was not met again")
    return _Trial(
        float(loss.detach().real), *torch.autograd.grad(loss, [mode.replaced, mode.result])
    )


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
        self.result: Tensor | None = None
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
            self.result = self._function(self.replaced)
        elif args:
            self.result = func(self.replaced, *args[1:], **kwargs)
        else:
            self.result = func(**{**kwargs, "input": self.replaced})
        return self.result


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


def _binary_scores(node: Node) -> _Flat:
    """Describe binary cross entropy entry by entry, the logarithm of yes or no in one."""
    z, target = node._saved_self.detach(), node._saved_target.detach()
    p = z.sigmoid()
    return _Flat(p * (1 - p) < _FLAT / 4, p - 0.5, right=(target > 0.5) == (z > 0))


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
    _BINARY: _binary_scores,
    "hardtanh": _hardtanh,
    "hardsigmoid": _hardsigmoid,
}

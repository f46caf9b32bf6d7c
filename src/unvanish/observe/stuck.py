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
from unvanish.core.operations import clean, is_leaf_node
from unvanish.core.records import Profile, Role
from unvanish.observe.batch import Batch, call_model, map_tensors
from unvanish.observe.flat_ends import Flat, flat_of, is_flat_ended
from unvanish.observe.guard import seed_everything
from unvanish.observe.look import Conditions, Look, running
from unvanish.observe.loss import compute_loss
from unvanish.observe.opaque import in_the_open
from unvanish.observe.readings import is_wrapped

_log = logging.getLogger(__name__)

_MOST: Final = 0.5
_MOSTLY: Final = 0.75
_WITHIN: Final = (0.5, 1.0, 2.0, 3.0)
"""How far from the centre a constant answer is tried; all on the sloped part of a sigmoid."""

_SAMPLES: Final = 8
_MANY: Final = 8


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
        if site.op == note.function
        and is_flat_ended(site.op, note.node)
        and not site.gates
        and (site.is_output or site.role is Role.LOSS or note.node in outputs)
        and site.index in seen.gradients.log10_norms
    ][:_MANY]


def _measure(
    site: int, model: nn.Module, seen: Look, batch: Batch, conditions: Conditions
) -> Mapping[Quantity, float]:
    node = seen.graph.notes[site].node
    before, slot = node.next_functions[0]
    with torch.no_grad():
        flat = flat_of(seen.graph.sites[site].op, node)
        if float(flat.mask.double().mean()) <= _MOST:
            return {Quantity.STUCK_FRACTION: 0.0}
    edges = [GradientEdge(node, 0)]
    if before is not None and not is_leaf_node(before):
        edges.append(GradientEdge(before, slot))
    at_output, *at_input = torch.autograd.grad(seen.loss, edges, retain_graph=True)
    share = _stuck_share(flat, at_output)
    if math.isnan(share):
        return {}
    if share == 0.0 and flat.right is None and flat.spoken(at_output) > _MOST:
        return {Quantity.STUCK_FRACTION: 0.0}  # the loss speaks, and wants nothing out
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


def _stuck_share(flat: Flat, at_output: Tensor) -> float:
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
    flat: Flat,
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

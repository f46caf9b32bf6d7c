"""Put rival explanations to the test: swap one thing in the measured network, measure again.

Everything happens on copies. Where only the Jacobian is swapped, one forward pass serves all
swaps, and its backward pass is walked once for each with exponents kept.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.glossary import Quantity
from unvanish.core.hooks import hook_gains
from unvanish.core.interventions import LEAST_DECADES, Intervention, Measured, Question, Swap
from unvanish.core.records import Recording, Site
from unvanish.observe.backward import run_backward
from unvanish.observe.batch import Batch, as_batch, map_tensors
from unvanish.observe.copies import copied
from unvanish.observe.deeper import first_line
from unvanish.observe.extended import Place, Scaled, Surgery, walk
from unvanish.observe.failures import is_out_of_memory
from unvanish.observe.graph import Graph
from unvanish.observe.guard import ModelSnapshot, is_lazy, seed_everything, untouched
from unvanish.observe.look import Conditions, Look, look_forward, trainable
from unvanish.observe.loss import LossFunction
from unvanish.observe.opaque import in_the_open
from unvanish.observe.reruns import change
from unvanish.observe.statistics.magnitude import LOG10_2, dense_values, log10_norm
from unvanish.observe.surgery import CannotSwapError, Surgeon
from unvanish.observe.widening import widened

_log = logging.getLogger(__name__)

_LARGEST_WIDE: Final = 2**27
"""Parameters of the largest network that is copied in float64: a gibibyte of them."""

_LARGEST_KEPT: Final = 2**24
"""Parameters of the largest network of which one copy serves all runs: beyond, a second set of
its numbers to return to would cost more memory than copying anew costs time."""

_MOST_PASSES: Final = 20
"""Backward passes' worth of work that one question may cost, the network as it is left aside. It
bounds the cost where many mechanisms are installed; the built-in ones rarely come near it."""

_ANOTHER: Final = 1.0
_ANOTHER_SHARE: Final = 0.2
"""Decades, and share of what the network loses or gains, by which a copy may differ from it: the
copy runs on one batch, in float64."""

_Places = dict[tuple[object, ...], int]
"""What identifies a site, and where it stands in a copy; empty where all stand as recorded."""

_RUN_AGAIN: Final = 2
"""Passes of a swap that runs the network again: forwards and back."""


def intervene(
    model: nn.Module,
    batch: Any,
    interventions: Sequence[Intervention],
    question: Question,
    *,
    recording: Recording,
    loss: LossFunction | str | None = None,
) -> tuple[Measured, ...]:
    """Measure the flow between two places once for every intervention.

    Args:
        model: The network that was recorded; left as it was, bit for bit.
        batch: The first batch of the recording.
        interventions: What to swap, one after the other and never together. Where they would
            cost too much, the last ones are left out, with that as their reason.
        question: Between which two places.
        recording: What was observed of the network; the sites are meant in its numbering.
        loss: Loss of the recording.

    Returns:
        One result for each, in their order; with a reason where it could not be measured.
    """
    model = getattr(model, "_orig_mod", model)
    context = recording.context
    with torch.inference_mode(mode=False), untouched(model, seed=context.seed):
        bench = _Bench(model, batch, question, recording, loss)
        try:
            return bench.run(interventions)
        except Exception as error:
            _log.debug("the interventions failed", exc_info=True)
            return tuple(Measured(reason=_said(error)) for _ in interventions)


class _Bench:
    """One network, one batch, one question."""

    def __init__(
        self,
        model: nn.Module,
        batch: Any,
        question: Question,
        recording: Recording,
        loss: LossFunction | str | None,
    ) -> None:
        self._model = model
        self._batch = as_batch(batch, model)
        self._question = question
        self._recording = recording
        context = recording.context
        self._conditions = Conditions(
            loss, context.seed, context.autocast, {}, frozenset(context.standing)
        )
        self._wide = True
        self._twin: nn.Module | None = None
        self._first: ModelSnapshot | None = None

    def run(self, interventions: Sequence[Intervention]) -> tuple[Measured, ...]:
        """Measure the flow as it is, and once for every intervention."""
        if any(is_lazy(t) for t in (*self._model.parameters(), *self._model.buffers())):
            raise CannotSwapError("the network has lazy layers, which each copy starts anew")
        seen = self._as_it_is()
        before = self._flow(seen)
        if math.isnan(before):
            raise CannotSwapError("no gradient from the outputs was measured at the target")
        self._refuse_another(before, seen)
        results: dict[int, Measured] = {}
        if abs(before) < LEAST_DECADES:
            said = f"there is nothing to restore: the flow changes by {before:+.1f} decades"
            results = {
                position: Measured(before, reason=said)
                for position, one in enumerate(interventions)
                if one.swap is not Swap.PRECISION
            }
        spent = 0
        for position, one in enumerate(interventions):
            spent += 0 if position in results else _RUN_AGAIN if one.swap.runs_again else 1
            if spent > _MOST_PASSES and position not in results:
                said = f"left out: a question may cost {_MOST_PASSES} passes"
                results[position] = Measured(before, reason=said)
        for again in (False, True):
            if again:
                del seen  # its tensors make room for those of the copies
            for position, one in enumerate(interventions):
                if position not in results and one.swap.runs_again is again:
                    results[position] = self._guarded(None if again else seen, one, before)
        return tuple(results[position] for position in range(len(interventions)))

    def _guarded(self, seen: Look | None, one: Intervention, before: float) -> Measured:
        try:
            if one.swap is Swap.PRECISION:
                return Measured(self._plain_flow(), before)
            if seen is None:
                after = self._flow(self._look(one, wide=self._wide), moved=True)
            elif one.swap is Swap.COTANGENT:
                return Measured(self._from_loss(seen), before + _log10_mean(seen))
            else:
                after = self._flow(seen, one)
            if math.isnan(after):
                return Measured(before, reason="no finite gradient arrives at the target")
            return Measured(before, after)
        except Exception as error:
            _log.debug("%s was not measured", one.what, exc_info=True)
            return Measured(before, reason=_said(error))

    def _as_it_is(self) -> Look:
        """Look at a copy: in float64 where it takes the same way, else in its own types."""
        small = self._recording.context.parameters <= _LARGEST_WIDE
        for wide in (True, False) if small else (False,):
            self._twin, self._wide = None, wide
            try:
                seen = self._look(wide=wide)
            except Exception:
                if not wide:
                    raise
                _log.debug("the float64 look failed", exc_info=True)
                continue
            if [_key(s) for s in seen.graph.sites] == [_key(s) for s in self._recording.sites]:
                return seen
        raise CannotSwapError("the network takes another way each time it runs")

    def _look(self, one: Intervention | None = None, *, wide: bool) -> Look:
        twin = self._fresh(wide=wide)
        conditions, batch = self._conditions, self._batch
        if wide:
            conditions = replace(conditions, autocast="")
            batch = Batch(map_tensors(batch.inputs, _widen), map_tensors(batch.target, _widen))
        if one is not None:
            batch = change(twin, batch, one, self._recording)
        with widened() if wide else nullcontext():
            return look_forward(twin, batch, conditions, measuring=False)

    def _fresh(self, *, wide: bool) -> nn.Module:
        """Return a copy of the network: the one at hand, put back as it was, or another."""
        if self._twin is None or self._first is None:
            twin: nn.Module = copied(self._model)
            self._twin = twin.double() if self._wide else twin
            small = self._recording.context.parameters <= _LARGEST_KEPT
            self._first = ModelSnapshot(self._twin) if small else None
        else:
            self._first.restore()
        if self._wide and not wide:
            for own, original in zip(_tensors(self._twin), _tensors(self._model), strict=True):
                own.data = original.detach().clone()
        return self._twin

    def _refuse_another(self, before: float, seen: Look) -> None:
        """Refuse to judge a copy whose flow is not that of the network.

        Raises:
            CannotSwapError: If they differ by more than batches and rounding do.
        """
        grads = self._recording[Quantity.LOG10_PROBE_GRAD_RMS]
        if self._question.origin is not None or self._question.target not in grads:
            return
        size = self._recording.sites[self._question.target].size
        outputs = sum(t.numel() for t in _reached(seen))
        found = grads[self._question.target] + 0.5 * math.log10(max(1, size) / max(1, outputs))
        if not math.isfinite(found - before):
            return
        if abs(found - before) > max(_ANOTHER, _ANOTHER_SHARE * abs(found)):
            raise CannotSwapError(
                f"the flow of a copy changes by {before:+.1f} decades and that of the network by "
                f"{found:+.1f}: something that is not in the copy acts on it"
            )

    def _surgeon(self, graph: Graph, one: Intervention | None, place: _Places) -> Surgeon:
        """Return who carries out a swap, with the hooks of the network in place."""
        hooks = {
            self._place(i, place): 10.0**gain for i, gain in hook_gains(self._recording).items()
        }
        return Surgeon(graph, one, hooks)

    def _flow(self, seen: Look, one: Intervention | None = None, *, moved: bool = False) -> float:
        """Return the decades from origin to target.

        Args:
            seen: A look whose forward pass was made.
            one: What to swap on the way back.
            moved: Whether the sites may stand elsewhere than in the recording.
        """
        graph, question = seen.graph, self._question
        place: _Places = {_key(s): s.index for s in graph.sites} if moved else {}
        target = self._place(question.target, place)
        seed_everything(self._conditions.seed)
        if question.origin is not None:
            node = graph.notes[self._place(question.origin, place)].node
            entering = [((self._place(question.origin, place), 0), node._input_metadata[0])]
        else:
            entering = [((graph.index[t.grad_fn], t.output_nr), t) for t in _reached(seen)]
        arriving: dict[Place, Scaled] = {}
        size = 0
        for where, like in entering:
            signs = _signs(like)
            arriving[where] = (signs, 0)
            size += signs.numel()
        if not size:
            return math.nan
        surgeon = self._surgeon(graph, one, place)
        return _arrives(graph, arriving, target, surgeon) - 0.5 * math.log10(size)

    def _from_loss(self, seen: Look) -> float:
        start = (seen.graph.index[seen.loss.grad_fn], seen.loss.output_nr)
        one = torch.ones_like(seen.loss)
        surgeon = self._surgeon(seen.graph, None, {})
        return _arrives(seen.graph, {start: (one, 0)}, self._question.target, surgeon)

    def _plain_flow(self) -> float:
        """Return the decades that PyTorch's own backward pass finds, in the network's types."""
        if self._question.origin is not None:
            raise CannotSwapError("between two steps of a loop only the exact pass is made")
        twin = self._fresh(wide=False)
        seen = look_forward(twin, self._batch, self._conditions, measuring=False)
        outputs = _reached(seen)
        seed_everything(self._conditions.seed)
        signs = [_signs(t) for t in outputs]
        found = run_backward(seen.graph, outputs, signs, trainable(twin), keep=False)
        size = sum(t.numel() for t in outputs)
        return found.log10_norms[self._question.target] - 0.5 * math.log10(max(1, size))

    def _place(self, index: int, place: _Places) -> int:
        if not place:
            return index
        key = _key(self._recording.sites[index])
        if key not in place:
            raise CannotSwapError("the network takes another way with this swap")
        return place[key]


class _Target:
    """Reads what arrives at one node, and nothing else."""

    def __init__(self, node: int) -> None:
        self._node = node
        self.parts: list[float] = []

    def visit(
        self,
        node: int,
        arrived: Sequence[Tensor | None],
        sent: Sequence[Tensor | None],  # noqa: ARG002
        exponent: int = 0,
    ) -> None:
        """Take what arrived at one node."""
        if node == self._node:
            self.parts = [
                log10_norm(dense_values(tensor)) + exponent * LOG10_2
                for tensor in arrived
                if tensor is not None
            ]


def _arrives(graph: Graph, arriving: dict[Place, Scaled], target: int, surgery: Surgery) -> float:
    """Return log10 of the norm of the gradient that arrives at a node; ``nan`` for none."""
    reader = _Target(target)
    with in_the_open():
        walk(graph, reader, arriving, surgery=surgery, down_to=target)
    if not reader.parts or any(map(math.isnan, reader.parts)):
        return math.nan
    largest = max(reader.parts)
    if math.isinf(largest):
        return largest
    return largest + 0.5 * math.log10(sum(10 ** (2 * (p - largest)) for p in reader.parts))


def _signs(like: Any) -> Tensor:
    """Draw a random sign for every entry of a tensor, or of what a node's metadata tells of."""
    shape = tuple(int(extent) for extent in like.shape)
    return torch.randint(0, 2, shape, device=like.device).mul_(2).sub_(1).to(like.dtype)


def _log10_mean(seen: Look) -> float:
    """Return the size of the gradient of a mean over all entries of the outputs."""
    return -0.5 * math.log10(max(1, sum(t.numel() for t in seen.outputs)))


def _behind(graph: Graph, node: int) -> set[int]:
    """Return a node and everything that it was computed from."""
    seen = {node}
    stack = [node]
    while stack:
        for link in graph.links[stack.pop()]:
            if link.producer is not None and link.producer not in seen:
                seen.add(link.producer)
                stack.append(link.producer)
    return seen


def _reached(seen: Look) -> list[Tensor]:
    """Return the outputs that the loss depends on."""
    reached = _behind(seen.graph, seen.graph.index[seen.loss.grad_fn])
    return [t for t in seen.outputs if seen.graph.index[t.grad_fn] in reached]


def _key(site: Site) -> tuple[object, ...]:
    return site.path, site.op, site.weights, site.call


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _widen(tensor: Tensor) -> Tensor:
    return tensor.detach().double() if tensor.is_floating_point() else tensor


def _said(error: Exception) -> str:
    if is_out_of_memory(error):
        return "memory ran out"
    said = first_line(error)
    return said if isinstance(error, CannotSwapError) else f"{type(error).__name__}: {said}"

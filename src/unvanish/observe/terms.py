"""The terms that a loss adds up, and what becomes of one that another drowns.

A loss that is a sum of two is steered by the term with the larger gradient. That may be on
purpose: a penalty is small because it is meant to be. What tells is a training of two copies, as
the loss is and with the gradients of the terms made equal.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.overrides import TorchFunctionMode

from unvanish.core.conditions import LossTerm, TermTrial
from unvanish.core.glossary import Quantity
from unvanish.core.loss_terms import decades_behind, most_drowned
from unvanish.core.operations import Node, is_leaf_node, shape_of
from unvanish.observe.batch import Batch, map_tensors
from unvanish.observe.lineage import maker_of_piece
from unvanish.observe.look import Conditions, Look, trainable
from unvanish.observe.opaque import in_the_open
from unvanish.observe.optimizer import OptimizerLike, copy_with_optimizer
from unvanish.observe.statistics.magnitude import dense_values, norms
from unvanish.observe.steps import Walk, needs_closure

_log = logging.getLogger(__name__)

_MOST_TERMS: Final = 8
"""Terms that are told apart; a loss for every step of a sequence is one thing, not a hundred."""

_STEPS: Final = 250
_ASKED: Final = (30, 60, 120)
"""Steps after which the first copy is asked whether it has learnt already."""
_LEARNT: Final = 0.95
"""Share of the mismatched term, or of the first one, below which there is no need to go on."""
_LARGEST: Final = 20_000_000
"""Parameters of the largest network that is trained."""
_LONGEST: Final = 10.0
"""Seconds that both copies may take."""

_PASSES: Final = frozenset(
    "Add Sub Rsub Neg View Reshape ReshapeAlias UnsafeView Unsqueeze Squeeze Alias Clone ToCopy "
    "Expand Flatten".split()
)
"""Nodes through which a sum goes on being a sum."""

_SCALES: Final = frozenset({"Mul", "Div"})
_JOINS: Final = frozenset({"Stack", "Cat"})
_REDUCES: Final = frozenset({"Sum", "Mean"})

_DISTANCES: Final = frozenset(
    "MseLoss L1Loss SmoothL1Loss HuberLoss BinaryCrossEntropy BinaryCrossEntropyWithLogits "
    "NllLoss NllLossNd NllLoss2D KlDiv CtcLoss".split()
)
"""Nodes that give what cannot fall below zero, and does where an answer fits."""

_LENGTHS: Final = frozenset({"Abs", "LinalgVectorNorm", "Norm"})
_PER_SAMPLE: Final = _DISTANCES | _LENGTHS | _REDUCES


def terms_of(loss: Node) -> list[Node]:
    """Return the terms that a loss adds up, in the order in which they stand; fewer than 2 for one.

    Sums, differences, multiples, averages of scalars and sums over samples are gone through. The
    terms of a single sample are told apart where each is itself a sum or a loss function: what an
    operation such as a cross entropy written by hand adds up is one thing.
    """
    found = _addends(loss)
    cores = [_core(term) for term in found]
    if len(set(cores)) < len(cores):  # one term in several places
        found = list(
            dict.fromkeys(c if cores.count(c) > 1 else t for c, t in zip(cores, found, strict=True))
        )
    return found if 1 < len(found) <= _MOST_TERMS else []


def _addends(node: Node) -> list[Node]:
    """Return the terms behind a scalar, or the scalar itself where there is but one."""
    behind = _parents(node)
    found: list[Node] = []
    if _kind(node) in _REDUCES and len(behind) == 1 and len(shape_of(behind[0])) == 1:
        found = _by_sample(behind[0]) or []
    elif _is_linear(node) and all(_is_single(one) for one in behind):
        found = [term for one in behind for term in _addends(one)]
    unique = list(dict.fromkeys(found))
    return unique if len(unique) > 1 else [node]


def _by_sample(node: Node) -> list[Node] | None:
    """Return the terms behind one number a sample; None where they are no terms of their own."""
    if _is_single(node):
        return _addends(node)
    behind = _parents(node)
    if _kind(node) in _JOINS:
        return (
            [t for one in behind for t in _addends(one)] if all(map(_is_single, behind)) else None
        )
    if not _is_linear(node):
        return [node] if _kind(node) in _PER_SAMPLE else None
    parts = [_by_sample(one) for one in behind]
    if any(part is None for part in parts):
        return None
    found = list(dict.fromkeys(term for part in parts for term in part or ()))
    return found if len(found) > 1 else [node]


def _is_linear(node: Node) -> bool:
    """Tell whether a node only adds, takes away, or multiplies with what has no gradient."""
    kind = _kind(node)
    if kind in _PASSES or kind in _JOINS:
        return bool(_parents(node))
    return kind in _SCALES and len(_parents(node)) == 1 and node.next_functions[0][0] is not None


def _parents(node: Node) -> list[Node]:
    """Return what a node works on, without parameters: a loss that adds one is no term."""
    return [one for one, _ in node.next_functions if one is not None and not is_leaf_node(one)]


def _kind(node: Node) -> str:
    return str(node.name()).rstrip("0123456789").removesuffix("Backward").rpartition("::")[2]


def _is_single(node: Node) -> bool:
    return math.prod(shape_of(node)) == 1


def _core(term: Node) -> Node:
    """Return the last node of a term that does more than scale, sum or average."""
    while _kind(term) in _REDUCES or _is_linear(term):
        behind = _parents(term)
        if len(behind) != 1:
            break
        term = behind[0]
    return term


def read_terms(seen: Look, model: nn.Module) -> tuple[LossTerm, ...]:
    """Measure the terms of a loss: what they are, and their gradients where they share parameters.

    Args:
        seen: A look whose graph can still be walked.
        model: The network that was looked at; its gradients are left as they are.

    Returns:
        The terms; empty where there is but one, where there are too many, or where a backward
        pass of a term failed.
    """
    if seen.loss.grad_fn is None or not _is_single(seen.loss.grad_fn):
        return ()
    terms = terms_of(seen.loss.grad_fn)
    if not terms:
        return ()
    try:
        measured = [_gradients(seen, terms, i, trainable(model)) for i in range(len(terms))]
    except Exception:
        _log.debug("the terms of the loss could not be told apart", exc_info=True)
        return ()
    data = [_data_of(seen, _core(term)) for term in terms]
    return tuple(
        LossTerm(
            site=seen.graph.index[_core(term)],
            value=_value(seen, term, measured[i].weight),
            is_fit=bool(data[i]),
            log10_grads=tuple(
                math.nan
                if i != j and data[i] and data[i] == data[j]
                else _shared(measured[i].norms, other.norms)
                for j, other in enumerate(measured)
            ),
        )
        for i, term in enumerate(terms)
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """One term's gradient: name of a parameter to norm, and what the loss multiplies it with."""

    norms: Mapping[str, float]
    weight: float


def _gradients(
    seen: Look, terms: Sequence[Node], term: int, wanted: dict[str, Tensor]
) -> _Measured:
    """Run the backward pass of one term alone: the others are given a gradient of zero."""
    arrived: list[float] = []

    def note(grads: tuple[Tensor | None, ...]) -> None:
        arrived.extend(float(g.detach().double().sum()) for g in grads[:1] if g is not None)

    before = {name: one.grad for name, one in wanted.items()}
    factors = [float(i == term) for i in range(len(terms))]
    handle = terms[term].register_prehook(note)
    try:
        with weighed(terms, factors), in_the_open():
            found = torch.autograd.grad(
                seen.loss, list(wanted.values()), retain_graph=True, allow_unused=True
            )
    finally:
        handle.remove()
        for name, one in wanted.items():
            one.grad = before[name]
    given: dict[str, Tensor | None] = dict(zip(wanted, found, strict=True))
    known = {name: dense_values(g.detach()) for name, g in given.items() if g is not None}
    sizes = dict(zip(known, norms(list(known.values())), strict=True))
    return _Measured({name: float(size) for name, size in sizes.items()}, sum(arrived))


@contextmanager
def weighed(terms: Sequence[Node], factors: Sequence[float]) -> Iterator[None]:
    """Multiply the gradients of the terms of a loss while a block runs its backward pass."""
    handles = [
        term.register_prehook(_times(factor))
        for term, factor in zip(terms, factors, strict=True)
        if factor != 1.0
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _times(factor: float) -> Any:
    def scale(grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        return tuple(None if one is None else one * factor for one in grads)

    return scale


def _shared(mine: Mapping[str, float], others: Mapping[str, float]) -> float:
    """Return log10 of the norm of a gradient at the parameters where another is not zero."""
    both = [mine[name] for name in mine.keys() & others.keys() if mine[name] and others[name]]
    total = math.hypot(*both)
    return math.log10(total) if 0.0 < total < math.inf else math.nan


def _value(seen: Look, term: Node, weight: float) -> float:
    """Return what a term adds to the loss, where the mean of its numbers was read."""
    values = seen.graph.notes[seen.graph.index[term]].values
    mean = values.get(Quantity.ACTIVATION_MEAN)
    return math.nan if mean is None else weight * float(mean)


def _data_of(seen: Look, core: Node) -> tuple[int, ...]:
    """Return the pieces of data that a term measures the distance of an answer from."""
    kind = _kind(core)
    if kind in _DISTANCES and (data := _given(seen, core)):
        return data
    squares = kind == "Pow" and getattr(core, "_saved_exponent", None) == 2
    times_itself = kind == "Mul" and len({one for one, _ in core.next_functions}) == 1
    if not (squares or times_itself or kind in _LENGTHS):
        return ()
    behind = list(dict.fromkeys(_parents(core)))
    while len(behind) == 1 and _kind(behind[0]) in _PASSES:
        if data := _given(seen, behind[0]):
            return data
        behind = _parents(behind[0])
    return ()


def _given(seen: Look, node: Node) -> tuple[int, ...]:
    """Return the pieces of data that a node was given, without answers that were detached."""
    calls = seen.tape.lineage.calls
    return tuple(
        piece
        for piece in seen.graph.notes[seen.graph.index[node]].data
        if (maker := maker_of_piece(piece)) is None or not calls[maker].learned
    )


def try_terms(
    model: nn.Module,
    optimizer: OptimizerLike,
    batches: Sequence[Batch],
    conditions: Conditions,
    clip_grad_norm: float | None,
    terms: Sequence[LossTerm],
) -> TermTrial | None:
    """Train two copies where a term looks drowned, one of them with equal gradients.

    The drowned term is raised, the louder ones are not lowered: a learning rate that suits the
    loudest gradient then suits the sum as well.

    Every step has random numbers of its own: under the same ones a decoder learns them by heart.

    Args:
        model: The model; only its copies are trained.
        optimizer: As given to `trace`.
        batches: Used in turn.
        conditions: Loss, seed, autocast.
        clip_grad_norm: Largest total gradient norm, or None.
        terms: As `read_terms` gives them.

    Returns:
        Where both led, the second one only where the first has not learnt; None where no term
        that fits data looks drowned, where the network is large or slow, or where a copy could
        not be trained.
    """
    term = most_drowned(terms)
    if term is None or sum(p.numel() for p in model.parameters()) > _LARGEST:
        return None
    factor = 10.0 ** max(decades_behind(terms, term, i) for i in range(len(terms)))
    even = (1.0,) * len(terms)
    deadline = time.perf_counter() + _LONGEST
    try:
        plain = _walk(model, optimizer, conditions, clip_grad_norm, even)
        freed = _walk(
            model, optimizer, conditions, clip_grad_norm, (*even[:term], factor, *even[term + 1 :])
        )
        if needs_closure(plain.optimizer):
            return None
        before = _mean(plain, batches, term)
        steps = 0
        balanced = balanced_mismatched = math.nan
        for count in (*_ASKED, _STEPS):
            plain.go_on(batches, steps, count, deadline)
            after, mismatched = _mean(plain, batches, term), _mean(plain, _moved(batches), term)
            steps = count
            if after < _LEARNT * (before if math.isnan(mismatched) else mismatched):
                break
        else:
            freed.go_on(batches, 0, steps, deadline)
            balanced = _mean(freed, batches, term)
            balanced_mismatched = _mean(freed, _moved(batches), term)
    except Exception:
        _log.debug("the terms of the loss could not be weighed", exc_info=True)
        return None
    return TermTrial(
        term=term,
        steps=steps,
        factor=factor,
        before=before,
        after=after,
        mismatched=mismatched,
        balanced=balanced,
        balanced_mismatched=balanced_mismatched,
    )


def _walk(
    model: nn.Module,
    optimizer: OptimizerLike,
    conditions: Conditions,
    clip_grad_norm: float | None,
    factors: tuple[float, ...],
) -> _WeighedWalk:
    twin, own = copy_with_optimizer(model, optimizer)
    return _WeighedWalk(twin, own, conditions, clip_grad_norm, factors=factors)


@dataclass(frozen=True, slots=True)
class _WeighedWalk(Walk):
    """Steps on a loss of which each term's gradient is multiplied.

    Attributes:
        factors: One for each term.
    """

    factors: tuple[float, ...] = ()

    def _forward(self, batch: Batch) -> Tensor:
        loss = Walk._forward(self, batch)
        if any(factor != 1.0 for factor in self.factors):
            for term, factor in zip(terms_of(loss.grad_fn), self.factors, strict=True):
                term.register_prehook(_times(factor))
        return loss

    def go_on(self, batches: Sequence[Batch], taken: int, until: int, deadline: float) -> None:
        """Take further steps, each under random numbers of its own.

        Raises:
            ArithmeticError: If the loss is no number.
            TimeoutError: If the deadline passes.
        """
        for number in range(taken, until):
            now = replace(self.conditions, seed=self.conditions.seed + 1 + number)
            loss = replace(self, conditions=now).step(batches[number % len(batches)]).loss_before
            if not math.isfinite(loss):
                raise ArithmeticError("the loss is no number")
            if time.perf_counter() > deadline:
                raise TimeoutError("too slow to be trained here")

    def value(self, batch: Batch, term: int) -> float:
        """Return one term of the loss of a batch where the copy stands."""
        with _Numbers() as numbers:
            loss = Walk._forward(self, batch)
        return abs(float(numbers.of[terms_of(loss.grad_fn)[term]].detach().double().mean()))


def added_up(loss: Callable[[], Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Compute a loss, and return what each of its terms adds to it.

    Args:
        loss: Computes it, with a graph.

    Returns:
        The loss, and its terms as `terms_of` has them, each a scalar with a graph; no terms where
        there is but one, or where the numbers of one are not met in Python.
    """
    with _Numbers() as numbers:
        value = loss()
    nodes = terms_of(value.grad_fn) if value.grad_fn is not None else []
    if not all(node in numbers.of for node in nodes):
        return value, []
    if not nodes:
        return value, []
    edges = [GradientEdge(node, 0) for node in nodes]
    weights = torch.autograd.grad(value, edges, retain_graph=True)
    return value, [
        (numbers.of[node] * weight).sum() for weight, node in zip(weights, nodes, strict=True)
    ]


class _Numbers(TorchFunctionMode):
    """Within this block what each node gives out is kept, if it has few dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[Node, Tensor] = {}

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Keep what goes into a call and what comes out."""
        output = func(*args, **(kwargs or {}))
        with torch._C.DisableTorchFunction():
            for one in (*args, output):
                for tensor in one if isinstance(one, (tuple, list)) else (one,):
                    self._keep(tensor)
        return output

    def _keep(self, tensor: Any) -> None:
        if isinstance(tensor, Tensor) and tensor.ndim < 2 and tensor.grad_fn is not None:
            # What is added in place later must not change it.
            self.of.setdefault(tensor.grad_fn, tensor.clone())


def _mean(walk: _WeighedWalk, batches: Sequence[Batch], term: int) -> float:
    if not batches:
        return math.nan
    return sum(walk.value(batch, term) for batch in batches) / len(batches)


def _moved(batches: Sequence[Batch]) -> list[Batch]:
    """Return the batches, each sample with the target of another one half a batch away."""

    def move(tensor: Tensor) -> Tensor:
        fits = tensor.ndim > 0 and tensor.shape[0] == size
        return tensor.roll(size // 2, 0) if fits else tensor

    found = []
    for batch in batches:
        size = batch.size
        if batch.target is None or size < 2:
            return []
        found.append(Batch(batch.inputs, map_tensors(batch.target, move)))
    return found

"""Whether what a network answers for one sample depends on the other samples of its batch.

The input of one sample is exchanged for that of another. No answer but its own should change.
Where others do, the first recurrence, attention or softmax is looked for to which each sample
comes by itself, and which hands them on mixed: it works along the batch.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from unvanish.core.incidents import Crossing
from unvanish.core.operations import clean
from unvanish.core.records import Role
from unvanish.observe.batch import Batch, call_model, main_output, map_tensors, tensors_in
from unvanish.observe.guard import seed_everything
from unvanish.observe.look import Conditions, Look, running
from unvanish.observe.opaque import in_the_open

_log = logging.getLogger(__name__)

_RECURRENCES: Final = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
_SOFTMAXES: Final = frozenset({"softmax", "log_softmax"})
_ALONG: Final = _RECURRENCES | _SOFTMAXES | {"multi_head_attention_forward"}
"""Functions that work along one dimension of what they are given, and mix what stands along it."""

_FEWEST: Final = 3
"""Samples from which on one that changed can be told from all that did."""

_ROUNDING: Final = 1e-5
"""Change of an answer, over the root mean square of all, that is none."""

_MOST: Final = 20_000_000
"""Entries that are kept of what enters and leaves the calls of one pass."""

_TORN: Final = 1.5
"""How many samples' worth of entries may change at most, where no two samples were mixed yet."""


@dataclass(frozen=True, slots=True)
class _Passage:
    """What came to a call, and what came out of it."""

    op: str
    path: str
    before: Tensor
    after: Tensor


def read_crossing(
    model: nn.Module, batch: Batch, seen: Look, conditions: Conditions
) -> Crossing | None:
    """Exchange the input of one sample, and see whose answers change.

    Args:
        model: The model that was looked at; its state may be another one afterwards.
        batch: The batch of that look.
        seen: The look.
        conditions: Its conditions.

    Returns:
        What became of the other samples' answers, in evaluation mode; None where the network has
        nothing that works along a dimension, where it gives no one answer for each sample and each
        target, where all samples are alike, or where it could not be run so.
    """
    if not any(s.role is Role.SIGNAL and _ALONG & {s.op, s.function} for s in seen.graph.sites):
        return None
    size, other = batch.size, _another(batch)
    if size < _FEWEST or other is None or not _is_one_for_each(batch.target, size):
        return None
    try:
        return _measured(model, batch, other, conditions)
    except Exception:  # a trial that the user's code does not take is no trial
        _log.debug("whether samples are mixed was not measured", exc_info=True)
        return None


def _measured(
    model: nn.Module, batch: Batch, other: int, conditions: Conditions
) -> Crossing | None:
    size = batch.size
    exchanged = map_tensors(batch.inputs, lambda t: _exchanged(t, other, size))
    model.eval()
    _, again = _run(model, batch.inputs, conditions)
    plain, answers = _run(model, batch.inputs, conditions)
    changed, others = _run(model, exchanged, conditions)
    if again is None or answers is None or others is None or answers.shape != others.shape:
        return None
    if answers.ndim == 0 or answers.shape[0] != size or not torch.equal(again, answers):
        return None  # a network that goes on from where it was is not the same twice
    moved = (others - answers).double().reshape(size, -1).square().mean(1).sqrt()
    scale = float(answers.double().square().mean().sqrt())
    if not math.isfinite(scale) or not bool(moved.isfinite().all()):
        return None
    count = int((moved[1:] > _ROUNDING * scale).sum())
    if not count or not float(moved[0]):
        return Crossing(others=size - 1, changed=0, share=0.0)
    share = float(moved[1:].square().mean().sqrt() / moved[0])
    found = Crossing(others=size - 1, changed=count, share=share)
    if [passage.op for passage in plain] != [passage.op for passage in changed]:
        return found
    for before, after in zip(plain, changed, strict=True):
        how = _how_crossed(before, after, answers, size)
        if not how:
            continue
        if _is_time(before.before, size) or _is_one_for_each_step(
            answers, batch.target, before.before
        ):
            return None
        return replace(
            found,
            op=before.op,
            path=before.path,
            is_torn=how == "torn",
            is_single=how == "single",
            shape=tuple(before.before.shape),
        )
    return found


def _run(
    model: nn.Module, inputs: Any, conditions: Conditions
) -> tuple[list[_Passage], Tensor | None]:
    seed_everything(conditions.seed)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    noted = _Noted(model)
    with running(conditions, device), in_the_open(), noted:
        output = call_model(model, map_tensors(inputs, lambda t: t.detach().clone()))
    answers = main_output(output)
    return noted.passages, None if answers is None else answers.detach()


def _another(batch: Batch) -> int | None:
    """Return the first sample whose input is not that of the first one."""
    if isinstance(batch.inputs, PackedSequence):
        return None
    tensors = [t for t in tensors_in(batch.inputs) if t.ndim and t.shape[0] == batch.size]
    for other in range(1, batch.size):
        if any(not torch.equal(t[0], t[other]) for t in tensors):
            return other
    return None


def _exchanged(tensor: Tensor, other: int, size: int) -> Tensor:
    """Return a copy in which the first sample is another one."""
    twin = tensor.detach().clone()
    if twin.ndim and twin.shape[0] == size:
        twin[0] = tensor[other]
    return twin


def _is_one_for_each(target: Any, size: int) -> bool:
    tensors = [t for t in tensors_in(target) if t.ndim]
    return bool(tensors) and all(t.shape[0] == size for t in tensors)


def _is_time(entering: Tensor, size: int) -> bool:
    """Tell whether there are as many steps as samples, so that nobody can say which is which."""
    return entering.ndim > 2 and entering.shape[0] == entering.shape[1] == size


def _is_one_for_each_step(answers: Tensor, target: Any, entering: Tensor) -> bool:
    """Tell whether the first dimension may be time, with an answer and a target for each step."""
    steps = entering.shape[1] if entering.ndim > 2 else 0
    targets = [t for t in tensors_in(target) if t.ndim > 1]
    return (
        steps > 1
        and answers.ndim > 1
        and answers.shape[1] == steps
        and any(t.shape[1] == steps for t in targets)
    )


def _how_crossed(plain: _Passage, changed: _Passage, answers: Tensor, size: int) -> str:
    """Tell how a call mixes samples: ``"along"``, ``"torn"``, ``"single"``, or empty.

    What is meant to see all rows, as the nodes of a graph do, has no other dimension to work along,
    and mixes them by sums that are no such call, before a softmax or behind it.
    """
    if plain.before.shape != changed.before.shape or plain.after.shape != changed.after.shape:
        return ""
    entered, left = plain.before != changed.before, plain.after != changed.after
    if not bool(entered.any()) or not bool(left.any()) or _is_sorted(left, size):
        return ""
    if plain.op in _SOFTMAXES:
        is_last = torch.equal(plain.after, answers) and answers.shape[-1] > 1
        return "along" if _is_sorted(entered, size) and (is_last or left.ndim > 2) else ""
    if len([length for length in plain.before.shape[:-1] if length > 1]) == 1:
        is_kept = plain.op in _RECURRENCES and _is_sorted(entered, size)
        return "single" if is_kept else ""
    if _is_sorted(entered, size):
        return "along"
    worth = float(entered.double().mean()) * size
    return "torn" if worth < _TORN < float(left.double().mean()) * size else ""


def _is_sorted(changed: Tensor, size: int) -> bool:
    """Tell whether all that changed belongs to one sample along one of the dimensions."""
    for dim, length in enumerate(changed.shape):
        if length >= size and length % size == 0:
            rest = [d for d in range(changed.ndim) if d != dim]
            touched = changed.amax(rest) if rest else changed
            if int(touched.sum()) <= length // size:
                return True
    return False


class _Noted(TorchFunctionMode):
    """Keeps what enters and leaves every call that works along a dimension."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.passages: list[_Passage] = []
        self._room = _MOST
        self._paths: dict[int, str] = {id(module): path for path, module in model.named_modules()}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        op = clean(getattr(func, "__name__", ""))
        if op not in _ALONG:
            return func(*args, **kwargs)
        given = args[0] if args else next(iter(kwargs.values()), None)
        if not isinstance(given, Tensor) or given.numel() > self._room:
            return func(*args, **kwargs)
        entering = given.detach().clone()
        result = func(*args, **kwargs)
        leaving = result[0] if isinstance(result, (tuple, list)) else result
        is_packed = (
            op in _RECURRENCES
            and len(args) > 1
            and isinstance(args[1], Tensor)
            and args[1].dtype == torch.int64
        )
        if isinstance(leaving, Tensor) and not is_packed:
            self._room -= entering.numel() + leaving.numel()
            self.passages.append(_Passage(op, self._path(), entering, leaving.detach().clone()))
        return result

    def _path(self) -> str:
        """Return the path of the module whose forward pass is running."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            path = self._paths.get(id(frame.f_locals.get("self")))
            if path is not None:
                return path
            frame = frame.f_back
        return ""

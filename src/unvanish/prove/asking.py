"""Ask a network what it answers, and compare that with what is right."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch
from torch import nn

from unvanish.observe.batch import Batch, as_batch, call_model, main_output
from unvanish.observe.copies import copied
from unvanish.observe.loss import compute_loss
from unvanish.prove.freezing import fresh
from unvanish.prove.readings import Loss, Reading, reading_of
from unvanish.prove.rows import row_layout, taken
from unvanish.treat.restating import RestatedLoss

_FEW: Final = 32
"""Rows of a batch that show how its answers are read."""


def answer(
    model: nn.Module, raw: Any, autocast: str, *, with_gradients: bool = False
) -> tuple[Any, Batch]:
    """Ask a network; one that needs gradients for its answer is given them.

    Args:
        model: In evaluation mode.
        raw: A batch; the network gets a copy of it.
        autocast: ``"bfloat16"``, ``"float16"`` or ``""``.
        with_gradients: Whether the output keeps its graph, from which a loss can be inferred.

    Returns:
        The output, and the batch as it was split.
    """
    batch = as_batch(fresh(raw), model)
    with casting(autocast, model):
        if not with_gradients:
            try:
                with torch.no_grad():
                    return call_model(model, batch.inputs), batch
            except RuntimeError:
                batch = as_batch(fresh(raw), model)
        with torch.enable_grad():
            return call_model(model, batch.inputs), batch


def reading_on(model: nn.Module, batches: Sequence[Any], loss: Loss, autocast: str) -> Reading:
    """Find out how the answers to some batches are read; through the loss unless all agree."""
    output, batch = _few(model, batches[0], autocast)
    with casting(autocast, model), torch.no_grad():
        reading = reading_of(output, batch, calm(loss))
    targets = (as_batch(raw, model).target for raw in batches)
    return reading if all(map(reading.fits, targets)) else Reading(kind="loss")


def _few(model: nn.Module, raw: Any, autocast: str) -> tuple[Any, Batch]:
    """Ask for few rows of a batch, where the network takes them, with the graph."""
    layout = row_layout(raw)
    if layout is not None and layout[0] > _FEW:
        with contextlib.suppress(Exception):
            few = taken(raw, torch.arange(_FEW))
            return answer(model, few, autocast, with_gradients=True)
    return answer(model, raw, autocast, with_gradients=True)


def accuracy(model: nn.Module, batches: Sequence[Any], reading: Reading, autocast: str) -> float:
    """Return the share of right answers; ``nan`` where some are no numbers."""
    right = total = 0
    for raw in batches:
        output, batch = answer(model, raw, autocast)
        out = main_output(output)
        answers = reading.answers(output, batch.target)
        if answers is None or out is None or not bool(out.isfinite().all()):
            return math.nan
        right += int((answers[0] == answers[1]).sum())
        total += answers[1].numel()
    return right / total if total else math.nan


def mean_loss(
    model: nn.Module,
    batches: Sequence[Any],
    loss: Loss,
    autocast: str,
    change: Callable[[Any], Any] | None = None,
) -> float:
    """Return the mean of a loss over batches, each by its number of samples.

    Args:
        model: In evaluation mode.
        batches: What it is asked.
        loss: A loss, a name, or None to infer it.
        autocast: As in training.
        change: What the output goes through before the loss.

    Returns:
        The mean; ``nan`` where it is no finite number.
    """
    quiet = calm(loss)
    total = weight = 0.0
    for raw in batches:
        output, batch = answer(model, raw, autocast, with_gradients=loss is None)
        if change is not None:
            output = change(output)
        with casting(autocast, model):
            value = float(compute_loss(quiet, output, batch)[0].detach())
        size = max(batch.size, 1)
        total, weight = total + size * value, weight + size
    mean = total / weight if weight else math.nan
    return mean if math.isfinite(mean) else math.nan


def casting(autocast: str, model: nn.Module) -> AbstractContextManager[Any]:
    """Run a block under the user's autocast, where there is one."""
    if not autocast:
        return nullcontext()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    return torch.autocast(device.type, dtype=getattr(torch, autocast))


def calm(loss: Loss) -> Loss:
    """Return a copy of a loss that counts or averages as it is called."""
    if isinstance(loss, RestatedLoss):
        return loss.calm()
    return copied(loss) if isinstance(loss, nn.Module) else loss

"""A look through further batches for one whose gradient is no number.

Some steps have no finite derivative at one point, and most batches do not meet it: the root of a
squared distance, where now and then two inputs are the same. After one such batch every weight is
NaN.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from itertools import islice, takewhile
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.observe.batch import Batch, as_batch, call_model
from unvanish.observe.guard import seed_everything
from unvanish.observe.look import Conditions, Look, running
from unvanish.observe.loss import compute_loss

_log = logging.getLogger(__name__)

_SINGULAR: Final = frozenset(
    "sqrt rsqrt norm linalg_vector_norm vector_norm cdist dist pairwise_distance log log2 log10 "
    "acos asin acosh atanh".split()
)
"""Steps whose derivative is infinite somewhere in the range of ordinary numbers."""

_MOST: Final = 64
_SECONDS: Final = 1.0


def first_without_numbers(
    model: nn.Module, first: Batch, data: Iterable[Any], seen: Look, conditions: Conditions
) -> tuple[int, Any] | None:
    """Return the first batch with a gradient that is no number, where there is reason to look.

    There is where the network has steps whose derivative can be infinite, and the batch that was
    looked at gave a finite gradient. At most 64 batches are tried, and no new one after a second.

    Args:
        model: The model; its gradients are left alone, its buffers may be written to.
        first: The batch that was looked at.
        data: Further batches.
        seen: What was seen with the first one.
        conditions: Loss, seed, autocast.

    Returns:
        How many batches were tried and the last of them, as it was drawn; None where all are fine.
    """
    ops = {site.op for site in seen.graph.sites}
    if ops.isdisjoint(_SINGULAR):
        return None
    end = time.perf_counter() + _SECONDS
    try:
        if not _has_numbers(model, first, conditions):
            return None
        # All are drawn before one is tried: data may be drawn by the generator that is seeded.
        drawn = list(takewhile(lambda _: time.perf_counter() < end, islice(iter(data), _MOST)))
        for number, raw in enumerate(drawn, start=1):
            if time.perf_counter() > end:
                break
            if not _has_numbers(model, as_batch(raw, model), conditions):
                return number, raw
    except Exception:
        _log.debug("further batches could not be tried", exc_info=True)
    return None


def _has_numbers(model: nn.Module, batch: Batch, conditions: Conditions) -> bool:
    parameters = [p for p in model.parameters() if p.requires_grad]
    device = next((p.device for p in parameters), torch.device("cpu"))
    seed_everything(conditions.seed)
    with running(conditions, device), torch.enable_grad():
        loss = compute_loss(conditions.loss, call_model(model, batch.inputs), batch)[0]
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
    grads: list[Tensor | None] = list(found)
    return all(g is None or bool(torch.isfinite(g).all()) for g in grads)

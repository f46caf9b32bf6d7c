"""The user's own metric: of the network, or of outputs and targets."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable
from typing import Any, Final

from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.prove.asking import answer
from unvanish.prove.partition import Partition
from unvanish.recipe.usercode import reported

METRIC_HELP: Final = "def metric(model): return accuracy   # one number, such as 0.97"
_NETWORK: Final = frozenset({"model", "net", "network", "module"})


def metric_wants_batches(metric: Callable[..., Any] | None) -> bool:
    """Tell whether a metric is ``metric(output, target)`` rather than ``metric(model)``.

    Args:
        metric: The user's, or None.

    Raises:
        UnvanishError: If it can be called neither way.
    """
    if metric is None:
        return False
    if isinstance(metric, nn.Module):
        return True
    try:
        parameters = list(inspect.signature(metric).parameters.values())
    except (TypeError, ValueError):
        return False
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
        and p.name != "seed"
    ]
    if len(needed) > 2 or (len(needed) == 2 and needed[0] in _NETWORK):
        raise UnvanishError(
            f"metric needs {len(needed)} arguments: {', '.join(needed)}",
            help="def metric(model): ... or def metric(output, target): ..., returning one number",
        )
    return len(needed) == 2


def metric_value(
    metric: Callable[..., Any], model: nn.Module, partition: Partition, autocast: str
) -> float:
    """Return what a metric says of a network.

    Args:
        metric: Called once with the network, or with the outputs for each held-out batch and
            their targets, and averaged by samples.
        model: In evaluation mode.
        partition: Has the held-out batches.
        autocast: As in training.

    Raises:
        UnvanishError: If the metric raises, or returns anything but one number.
    """
    if not metric_wants_batches(metric):
        with reported("metric(model)", kind=UnvanishError, help=METRIC_HELP):
            return _number(metric(model), "metric(model)")
    total = weight = 0.0
    for raw in partition.held_out:
        output, batch = answer(model, raw, autocast)
        with reported("metric(output, target)", kind=UnvanishError, help=METRIC_HELP):
            value = _number(metric(output, batch.target), "metric(output, target)")
        size = max(batch.size, 1)
        total, weight = total + size * value, weight + size
    return total / weight if weight else math.nan


def _number(value: Any, what: str) -> float:
    """Return what a metric returned as a number; infinities become ``nan``.

    Raises:
        UnvanishError: If it is none.
    """
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        value = value.detach().item()
    elif hasattr(value, "item") and getattr(value, "size", None) == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
        said = "nothing" if value is None else f"{type(value).__name__}{shape}"
        raise UnvanishError(f"{what} returned {said}, not a number", help=METRIC_HELP)
    return float(value) if math.isfinite(value) else math.nan

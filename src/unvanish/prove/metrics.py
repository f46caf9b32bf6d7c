"""The user's own metric: of the network, or of outputs and targets."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.observe.guard import ModelSnapshot
from unvanish.prove.asking import answer
from unvanish.prove.partition import Partition
from unvanish.recipe.names import line_of
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
        UnvanishError: If the metric raises, changes the weights, or returns anything but one
            number.
    """
    where = line_of(getattr(metric, "func", metric))
    if not metric_wants_batches(metric):
        with (
            reported("metric(model)", kind=UnvanishError, help=METRIC_HELP),
            _left_alone(model, where),
        ):
            return _number(metric(model), "metric(model)", where)
    total = weight = 0.0
    for raw in partition.held_out:
        output, batch = answer(model, raw, autocast)
        with reported("metric(output, target)", kind=UnvanishError, help=METRIC_HELP):
            value = _number(metric(output, batch.target), "metric(output, target)", where)
        size = max(batch.size, 1)
        total, weight = total + size * value, weight + size
    return total / weight if weight else math.nan


@contextmanager
def _left_alone(model: nn.Module, where: str) -> Iterator[None]:
    """Give a network back after a metric as it was: its modes, buffers, flags and gradients.

    Raises:
        UnvanishError: If its weights are others.
    """
    snapshot = ModelSnapshot(model)
    try:
        yield
        changed = [name for name, p in model.named_parameters() if _is_changed(p, snapshot)]
    finally:
        snapshot.restore(at_the_end=True)
    if changed:
        raise UnvanishError(
            f"metric(model) changes the weights of the network that it judges: {changed[0]}"
            + (f" and {len(changed) - 1} more" if len(changed) > 1 else ""),
            where=where,
            help="def metric(model): model = copy.deepcopy(model); ...",
        )


def _is_changed(parameter: Tensor, snapshot: ModelSnapshot) -> bool:
    kept = snapshot.values.get(id(parameter))
    now = parameter.detach()
    if kept is not None and now.is_floating_point():  # no number is equal to itself, if it is none
        now, kept = now.nan_to_num(), kept.nan_to_num()
    return kept is not None and not torch.equal(now, kept)


def _number(value: Any, what: str, where: str) -> float:
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
        raise UnvanishError(
            f"{what} returned {said}, not a number", where=where, help=_one_of(value, what)
        )
    return float(value) if math.isfinite(value) else math.nan


def _one_of(value: Any, what: str) -> str:
    """Return what to write where a metric returned several numbers, or none."""
    if isinstance(value, Mapping) and value:
        key = next(iter(value))
        return f"return one of them, such as {key!r}: return scores[{key!r}]"
    if isinstance(value, tuple | list) and value:
        return "return one of them, such as the first: return scores[0]"
    return (
        METRIC_HELP if what == "metric(model)" else METRIC_HELP.replace("model", "output, target")
    )

"""Which gradients are a gradient, and which are only what rounding left of one."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.observe.copies import copied
from unvanish.observe.guard import untouched
from unvanish.observe.statistics.magnitude import norm64
from unvanish.treat.drawing import drawable
from unvanish.treat.optimising.evaluation import gradients_of, loss_of
from unvanish.treat.protocol import Case

_log = logging.getLogger(__name__)

_MAX_ROUNDING: Final = 0.5
"""Share of a gradient that rounding may be where it decides about eps."""


def rounding_shares(case: Case, names: tuple[str, ...]) -> Mapping[str, float] | None:
    """Compare gradients as the network computes them with those of a copy in float64.

    The size of a gradient does not say whether it is noise: a chain of products keeps its
    relative precision down to the smallest normal number. Differences of nearly equal numbers,
    and numbers below the smallest normal one, lose it, and there the two disagree.

    Args:
        case: The network and its batch.
        names: Parameters to compare.

    Returns:
        Name to |gradient - gradient in float64| / |gradient in float64|, ``inf`` where the
        latter is zero and the former is not. None where no copy in float64 can be run, or the
        network itself is in float64.
    """
    types = {p.dtype for p in case.model.parameters() if p.is_floating_point()}
    if torch.float64 in types:
        return None
    try:
        own = _gradients(copied(case.model), case, names, None)
        wide = _gradients(copied(case.model).double(), case, names, torch.float64)
    except Exception:
        _log.debug("no gradient in float64", exc_info=True)
        return None
    shares = {}
    for name, gradient in own.items():
        size, off = float(norm64(wide[name])), float(norm64(gradient.double() - wide[name]))
        shares[name] = off / size if size > 0.0 else (math.inf if off > 0.0 else 0.0)
    return shares


def _gradients(
    twin: nn.Module, case: Case, names: tuple[str, ...], dtype: torch.dtype | None
) -> dict[str, Tensor]:
    with untouched(twin, seed=case.recording.context.seed):
        loss = loss_of(twin, case, dtype=dtype)
        known = dict(twin.named_parameters())
        wanted = [name for name in names if name in known]
        found = gradients_of(loss, [known[name] for name in wanted])
    return dict(zip(wanted, found, strict=True))


@dataclass(frozen=True, slots=True)
class Liftable:
    """The weights whose gradient may be made longer.

    Attributes:
        names: Their names.
        decades: How far their gradients lie apart, root mean square.
        why: Why there are none; empty where there are.
    """

    names: tuple[str, ...]
    decades: float = 0.0
    why: str = ""


def liftable(case: Case, max_rounding: float) -> Liftable:
    """Return the weights with a gradient that is one, and not what rounding left.

    Embeddings, of which a batch meets few rows, are left out.

    Args:
        case: The network.
        max_rounding: Largest share of a gradient that rounding may be.
    """
    sizes = _sizes(case)
    if not sizes:
        return Liftable((), why="no trained weight has a gradient other than zero")
    shares = rounding_shares(case, tuple(sizes)) or {}
    names = tuple(name for name in sizes if shares.get(name, 0.0) <= max_rounding)
    if not names:
        return Liftable((), why="every gradient is only what rounding left")
    logs = [sizes[name] for name in names]
    return Liftable(names, decades=max(logs) - min(logs))


def suggested_eps(
    case: Case, group: Mapping[str, Any], *, scale: float = 1.0
) -> tuple[float, float]:
    """Return an eps below every gradient that is one, and the smallest of these gradients.

    Args:
        case: The network.
        group: A group of the optimiser, for the rate at which its running mean of squares takes
            a gradient up.
        scale: What the loss of the case is multiplied by; the optimiser meets a gradient that
            was divided by it.

    Returns:
        A hundredth of the smallest root mean square gradient, down to a power of ten, at least
        the smallest eps that the type of the weights allows; and that gradient, ``nan`` where
        there is none.
    """
    found = liftable(case, _MAX_ROUNDING)
    sizes = _sizes(case)
    if not found.names:
        return math.nan, math.nan
    smallest = min(sizes[name] for name in found.names) - math.log10(scale)
    betas = group.get("betas")
    kept = float(betas[1]) if betas else float(group.get("alpha") or 0.0)
    known = dict(case.model.named_parameters())
    types = {known[name].dtype for name in found.names if name in known}
    tiny = max((torch.finfo(dtype).tiny for dtype in types), default=0.0)
    lowest = math.sqrt(tiny / max(1.0 - kept, torch.finfo(torch.float32).eps))
    size = 10.0**smallest
    return max(10.0 ** (math.floor(smallest) - 2), lowest), size


def shortest_gradient(case: Case) -> float:
    """Return the norm of the shortest gradient of a weight; ``nan`` where there is none."""
    known = {p.name: p.size for p in case.recording.parameters}
    names = liftable(case, _MAX_ROUNDING).names
    sizes = _sizes(case)
    norms = [sizes[name] + 0.5 * math.log10(known[name]) for name in names]
    return 10.0 ** min(norms) if norms else math.nan


def _sizes(case: Case) -> dict[str, float]:
    """Return log10 of the gradient's root mean square for each trained weight that has one."""
    weights = {layer.weight for layer in drawable(case)}
    return {
        p.name: p.log10_grad_rms
        for p in case.recording.parameters
        if p.name in weights and math.isfinite(p.log10_grad_rms)
    }

"""Learning rates for each layer: what its own block of the Hessian allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from unvanish.core.errors import CouldNotMeasureError
from unvanish.core.prescriptions import Edit
from unvanish.observe.statistics.magnitude import norm64
from unvanish.treat.optimising.curvature import Curvature
from unvanish.treat.optimising.exchange import optimizer_of, own_optimizer
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError


def layer_rates(case: Case, *, share: float, max_change: float) -> tuple[dict[str, float], float]:
    """Return a learning rate for each layer, and how far the layers act together.

    Args:
        case: The network.
        share: Share of the largest rate that does not diverge on a quadratic.
        max_change: Largest relative change of a layer in the first step.

    Returns:
        Path of a module to the rate of its own parameters; and the largest eigenvalue of the
        Hessian after each layer has been divided by its own.

    Raises:
        CouldNotMeasureError: If the Hessian cannot be measured or no layer has a gradient.
    """
    trained = [name for name, p in case.model.named_parameters() if p.requires_grad]
    curvature = Curvature(case, trained)
    blocks: dict[str, list[int]] = {}
    for i, name in enumerate(curvature.names):
        blocks.setdefault(name.rpartition(".")[0], []).append(i)
    limits = {path: _limit(curvature, block, max_change) for path, block in blocks.items()}
    blocks = {path: block for path, block in blocks.items() if math.isfinite(limits[path])}
    if not blocks:
        raise CouldNotMeasureError("no layer has both weights and a gradient")
    sharpest = {path: curvature.largest(block=block) for path, block in blocks.items()}
    curved = {path: value for path, value in sharpest.items() if value > 0.0}
    joint = 1.0
    if len(curved) > 1:
        chosen = [i for path in curved for i in blocks[path]]
        scales = [1.0 / curved[path] for path in curved for _ in blocks[path]]
        joint = max(1.0, curvature.largest(scales=scales, block=chosen))
    momentum = float(optimizer_of(case).param_groups[0].get("momentum") or 0.0)
    kept = 1.0 - min(momentum, 0.99)
    rates = {
        path: kept
        * min(limits[path], 2.0 * share / (joint * curved[path]) if path in curved else math.inf)
        for path in blocks
    }
    return rates, joint


def split_groups(patient: Patient, rates: Mapping[str, float]) -> None:
    """Give the parameters of each module a group of their own with its learning rate.

    Args:
        patient: Whose optimiser.
        rates: Path of a module to the rate; parameters of others stay in their group.

    Raises:
        CannotTreatError: If the optimiser holds none of the parameters.
    """
    optimizer = own_optimizer(patient)
    place_of = {
        id(p): name.rpartition(".")[0]
        for name, p in patient.model.named_parameters()
        if name.rpartition(".")[0] in rates
    }
    groups = optimizer.param_groups
    before = list(groups)
    made: list[dict[str, Any]] = []
    for group in before:
        parts: dict[str, list[Any]] = {}
        rest = []
        for parameter in group["params"]:
            if id(parameter) in place_of:
                parts.setdefault(place_of[id(parameter)], []).append(parameter)
            else:
                rest.append(parameter)
        made += [{**group, "params": rest}] if rest else []
        for path, own in parts.items():
            one = {**group, "params": own, "lr": rates[path]}
            if "initial_lr" in one:
                one["initial_lr"] = rates[path]
            made.append(one)
    if not place_of:
        raise CannotTreatError("the optimiser holds none of the layers that were measured")
    if any("initial_lr" in group for group in before):
        patient.notes.append(
            "a scheduler is attached that knows the old groups; make it again for the new ones"
        )
    optimizer.param_groups = made

    def undo() -> None:
        optimizer.param_groups = groups

    first = True
    for path in rates:
        put_back = undo if first else _nothing
        was = next(float(g["lr"]) for g in before)
        patient.surgery.hold(
            put_back,
            Edit(
                place=path,
                before=f"learning rate {was:.3g}",
                after=f"{rates[path]:.3g}",
            ),
        )
        first = False


def _nothing() -> None:
    """Undo what the first edit of the groups undoes."""


def _limit(curvature: Curvature, block: list[int], max_change: float) -> float:
    """Return the rate at which one step changes a block by a share of its size."""
    size = math.hypot(*(float(norm64(curvature.parameters[i].detach())) for i in block))
    slope = math.hypot(*(float(norm64(curvature.gradients[i].detach())) for i in block))
    return max_change * size / slope if size > 0.0 and slope > 0.0 else math.inf

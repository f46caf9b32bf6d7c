"""Other optimisers for the same groups, and what is assumed where none is known."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.prescriptions import Edit, Keeps
from unvanish.observe.optimizer import default_optimizer, describe, stepping
from unvanish.treat.drawing import drawable, layout_of
from unvanish.treat.optimising.wrapper import Treatment, treated
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError

DESCENTS: Final = frozenset({"SGD"})
"""Optimisers whose step is the learning rate times the gradient, or a running sum of it."""

RESCALING: Final = frozenset(
    {"Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "SparseAdam"}
)
"""Optimisers of PyTorch that divide each entry of the gradient by its running size plus eps."""

KEEPS_ALL: Final = frozenset(Keeps)
"""What every remedy of this kind leaves as it is: the network."""

EXCHANGES: Final = frozenset({"soap", "shampoo", "muon"})
"""Remedies that put another optimiser in the place of the user's."""

RATES: Final = frozenset({"curvature-learning-rate", "learning-rate-range", "layer-wise-rates"})
"""Remedies that choose the learning rate."""

PACKAGE: Final = "pytorch_optimizer"
"""Where optimisers come from that PyTorch does not bring."""

_ASSUMED: Final = (
    "no optimiser was given: {name} was taken; give yours with optimizer=..., or train with the "
    "one of the treated network"
)


def optimizer_of(known: Case | Patient) -> torch.optim.Optimizer:
    """Return the optimiser of a network, or the one a look assumes where none is known."""
    return known.optimizer if known.optimizer is not None else default_optimizer(known.model)


def kind_of(known: Case | Patient) -> str:
    """Return the class name of the optimiser that takes the steps."""
    return type(stepping(optimizer_of(known))).__name__


def rate_of(optimizer: torch.optim.Optimizer) -> float:
    """Return the learning rate of the first group that has one above zero; 0 where none has."""
    rates = (float(group.get("lr") or 0.0) for group in optimizer.param_groups)
    return next((rate for rate in rates if rate > 0.0), 0.0)


def shares_of(optimizer: torch.optim.Optimizer) -> list[float]:
    """Return the learning rate of each group over that of `rate_of`; 1 where none has a rate."""
    first = rate_of(optimizer)
    return [
        float(group.get("lr") or 0.0) / first if first > 0.0 else 1.0
        for group in optimizer.param_groups
    ]


def attach(patient: Patient, treatment: Treatment, words: str) -> None:
    """Put a treatment around the optimiser of a patient.

    Args:
        patient: Whose optimiser, or the assumed one.
        treatment: What is done around its steps.
        words: What it is, for the books.
    """
    inner = optimizer_of(patient)
    if patient.optimizer is None:
        patient.notes.append(_ASSUMED.format(name=said(patient.model, inner)))
    before = "no optimiser" if patient.optimizer is None else said(patient.model, inner)
    patient.surgery.exchange_optimizer(
        treated(inner, treatment),
        before=before,
        after=f"{words}, then {said(patient.model, inner)}",
    )


def said(model: nn.Module, optimizer: torch.optim.Optimizer) -> str:
    """Return an optimiser in words: ``"AdamW(lr 0.001, eps 1e-08)"``."""
    return str(describe(optimizer, model, clip_grad_norm=None))


def exchange(
    patient: Patient,
    build: Callable[[list[dict[str, Any]]], torch.optim.Optimizer],
    *,
    rate: float,
    decays: bool = True,
    words: str = "",
) -> None:
    """Train with another optimiser over the same groups; its state begins anew.

    Args:
        patient: Whose optimiser.
        build: Makes the new one from groups.
        rate: Learning rate of the first group; those of others keep their ratio to it.
        decays: Whether the weight decay of each group is carried over.
        words: The new one for the books; its name and settings by default.
    """
    old = optimizer_of(patient)
    new = build(groups_of(old, rate=rate, decays=decays))
    if patient.optimizer is None:
        patient.notes.append(_ASSUMED.format(name=said(patient.model, old)))
    elif old.state:
        patient.notes.append(
            f"the running means of {type(stepping(old)).__name__} are given up: they mean "
            "something else to the new optimiser, which begins with its own"
        )
    if any("initial_lr" in group for group in old.param_groups):
        patient.notes.append(
            "a scheduler is attached to the old optimiser; make it again for the new one"
        )
    patient.surgery.exchange_optimizer(
        new,
        before="no optimiser" if patient.optimizer is None else said(patient.model, old),
        after=words or said(patient.model, new),
    )


def groups_of(
    optimizer: torch.optim.Optimizer, *, rate: float, decays: bool = True
) -> list[dict[str, Any]]:
    """Return groups for another optimiser: the parameters, rates in proportion, the decay."""
    made = []
    for group, share in zip(optimizer.param_groups, shares_of(optimizer), strict=True):
        one: dict[str, Any] = {
            "params": [p for p in group["params"] if p.requires_grad],
            "lr": rate * share,
        }
        if decays and "weight_decay" in group:
            one["weight_decay"] = float(group["weight_decay"])
        if one["params"]:
            made.append(one)
    return made


def rate_like_adam(case: Case, otherwise: float) -> float:
    """Return the user's learning rate where it belongs to a rescaling optimiser, else another."""
    optimizer = optimizer_of(case)
    rate = rate_of(optimizer)
    known = type(stepping(optimizer)).__name__ in RESCALING and rate > 0.0
    return rate if known else otherwise


def why_not_dense(case: Case) -> str:
    """Say why an optimiser for dense real gradients does not fit; empty where it does."""
    if any(vars(module).get("sparse") is True for module in case.model.modules()):
        return "a sparse embedding gives sparse gradients, which it does not take"
    if any(p.is_complex() for p in case.model.parameters()):
        return "it takes no complex parameters"
    return ""


def own_optimizer(patient: Patient) -> torch.optim.Optimizer:
    """Return the optimiser of a patient; the assumed one becomes its own where it has none."""
    if patient.optimizer is not None:
        return patient.optimizer
    made = default_optimizer(patient.model)
    words = said(patient.model, made)
    patient.notes.append(_ASSUMED.format(name=words))
    patient.surgery.exchange_optimizer(made, before="no optimiser", after=words)
    return made


def set_rate(patient: Patient, rate: float) -> None:
    """Set the learning rate of the first group that has one; others keep their ratio to it."""
    optimizer = own_optimizer(patient)
    groups, first = optimizer.param_groups, rate_of(optimizer)
    old: list[dict[str, Any]] = [
        {key: group[key] for key in ("lr", "initial_lr") if key in group} for group in groups
    ]
    for group, share in zip(groups, shares_of(optimizer), strict=True):
        for key in ("lr", "initial_lr"):
            if key in group:
                group[key] = rate * share
    if any("initial_lr" in group for group in groups):
        patient.notes.append(
            "a scheduler is attached that remembers the old learning rate; make it again"
        )

    def undo() -> None:
        for group, was in zip(groups, old, strict=True):
            group.update(was)

    patient.surgery.hold(
        undo, Edit(place="", before=f"learning rate {first:.3g}", after=f"{rate:.3g}")
    )


def trained_weights(case: Case) -> tuple[str, ...]:
    """Return the weights with two axes or more that are trained, embeddings left out."""
    return tuple(layer.weight for layer in drawable(case))


def named(patient: Patient, names: Iterable[str]) -> tuple[nn.Parameter, ...]:
    """Return parameters by name.

    Raises:
        CannotTreatError: If the network has none of them.
    """
    known = dict(patient.model.named_parameters())
    wanted = tuple(names)
    found = tuple(known[name] for name in wanted if name in known)
    if not found:
        raise CannotTreatError(f"the network has no parameter {', '.join(wanted[:3])}")
    return found


def unit_axes(patient: Patient, names: Iterable[str]) -> tuple[tuple[Tensor, int], ...]:
    """Return weights by name, each with its axis over units."""
    found: list[tuple[Tensor, int]] = []
    known: Mapping[str, nn.Parameter] = dict(patient.model.named_parameters())
    for name in names:
        layer = patient.anatomy.layer_of(name)
        if layer is not None and name in known:
            axis = layout_of(layer, known[name], patient.model).outputs
            found.append((known[name], axis))
    if not found:
        raise CannotTreatError("none of the weights to treat is left")
    return tuple(found)


def package(name: str, purpose: str) -> Any:
    """Import an optional package.

    Raises:
        CannotTreatError: If it is not installed, with the line that installs it.
    """
    why_not = missing(name, purpose)
    if why_not:
        raise CannotTreatError(why_not, help=f"pip install {name.replace('_', '-')}")
    return importlib.import_module(name)


def missing(name: str, purpose: str) -> str:
    """Say which package is not installed and the line that installs it; empty where it is."""
    if importlib.util.find_spec(name) is not None:
        return ""
    line = f"pip install {name.replace('_', '-')}"
    return f"{purpose} needs the package {name!r}, which is not installed: {line}"

"""Apply remedies to a network: on a copy, in the right order, all or nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import Prescription, Receipt
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.observe.copies import copied
from unvanish.observe.guard import seed_everything
from unvanish.observe.optimizer import OptimizerLike, build_optimizer
from unvanish.observe.tracing import trace
from unvanish.treat.cases import case_of
from unvanish.treat.checks import check_settings, try_out
from unvanish.treat.protocol import Case, Patient, Remedy
from unvanish.treat.registry import ordered, remedy_of
from unvanish.treat.surgery import (
    CannotTreatError,
    NoEffectError,
    Surgery,
    given_to,
    refuse_untreatable,
)

__all__ = ["Treated", "case_of", "treat"]

_APART: Final = 0x5EED
"""Distance of the seed of the remedies from that of the looks."""


@dataclass(frozen=True, kw_only=True)
class Treated:
    """A network after its treatment.

    Attributes:
        model: The treated network.
        optimizer: Its optimiser; None where the remedies were given none and need none.
        loss: What to train it with.
        autocast: ``"bfloat16"``, ``"float16"`` or ``""``.
        clip_grad_norm: Largest gradient norm in training; None for no clipping.
        receipts: What each remedy changed, in the order in which they were applied.
        prescriptions: What each remedy was asked to do.
        looks: What each remedy saw: the network as those before it had left it.
        undo: Puts the network that was treated back as it was, to the last bit, and its
            optimiser. It is the caller's own network where it was treated in place.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer | None
    loss: Callable[..., Any] | str | None
    autocast: str
    clip_grad_norm: float | None
    receipts: tuple[Receipt, ...]
    prescriptions: tuple[Prescription, ...]
    looks: tuple[Recording, ...]
    undo: Callable[[], None]


def treat(
    model: nn.Module,
    prescription: Prescription | str | Sequence[Prescription | str],
    batch: Any,
    loss: Callable[..., Any] | str | None = None,
    *,
    optimizer: OptimizerLike = None,
    recording: Recording | None = None,
    built: Mapping[nn.Module, SourceLine] | None = None,
    autocast: str = "",
    clip_grad_norm: float | None = None,
    in_place: bool = False,
    validate: bool = True,
    seed: int = 0,
) -> Treated:
    """Apply one remedy, or several, to a copy of a network.

    Args:
        model: The network. It stays as it is unless `in_place` is true.
        prescription: A prescription, or a remedy's name to use it with its own settings; several
            are applied in the order that the remedies ask for.
        batch: ``(inputs, target)``, a mapping of keyword arguments, or the inputs alone. It is
            what data-driven remedies measure on, and what the treated network is tried on.
        loss: As in `unvanish.trace`.
        optimizer: The network's optimiser, or a factory ``optimizer(model)``; its groups and
            state are kept in step. None for none.
        recording: One look at the network, where there is one.
        built: Module to the line that built it, where known; the patch of the source needs it.
        autocast: ``"bfloat16"`` or ``"float16"`` where it is trained under autocast and no
            recording says so.
        clip_grad_norm: Largest gradient norm in training, where no recording says so.
        in_place: Whether the network itself is changed rather than a copy.
        validate: Whether the settings of a prescription are compared with those the remedy would
            choose, for which it is asked once more.
        seed: Seed of everything random in the remedies.

    Returns:
        The treated network, its optimiser and the books.

    Raises:
        CannotTreatError: If the network cannot be operated on, a remedy does not fit it, was
            given before, or excludes another.
        NoEffectError: If a remedy changed nothing.
        UnvanishError: If there is no remedy of that name, or the treated network no longer runs.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> treated = treat(net, "he", (torch.randn(16, 4), torch.randint(0, 2, (16,))))
        >>> treated.receipts[0].remedy
        'he'
    """
    refuse_untreatable(model)
    asked = _asked(prescription)
    if recording is None:
        recording = trace(
            model,
            batch,
            loss,
            optimizer=optimizer,
            batches=1,
            probe_steps=0,
            seed=seed,
            autocast=autocast,
            clip_grad_norm=clip_grad_norm,
            built=built,
        )
    if in_place:
        twin = model
        steps = optimizer if isinstance(optimizer, torch.optim.Optimizer) else None
    elif isinstance(optimizer, torch.optim.Optimizer):
        twin, steps = copied((model, optimizer), hooks=True)
    else:
        twin, steps = copied(model, hooks=True), None
    if steps is None and optimizer is not None:
        steps = build_optimizer(optimizer, twin)
    lines = dict(built or {})
    if twin is not model:
        for old, new in zip(model.modules(), twin.modules(), strict=True):
            if old in lines:
                lines[new] = lines[old]
    named = {remedy_of(one).name for one in asked if isinstance(one, str)}
    case = case_of(twin, batch, loss, optimizer=steps, recording=recording, asked=named)
    plan = ordered([(remedy_of(_name(one)), one) for one in asked], key=lambda pair: pair[0])
    used = recording.context.optimizer
    patient = Patient(
        surgery=Surgery(twin, steps),
        batch=case.batch,
        loss=loss,
        anatomy=case.anatomy,
        autocast=recording.context.autocast,
        clip_grad_norm=used.clip_grad_norm if used else None,
    )
    receipts: list[Receipt] = []
    done: list[Prescription] = []
    looks: list[Recording] = []
    try:
        with torch.random.fork_rng(devices=[]):
            # A stream of their own: data that were drawn from the same seed would come out again
            # as weights.
            seed_everything(seed + _APART)
            for remedy, one in plan:
                if receipts:
                    case = case_of(
                        patient.model,
                        batch,
                        patient.loss,
                        optimizer=patient.optimizer,
                        built=lines,
                        autocast=patient.autocast,
                        seed=seed,
                        asked=named,
                    )
                    patient.anatomy = case.anatomy
                looks.append(case.recording)
                done.append(_settled(remedy, one, case, validate=validate))
                receipts.append(_apply(remedy, done[-1], patient))
        try_out(patient, seed, was_finite=math.isfinite(recording.context.loss_value))
    except BaseException:
        patient.surgery.undo()
        raise
    return Treated(
        model=patient.model,
        optimizer=patient.optimizer,
        loss=patient.loss,
        autocast=patient.autocast,
        clip_grad_norm=patient.clip_grad_norm,
        receipts=tuple(receipts),
        prescriptions=tuple(done),
        looks=tuple(looks),
        undo=_undo(patient, tuple(receipt.remedy for receipt in receipts)),
    )


def _asked(prescription: Any) -> list[Prescription | str]:
    """Return what is asked for as a list.

    Raises:
        CannotTreatError: If it is something else.
        NoEffectError: If it is nothing.
    """
    several = isinstance(prescription, Sequence) and not isinstance(prescription, str)
    asked = list(prescription) if several else [prescription]
    for one in asked:
        if not isinstance(one, Prescription | str):
            raise CannotTreatError(
                f"{type(one).__name__} is neither a prescription nor the name of a remedy",
                help='unvanish.treat(model, "he", batch)',
            )
    if not asked:
        raise NoEffectError("no remedy was asked for", help='unvanish.treat(model, "he", batch)')
    return asked


def _undo(patient: Patient, remedies: tuple[str, ...]) -> Callable[[], None]:
    """Return what puts a network back, unless it was given something else since."""

    def undo() -> None:
        later = given_to(patient.model)
        if remedies and later[-len(remedies) :] != remedies and set(remedies) <= set(later):
            since = later[later.index(remedies[-1]) + 1 :]
            raise CannotTreatError(
                f"the network was given {', '.join(since)} since; undo that first",
                help="undo treatments in the reverse order",
            )
        patient.surgery.undo()

    return undo


def _name(one: Prescription | str) -> str:
    return one if isinstance(one, str) else one.remedy


def _settled(
    remedy: Remedy, one: Prescription | str, case: Case, *, validate: bool
) -> Prescription:
    """Return what a remedy is to do; one that is only named is asked now.

    Raises:
        CannotTreatError: If the network was given it before, or it does not fit.
    """
    if remedy.name in given_to(case.model):
        raise CannotTreatError(
            f"the network was given {remedy.name} before; once is enough",
            help="treat the network as it was, or call undo() first",
        )
    if isinstance(one, Prescription) and not validate:
        return one
    found = remedy.assess(case)
    if isinstance(one, Prescription):
        if isinstance(found, Prescription):
            check_settings(one, found)
        return one
    if isinstance(found, NotApplicable):
        raise CannotTreatError(f"{remedy.name} does not fit this network: {found.reason}")
    return found


def _apply(remedy: Remedy, prescription: Prescription, patient: Patient) -> Receipt:
    surgery = patient.surgery
    done = len(surgery.edits)
    patient.notes.clear()
    remedy.apply(patient, prescription)
    edits = tuple(surgery.edits[done:])
    if not edits:
        raise NoEffectError(
            f"{remedy.name} changed nothing: the network is as it would leave it",
            help="unvanish check shows what is wrong with it",
        )
    surgery.mark(remedy.name)
    return Receipt(remedy=remedy.name, edits=edits, notes=tuple(patient.notes))

"""Giving the optimiser the parameters that it was not given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, final

import torch
from torch import nn

from unvanish.core.findings import Finding, Severity
from unvanish.core.incidents import Stray
from unvanish.core.prescriptions import Change, Edit, Keeps, Prescription
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.diagnose.rules.missing_parameter import MissingParameter
from unvanish.observe.optimizer import describe, held_names, stepping
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.strays import Unregistered, register, unregistered
from unvanish.treat.surgery import CannotTreatError

_REGISTER: Final = "register"


@final
@dataclass(frozen=True, kw_only=True)
class TrainParameter:
    """Put parameters that get a gradient and are not stepped into the optimiser.

    ## When to use
    A layer that was added after the optimiser was built, a group that was forgotten, an optimiser
    of another instance of the network, layers in a plain list (UV504). What looks like a choice,
    such as a backbone below a linear probe, is left alone unless the remedy is asked for by name.

    ## What it changes
    Each missing parameter joins the group of its nearest neighbours: of the parameters that the
    optimiser holds, those with as many axes, so that a bias joins the biases that have no weight
    decay, and among them the one whose name begins alike the longest. An optimiser that holds none
    of the network is given all of it, in the group where the tensors of these shapes were. Layers
    in a plain list or dict become an `nn.ModuleList` or `nn.ModuleDict` of the same name first, and
    a trainable tensor an `nn.Parameter`.

    ## What it costs
    The optimiser's state for the new parameters, and what was left out on purpose is trained.

    ## Settings
    register: whether layers have to be registered first. parameters: how many join.

    ## Where we differ
    `optimizer.add_param_group` makes a group of its own, with the optimiser's defaults; what is
    missing here takes the rate and the decay of the layers beside it.

    ## Composes with
    Every other remedy; an optimiser is exchanged after it.

    ## Evidence
    Patients of the zoo, trained for their own budget, seed 0, all else as it was: a body that was
    left out reaches an accuracy of 0.96 (0.42 before), an embedding 0.98 (0.32), layers in a plain
    list 0.98 (0.48), an optimiser of another network 0.96 (0.12).

    ## Source
    Paszke and others (2019): an optimiser steps the tensors it was given, and no others.
    """

    name: ClassVar[str] = "train-parameter"
    treats: ClassVar[frozenset[str]] = frozenset({"UV504"})
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["paszke2019"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network some of whose trained parameters no optimiser holds by mistake."""
        seen = [stray for stray in case.recording.strays if not stray.in_optimizer]
        strays = _held_by_attributes(case.model, seen)
        if seen and not strays:
            drawn = next((stray for stray in seen if stray.drawn), None)
            reason = _by_hand if drawn is None else _drawn_anew
            return NotApplicable(reason(case.recording, drawn or seen[0]))
        if case.optimizer is None and not strays:
            return NotApplicable("there is no optimiser; one built from the network holds it all")
        missing: list[str] = []
        if case.optimizer is not None:
            judged = _with_optimizer(case)
            verdict = MissingParameter().examine(judged)
            findings = verdict.findings if isinstance(verdict, Found) else ()
            about = [finding for finding in findings if finding.parameters]
            is_choice = bool(about) and about[0].severity is Severity.NOTE
            if is_choice and not strays and self.name not in case.asked:
                return NotApplicable(_on_purpose(about[0]))
            missing = [n for finding in about for n in finding.parameters]
        if not missing and not strays:
            return NotApplicable("the optimiser holds every parameter that gets a gradient")
        count = len(missing) + sum(one.tensors for one in strays)
        return Prescription(
            remedy=self.name,
            why=_why(missing, strays),
            change=self.change,
            keeps=self.keeps,
            settings={_REGISTER: bool(strays), "parameters": count},
            places=(*missing, *(one.place for one in strays)),
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Register what has to be, and give it to the optimiser.

        Raises:
            CannotTreatError: If the network has none of these parameters.
        """
        places = set(prescription.places)
        if prescription.settings[_REGISTER]:
            for one in unregistered(patient.model):
                if one.place in places:
                    register(patient.surgery, one)
        wanted = [
            (name, parameter)
            for name, parameter in patient.model.named_parameters()
            if name in places or any(name.startswith(f"{place}.") for place in places)
        ]
        if not wanted:
            raise CannotTreatError(f"the network has no parameter {', '.join(sorted(places))}")
        patient.notes.append(
            "to keep it, hold layers in nn.ModuleList, nn.ModuleDict or nn.Parameter attributes"
            if prescription.settings[_REGISTER]
            else "to keep it, build the optimiser last, from model.parameters()"
        )
        if patient.optimizer is None:
            patient.notes.append("build the optimiser from the treated network: model.parameters()")
            return
        _join(patient, wanted, stepping(patient.optimizer))


def _why(missing: Sequence[str], strays: Sequence[Unregistered]) -> str:
    if strays:
        count = sum(one.tensors for one in strays)
        places = ", ".join(one.place for one in strays)
        if count == 1:
            return f"the trainable tensor in {places} is no parameter of the network"
        return f"the {count} trainable tensors in {places} are no parameters of the network"
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"{missing[0]}{more} {'are' if more else 'is'} not in the optimiser"


def _with_optimizer(case: Case) -> Recording:
    """Return a case's recording with what its optimiser holds."""
    assert case.optimizer is not None
    held = held_names(case.optimizer, case.model)
    clip = case.recording.context.optimizer
    return replace(
        case.recording,
        parameters=tuple(
            replace(p, in_optimizer=None if held is None else bool({p.name, *p.aliases} & held))
            for p in case.recording.parameters
        ),
        context=replace(
            case.recording.context,
            optimizer=describe(
                case.optimizer, case.model, clip_grad_norm=clip.clip_grad_norm if clip else None
            ),
        ),
    )


def _join(
    patient: Patient, wanted: Sequence[tuple[str, nn.Parameter]], optimizer: torch.optim.Optimizer
) -> None:
    """Put parameters into the groups of their neighbours."""
    names = {id(p): name for name, p in patient.model.named_parameters()}
    groups: list[dict[str, Any]] = optimizer.param_groups
    held = {id(p) for group in groups for p in group["params"]}
    new = [(name, p) for name, p in wanted if id(p) not in held and p.requires_grad]
    old = [(group, list(group["params"])) for group in groups]
    strangers = not any(id(p) in names for group in groups for p in group["params"])
    homes = [(name, p, _home(name, p, groups, names, strangers=strangers)) for name, p in new]
    state: dict[Any, Any] = {}
    if strangers:
        for group in groups:
            for stranger in group["params"]:
                if stranger in optimizer.state:
                    state[stranger] = optimizer.state.pop(stranger)
            group["params"] = []

    def undo() -> None:
        for group, parameters in old:
            group["params"] = parameters
        for _, parameter in new:
            optimizer.state.pop(parameter, None)
        optimizer.state.update(state)

    for place, (name, parameter, group) in enumerate(homes):
        group["params"] = [*group["params"], parameter]
        rate = group.get("lr")
        patient.surgery.hold(
            undo if place == 0 else _nothing,
            Edit(
                place=name,
                before="not in the optimiser",
                after=f"in the optimiser, learning rate {float(rate):g}"
                if isinstance(rate, int | float | torch.Tensor)
                else "in the optimiser",
            ),
        )


def _nothing() -> None:
    """Undo nothing: the first edit does it for all."""


def _home(
    name: str,
    parameter: nn.Parameter,
    groups: Sequence[dict[str, Any]],
    names: dict[int, str],
    *,
    strangers: bool,
) -> dict[str, Any]:
    """Return the group of the nearest neighbours of a parameter."""
    best: tuple[tuple[float, ...], dict[str, Any]] | None = None
    for group in groups:
        for other in group["params"]:
            alike = 0
            if not strangers:
                if id(other) not in names:
                    continue
                alike = _shared(name, names[id(other)])
            axes = other.ndim == parameter.ndim
            rank = (axes and other.shape == parameter.shape, 0) if strangers else (axes, alike)
            if best is None or rank > best[0]:
                best = rank, group
    return groups[0] if best is None else best[1]


def _shared(one: str, other: str) -> int:
    """Count the steps that two names begin with in common."""
    shared = 0
    for a, b in zip(one.split("."), other.split("."), strict=False):
        if a != b:
            break
        shared += 1
    return shared


def _on_purpose(finding: Finding) -> str:
    why = finding.notes[-1]
    return (
        f"{finding.message}, which looks like a choice: {why}; if it is none, ask for "
        'train-parameter by name, or optimizer.add_param_group({"params": part.parameters()})'
    )


def _held_by_attributes(model: nn.Module, seen: Sequence[Stray]) -> tuple[Unregistered, ...]:
    """Return the attributes to register: not one that the forward pass fills anew each time."""
    lasting = {stray.shape for stray in seen if not stray.drawn}
    drawn = {stray.shape for stray in seen if stray.drawn}
    return tuple(
        one for one in unregistered(model) if one.shapes & lasting and not one.shapes <= drawn
    )


def _drawn_anew(recording: Recording, stray: Stray) -> str:
    return (
        f"the trainable tensor{_used(recording, stray)} is made anew, of other random numbers, in "
        "every forward pass: no optimiser can hold it; build its layer once, in __init__"
    )


def _used(recording: Recording, stray: Stray) -> str:
    site = recording.sites[stray.site]
    return f" that is used at {site.source}" if site.source else ""


def _by_hand(recording: Recording, stray: Stray) -> str:
    return (
        f"a trainable tensor{_used(recording, stray)} is no parameter of the network, nor held "
        "by one of its attributes: make it an nn.Parameter in __init__, or keep its layer in "
        "nn.ModuleList"
    )

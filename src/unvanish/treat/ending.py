"""The end of a network: its last function, exchanged for another or left out.

A module that does nothing but call the function is replaced. A function in a forward is exchanged
there, and other calls of it in the same forward stay as they are.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from unvanish.core.records import Site
from unvanish.observe.batch import call_model
from unvanish.observe.guard import untouched
from unvanish.treat.interception import MARK
from unvanish.treat.probing import Spot, called, calls_of, passing
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.turns import Turns

_MODULES: Final = (
    nn.Softmax,
    nn.LogSoftmax,
    nn.Sigmoid,
    nn.Hardsigmoid,
    nn.Tanh,
    nn.Softsign,
    nn.ReLU,
    nn.ReLU6,
    nn.Softplus,
    nn.LogSigmoid,
)
"""Modules that do nothing but call one function once."""

_ROUNDING: Final = 1e-3


def spot_of(case: Case | Patient, site: Site, where: str) -> Spot:
    """Return the call that a step is.

    Args:
        case: The network.
        site: One of its steps.
        where: ``"before"`` for what enters it, ``"after"`` for what it makes.
    """
    calls = calls_of(case.anatomy.recording, site.path, site.function)
    own = frozenset(n for n, one in enumerate(calls) if one.index == site.index)
    return Spot(
        path=site.path,
        where=where,
        function=called(case.model, site),
        chosen=own if len(calls) > 1 else None,
        calls=len(calls),
    )


def why_out_of_reach(case: Case, site: Site) -> str:
    """Say why the call of a function cannot be met; empty where it can."""
    passed = passing(case.model, case.batch, [spot_of(case, site, "after")])[0]
    if passed:
        return ""
    where = f" at {site.source}" if site.source else f" in {site.path or 'the network'}"
    return (
        f"the call of {site.op}{where} cannot be told from others of its kind: edit that line by "
        "hand"
    )


def summed_axis(case: Case, site: Site) -> int:
    """Return the axis along which the outputs of a softmax sum to one, from the end.

    Args:
        case: The network.
        site: The softmax.
    """
    passed = passing(case.model, case.batch, [spot_of(case, site, "after")])[0]
    values = passed[0].double() if passed else torch.zeros(())
    sums = [values.sum(axis) for axis in range(values.ndim)]
    fits = [
        axis
        for axis, total in enumerate(sums)
        if torch.allclose(total, torch.ones_like(total), atol=_ROUNDING)
    ]
    if not fits:
        return -1
    # The axis over samples is taken only where nothing else sums to one.
    return fits[-1] - values.ndim


def exchange_end(patient: Patient, site: Site, new: nn.Module, after: str) -> None:
    """Put another function in the place of one at the end of a network.

    Args:
        patient: The network.
        site: The call that is meant.
        new: What is computed in its place.
        after: What it is, for the books.

    Raises:
        CannotTreatError: If the call cannot be told from others of its kind.
    """
    spot = spot_of(patient, site, "instead")
    old = patient.model.get_submodule(site.path) if site.path else None
    if spot.chosen is None and type(old) in _MODULES and old is not None and MARK not in vars(old):
        patient.surgery.replace(site.path, new, what=after, source=site.source)
        return
    turns = spot.turns()
    if turns is not None:
        patient.surgery.insert("", None, "begin", turns=turns)
    patient.surgery.insert(
        site.path,
        new,
        "instead",
        function=spot.function,
        turns=turns,
        before=site.op,
        after=after,
        source=site.source,
    )
    _refuse_uncounted(patient, site, turns)


def append_to_end(patient: Patient, site: Site, new: nn.Module, after: str) -> None:
    """Put a function behind a call at the end of a network.

    Args:
        patient: The network.
        site: The call whose output is changed.
        new: What is computed behind it.
        after: What it is, for the books.

    Raises:
        CannotTreatError: If the call cannot be told from others of its kind.
    """
    spot = spot_of(patient, site, "after")
    turns = spot.turns()
    if turns is not None:
        patient.surgery.insert("", None, "begin", turns=turns)
    patient.surgery.insert(
        site.path,
        new,
        "after",
        function=spot.function,
        turns=turns,
        before=site.op,
        after=after,
        source=site.source,
    )
    _refuse_uncounted(patient, site, turns)


def _refuse_uncounted(patient: Patient, site: Site, turns: Turns | None) -> None:
    """Run the network once to see whether the calls come as often as they were seen to."""
    if turns is None:
        return
    with untouched(patient.model, seed=0), torch.no_grad():
        call_model(patient.model, patient.batch.inputs)
    if turns.count != turns.expected:
        raise CannotTreatError(
            f"{site.op} is called {turns.count} times, and {turns.expected} of them carry a "
            "gradient: the last one cannot be told from the others",
            where=site.path,
            help="give the output a function of its own",
        )

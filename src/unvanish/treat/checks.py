"""Whether what is asked for makes sense, and whether a treated network still runs."""

from __future__ import annotations

import math

import torch

from unvanish.core.errors import UnvanishError
from unvanish.core.prescriptions import Prescription
from unvanish.observe.batch import main_output
from unvanish.observe.guard import untouched
from unvanish.observe.look import Conditions, running
from unvanish.treat.answering import answer
from unvanish.treat.protocol import Patient
from unvanish.treat.refusals import CannotTreatError


def check_settings(given: Prescription, own: Prescription) -> None:
    """Compare settings that were given with those the remedy would choose itself.

    Raises:
        CannotTreatError: If one is missing, not known, of another kind, not finite, or negative
            where the remedy's own is not.
    """
    missing = own.settings.keys() - given.settings.keys()
    unknown = given.settings.keys() - own.settings.keys()
    if unknown or missing:
        wrong = sorted(unknown or missing)[0]
        said = "has no setting" if unknown else "needs the setting"
        raise CannotTreatError(
            f"{given.remedy} {said} {wrong!r}",
            help=f"its settings are {', '.join(map(repr, own.settings)) or 'none'}",
        )
    for name, value in given.settings.items():
        usual = own.settings[name]
        numbers = isinstance(usual, int | float) and not isinstance(usual, bool)
        if numbers != (isinstance(value, int | float) and not isinstance(value, bool)) or (
            not numbers and type(value) is not type(usual)
        ):
            raise CannotTreatError(
                f"{given.remedy}: {name}={value!r} is {type(value).__name__}, not "
                f"{type(usual).__name__}",
                help=f"its own choice is {usual!r}",
            )
        if numbers and (not math.isfinite(value) or (value < 0 <= usual)):  # type: ignore[arg-type,operator]
            raise CannotTreatError(
                f"{given.remedy}: {name}={value!r} is out of range",
                help=f"its own choice is {usual!r}",
            )


def try_out(patient: Patient, seed: int, *, was_finite: bool) -> None:
    """Run the treated network once, and find calls that were to be changed and never came."""
    model = patient.model
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    conditions = Conditions(None, seed, patient.autocast, {})
    with untouched(model, seed=seed), running(conditions, device):
        try:
            output = main_output(answer(model, patient.batch.inputs))
        except UnvanishError:
            raise
        except Exception as error:
            raise CannotTreatError(
                f"the treated network does not run: {type(error).__name__}: {error}",
                help="the network is as it was; try another remedy",
            ) from error
    finite = output is None or not output.is_floating_point() or bool(output.isfinite().all())
    if was_finite and not finite:
        raise CannotTreatError(
            "the treated network's outputs are not finite numbers",
            help="the network is as it was; a scaled or gated form of the remedy may do",
        )
    unused = patient.surgery.unused()
    if unused:
        raise CannotTreatError(
            f"the network never calls {', '.join(unused[:3])}",
            help="the network is as it was; a remedy cannot act on a call that is not made",
        )

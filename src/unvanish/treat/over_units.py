"""What the normalisations over the units of a sample have in common: where they fit, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.forecasting import useless
from unvanish.treat.normalising import Fitting, epsilon, fitting, why_none
from unvanish.treat.protocol import Case, Remedy


def fit_over_units(
    case: Case,
    remedy: Remedy,
    *,
    called: str,
    suits: Callable[[Fitting], bool],
    otherwise: str,
    limit: float,
    cost: str,
    settings: Mapping[str, float | str | bool] | None = None,
) -> Prescription | NotApplicable:
    """Prescribe a normalisation behind the hidden layers of a network, or say why none fits.

    Args:
        case: The network.
        remedy: The remedy.
        called: What its layer is called.
        suits: Tells whether it suits a layer behind which a normalisation fits.
        otherwise: Why it does not fit where it suits none.
        limit: Decades that the gradient may change all the same, by theory.
        cost: What it costs, in words.
        settings: Settings beside ``eps``.
    """
    found = fitting(case)
    if not found:
        return why_none(case)
    fits = [one for one in found if suits(one)]
    if not fits:
        return NotApplicable(otherwise)
    hopeless = useless(case, [one.layer for one in fits], limit, called)
    if hopeless:
        return NotApplicable(hopeless)
    return Prescription(
        remedy=remedy.name,
        why=f"{len(fits)} hidden layers pass their signal on unnormalised",
        change=remedy.change,
        keeps=remedy.keeps,
        settings={"eps": epsilon(case, fits), **(settings or {})},
        places=tuple(one.layer.weight for one in fits),
        cost=cost,
    )

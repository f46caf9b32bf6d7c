"""Write another option of an optimiser where the optimiser is made."""

from __future__ import annotations

from typing import Final

from unvanish.treat.patch.optimisers import maker_of, write_option
from unvanish.treat.patch.source import NoSafeEditError
from unvanish.treat.patch.work import Work

RATES: Final = frozenset({"curvature-learning-rate", "learning-rate-range"})
"""Remedies that write the learning rate themselves."""

_OPTIONS: Final = {
    "lower-epsilon": ("eps", "epsilon"),
    "weight-decay-off": ("weight_decay", "weight_decay"),
}
REMEDIES: Final = frozenset(_OPTIONS) | RATES


def rewrite(work: Work) -> None:
    """Write the option into the call that makes the optimiser.

    Raises:
        NoSafeEditError: If that call is not in the file of the network, or stands there twice.
    """
    settings = work.prescription.settings
    if work.prescription.remedy in RATES:
        known = work.recording.context.optimizer
        rate = settings.get("lr", settings.get("learning_rate"))
        if known is None or not known.lr or not isinstance(rate, int | float):
            raise NoSafeEditError("the learning rate of the optimiser is not known")
        multiply_rate(work, work.rate_factor * rate / known.lr)
        return
    keyword, setting = _OPTIONS[work.prescription.remedy]
    value = settings.get(keyword, settings.get(setting))
    if not isinstance(value, int | float):
        raise NoSafeEditError(f"the prescription says no {keyword}")
    write_option(maker_of(work), keyword, lambda old: value, default=value)  # noqa: ARG005


def multiply_rate(work: Work, factor: float) -> None:
    """Write the learning rates of all groups, each times a factor.

    Raises:
        NoSafeEditError: If one of them is no number of the source.
    """
    known = work.recording.context.optimizer
    default = known.lr if known is not None else None
    write_option(maker_of(work), "lr", lambda old: factor * old, default=default)

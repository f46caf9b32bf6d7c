"""Which factor ate how many decades: an exact ledger over a recording, without torch."""

from __future__ import annotations

import math

from unvanish.core.errors import UnvanishError
from unvanish.core.explanations import Explanation
from unvanish.core.findings import Diagnosis, Finding
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.explain.ledger import explain_site, parameter_terms

__all__ = ["explain", "explain_site", "parameter_terms"]


def explain(recording: Recording, diagnosis: Diagnosis | None = None) -> Explanation:
    """Return the ledger of the gradient that a diagnosis is worried about.

    It runs from the loss to the first place that the worst finding names and where a gradient
    was measured; without such a finding, to the first layer.

    Args:
        recording: What was observed.
        diagnosis: What the rules said about it; None for the first layer.

    Returns:
        The tree of terms. They add up to what was measured.

    Raises:
        UnvanishError: If no gradient was measured anywhere, or it is no number.

    Example:
        >>> import unvanish
        >>> report = unvanish.checkup("zoo:deep_sigmoid")  # doctest: +SKIP
        >>> report.explain().ledger.by_factor()  # doctest: +SKIP
    """
    norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    measured = {i for i in norms.values if not math.isnan(norms[i])}
    for finding in diagnosis.findings if diagnosis is not None else ():
        target = _named(finding, measured)
        if target is not None:
            return explain_site(recording, target, code=finding.code)
    first = next(
        (s.index for s in recording.signal_sites() if s.weights and s.index in measured), None
    )
    if first is None:
        raise UnvanishError(
            "no gradient was measured at any layer, so that there is nothing to explain",
            help="unvanish check TARGET   says what could not be measured",
        )
    return explain_site(recording, first)


def _named(finding: Finding, measured: set[int]) -> int | None:
    if not finding.code.startswith("UV1"):
        return None
    return next((site.index for site in finding.sites if site.index in measured), None)

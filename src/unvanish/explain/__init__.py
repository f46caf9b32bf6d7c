"""Which factor ate how many decades: an exact ledger over a recording, without torch."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from unvanish.core.errors import UnvanishError
from unvanish.core.explanations import Explanation
from unvanish.core.findings import Diagnosis, Finding
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.explain.composites import collapsed
from unvanish.explain.ledger import explain_site
from unvanish.explain.parameters import parameter_terms
from unvanish.explain.rivals import all_mechanisms, propose, question_of

__all__ = [
    "ABOUT_DECADES",
    "all_mechanisms",
    "explain",
    "explain_site",
    "explained_finding",
    "parameter_terms",
    "propose",
    "question_of",
]

ABOUT_DECADES: Final = ("UV101", "UV102", "UV301")
"""Findings that say how many decades were lost or gained: the ledger says where."""


def explained_finding(diagnosis: Diagnosis) -> Finding | None:
    """Return the finding whose decades a ledger breaks down: the worst about the flow.

    Args:
        diagnosis: What the rules said.

    Returns:
        The finding, a root or one that follows; None where the gradient neither vanishes nor
        explodes.
    """
    return next((f for f in diagnosis.findings if f.code in ABOUT_DECADES), None)


def explain(recording: Recording, diagnosis: Diagnosis | None = None) -> Explanation:
    """Return the ledger of the gradient that a diagnosis is worried about.

    It runs from the loss to the first place that the worst finding names and where a gradient
    was measured; without such a finding, to the first layer.

    Args:
        recording: What was observed.
        diagnosis: What the rules said about it; None for the first layer.

    Returns:
        The tree of terms. They add up to what was measured. With it come the counterfactuals
        that the recording holds.

    Raises:
        UnvanishError: If no gradient was measured anywhere, or it is no number.

    Example:
        >>> import unvanish
        >>> report = unvanish.checkup("zoo:deep_sigmoid")  # doctest: +SKIP
        >>> report.explain().ledger.by_factor()  # doctest: +SKIP
    """
    recording = collapsed(recording)
    norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    measured = {i for i in norms.values if not math.isnan(norms[i])}
    findings = diagnosis.findings if diagnosis is not None else ()
    for finding in sorted(findings, key=lambda f: f.code not in ABOUT_DECADES):
        target = _named(finding, measured)
        if target is not None:
            return _with_rivals(explain_site(recording, target, code=finding.code), recording)
    first = next(
        (s.index for s in recording.signal_sites() if s.weights and s.index in measured), None
    )
    if first is None:
        raise UnvanishError(
            "no gradient was measured at any layer, so that there is nothing to explain",
            help="unvanish check TARGET   says what could not be measured",
        )
    return _with_rivals(explain_site(recording, first), recording)


def _with_rivals(explanation: Explanation, recording: Recording) -> Explanation:
    return replace(explanation, counterfactuals=recording.counterfactuals)


def _named(finding: Finding, measured: set[int]) -> int | None:
    if not finding.code.startswith("UV1") and finding.code not in ABOUT_DECADES:
        return None
    return next((site.index for site in finding.sites if site.index in measured), None)

"""Which factor ate how many decades: an exact ledger over a recording, without torch."""

from __future__ import annotations

import difflib
import math
from dataclasses import replace
from typing import Final

from unvanish.core.errors import UnvanishError
from unvanish.core.explanations import Explanation
from unvanish.core.findings import Diagnosis, Finding
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Role
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


def explain(
    recording: Recording, diagnosis: Diagnosis | None = None, *, target: str | int | None = None
) -> Explanation:
    """Return the ledger of the gradient that a diagnosis is worried about, or of a layer.

    It runs from the loss to the first place that the worst finding names and where a gradient
    was measured; without such a finding, to the first layer.

    Args:
        recording: What was observed.
        diagnosis: What the rules said about it; None for the first layer.
        target: Path of a module, name or index of a step, to explain that instead. The
            counterfactuals come with the place that they were measured at, and no other.

    Returns:
        The tree of terms. They add up to what was measured. With it come the counterfactuals
        that the recording holds.

    Raises:
        UnvanishError: If no gradient was measured anywhere or at the target, or it is no number.

    Example:
        >>> import unvanish
        >>> report = unvanish.checkup("zoo:deep_sigmoid")  # doctest: +SKIP
        >>> report.explain().ledger.by_factor()  # doctest: +SKIP
    """
    recording = collapsed(recording)
    norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    measured = {i for i in norms.values if not math.isnan(norms[i])}
    findings = diagnosis.findings if diagnosis is not None else ()
    if target is not None:
        index = _at(recording, target, measured)
        codes = (f.code for f in findings if _named(f, measured) == index)
        return _with_rivals(explain_site(recording, index, code=next(codes, "")), recording)
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
    own = (one for one in recording.counterfactuals if one.target == explanation.target)
    return replace(explanation, counterfactuals=tuple(own))


def _at(recording: Recording, target: str | int, measured: set[int]) -> int:
    """Return the site that a person means by a path, a name or an index.

    Raises:
        UnvanishError: If there is none, or no gradient was measured there.
    """
    if isinstance(target, int):
        found = [target] if target in measured else []
    else:
        here = [recording.sites[i] for i in sorted(measured) if _is_meant(recording, i, target)]
        found = [site.index for site in sorted(here, key=lambda site: not site.weights)]
    if found:
        return found[0]
    paths = dict.fromkeys(recording.sites[i].path for i in sorted(measured))
    near = difflib.get_close_matches(str(target), filter(None, paths), n=3, cutoff=0.4)
    raise UnvanishError(
        f"no gradient was measured at {target}" if near or not paths else f"there is no {target}",
        help="nearest: " + ", ".join(near)
        if near
        else "layers with a gradient: " + ", ".join(list(filter(None, paths))[:5]),
    )


def _is_meant(recording: Recording, index: int, target: str) -> bool:
    site = recording.sites[index]
    return site.role is Role.SIGNAL and target in (site.path, site.name)


def _named(finding: Finding, measured: set[int]) -> int | None:
    if not finding.code.startswith("UV1") and finding.code not in ABOUT_DECADES:
        return None
    return next((site.index for site in finding.sites if site.index in measured), None)

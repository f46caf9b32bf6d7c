"""Rival explanations of one finding: which swaps to make, and what came of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from unvanish.core.counterfactuals import Counterfactual, Proposal
from unvanish.core.errors import UnvanishError
from unvanish.core.explanations import Explanation
from unvanish.core.findings import Diagnosis, Finding, Severity
from unvanish.core.interventions import Question
from unvanish.core.protocols import Mechanism
from unvanish.core.records import Recording, Role
from unvanish.core.registry import Collected, collect
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.composites import collapsed
from unvanish.explain.ledger import explain_site
from unvanish.explain.mechanisms import BUILTIN_MECHANISMS

GROUP: Final = "unvanish.mechanisms"
_FLOW: Final = ("UV101", "UV102", "UV103", "UV301")
"""Findings about a flow, which a swap can restore."""

_log = logging.getLogger(__name__)


def all_mechanisms() -> Collected[Mechanism]:
    """Return the built-in mechanisms and those of other packages.

    Returns:
        The mechanisms, and the plug-ins that could not be loaded with the reason.

    Raises:
        UnvanishError: If two mechanisms have one name.
    """
    return collect(BUILTIN_MECHANISMS, group=GROUP, protocol=Mechanism, key=lambda one: one.name)


def question_of(recording: Recording, diagnosis: Diagnosis) -> Question | None:
    """Return the flow that a diagnosis asks to restore.

    Args:
        recording: What was observed.
        diagnosis: What the rules said about it.

    Returns:
        The question of the worst finding about a flow; None where there is no warning or
        error of that kind, as on a healthy network.
    """
    decades_first = sorted(diagnosis.findings, key=lambda f: f.code not in _FLOW[:2])
    for finding in decades_first:
        if finding.code in _FLOW and finding.severity is not Severity.NOTE:
            question = _asked(recording, finding)
            if question is not None:
                return question
    return None


def _asked(recording: Recording, finding: Finding) -> Question | None:
    places = [site.index for site in finding.sites if site.index >= 0]
    if finding.code == "UV103":  # the signal is lost: ask for the whole way
        places = [s.index for s in recording.signal_sites() if s.weights][:1]
    if not places or recording.sites[places[0]].role is not Role.SIGNAL:
        return None
    if finding.code == "UV301" and len(places) > 1:
        return Question(target=places[0], origin=places[-1], code=finding.code)
    return Question(target=places[0], code=finding.code)


def propose(
    recording: Recording, question: Question, *, mechanisms: Sequence[Mechanism] | None = None
) -> tuple[Proposal, ...]:
    """Ask every mechanism what it wants to have swapped.

    Args:
        recording: What was observed.
        question: Between which two places the flow is to be restored.
        mechanisms: The mechanisms to ask; None for the built-in and the installed ones.

    Returns:
        At least one proposal a mechanism. One that has nothing to swap says why.
    """
    recording = collapsed(recording)
    pool = all_mechanisms() if mechanisms is None else Collected(tuple(mechanisms))
    for error in pool.broken.values():
        _log.warning("%s", error)
    try:
        explanation = explain_site(recording, question.target)
    except (ValueError, UnvanishError):
        explanation = None
    found: list[Proposal] = []
    for one in pool.members:
        try:
            found += _proposals(one, recording, question, explanation)
        except Exception as error:  # a plug-in may raise anything; its rivals go on
            _log.exception("mechanism %s failed", one.name)
            reason = f"the mechanism failed: {type(error).__name__}: {error}"
            found.append(Proposal(_of(one, question, reason=reason)))
    return tuple(found)


def _proposals(
    mechanism: Mechanism,
    recording: Recording,
    question: Question,
    explanation: Explanation | None,
) -> list[Proposal]:
    wanted = mechanism.proposes(recording, question)
    if isinstance(wanted, NotApplicable):
        return [Proposal(_of(mechanism, question, reason=wanted.reason))]
    proposals = []
    for intervention in wanted:
        predicted = math.nan
        if explanation is not None:
            predicted = mechanism.predicts(recording, explanation, intervention)
        known = replace(
            _of(mechanism, question),
            what=intervention.what,
            swap=intervention.swap,
            predicted=predicted,
        )
        proposals.append(Proposal(known, intervention))
    return proposals


def _of(mechanism: Mechanism, question: Question, *, reason: str = "") -> Counterfactual:
    return Counterfactual(
        mechanism=mechanism.name,
        bypass=mechanism.bypasses,
        code=question.code,
        target=question.target,
        origin=question.origin,
        reason=reason,
    )

"""What a look comes to in a few numbers, and which of two is the better one."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from typing import Final

from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.prescriptions import Change, Option, Outlook, Prescription
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotMeasured
from unvanish.diagnose.propagation import propagation_flow
from unvanish.treat.registry import remedy_of

_SOUND_DIFFERENCE: Final = 1.6
"""Decades below one by which the cosine of two samples' outputs has to fall short of one."""
_SOUND_BESIDE: Final = 2.7
"""The same where connections lead round the layers."""
_WEIGHT: Final = {Severity.ERROR.value: 4.0, Severity.WARNING.value: 2.0, Severity.NOTE.value: 0.0}
CURED: Final = 0.5
"""Burden below which nothing is left to do."""
_SOUND_FLOW: Final = 1.0
"""Decades within which the gradient of a sound network may change on its way."""


def outlook_of(
    recording: Recording, diagnosis: Diagnosis, cost: tuple[float, int] = (math.nan, 0)
) -> Outlook:
    """Sum a look up in a few numbers.

    Args:
        recording: The look.
        diagnosis: What the rules said about it.
        cost: Milliseconds of one forward and backward pass, and the bytes it keeps.
    """
    # Of weights: a bias before a normalisation has no gradient by design.
    updates = {
        p.name: p.update_ratio
        for p in recording.parameters
        if p.requires_grad and len(p.shape) > 1 and math.isfinite(p.update_ratio)
    }
    findings: dict[str, str] = {}
    for finding in reversed(diagnosis.findings):
        findings[finding.code] = finding.severity.value
    profile = _profile(recording)
    known = [change for change in profile.values() if not math.isnan(change)]
    return Outlook(
        flow_decades=max(known, key=abs, default=math.nan),
        sample_cosine=_cosine(recording),
        smallest_update=min(updates.values(), default=math.nan),
        findings=findings,
        unjudged=tuple(c for c, v in diagnosis.verdicts.items() if isinstance(v, NotMeasured)),
        milliseconds=cost[0],
        saved_bytes=cost[1],
        parameters=sum(p.size for p in recording.parameters if p.requires_grad),
        loss=recording.context.loss_value,
        updates=updates,
        profile=profile,
    )


def worrying(outlook: Outlook) -> set[str]:
    """Return the codes of what is found and is no mere note."""
    return {code for code, severity in outlook.findings.items() if _WEIGHT[severity] > 0}


def leads_round(prescriptions: Sequence[Prescription]) -> bool:
    """Tell whether one of some prescriptions adds connections."""
    return any(one.change is Change.PATH for one in prescriptions)


def burden(outlook: Outlook, *, leads_round: bool = False) -> float:
    """Return what is still wrong, in the weight of a finding.

    To the findings come the decades of gradient beyond one, and the likeness of the outputs. A
    plain ReLU network of 40 layers with GroupNorm has a cosine of 0.990 and stays at chance, one
    of 30 layers with He's start has 0.97 and learns. Connections carry what all samples share
    along and beside it what they do not, and such networks learn at 0.996.
    """
    findings = sum(_WEIGHT[severity] for severity in outlook.findings.values())
    decades = abs(outlook.flow_decades)
    flow = 0.0 if math.isnan(decades) else min(4.0, max(0.0, decades - _SOUND_FLOW))
    cosine = outlook.sample_cosine
    alike = -math.log10(max(1e-16, 1.0 - cosine)) if math.isfinite(cosine) else 0.0
    beyond = alike - (_SOUND_BESIDE if leads_round else _SOUND_DIFFERENCE)
    return findings + flow + min(2.0, 2.0 * max(0.0, beyond))


def order_of(option: Option, codes: Set[str] = frozenset()) -> tuple[float, ...]:
    """Sort the best first: least burden, then least change, then what source code can say.

    Among what the optimiser does, all of it the least change there is, what was made for these
    findings alone stands first: where the learning rate is the cause, to lower it before clipping,
    which is also for a gradient that explodes. Of two starts, the one that draws fewer parameters.

    Args:
        option: What was tried.
        codes: What was found.
    """
    changes = sum(one.change.rank for one in option.prescriptions)
    aside = sum(codes_aside(one, codes) for one in option.prescriptions)
    drawn = sum(
        len(receipt.edits)
        for one, receipt in zip(option.prescriptions, option.receipts, strict=False)
        if one.change is Change.INITIALISATION
    )
    return (
        round(-option.score, 1),
        len(option.remedies),
        changes,
        not option.can_be_written,
        aside,
        drawn,
    )


def codes_aside(prescription: Prescription, codes: Set[str]) -> int:
    """Return how many findings that are none here a remedy of the optimiser is made for."""
    if prescription.change is not Change.OPTIMISER or not codes:
        return 0
    return len(remedy_of(prescription.remedy).treats - codes)


def _profile(recording: Recording) -> dict[str, float]:
    """Return the change of the gradient between the outputs and each layer, in decades."""
    flow = propagation_flow(recording)
    if flow is None:
        return {}
    found: dict[str, float] = {}
    for level in flow.levels:
        path = level.layer.path
        name = path if path and path not in found else level.layer.name
        found[name] = 0.0 - flow.lost(level)
    return found


def _cosine(recording: Recording) -> float:
    cosines = recording[Quantity.SAMPLE_COSINE]
    measured = [site for site in recording.signal_sites() if site in cosines]
    last = [site for site in measured if site.is_output] or measured[-1:]
    return cosines[last[-1]] if last else math.nan

"""The diagnosis as one JSON document, stable and documented in ``docs/json.md``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from unvanish.core.conditions import Optimizer, RunContext
from unvanish.core.explanations import Explanation, Term
from unvanish.core.findings import Diagnosis, Finding
from unvanish.core.records import Recording, Site
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict

SCHEMA: Final = 1


def to_json(recording: Recording, diagnosis: Diagnosis, *, target: str) -> dict[str, Any]:
    """Return the diagnosis as plain dictionaries, lists, text, numbers and None.

    Args:
        recording: What was measured.
        diagnosis: What the rules said about it.
        target: What was checked, as the user named it.

    Returns:
        The document, keys always in the same order. Numbers that JSON cannot hold are
        ``"inf"``, ``"-inf"`` and None for NaN, so that strict parsers read it.
    """
    return {
        "schema": SCHEMA,
        "target": target,
        "worst": diagnosis.worst,
        "verdicts": {code: verdict.kind for code, verdict in diagnosis.verdicts.items()},
        "findings": [_finding(finding) for finding in diagnosis.findings],
        "details": {
            code: {"name": diagnosis.names.get(code, ""), **_details(verdict)}
            for code, verdict in diagnosis.verdicts.items()
        },
        "gaps": [
            {
                "what": gap.what,
                "why": gap.why,
                "site": _site_at(recording, gap.site),
            }
            for gap in recording.gaps
        ],
        "context": _context(recording.context),
    }


def explanation_json(
    explanation: Explanation, recording: Recording, *, full: bool
) -> dict[str, Any]:
    """Return a ledger as plain dictionaries, with the places its terms are about.

    Args:
        explanation: The ledger.
        recording: What it was made from.
        full: Whether everything below the blocks is written; else their factors alone.
    """
    document = explanation.to_json(full=full)
    own = {i for term in _terms(explanation.ledger) for i in term.sites}
    document["places"] = [_site(site) for site in recording.sites if site.index in own]
    return document


def _terms(term: Term) -> Iterator[Term]:
    yield term
    for child in term.children:
        yield from _terms(child)


def dumps(document: Mapping[str, Any]) -> str:
    """Write a document of `to_json` as text: indented, strict, ASCII, one final newline."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _number(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def _site(site: Site) -> dict[str, Any]:
    return {
        "path": site.path,
        "op": site.op,
        "source": None if site.source is None else str(site.source),
        "built": None if site.built is None else str(site.built),
        "call": site.call,
        "depth": site.depth,
        "index": site.index,
    }


def _site_at(recording: Recording, index: int | None) -> dict[str, Any] | None:
    if index is None or not 0 <= index < len(recording.sites):
        return None
    return _site(recording.sites[index])


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "message": finding.message,
        "sites": [_site(site) for site in finding.sites],
        "measured": _number(finding.measured),
        "expected": _number(finding.expected),
        "limit": _number(finding.limit),
        "unit": finding.unit,
        "causes": [cause.value for cause in finding.causes],
        "notes": list(finding.notes),
        "help": list(finding.help),
        "parameters": list(finding.parameters),
        "root": finding.root or None,
        **({"step": finding.step} if finding.step >= 0 else {}),
    }


def _details(verdict: Verdict) -> dict[str, Any]:
    match verdict:
        case Clear(margin, unit, summary):
            return {"margin": _number(margin), "unit": unit, "summary": summary}
        case NotApplicable(reason):
            return {"reason": reason}
        case NotMeasured(missing):
            return {"missing": missing}
        case Found(findings):
            return {"findings": len(findings)}


def _context(context: RunContext) -> dict[str, Any]:
    optimizer = context.optimizer
    return {
        "seed": context.seed,
        "dtype": context.dtype,
        "autocast": context.autocast,
        "device": context.device,
        "optimizer": None if optimizer is None else str(optimizer),
        "optimizer_settings": None if optimizer is None else _optimizer(optimizer),
        "loss": context.loss,
        "loss_value": _number(context.loss_value),
        "batch_size": context.batch_size,
        "batches": context.batches,
        "probe_steps": context.probe_steps,
        "training": context.training,
        "parameters": context.parameters,
        "modules": dict(context.modules),
        "grad_dtype": context.grad_dtype,
        "inferred": list(context.inferred),
        "versions": dict(context.versions),
        "seconds": _number(context.seconds),
    }


def _optimizer(optimizer: Optimizer) -> dict[str, Any]:
    return {
        "name": optimizer.name,
        "lr": _number(optimizer.lr),
        "eps": _number(optimizer.eps),
        "betas": None if optimizer.betas is None else [_number(b) for b in optimizer.betas],
        "momentum": _number(optimizer.momentum),
        "weight_decay": _number(optimizer.weight_decay),
        "clip_grad_norm": _number(optimizer.clip_grad_norm),
    }

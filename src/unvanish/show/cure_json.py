"""A cure as one JSON document, stable and documented in ``docs/json.md``."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any

from unvanish.core.cures import Cure
from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.packing import plain
from unvanish.core.patches import Patch
from unvanish.core.proofs import Arm, Comparison, Proof, Run
from unvanish.show.arms import milliseconds
from unvanish.show.json import SCHEMA, to_json


def cure_json(
    cure: Cure,
    *,
    before: Diagnosis,
    after: Diagnosis | None = None,
    rechecked: Diagnosis | None = None,
) -> dict[str, Any]:
    """Return a cure as plain dictionaries, lists, text, numbers and None.

    Args:
        cure: What was found, tried and proven.
        before: What the rules say about the network as it is.
        after: What they say about the treated one; None where none was treated.
        rechecked: What they say about the network of the written files; None where none was.

    Returns:
        The document, keys always in the same order.
    """
    target, proof = cure.origin.target, cure.proof
    comparison = proof.comparison if proof is not None else None
    return {
        "schema": SCHEMA,
        "target": target,
        "verdict": cure.conclusion.value,
        "said": cure.said,
        "is_partial": proof is not None and proof.is_partial,
        "remedies": list(cure.remedies),
        "rate_factor": plain(cure.rate_factor),
        "chosen": proof.chosen if proof is not None else "",
        "interval": _interval(comparison),
        "comparison": _comparison(comparison),
        "endpoint": None if proof is None else plain(proof.endpoint),
        "arms": [] if proof is None else [_arm(arm) for arm in proof.arms],
        "harms": [] if proof is None else plain(proof.harms),
        "trial": None if proof is None else _trial(proof),
        "notes": [] if proof is None else list(proof.notes),
        "advice": None if cure.advice is None else plain(cure.advice),
        "receipts": plain(cure.receipts),
        "patch": "" if cure.patch is None else text_of(cure.patch),
        "edit": None if cure.patch is None else edit_json(cure.patch),
        "before": to_json(cure.before, before, target=target),
        "check": None
        if cure.after is None or after is None
        else to_json(cure.after, after, target=target),
        "written": list(cure.written),
        "backups": list(cure.backups),
        "rechecked": None if rechecked is None else _worrying(rechecked),
        "saved": cure.saved,
        "left": list(cure.left),
        "warnings": list(cure.warnings),
        "origin": plain(cure.origin),
        "seconds": plain(cure.seconds),
    }


def text_of(patch: Patch) -> str:
    """Return the unified diff of all files, or the lines to paste where there is none.

    Args:
        patch: The edit of the source.
    """
    if not patch.files:
        return patch.snippet
    return "".join(f"{line}\n" for edit in patch.files for line in edit.diff(context=3))


def edit_json(patch: Patch) -> dict[str, Any]:
    """Return an edit of the source as the document of `fix` has it.

    Args:
        patch: The edit.
    """
    return {
        "remedies": list(patch.remedies),
        "safety": patch.safety.value,
        "agrees": patch.agrees,
        "unsafe": patch.unsafe,
        "snippet": patch.snippet,
        "notes": list(patch.notes),
        "files": [{"path": e.path, "diff": "\n".join(e.diff())} for e in patch.files],
    }


def _arm(arm: Arm) -> dict[str, Any]:
    seconds = [run.seconds for run in arm.runs]
    return {
        "name": arm.name,
        "role": arm.role.value,
        "remedies": list(arm.remedies),
        "rate_factor": plain(arm.rate_factor),
        "metric": plain(arm.metrics),
        "training_loss": [plain(run.training_loss) for run in arm.runs],
        "seconds": plain(fmean(seconds)) if seconds else None,
        "steps": max((run.steps for run in arm.runs), default=0),
        "milliseconds_per_step": plain(milliseconds(arm)),
        "fate": arm.fate,
        "why": arm.why,
        "difference": _comparison(arm.comparison),
        "runs": [_run(run) for run in arm.runs],
        "tries": [_run(run) for run in arm.tries],
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "remedies": list(run.job.remedies),
        "rate_factor": plain(run.job.rate_factor),
        "seed": run.job.seed,
        "redraw": run.job.redraw,
        "metric": plain(run.metric),
        "metrics_at": plain(run.metrics_at),
        "validation": plain(run.validation),
        "loss": plain(run.losses),
        "loss_steps": list(run.loss_steps),
        "steps": run.steps,
        "seconds": plain(run.seconds),
        "peak_bytes": run.peak_bytes,
        "parameters": run.parameters,
        "learning_rate": plain(run.learning_rate),
        "diverged": run.diverged,
        "failed": run.failed,
        "end": plain(run.end),
    }


def _comparison(found: Comparison | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "mean": plain(found.mean),
        "low": plain(found.low),
        "high": plain(found.high),
        "confidence": plain(found.confidence),
        "p": plain(found.p_value),
        "p_corrected": plain(found.p_corrected),
        "by_seed": plain(found.differences),
        "in_decades": found.in_decades,
        "superiority": plain(found.superiority),
        "trifle": plain(found.trifle),
    }


def _interval(found: Comparison | None) -> list[Any] | None:
    if found is None or math.isnan(found.low):
        return None
    return [plain(found.low), plain(found.high)]


def _trial(proof: Proof) -> dict[str, Any]:
    return {
        "steps": proof.steps,
        "seeds": list(proof.seeds),
        "engine": proof.engine,
        "jobs": proof.jobs,
        "seconds": plain(proof.seconds),
        "held_fixed": list(proof.held_fixed),
    }


def _worrying(diagnosis: Diagnosis) -> list[str]:
    return sorted({f.code for f in diagnosis.findings if f.severity is not Severity.NOTE})

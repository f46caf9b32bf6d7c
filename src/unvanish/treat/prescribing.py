"""Rank what could be done about a network: each remedy tried on a copy, before any training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from torch import nn

from unvanish.core.conditions import RunContext
from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import Advice
from unvanish.core.records import Recording
from unvanish.diagnose import diagnose
from unvanish.observe.optimizer import OptimizerLike, build_optimizer
from unvanish.treat.choosing import ails, broad, fitting, keeps_design, pairs_of
from unvanish.treat.ranking import CURED, order_of, outlook_of
from unvanish.treat.registry import remedies, remedy_of
from unvanish.treat.treatment import case_of
from unvanish.treat.trying import Looker

__all__ = ["CURED", "outlook_of", "prescribe"]

_CHECKED: Final = RunContext(batches=3, probe_steps=3)
"""What a check takes unless it is told otherwise."""


def prescribe(
    model: nn.Module,
    diagnosis: Diagnosis | None,
    batch: Any,
    loss: Callable[..., Any] | str | None = None,
    *,
    optimizer: OptimizerLike = None,
    recording: Recording | None = None,
    names: Sequence[str] | None = None,
    together: bool = False,
    keep_architecture: str = "",
    breadth: int | None = None,
    probe_steps: int | None = None,
    seed: int = 0,
    built: Mapping[nn.Module, SourceLine] | None = None,
    data: Iterable[Any] | None = None,
) -> Advice:
    """Try every remedy that fits on a copy of a network, and rank what came of it.

    Nothing is trained. Each copy is looked at as `unvanish.check` looks at a network, on one batch
    and one step ahead, or as far ahead and on as many batches as the check itself where one step
    does not show all that it found. What no such look shows counts as left. What counts is, in
    this order: the findings that are left, weighted by severity; how far the gradient
    still changes on its way; and, among equals, how little of the design changes.

    Args:
        model: The network; it stays as it is.
        diagnosis: What the rules said about it; None to ask them here.
        batch: ``(inputs, target)``, a mapping of keyword arguments, or the inputs alone.
        loss: As in `unvanish.trace`.
        optimizer: The network's optimiser or a factory.
        recording: The look that the diagnosis rests on; None to look here.
        names: Remedies to try; None for every one that treats a finding.
        together: Whether the named remedies are tried as one combination, not one by one.
        keep_architecture: Non-empty to leave out remedies that change activations,
            normalisation or paths; the text is given as the reason.
        breadth: How many remedies of each kind of change are tried, those that source code can
            say first; None for all.
        probe_steps: Optimiser steps on each copy, for the updates its parameters would make; None
            for one, or as many as the diagnosis rests on where one does not show all of it.
        seed: Seed of every look.
        built: Module to the line that built it, where known.
        data: Further batches, as the check that made the diagnosis was given them.

    Returns:
        What could be done, best first, and what does not fit and why.

    Raises:
        UnvanishError: If the network cannot be looked at or operated on.
    """
    own = build_optimizer(optimizer, model) if optimizer is not None else None
    context = recording.context if recording is not None else _CHECKED
    look = Looker(batch, loss, optimizer, model, probe_steps or 1, seed, built, context)
    # One and the same kind of look before and after.
    before_recording = look.at(model, loss)
    before_diagnosis = diagnose(before_recording)
    lacking = _lacking(diagnosis, before_diagnosis)
    if lacking and probe_steps is None and look.lengthen(context, data):
        before_recording = look.at(model, loss)
        before_diagnosis = diagnose(before_recording)
        lacking = _lacking(diagnosis, before_diagnosis)
    look.admit(lacking)
    chosen = [remedy_of(name) for name in names] if names is not None else list(remedies())
    case = case_of(
        model,
        batch,
        loss,
        optimizer=own,
        recording=recording or before_recording,
        diagnosis=diagnosis or before_diagnosis,
        asked=[remedy.name for remedy in chosen] if names is not None else (),
    )
    before = look.outlook(before_recording, model)
    kept = [r for r in chosen if keep_architecture and not keeps_design(r.change)]
    if names is None and not ails(case.diagnosis):
        return Advice(before=before, nothing="nothing is wrong that a remedy could cure")
    if names is not None and together:
        asked = tuple(remedy.name for remedy in chosen)
        return Advice(before=before, options=(look.option(asked, before),))
    chosen = [remedy for remedy in chosen if remedy not in kept]
    singles, refused = fitting(chosen, case, wanted=names is not None)
    more = [one for one in singles if keep_architecture and not keeps_design(one.change)]
    singles = [one for one in singles if one not in more]
    left_out = (*(remedy.name for remedy in kept), *(one.remedy for one in more))
    refused = {**dict.fromkeys(left_out, keep_architecture), **refused}
    tried = broad(singles, breadth, case.codes)
    options = [look.option((one,), before) for one in tried]
    if names is None:
        for pair in pairs_of(options, case, chosen)[: None if breadth is None else 2 * breadth]:
            both = look.option(pair, before)
            if not both.failed:
                options.append(both)
    options.sort(key=lambda option: order_of(option, case.codes))
    untried = tuple(one.remedy for one in singles if one not in tried)
    return Advice(before=before, options=tuple(options), refused=refused, untried=untried)


def _lacking(diagnosis: Diagnosis | None, seen: Diagnosis) -> dict[str, str]:
    """Return what a diagnosis says that a look does not show, code to severity; notes are none."""
    if diagnosis is None:
        return {}
    codes = {f.code for f in seen.findings if f.severity is not Severity.NOTE}
    return {
        f.code: f.severity.value
        for f in reversed(diagnosis.findings)
        if f.severity is not Severity.NOTE and f.code not in codes
    }

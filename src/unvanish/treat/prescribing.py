"""Rank what could be done about a network: each remedy tried on a copy, before any training."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.conditions import RunContext
from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import Advice, Change, Option, Outlook, Prescription
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable, NotMeasured
from unvanish.diagnose import diagnose
from unvanish.diagnose.propagation import propagation_flow
from unvanish.observe.batch import as_batch, call_model, main_output
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.optimizer import OptimizerLike, build_optimizer, follow
from unvanish.observe.tracing import trace
from unvanish.treat.patch.rewriters import REWRITERS
from unvanish.treat.protocol import Case, Remedy
from unvanish.treat.registry import remedies, remedy_of
from unvanish.treat.treatment import Treated, case_of, treat

_SOUND_DIFFERENCE: Final = 1.6
"""Decades below one by which the cosine of two samples' outputs has to fall short of one."""
_SOUND_BESIDE: Final = 2.7
"""The same where connections lead round the layers."""
_log = logging.getLogger(__name__)

_WEIGHT: Final = {Severity.ERROR.value: 4.0, Severity.WARNING.value: 2.0, Severity.NOTE.value: 0.0}
_PAIRED: Final = 6
"""How many of the best single remedies are combined with each other."""
CURED: Final = 0.5
"""Burden below which nothing is left to do."""
_MOST_PAIRS: Final = 12
"""How many combinations that belong together are tried at most."""
_SOUND_FLOW: Final = 1.0
"""Decades within which the gradient of a sound network may change on its way."""


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
    probe_steps: int = 1,
    seed: int = 0,
    built: Mapping[nn.Module, SourceLine] | None = None,
) -> Advice:
    """Try every remedy that fits on a copy of a network, and rank what came of it.

    Nothing is trained. Each copy is looked at as `unvanish.check` looks at a network; what counts
    is, in this order: the findings that are left, weighted by severity; how far the gradient
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
        probe_steps: Optimiser steps on each copy, for the updates its parameters would make.
        seed: Seed of every look.
        built: Module to the line that built it, where known.

    Returns:
        What could be done, best first, and what does not fit and why.

    Raises:
        UnvanishError: If the network cannot be looked at or operated on.
    """
    own = build_optimizer(optimizer, model) if optimizer is not None else None
    context = recording.context if recording is not None else RunContext()
    look = _Look(batch, loss, optimizer, model, probe_steps, seed, built, context)
    # One and the same kind of look before and after: fewer batches than a check takes.
    before_recording = look.at(model, loss)
    before_diagnosis = diagnose(before_recording)
    case = case_of(
        model,
        batch,
        loss,
        optimizer=own,
        recording=recording or before_recording,
        diagnosis=diagnosis or before_diagnosis,
    )
    before = outlook_of(before_recording, before_diagnosis, look.cost(model))
    chosen = [remedy_of(name) for name in names] if names is not None else list(remedies())
    kept = [r for r in chosen if keep_architecture and r.change.rank >= Change.ACTIVATION.rank]
    if names is None and not _ails(case.diagnosis):
        return Advice(before=before, nothing="nothing is wrong that a remedy could cure")
    if names is not None and together:
        asked = tuple(remedy.name for remedy in chosen)
        return Advice(before=before, options=(look.option(asked, before),))
    chosen = [remedy for remedy in chosen if remedy not in kept]
    singles, refused = _fitting(chosen, case, wanted=names is not None)
    refused = {**{remedy.name: keep_architecture for remedy in kept}, **refused}
    tried = _broad(singles, breadth)
    options = [look.option((one,), before) for one in tried]
    if names is None:
        for pair in _pairs(options, case, chosen)[: None if breadth is None else 2 * breadth]:
            both = look.option(pair, before)
            if not both.failed:
                options.append(both)
    options.sort(key=_order)
    untried = tuple(one.remedy for one in singles if one not in tried)
    return Advice(before=before, options=tuple(options), refused=refused, untried=untried)


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
    updates = [
        p.update_ratio
        for p in recording.parameters
        if p.requires_grad and len(p.shape) > 1 and math.isfinite(p.update_ratio)
    ]
    findings: dict[str, str] = {}
    for finding in reversed(diagnosis.findings):
        findings[finding.code] = finding.severity.value
    return Outlook(
        flow_decades=_flow(recording),
        sample_cosine=_cosine(recording),
        smallest_update=min(updates, default=math.nan),
        findings=findings,
        unjudged=tuple(c for c, v in diagnosis.verdicts.items() if isinstance(v, NotMeasured)),
        milliseconds=cost[0],
        saved_bytes=cost[1],
        parameters=sum(p.size for p in recording.parameters if p.requires_grad),
        loss=recording.context.loss_value,
    )


class _Look:
    """Looks at networks, all in the same way."""

    def __init__(
        self,
        batch: Any,
        loss: Callable[..., Any] | str | None,
        optimizer: OptimizerLike,
        model: nn.Module,
        probe_steps: int,
        seed: int,
        built: Mapping[nn.Module, SourceLine] | None,
        context: RunContext,
    ) -> None:
        self._batch, self._loss, self._optimizer = batch, loss, optimizer
        self._autocast = context.autocast
        self._clip = context.optimizer.clip_grad_norm if context.optimizer else None
        self._model, self._probe_steps, self._seed = model, probe_steps, seed
        self._built = built
        self._first: Recording | None = None
        """The network as it is, which every remedy then need not look at again."""

    def at(self, model: nn.Module, loss: Any, treated: Treated | None = None) -> Recording:
        """Trace a network."""
        optimizer = treated.optimizer if treated and treated.optimizer else self._optimizer
        if treated is not None and treated.optimizer is None:
            optimizer = follow(self._optimizer, self._model, model)
        found = trace(
            model,
            self._batch,
            loss,
            optimizer=optimizer,
            batches=1,
            probe_steps=self._probe_steps,
            seed=self._seed,
            autocast=treated.autocast if treated else self._autocast,
            clip_grad_norm=treated.clip_grad_norm if treated else self._clip,
            built=self._built if treated is None else None,
        )
        if treated is None:
            self._first = found
        return found

    def cost(self, model: nn.Module) -> tuple[float, int]:
        """Return the milliseconds of one forward and backward pass, and what it keeps in bytes.

        The time is that of the faster of two.
        """
        batch = as_batch(self._batch, model)
        best, kept = math.inf, {}

        def keep(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with untouched(model, seed=self._seed):
            for counting in (False, False, True):
                seed_everything(self._seed)
                start = time.perf_counter()
                hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
                with hooks if counting else nullcontext():
                    output = main_output(call_model(model, batch.inputs))
                if counting:
                    break
                if output is not None and output.requires_grad:
                    output.sum().backward()
                best = min(best, time.perf_counter() - start)
        return 1000.0 * best, sum(kept.values())

    def option(
        self,
        asked: tuple[Prescription | str, ...],
        before: Outlook,
    ) -> Option:
        """Treat a copy and look at it."""
        names = tuple(one if isinstance(one, str) else one.remedy for one in asked)
        try:
            treated = treat(
                self._model,
                list(asked),
                self._batch,
                self._loss,
                optimizer=self._optimizer,
                recording=self._first,
                validate=False,
                seed=self._seed,
                built=self._built,
                autocast=self._autocast,
                clip_grad_norm=self._clip,
            )
            recording = self.at(treated.model, treated.loss, treated)
            after = outlook_of(recording, diagnose(recording), self.cost(treated.model))
        except UnvanishError as error:
            return Option(remedies=names, failed=error.what)
        except Exception as error:  # one remedy that fails must not hide the others
            _log.debug("%s failed", names, exc_info=True)
            return Option(remedies=names, failed=f"{type(error).__name__}: {error}")
        gone = tuple(sorted(_worrying(before) - _worrying(after)))
        come = tuple(sorted(_worrying(after) - _worrying(before)))
        return Option(
            remedies=tuple(one.remedy for one in treated.prescriptions),
            prescriptions=treated.prescriptions,
            receipts=treated.receipts,
            outlook=after,
            cures=gone,
            brings=come,
            score=-_burden(after, leads_round=_leads_round(treated.prescriptions)),
            can_be_written=all(name in REWRITERS for name in names),
        )


def _fitting(
    chosen: Iterable[Remedy], case: Case, *, wanted: bool
) -> tuple[list[Prescription], Mapping[str, str]]:
    """Ask every remedy whether it fits; those that treat none of the findings are left out."""
    fitting: list[Prescription] = []
    refused: dict[str, str] = {}
    for remedy in chosen:
        if not (wanted or remedy.treats & case.codes):
            continue
        found = remedy.assess(case)
        if isinstance(found, NotApplicable):
            refused[remedy.name] = found.reason
        else:
            fitting.append(found)
    return fitting, refused


def _broad(fitting: Sequence[Prescription], breadth: int | None) -> list[Prescription]:
    """Return some remedies of each kind, those that source code can say first."""
    if breadth is None:
        return list(fitting)
    ranked = sorted(fitting, key=lambda one: one.remedy not in REWRITERS)
    taken: list[Prescription] = []
    for change in Change:
        taken += [one for one in ranked if one.change is change][:breadth]
    return taken


def _ails(diagnosis: Diagnosis) -> bool:
    return any(f.severity is not Severity.NOTE for f in diagnosis.findings)


def _pairs(
    options: Sequence[Option], case: Case, chosen: Sequence[Remedy]
) -> list[tuple[str, str]]:
    """Return the combinations worth a try, given what single remedies do.

    Two that belong together (a function of the ReLU family and He's start) are tried unless one
    remedy that source code can say leaves nothing to cure; two of the best, unless any does.
    """
    done = [o for o in options if o.outlook is not None]
    cured = [o for o in done if -o.score < CURED]
    pairs: list[tuple[str, str]] = []
    if not any(o.can_be_written for o in cured):
        known = {remedy.name: remedy for remedy in chosen}
        fitting = [o.remedies[0] for o in done if o.remedies[0] in known]
        natural = [
            (first, second.name)
            for second in known.values()
            for first in fitting
            if first in second.after and second.treats & case.codes
            if _go_together(known[first], second)
        ]
        pairs += natural[:_MOST_PAIRS]
    if not cured:
        best = [o.remedies[0] for o in sorted(done, key=_order)[:_PAIRED]]
        pairs += [
            pair
            for pair in itertools.combinations(best, 2)
            if _go_together(*map(remedy_of, pair)) and {*pair} not in map(set, pairs)
        ]
    return pairs


def _go_together(a: Remedy, b: Remedy) -> bool:
    """Tell whether two remedies make sense together: they act on different things."""
    return a.change is not b.change and b.name not in a.excludes and a.name not in b.excludes


def _worrying(outlook: Outlook) -> set[str]:
    return {code for code, severity in outlook.findings.items() if _WEIGHT[severity] > 0}


def _leads_round(prescriptions: Sequence[Prescription]) -> bool:
    return any(one.change is Change.PATH for one in prescriptions)


def _burden(outlook: Outlook, *, leads_round: bool = False) -> float:
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


def _order(option: Option) -> tuple[float, ...]:
    """Sort the best first: least burden, then least change, then what source code can say."""
    changes = sum(one.change.rank for one in option.prescriptions)
    return (round(-option.score, 1), len(option.remedies), changes, not option.can_be_written)


def _flow(recording: Recording) -> float:
    """Return the largest change of the gradient between the outputs and a layer, in decades."""
    flow = propagation_flow(recording)
    if flow is None:
        return math.nan
    changes = [-flow.lost(level) for level in flow.levels]
    known = [change for change in changes if not math.isnan(change)]
    return max(known, key=abs) if known else math.nan


def _cosine(recording: Recording) -> float:
    cosines = recording[Quantity.SAMPLE_COSINE]
    measured = [site for site in recording.signal_sites() if site in cosines]
    last = [site for site in measured if site.is_output] or measured[-1:]
    return cosines[last[-1]] if last else math.nan

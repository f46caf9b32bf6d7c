"""From a target to a network that demonstrably trains: check, prescribe, try, prove, patch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Unpack

from torch import nn

from unvanish.core.cures import IN_PYTHON, Origin
from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.prescriptions import Advice, Option
from unvanish.core.proofs import Conclusion, Job, Proof
from unvanish.core.records import Recording
from unvanish.curing.changing import changes_of, treated_copy
from unvanish.curing.cured import Cured
from unvanish.curing.given import Given, recipe_from
from unvanish.curing.known import Known
from unvanish.curing.loading import UNKNOWN, experiment_from, reloaded, with_data
from unvanish.curing.rates import at_rate
from unvanish.curing.sources import Sources, files_of, loaded_files
from unvanish.curing.stepping import with_own_step
from unvanish.diagnose import diagnose
from unvanish.prove.building import NoDataError
from unvanish.prove.endpoints import bounds_of
from unvanish.prove.engines import engine_of
from unvanish.prove.engines.journal import Journal
from unvanish.prove.engines.protocol import Engine
from unvanish.prove.experiment import Experiment
from unvanish.prove.plan import budget as budget_of
from unvanish.prove.plan import planned
from unvanish.prove.running import Progress
from unvanish.prove.shortlist import GENERAL, MENDS, fitting, further, shortlist
from unvanish.prove.training import execute
from unvanish.prove.trial import Trial
from unvanish.recipe import Batches, Recipe
from unvanish.treat import prescribe
from unvanish.treat.adding import prescribe_further
from unvanish.treat.looking import look_at
from unvanish.treat.operable import has_lazy_layers, operable
from unvanish.treat.refusals import refuse_untreatable
from unvanish.treat.registry import remedies, remedy_of

_TIMED_STEPS: Final = 6
"""Steps of the run that shows how fast a network is, and that it trains at all."""
_SEEDS: Final = 5
"""Pairs that a proof rests on, where nobody says otherwise."""
_UNSETTLED: Final = frozenset({Conclusion.NO_EFFECT, Conclusion.INCONCLUSIVE, Conclusion.HARMED})
"""Conclusions after which something is left to the user."""
_SHORT_STEPS: Final = 1000
"""Steps that data are drawn for, where nobody says how long a run is."""
_TO_DO: Final = {
    "backward through the graph a second time": "a tensor that the network keeps for its next call "
    "still hangs on the last step's graph: self.state = state.detach()",
    "more than 1 value per channel": "leave batches of one sample out: "
    "DataLoader(..., drop_last=True)",
}
"""What to do where a training step fails with such words."""


def cure(
    target: str | Recipe | nn.Module | Callable[..., nn.Module],
    *,
    data: str | Iterable[Any] | None = None,
    budget: str = "",
    steps: int | None = None,
    seeds: int = _SEEDS,
    remedy: Sequence[str] | str = (),
    keep_architecture: bool = False,
    engine: str | Engine = "local",
    jobs: int | None = None,
    seed: int = 0,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
    device: str | None = None,
    resume: bool = True,
    progress: Callable[[Progress], None] | None = None,
    **given: Unpack[Given],
) -> Cured:
    """Find what ails a network, try what may cure it, and prove what does.

    Args:
        target: ``file.py[:name]``, ``package.module[:name]``, ``zoo:NAME``, a recipe, a function
            that makes a network, or a network.
        data: Batches, or the name of some, in place of the recipe's own: ``"digits"``,
            ``"csv:FILE"``, ``"npz:FILE"``, ``"mnist-idx:FOLDER"``, ``"module:function"``.
        budget: ``"500steps"`` for the steps of every run, ``"60s"`` for the time of the whole
            trial; empty to choose by the speed of the network.
        steps: Steps of a run where neither `budget` nor the recipe says so.
        seeds: Pairs that the proof rests on, at least 1; below 3 it can hardly conclude anything.
        remedy: Treatment to try, whether or not others promise more; several names are one
            combination.
        keep_architecture: Whether remedies that change activations, normalisation or paths are
            left out.
        engine: ``"local"``, ``"inline"``, ``"ray"``, or an engine.
        jobs: Runs at once; None for one on every processor.
        seed: Seed of everything random.
        input_shape: Shape of one sample, for a target without a batch.
        classes: Number of classes, for a target without a batch.
        device: Where to build the network.
        resume: Whether what an interrupted trial of the same network had finished is used.
        progress: Called after every run.
        given: Where the network is given in Python, what else is known of its training: `batch`,
            `loss`, `optimizer`, `metric`, `goal`, `higher_is_better`, `clip_grad_norm`,
            `autocast`; see `unvanish.curing.given.recipe_from`.

    Returns:
        What was found, tried and proven.

    Raises:
        UnvanishError: If the target cannot be loaded, or does not train a step.
    """
    start, folder = time.monotonic(), Path.cwd()  # the network's own code may go elsewhere
    if seeds < 1:
        raise UnvanishError(f"{seeds} seeds prove nothing", help="--seeds 5")
    run_steps, seconds = budget_of(budget) if budget else (None, None)
    runner = engine_of(engine, jobs) if isinstance(engine, str) else engine
    names = tuple(
        remedy_of(name).name for name in ((remedy,) if isinstance(remedy, str) else remedy)
    )
    data = data if data is None or isinstance(data, str) else Batches(data, origin="data")
    recipe = None if isinstance(target, str) else _given(target, data, seed, given)
    origin = Origin(
        target=target if isinstance(target, str) else recipe.target if recipe else "",
        is_given=recipe is not None,
        seed=seed,
        data=data if isinstance(data, str) else "" if data is None else IN_PYTHON,
        input_shape=tuple(input_shape or ()),
        classes=classes or 0,
        device=device or "",
        options=asked_for(budget, seeds, names, keep_architecture=keep_architecture),
    )
    recipe = recipe or reloaded(origin, data)
    sources = Sources() if origin.is_given else Sources().joined(loaded_files())
    recipe = with_own_step(recipe)
    wanted = run_steps or recipe.steps or steps
    origin = replace(origin, steps=wanted or _SHORT_STEPS)
    with recipe.running():
        before = _look(recipe)
    known = Known(
        origin=origin,
        folder=folder,
        recipe=recipe,
        sources=sources.joined(files_of(before)),
        before=before,
        diagnosis=diagnose(before),
        data=data,
        names=names,
        keep_architecture=keep_architecture,
    )
    try:
        experiment = experiment_from(origin, recipe, known.reload, known.judge)
    except NoDataError as error:
        return _untried(known, error, start)
    trained = execute(experiment, Job(steps=_TIMED_STEPS, judged=True))
    if trained.failed:
        raise UnvanishError(
            f"the network does not train: {trained.failed}",
            where=origin.target,
            help=next((todo for said, todo in _TO_DO.items() if said in trained.failed), ""),
        )
    plan = planned(
        trained.milliseconds_per_step,
        jobs=runner.jobs,
        steps=wanted,
        seeds=seeds,
        seconds=seconds,
    )
    counsel = _Counsel(known, plan.arms)
    if names and not counsel.options():
        raise UnvanishError(counsel.advice.why_not(names))
    journal = Journal.default(f"{experiment.fingerprint}{plan}{names}") if resume else None
    trial = Trial(
        experiment=experiment,
        options=counsel.options,
        plan=plan,
        engine=runner,
        lots=counsel.lots,
        further=counsel.further,
        bounds=bounds_of(experiment),
        is_forced=bool(names),
        is_suspect=known.is_suspect or known.lags(plan.steps),
        journal=journal,
        progress=progress,
        seed=seed,
    )
    try:
        proof = trial.run()
        if journal is not None and not proof.is_partial:
            journal.finish()
    finally:
        if journal is not None:
            journal.close()
        if isinstance(engine, str):
            runner.close()
    return _concluded(known, experiment, counsel.asked, proof, start)


def asked_for(
    budget: str, seeds: int, remedies: Sequence[str], *, keep_architecture: bool
) -> tuple[str, ...]:
    """Return the words on the command line that ask for such a trial.

    Args:
        budget: As in `cure`.
        seeds: As in `cure`.
        remedies: Names of treatments that are to be tried.
        keep_architecture: As in `cure`.
    """
    words = ["--budget", budget] if budget else []
    words += ["--seeds", str(seeds)] if seeds != _SEEDS else []
    for name in remedies:
        words += ["--remedy", name]
    return (*words, *(["--keep-architecture"] if keep_architecture else []))


def _given(target: Any, data: Any, seed: int, given: Given) -> Recipe:
    """Return the recipe of what was given in Python."""
    if isinstance(target, Recipe):
        recipe = target if data is None else with_data(target, data)
    elif not isinstance(data, str):
        recipe = recipe_from(target, data=data, seed=seed, **given)
    else:
        bare: Given = {"batch": UNKNOWN, **given}
        recipe = with_data(recipe_from(target, seed=seed, **bare), data)
    if recipe.is_finished and has_lazy_layers(recipe.model):
        refuse_untreatable(recipe.model)  # its first batch is for the user's own code to give
    return operable(recipe)


def _look(recipe: Recipe) -> Recording:
    """Look at the network as it is; what the recipe had to assume stands in the report too."""
    recording = look_at(recipe)
    inferred = (*recipe.inferred, *recording.context.inferred)
    return replace(recording, context=replace(recording.context, inferred=inferred))


def _advice(known: Known) -> Advice:
    """Try remedies on a copy: those asked for, those that treat what was found, or general ones."""
    names: Sequence[str] | None = known.names or None
    if not known.names and not known.is_suspect:
        noted = {finding.code for finding in known.diagnosis.findings}
        of_notes = (remedy.name for remedy in remedies() if remedy.treats & noted)
        names = tuple(dict.fromkeys((*GENERAL, *of_notes)))
    recipe = known.recipe
    with recipe.running():
        return prescribe(
            recipe.model,
            known.diagnosis,
            recipe.batch,
            recipe.loss,
            optimizer=recipe.optimizer,
            recording=known.before,
            names=names,
            together=bool(known.names),
            keep_architecture="the architecture is to be kept" if known.keep_architecture else "",
            seed=recipe.seed,
            built=recipe.built,
            data=recipe.further,
        )


class _Counsel:
    """Tries remedies on a copy once somebody asks, and remembers what came of it."""

    def __init__(self, known: Known, arms: int) -> None:
        self._known, self._arms = known, arms
        self.asked: Advice | None = None

    @property
    def advice(self) -> Advice:
        if self.asked is None:
            self.asked = _advice(self._known)
        return self.asked

    def options(self) -> Sequence[Option]:
        return shortlist(self.advice, self._arms)

    def further(self, base: Sequence[str], helped: Sequence[str]) -> Sequence[Option]:
        known = self._known
        recipe = known.recipe
        with recipe.running():
            advice = prescribe_further(
                recipe.model,
                base,
                recipe.batch,
                recipe.loss,
                optimizer=recipe.optimizer,
                context=known.before.context,
                names=(*helped, *MENDS),
                otherwise=GENERAL,
                keep_architecture=known.keep_architecture,
                seed=recipe.seed,
                built=recipe.built,
            )
        return further(advice, base, helped, self._arms)

    def lots(self) -> Sequence[str]:
        return fitting(self.advice)


def _untried(known: Known, error: NoDataError, start: float) -> Cured:
    """Return what can be said without a trial, and what cannot."""
    advice = _advice(known) if known.is_suspect or known.names else None
    best = advice.best if advice else None
    can = "the gradient's profile and whether outputs tell inputs apart"
    can += ", before and after a remedy" if best else "" if known.is_suspect else ", both sound"
    said = f"no trial could be made: {error.what}. Shown is {can}; that it learns is not"
    treated = treated_copy(known, best.remedies) if best else None
    return Cured(
        origin=known.origin,
        conclusion=Conclusion.CANNOT,
        said=said,
        before=known.before,
        advice=advice,
        remedies=best.remedies if best else (),
        **changes_of(known, treated, 1.0),
        left=tuple(error.help.splitlines()),
        seconds=time.monotonic() - start,
        recipe=known.recipe,
    )


def _concluded(
    known: Known, experiment: Experiment, advice: Advice | None, proof: Proof, start: float
) -> Cured:
    """Put together what was proven with the edit that gives it."""
    answer = proof.answer
    remedies = answer.remedies if answer else ()
    rate = answer.rate_factor if answer else 1.0
    treated = treated_copy(known, remedies) if remedies else None
    if treated is None and rate != 1.0:
        treated = at_rate(known.recipe, known.before, rate)
    return Cured(
        origin=known.origin,
        conclusion=proof.conclusion,
        said=proof.said,
        before=known.before,
        advice=advice,
        proof=proof,
        remedies=remedies,
        rate_factor=rate,
        **changes_of(known, treated, rate),
        warnings=tuple(filter(None, (known.sources.said(),))) if treated is None else (),
        left=_noted(known.diagnosis) if proof.conclusion in _UNSETTLED else (),
        seconds=time.monotonic() - start,
        experiment=experiment,
        recipe=known.recipe,
    )


def _noted(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the notes of a check, which a network that does not learn may turn on."""
    return tuple(
        f"a check notes {finding.code}: {finding.message}"
        for finding in diagnosis.findings
        if finding.severity is Severity.NOTE
    )
